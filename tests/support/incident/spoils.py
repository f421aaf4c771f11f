"""What is spoilt in the sample case for each check of the table, and what must be named."""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

from ironkeep.core.credential.connector import Probe
from ironkeep.core.event import CLOCK_STEP
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, secret_family, secret_version
from ironkeep.core.evidence.reach import EdgeKind
from tests.support.incident.sample_case import (
    ALICE,
    CASE,
    DATABASE,
    END_AT,
    MOUNT,
    NEW,
    OLD,
    SESSION,
    UNPLACED,
    Line,
    SampleCase,
    at,
    read_of,
    request,
)

Spoil = Callable[[SampleCase], SampleCase]

MIRROR = NodeId("system:mirror-database")
PARTNER = "system:partner"
OTHER = secret_version(MOUNT, "other", 1)
PASSWORD = f"password:{MOUNT}/alice"
FAMILY = secret_family(MOUNT, "orders/password")


def drop(*names: str) -> Spoil:
    return lambda case: case.without(*names)


def change(name: str, **values: object) -> Spoil:
    return lambda case: case.changed(name, **values)


MOVED = {"offset_ns": -3_600 * 10**9}


def add(*lines: Line) -> Spoil:
    return lambda case: case.with_lines(*lines)


def facts(**values: object) -> Spoil:
    return lambda case: case.with_facts(**values)


def both(*spoils: Spoil) -> Spoil:
    return lambda case: reduce(lambda spoilt, each: each(spoilt), spoils, case)


def link(source: str, kind: EdgeKind, *targets: str) -> ev.Linked:
    return ev.Linked(*UNPLACED, source, kind, targets, at(0), "configuration")


def probe(state: Probe, system: str = DATABASE) -> ev.Probed:
    return ev.Probed(CASE, OLD, system, "127.0.0.1:5432", state, "", "as it answered", at(53), 3)


def ended_at(system: str) -> Line:
    return Line(54, "ended there", ev.Ended(CASE, OLD, system, at(54), 0, 0))


def mirror(state: Probe) -> Spoil:
    """A second verifier, a store, that is watched, and that answers in a given way."""
    store = "store:archive"
    return add(
        Line(5, "mirror", link(OLD, EdgeKind.OPENS, store)),
        Line(53, "probed there", probe(state, store)),
        Line(73, "watched there", ev.Watched(CASE, OLD, store, at(50), at(90), 0, 0, "log")),
    )


def swept(**values: object) -> Spoil:
    return change("swept", **values)


def an_hour_later(*but: str) -> Spoil:
    """Judge an hour later, with everything looked at again but for some lines."""
    when = END_AT + 3_600
    again = (
        *(
            Line(when - 10, item, ev.RootChecked(CASE, item, sound=True, detail="as expected"))
            for item in ev.ROOT_ITEMS
            if item not in but
        ),
        Line(when - 9, "watched", ev.Watched(CASE, OLD, DATABASE, at(50), at(when), 0, 2, "all")),
        Line(
            when - 8, "swept",
            ev.Swept(CASE, DATABASE, "aa", "bb", at(when), (), (), ("key role app",), (), ()),
        ),
        Line(when, "compared", ev.Compared(CASE, OLD, at(when), False, "version 2 is current")),
        Line(when, "confirmed", ev.Confirmed(CASE, ()), {"entity": "auditor-entity"}),
    )  # fmt: skip
    gone = drop("sourced", "compared", "confirmed")
    kept = [line for line in again if line.name not in but]
    return both(gone, add(*kept), lambda case: replace(case, end=when))


HOST = "127.0.0.1:5432"


def placed(*endpoints: str, declared: bool = True, **ended: object) -> Spoil:
    """Endpoints of the database are on record, and what the ending of its sessions says of them."""
    addressed = ev.Addressed(*UNPLACED, DATABASE, endpoints, (), declared)
    whole = {"counted_ns": at(51), "endpoints": endpoints, **ended}
    lines = add(Line(6, "addressed", addressed))
    return both(lines, change("ended", **whole), change("swept", endpoint=HOST))


def also_swept(endpoint: str) -> Spoil:
    """A second host was compared, without a difference."""
    record = ev.Swept(CASE, DATABASE, "aa", "bb", at(70), (), (), (), (), (), endpoint)
    return add(Line(70, "swept too", record))


# One row for each check of the table: what is spoilt, and what has to be named.
SPOILS: dict[str, tuple[Spoil, str]] = {
    "case not opened": (change("opened", subjects=()), f"case:{CASE}"),
    "scope cut": (lambda case: case.placed().without("sourced"), "scope:chain"),
    "no basis": (change("opened", basis=" "), f"case:{CASE}"),
    "subject unknown": (
        add(Line(43, "widened", ev.Widened(*UNPLACED, CASE, ("document:typo",), at(20), "lost"))),
        "document:typo",
    ),
    "scope narrowed": (
        add(Line(44, "gone", ev.Unlinked(*UNPLACED, FAMILY, EdgeKind.OPENS, (DATABASE,)))),
        "entry:9",
    ),
    "not surveyed": (drop("surveyed"), ALICE),
    "not known": (change("surveyed", unknown=("vault/ is sealed",)), f"{ALICE}#vault/ is sealed"),
    "origin unknown": (drop("login"), SESSION),
    "unattributed record": (
        add(request(44, "unwrapped", "", entity="", accessor="", released=read_of(9))),
        "entry:9",
    ),
    "released again": (
        both(
            change("contained", sessions=()),
            add(
                request(55, "re-made", "alice", entity="", released=read_of(1)),
                Line(56, "cut", ev.Contained(CASE, SESSION, (), (), 0)),
                Line(57, "more", ev.Surveyed(CASE, SESSION, at(20), at(56), ("orders",), ())),
            ),
        ),
        OLD,
    ),
    "not revoked": (
        add(
            Line(5, "wrapping key", link(OTHER, EdgeKind.DECRYPTS, OLD)),
            Line(6, "note", link(ALICE, EdgeKind.HOLDS, OTHER)),
        ),
        OTHER,
    ),
    "no receipt": (change("revoked", receipt=""), OLD),
    "no verifier": (drop("opens"), OLD),
    "not presented": (drop("probed"), OLD),
    "endpoint not asked": (both(placed(HOST, "replica:5432"), also_swept("replica:5432")), OLD),
    "not answered": (add(Line(53, "again", probe(Probe.UNKNOWN))), OLD),
    "accepted elsewhere": (mirror(Probe.ALIVE), OLD),
    "worked after revocation": (add(Line(53, "again", probe(Probe.ALIVE))), OLD),
    "not contained": (
        add(
            Line(5, "phone", link("device:phone", EdgeKind.HOLDS, OLD)),
            Line(43, "widened", ev.Widened(*UNPLACED, CASE, ("device:phone",), at(20), "lost")),
        ),
        "device:phone",
    ),
    "acts again": (
        both(
            change("surveyed", until_ns=at(100)),
            add(request(45, "again", "alice", accessor="")),
        ),
        ALICE,
    ),
    "readmitted unsigned": (
        add(Line(95, "readmitted", ev.Readmitted(CASE, ALICE, "", "she is back", ()))),
        ALICE,
    ),
    "unchanged factor": (
        add(Line(95, "back", ev.Readmitted(CASE, ALICE, "dora", "she is back", (PASSWORD,)))),
        f"{ALICE}#{PASSWORD}",
    ),
    "sessions not ended": (drop("ended"), OLD),
    "sessions remain": (change("ended", remaining=1), OLD),
    "endpoint not cleared": (placed(HOST, endpoints=()), OLD),
    "logins under way": (placed(HOST, logins=1), OLD),
    "replicas not listed": (placed(HOST, unlisted=1), DATABASE),
    "poolers not known": (placed(HOST, declared=False), DATABASE),
    "no baseline": (drop("baselined"), DATABASE),
    "not swept": (swept(baseline="other"), DATABASE),
    "sweep too old": (an_hour_later("swept"), DATABASE),
    "host not swept": (
        both(placed(HOST), change("swept", endpoint="replica:5432")),
        f"{DATABASE}#{HOST}",
    ),
    "not seen": (swept(gaps=("pg_authid",)), f"{DATABASE}#pg_authid"),
    "not explained": (
        swept(added=("hook trigger audit",)),
        f"{DATABASE}#hook trigger audit",
    ),
    "foothold in vault": (
        add(request(35, "policy", "alice", op="update", path="sys/policies/acl/mine")),
        "entry:6",
    ),
    "unfinished deed": (
        add(
            request(
                35,
                "role",
                "alice",
                op="update",
                path="database/static-roles/mine",
                outcome="pending",
                request="r-1",
            ),
            request(
                36,
                "role",
                "alice",
                op="update",
                path="database/static-roles/mine",
                outcome="upstream_failed",
                request="r-1",
            ),
        ),
        "entry:6",
    ),
    "makers unknown": (
        add(
            request(
                35,
                "login",
                "bob",
                op="update",
                path="auth/userpass/login/bob",
                rule="login",
                accessor="",
                issued="bob-second",
                audited={"made_by": [f"@{at(30)}@{at(30)}"]},
            )
        ),
        "entry:6",
    ),
    "delivered early": (add(request(48, "early", "bob", released=read_of(2))), NEW),
    "delivered to exposed": (
        add(Line(61, "pushed", ev.Delivered(CASE, NEW, ALICE, "system:vault"))),
        NEW,
    ),
    "issued from exposed": (
        add(Line(61, "pushed", ev.Delivered(CASE, NEW, "person:bob", DATABASE))),
        NEW,
    ),
    "starts too late": (facts(start=5), "log:window"),
    "not witnessed": (facts(cosigners=()), "log:witnesses"),
    "ends too early": (facts(cosigned_ns=at(END_AT - 301)), "log:window"),
    "clock ran back": (
        add(Line(99, "back", None, {"time_ns": at(-301), "kind": "notice"})),
        "entry:24",
    ),
    "clock step": (
        add(Line(99, "moved", None, {"kind": "notice", "op": CLOCK_STEP, "audited": MOVED})),
        "entry:24",
    ),
    "source silent": (change("heartbeat", source="another"), "source:database-log"),
    "source lost messages": (change("heartbeat", missed=1), "source:database-log"),
    "ended session worked": (
        add(
            request(44, "again", "alice", entity=""),
            Line(43, "more", ev.Surveyed(CASE, SESSION, at(20), at(100), ("orders",), ())),
        ),
        SESSION,
    ),
    "not watched": (drop("watched"), OLD),
    "used later": (change("watched", successes=1), OLD),
    "root not checked": (drop("root:policies"), "root:policies"),
    "root check too old": (an_hour_later("root:policies"), "root:policies"),
    "root unsound": (change("root:policies", sound=False), "root:policies"),
    "record by an exposed principal": (
        add(Line(92, "own", ev.Residue(CASE, "all is well"), {"entity": "alice-entity"})),
        "entry:24",
    ),
    "indexed late": (facts(late=9), "log:index"),
    "pack too old": (facts(unproven=2), "log:pack"),
    "withheld": (facts(withheld=1), "log:entries"),
    "no residue": (drop("residue"), f"case:{CASE}"),
}

ACTING = swept(acting=("principal role svc2",))
"""An unexplained principal that acts: `not explained` has failed."""

FAILING = {"worked after revocation", "ended session worked", "used later"}
