"""For each check of the table a story to which it alone objects, and which is not to be PROVEN.

Most are real: what the attacker can still do is tried. Where the vault's interface refuses to make
the record that a check is there for, the evidence of a story that went well is spoilt, as a defect,
a crash or a forger would spoil it.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.reach import FOREVER, EdgeKind
from ironkeep.core.evidence.records import Evidence
from ironkeep.testing.simulation.world import PRIMARY, STANDBY
from tests.support.simulation.objections import Directed, Spoil

WELL: Final = "steal\nread\nopen\nevict"
"""A story that goes well."""

BACK: Final = "back-up restore=true\nconnect endpoint=1\nfollow"
"""A standby is put back to what it was, and the attacker logs in there before it catches up."""

S = TypeVar("S", bound=msgspec.Struct)

Changed = Callable[[ev.Record, Entry], Iterable[tuple[ev.Record, Entry]]]


def rewritten(change: Changed) -> Spoil:
    """Return a spoil that puts records in the place of each record; none leaves it out."""

    def spoil(evidence: Evidence) -> Evidence:
        entries: list[tuple[int, Entry]] = []
        seq, chain = 0, ev.CHAIN_START
        for index, entry in evidence.entries:
            record = ev.record_of(entry)
            if record is None:
                entries.append((index, entry))
                continue
            for other, by in change(record, entry):
                kept = other
                if isinstance(kept, ev.Scope):
                    kept = ev.chained(kept, seq + 1, chain)
                    seq, chain = kept.seq, kept.chain
                entries.append((index, replaced(by, audited=ev.to_audited(kept))))
        return replaced(evidence, entries=tuple(entries))

    return spoil


def replaced(struct: S, **fields: Any) -> S:
    """Return a struct with fields changed."""
    return msgspec.structs.replace(struct, **fields)


def without(kind: type[ev.Record]) -> Spoil:
    """Leave out the records of a kind."""
    return rewritten(lambda one, by: [] if isinstance(one, kind) else [(one, by)])


def with_fields(kind: type[ev.Record], **fields: Any) -> Spoil:
    """Change fields of the records of a kind."""
    return rewritten(
        lambda one, by: [(replaced(one, **fields) if isinstance(one, kind) else one, by)]
    )


def beside(kind: type[ev.Record], make: Callable[[Any], ev.Record]) -> Spoil:
    """Add a record after each record of a kind."""
    return rewritten(
        lambda one, by: [(one, by), (make(one), by)] if isinstance(one, kind) else [(one, by)]
    )


def by_the_exposed(kind: type[ev.Record]) -> Spoil:
    """Let the person whom the case is about have made the records of a kind."""

    def spoil(evidence: Evidence) -> Evidence:
        opened = next(
            record
            for _, entry in evidence.entries
            if isinstance(record := ev.record_of(entry), ev.Opened)
        )
        person = opened.subjects[0].partition(":")[2]
        change = rewritten(
            lambda one, by: [(one, replaced(by, entity=person) if isinstance(one, kind) else by)]
        )
        return change(evidence)

    return spoil


def with_facts(**fields: Any) -> Spoil:
    """Change facts about the log."""
    return lambda evidence: replaced(evidence, logs=(replaced(evidence.log, **fields),))


def with_request(**fields: Any) -> Spoil:
    """Let a request of the attacker be granted at the end; fields are those of its entry.

    `session` as an accessor stands for the one that was contained first.
    """

    def spoil(evidence: Evidence) -> Evidence:
        cut = next(
            record
            for _, entry in evidence.entries
            if isinstance(record := ev.record_of(entry), ev.Contained)
        )
        index, last = evidence.entries[-1]
        known = {"session": (*cut.sessions, *cut.gone)[0], "person": cut.principal.split(":")[1]}
        named = {name: known.get(value, value) for name, value in fields.items()}
        entry = Entry(
            "request", last.time_ns, op="read", path="sys/mounts", node=last.node, **named
        )
        return replaced(evidence, entries=(*evidence.entries, (index + 1, entry)))

    return spoil


def delivered(*, to_exposed: bool) -> Spoil:
    """Add the delivery of a replacement, to an exposed person or from an exposed system."""

    def spoil(evidence: Evidence) -> Evidence:
        records = [ev.record_of(entry) for _, entry in evidence.entries]
        person = next(one.principal for one in records if isinstance(one, ev.Contained))
        revoked = next(one for one in records if isinstance(one, ev.Revoked) and one.replacement)
        consumer, plane = (
            (person, "system:deployment") if to_exposed else ("system:app", revoked.system)
        )
        made = ev.Delivered(revoked.case, revoked.replacement, consumer, plane)
        return beside(ev.Residue, lambda _one: made)(evidence)

    return spoil


def at_the_primary(kind: type[ev.Record]) -> Spoil:
    """Leave out the records of a kind at the standby; one of all hosts names the primary alone."""

    def change(one: ev.Record, by: Entry) -> list[tuple[ev.Record, Entry]]:
        if isinstance(one, kind) and getattr(one, "endpoint", "") == STANDBY:
            return []
        if isinstance(one, kind) and isinstance(one, ev.Ended):
            return [(replaced(one, endpoints=(PRIMARY,)), by)]
        return [(one, by)]

    return rewritten(change)


def with_source(*, beats: bool) -> Spoil:
    """Add a log source of another system, which is silent, or lost a message."""
    sourced = ev.Sourced(*ev.UNPLACED, "portal-log", 600)
    beat = ev.Heartbeat("portal-log", 9, missed=1)
    silent = ev.Sourced(*ev.UNPLACED, "portal-log", 1)
    add = beside(ev.Opened, lambda _one: sourced if beats else silent)
    return (lambda one: beside(ev.Residue, lambda _: beat)(add(one))) if beats else add


def still_there(evidence: Evidence) -> Evidence:
    """Let what could be read be known up to the end."""
    return with_fields(ev.Surveyed, until_ns=evidence.as_of_ns)(evidence)


def maker_lost(evidence: Evidence) -> Evidence:
    """Let the login of the responder rely on something that was made by nobody known."""
    at, entry = next(each for each in evidence.entries if each[1].rule == "login")
    made = replaced(entry, audited={**entry.audited, "made_by": [f"@{FOREVER}@{FOREVER}"]})
    kept = [(index, made if index == at else each) for index, each in evidence.entries]
    return replaced(evidence, entries=tuple(kept))


def not_issued(evidence: Evidence) -> Evidence:
    """Let no entry say which session a login gave."""
    kept = [(index, replaced(entry, issued="") if entry.rule == "login" else entry)
            for index, entry in evidence.entries]  # fmt: skip
    return replaced(evidence, entries=tuple(kept))


def late_start(evidence: Evidence) -> Evidence:
    """Let the proved window begin after the case's start."""
    first = min(record.from_ns for _, entry in evidence.entries
                if isinstance(record := ev.record_of(entry), ev.Opened))  # fmt: skip
    start = next(index for index, entry in evidence.entries if entry.time_ns > first)
    return with_facts(start=start)(evidence)


def of_no_case(evidence: Evidence) -> Evidence:
    """Judge a case that was never opened, with the statements of another one."""
    moved = rewritten(
        lambda one, by: [(replaced(one, case="99") if hasattr(one, "case")
                          and not isinstance(one, ev.Scope) else one, by)]
    )  # fmt: skip
    return replaced(moved(evidence), case="99")


def earlier(evidence: Evidence) -> Evidence:
    """State a time in the last entry that is a minute before that of the one before."""
    (at, last) = evidence.entries[-1]
    moved = replaced(last, time_ns=last.time_ns - 60 * 10**9)
    return replaced(evidence, entries=(*evidence.entries[:-1], (at, moved)))


def cut_scope(evidence: Evidence) -> Evidence:
    """Leave out the record of a mount, and with it a link of the chain."""
    kept = [each for each in evidence.entries
            if not isinstance(ev.record_of(each[1]), ev.Mounted)]  # fmt: skip
    return replaced(evidence, entries=tuple(kept))


def not_worked_out(evidence: Evidence) -> Evidence:
    """Leave out the survey of what could be read, and its links."""
    return rewritten(
        lambda one, by: [] if isinstance(one, ev.Surveyed) or (
            isinstance(one, ev.Linked) and one.kind is EdgeKind.MAY_READ)
        else [(one, by)]
    )(evidence)  # fmt: skip


NEEDED: Final[dict[str, Directed]] = {
    "case not opened": Directed(WELL, of_no_case, "the case names nobody"),
    "scope cut": Directed(WELL, cut_scope, "a record of scope is missing"),
    "no basis": Directed(WELL, with_fields(ev.Opened, basis=" "), "the start has no reason"),
    "subject unknown": Directed(
        "steal\nread\nopen on=document:another\nevict but=rotate,replace,kill,probe,sweep"
    ),
    "scope narrowed": Directed(
        """
        steal
        read path=secret/data/key
        link source=secret/key kind=decrypts target=store:keys undo=true
        open
        do what=contain
        do what=rotate
        replace forget=true
        evict but=contain,rotate,replace
        """
    ),
    "not surveyed": Directed(
        "steal\npeek path=secret/data/key\nopen\nevict but=replace", not_worked_out
    ),
    "unattributed record": Directed(
        """
        arrive who=cat
        steal
        wrap owner=cat path=secret/data/pay
        wrap open=true path=secret/data/pay
        open
        evict
        """
    ),
    "not revoked": Directed("steal\nread path=secret/data/key\nopen\nevict but=replace"),
    "still current": Directed(
        "steal\nread path=secret/data/key\nopen\nevict\nput-back\ndo what=probe"
    ),
    "revocation sworn by one": Directed(
        """
        steal
        read path=secret/data/key
        open
        do what=contain
        do what=rotate
        check-root
        confirm
        replace forget=true
        evict but=contain,rotate,check-root,replace,confirm
        """
    ),
    "makers unknown": Directed(WELL, maker_lost, "somebody unknown let a person in"),
    "unfinished deed": Directed(
        "steal\nread\nfail op=set how=unreachable\nadopt\nopen\nevict",
        None,
        "an account may be in the attacker's hands",
    ),
    "explanation sworn by one": Directed(
        "steal\nread\nconnect\nplant\nopen\nevict\nexplain\nconfirm"
    ),
    "root check sworn by one": Directed(
        "seize\nsteal\nread\nopen\nevict but=check-root\ncheck-root"
    ),
    "pack too old": Directed(WELL, with_facts(unproven=2), "the pack answers too little"),
    "not known": Directed(
        WELL, with_fields(ev.Surveyed, unknown=("vault/ is sealed",)), "more could have been read"
    ),
    "origin unknown": Directed(WELL, not_issued, "nobody knows what the session could read"),
    "no receipt": Directed(WELL, with_fields(ev.Revoked, receipt=""), "nobody read it back"),
    "released again": Directed(
        """
        steal
        steal who=bob
        read path=secret/data/key
        open
        do what=contain
        delete path=secret/metadata/key
        replace forget=true
        write
        read path=secret/data/key by=1
        do what=probe
        delete path=secret/metadata/key
        include
        do what=contain
        do what=rotate
        evict but=contain,rotate,replace
        """
    ),
    "no verifier": Directed(
        """
        link source=secret/key kind=decrypts target=store:keys undo=true
        wait
        steal
        read path=secret/data/key
        open
        do what=contain
        do what=rotate
        replace forget=true
        evict but=contain,rotate,replace
        """
    ),
    "not presented": Directed(
        "steal\nread\nback-up\nopen\nevict\nback-up restore=true\ndo what=probe",
        without(ev.Probed),
    ),
    "not answered": Directed(
        """
        steal
        read
        back-up
        open
        evict
        back-up restore=true
        down
        do what=probe
        """
    ),
    "accepted elsewhere": Directed(
        "steal\nread\nback-up\nopen\nevict\nback-up restore=true\ndo what=probe",
        with_fields(ev.Revoked, system="system:elsewhere"),
    ),
    "worked after revocation": Directed(
        "steal\nread\nback-up\nopen\nevict\nback-up restore=true\ndo what=probe"
    ),
    "not contained": Directed(
        WELL,
        with_fields(ev.Contained, sessions=(), gone=()),
        "the end of a session is not on record",
    ),
    "acts again": Directed(
        WELL,
        lambda evidence: still_there(with_request(entity="person")(evidence)),
        "the person still gets answers",
    ),
    "readmitted unsigned": Directed(
        "steal\nread\nopen\nevict\nreadmit",
        with_fields(ev.Readmitted, owner=""),
        "nobody answers for the readmission",
    ),
    "sessions not ended": Directed(f"steal\nread\nback-up\nopen\nevict but=kill\n{BACK}"),
    "sessions remain": Directed(
        f"steal\nread\nback-up\nopen\nevict\n{BACK}\npool endpoint={STANDBY}\n"
        "do what=kill\ndo what=sweep"
    ),
    "endpoint not asked": Directed(
        "steal\nread\nback-up\nopen\nevict\nback-up restore=true\ndo what=probe",
        at_the_primary(ev.Probed),
    ),
    "endpoint not cleared": Directed(
        f"steal\nread\nback-up\nopen\nevict\n{BACK}", at_the_primary(ev.Ended)
    ),
    "logins under way": Directed("steal\nread\nconnect later=true\nopen\nevict"),
    "replicas not listed": Directed(
        WELL, with_fields(ev.Ended, unlisted=1), "nobody asked the replica that follows it"
    ),
    "poolers not known": Directed(
        WELL, with_fields(ev.Addressed, declared=False), "clients of a pooler may be logged in"
    ),
    "host not swept": Directed(
        WELL, at_the_primary(ev.Swept), "nobody looked for what was added at the standby"
    ),
    "sweep too old": Directed(
        f"{WELL}\nwait seconds=7200\nplant unseen=true\ndo what=probe\ncheck-root\nconfirm"
    ),
    "root check too old": Directed(
        f"{WELL}\nwait seconds=7200\nseize\ndo what=probe\ndo what=sweep\nconfirm"
    ),
    "unchanged factor": Directed("steal password=true\nread\nopen\nevict\nreadmit forget=true"),
    "no baseline": Directed(
        """
        new-system
        steal
        plant unseen=true endpoint=other.example:5432
        new-system managed=true
        read path=database/static-creds/batch
        open
        evict
        """
    ),
    "not swept": Directed("steal\nread\nconnect\nplant\nopen\nevict but=sweep"),
    "not seen": Directed("steal\nread\nconnect\nplant kind=hook\nblind\nopen\nevict"),
    "not explained": Directed("steal\nread\nconnect\nplant\nopen\nevict"),
    "foothold in vault": Directed("steal\nread\nwiden-policy\nopen\nevict"),
    "delivered early": Directed(
        """
        steal
        read
        open
        do what=contain
        rotate-role
        application
        do what=rotate
        replace
        do what=kill
        do what=probe
        evict but=contain,rotate,replace,kill,probe
        """,
        None,
        "the new one was given out while the old one was not on record as revoked",
    ),
    "delivered to exposed": Directed(
        WELL, delivered(to_exposed=True), "the new one lies on a machine of the exposed person"
    ),
    "issued from exposed": Directed(
        WELL, delivered(to_exposed=False), "the new one came by way of an exposed system"
    ),
    "source silent": Directed(
        WELL, with_source(beats=False), "the log of another system is not known"
    ),
    "source lost messages": Directed(
        WELL, with_source(beats=True), "the log of another system has gaps"
    ),
    "record by an exposed principal": Directed(
        WELL, by_the_exposed(ev.Residue), "the exposed person wrote it"
    ),
    "starts too late": Directed(WELL, late_start, "the beginning is not in the evidence"),
    "not witnessed": Directed(WELL, with_facts(cosigners=(), cosigned_ns=0), "there may be forks"),
    "ends too early": Directed(
        "steal\nread\nopen\nevict\njudge\nwait seconds=400\nplant unseen=true", unseen=True
    ),
    "clock ran back": Directed(WELL, earlier, "times do not tell the order"),
    "clock step": Directed(
        "steal\nread\nclock seconds=-200 down=true\nopen\nevict", None, "times are in doubt"
    ),
    "indexed late": Directed(WELL, with_facts(late=3), "an index made later vouches for them"),
    "ended session worked": Directed(
        WELL, with_request(accessor="session"), "the session still gets answers"
    ),
    "not watched": Directed(
        f"steal\nread\nback-up\nopen\nevict\n{BACK}\ndo what=probe", without(ev.Watched)
    ),
    "used later": Directed(f"steal\nread\nback-up\nopen\nevict\n{BACK}\ndo what=probe"),
    "root not checked": Directed("seize\nsteal\nread\nopen\nevict but=check-root"),
    "root unsound": Directed(
        "seize\nsteal\nread\nopen\nevict but=check-root\ncheck-root sound=false\nconfirm"
    ),
    "withheld": Directed(WELL, with_facts(withheld=1), "an entry is not shown"),
    "no residue": Directed("steal\nread\nopen\nevict but=residue", None, "nobody said what stays"),
}
