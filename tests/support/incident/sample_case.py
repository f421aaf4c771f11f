"""A small incident from the first link to the last record, which comes out as PROVEN.

Tests spoil it one line at a time. Alice's laptop fell; she had read the password of a database.
Each line has an instant, in seconds after START_NS, and a name by which a test may drop or change
it. Records of scope are written with UNPLACED, and numbered when the case is built.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import msgspec

from ironkeep.core.credential.connector import Probe
from ironkeep.core.event import Entry, Released
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, secret_family, secret_version
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.units import SECOND_NS

START_NS: Final = 1_790_000_000 * SECOND_NS
MOUNT: Final = "0b6f7a52-6f0e-4a41-9a53-1f7b5a2f9f10"
CASE: Final = "7"
SWORN: Final = (ev.Exempted, ev.Explained, ev.RootChecked, ev.Revoked)
"""The types of records that a second person confirms."""
ALICE: Final = NodeId("person:alice-entity")
SESSION: Final = NodeId("session:alice-accessor")
DATABASE: Final = NodeId("system:orders-database")
OLD: Final = secret_version(MOUNT, "orders/password", 1)
NEW: Final = secret_version(MOUNT, "orders/password", 2)
UNPLACED: Final = (0, "")
"""The number and chain of a record of scope that has not been placed yet."""

OPENED_AT: Final = 40
BREACH_AT: Final = 20
END_AT: Final = 100


def at(seconds: int) -> int:
    """Return an instant of the sample, in POSIX nanoseconds."""
    return START_NS + seconds * SECOND_NS


def read_of(version: int, *, path: str = "orders/password") -> tuple[Released, ...]:
    """Return what an entry says of a read of the sample's secret."""
    return (Released(MOUNT, path, version, ("password",)),)


@dataclass(frozen=True, slots=True)
class Line:
    """One entry to be: a record of incident work, or a request with these fields."""

    seconds: int
    name: str
    record: ev.Record | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def request(seconds: int, name: str, who: str, **fields: Any) -> Line:
    """Return a request of somebody that was granted; fields are those of an entry."""
    made = {
        "op": "read",
        "path": "secret/data/orders/password",
        "entity": f"{who}-entity",
        "accessor": f"{who}-accessor",
        "name": who,
        **fields,
    }
    return Line(seconds, name, None, made)


@dataclass(frozen=True)
class SampleCase:
    """Lines, and what is known of the log that they are in."""

    lines: tuple[Line, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    end: int = END_AT

    def without(self, *names: str) -> Self:
        """Return the case without some of its lines."""
        return replace(self, lines=tuple(line for line in self.lines if line.name not in names))

    def changed(self, name: str, **values: Any) -> Self:
        """Return the case with fields of one record changed."""
        lines = tuple(
            replace(line, record=msgspec.structs.replace(line.record, **values))
            if line.name == name and line.record is not None
            else line
            for line in self.lines
        )
        return replace(self, lines=lines)

    def with_lines(self, *lines: Line) -> Self:
        """Return the case with further lines, each at its instant."""
        return replace(self, lines=(*self.lines, *lines))

    def with_facts(self, **facts: Any) -> Self:
        """Return the case with other facts about the log."""
        return replace(self, facts={**self.facts, **facts})

    def placed(self) -> Self:
        """Return the case in order, its records of scope numbered and chained."""
        lines, seq, chain = [], 0, ev.CHAIN_START
        for line in sorted(self.lines, key=lambda each: each.seconds):
            record = line.record
            if isinstance(record, ev.Scope) and not record.seq:
                record = ev.chained(record, seq + 1, chain)
                seq, chain = record.seq, record.chain
            lines.append(replace(line, record=record))
        return replace(self, lines=tuple(lines))

    def entries(self, place: Callable[[int], int] = lambda number: number) -> list[Entry]:
        """Return the lines as entries, in order; entry n will be leaf place(n) of its log.

        A confirmation that names nothing is about every statement in the case.
        """
        lines = self.placed().lines
        sworn = [
            f"entry:{place(number)}"
            for number, line in enumerate(lines)
            if isinstance(line.record, SWORN)
        ]
        return [_entry(line, sworn) for line in lines]

    def evidence(self, case: str = CASE, end: int | None = None) -> ev.Evidence:
        """Return the evidence as of an instant, in seconds; by default the end of the case."""
        end = self.end if end is None else end
        entries = self.entries()
        facts = {
            "origin": "ironkeep.example/audit",
            "size": len(entries),
            "start": 0,
            "withheld": 0,
            "cosigners": ("witness.example",),
            "cosigned_ns": at(end),
            **self.facts,
        }
        log = msgspec.convert(facts, ev.LogFacts)
        return ev.Evidence(case, at(end), (log,), tuple(enumerate(entries)))


def _entry(line: Line, sworn: list[str]) -> Entry:
    record = line.record
    if isinstance(record, ev.Confirmed) and not record.items:
        record = msgspec.structs.replace(record, items=tuple(sworn))
    if record is None:
        return Entry(**{"kind": "request", "time_ns": at(line.seconds), **line.fields})
    who = {"entity": "responder-entity", "accessor": "responder-accessor", **line.fields}
    made = {"kind": "effect", "time_ns": at(line.seconds), "audited": ev.to_audited(record)}
    return Entry(**{**made, **who})


def sample_case() -> SampleCase:
    """Return the incident, all of whose claims are closed."""
    return SampleCase((*_estate(), *_incident(), *_response()))


def _estate() -> Iterable[Line]:
    family = secret_family(MOUNT, "orders/password")
    opens = ev.Linked(*UNPLACED, family, EdgeKind.OPENS, (DATABASE,), at(0), "connector orders")
    yield Line(1, "mounted", ev.Mounted(*UNPLACED, MOUNT, "secret/"))
    yield Line(2, "opens", opens)
    yield Line(3, "baselined", ev.Baselined(*UNPLACED, DATABASE, "aa", 9, ()))
    yield Line(4, "sourced", ev.Sourced(*UNPLACED, "database-log", 30))


def _incident() -> Iterable[Line]:
    basis = "last known good image of the laptop"
    opened = ev.Opened(*UNPLACED, CASE, "a laptop fell", (ALICE,), at(BREACH_AT), basis)
    yield request(
        10, "login", "alice", path="auth/userpass/login/alice", op="update", accessor="",
        issued="alice-accessor", rule="login", audited={"token_policies": ["orders"]},
    )  # fmt: skip
    yield request(30, "read", "alice", released=read_of(1))
    yield Line(OPENED_AT, "opened", opened)
    yield Line(41, "contained", ev.Contained(CASE, ALICE, ("alice-accessor",), (), 3))
    yield Line(42, "surveyed", ev.Surveyed(CASE, ALICE, at(BREACH_AT), at(41), ("orders",), ()))


def _response() -> Iterable[Line]:
    revoked = ev.Revoked(
        CASE, OLD, DATABASE, at(50), "new verifier", "ALTER ROLE", NEW, measured=True
    )
    yield Line(50, "revoked", revoked)
    yield Line(51, "ended", ev.Ended(CASE, OLD, DATABASE, at(51), 1, 0))
    yield Line(
        52, "probed",
        ev.Probed(CASE, OLD, DATABASE, "127.0.0.1:5432", Probe.DEAD, "28P01", "refused", at(52), 3),
    )  # fmt: skip
    yield request(60, "new-read", "bob", released=read_of(2))
    yield Line(
        70, "swept",
        ev.Swept(CASE, DATABASE, "aa", "bb", at(70), (), (), ("key role app",), (), ()),
    )  # fmt: skip
    yield Line(
        71, "explained",
        ev.Explained(CASE, DATABASE, "key role app", "carol", "the new password"),
    )  # fmt: skip
    yield Line(72, "watched", ev.Watched(CASE, OLD, DATABASE, at(50), at(72), 0, 2, "sessions"))
    for number, item in enumerate(ev.ROOT_ITEMS):
        yield Line(80 + number, item, ev.RootChecked(CASE, item, sound=True, detail="as expected"))
    yield Line(60, "heartbeat", ev.Heartbeat("database-log", 5, 0))
    yield Line(90, "heartbeat", ev.Heartbeat("database-log", 10, 0))
    yield Line(91, "residue", ev.Residue(CASE, "orders seen before the breach stay seen"))
    # At the end, so that the places of all other lines do not depend on them.
    same = ev.Compared(CASE, OLD, at(END_AT), False, "version 2 is current")
    yield Line(END_AT, "compared", same)
    yield Line(END_AT, "confirmed", ev.Confirmed(CASE, ()), {"entity": "auditor-entity"})
