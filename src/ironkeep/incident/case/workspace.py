"""One case, opened for one request: its stored record, its file, and the pen.

    case / number           -> title, when it was opened, its earliest beginning
    number                  -> the last number given

Everything else about a case is in the journal. Who is exposed cannot write in a case's file: a
record of theirs would not count, so none is taken; nor is one of a token that they stand behind.
"""

from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import actors_of
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import NodeId, NodeKind, node
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.evidence.records import Evidence
from ironkeep.core.evidence.verdict import Verdict, decide
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.scope import Actor, actor_of
from ironkeep.incident.case.archive import Archive
from ironkeep.incident.case.naming import Names
from ironkeep.kernel.house import House
from ironkeep.plugin import fields
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

MAX_CASES: Final = 10_000
MAX_WORDS: Final = 1_000
"""Characters of a title, a reason, a receipt: people read them."""


class Stored(msgspec.Struct, frozen=True):
    """What is kept of a case beside the journal; times are POSIX nanoseconds."""

    number: int
    title: str
    opened_ns: int
    from_ns: int


_STORED: Final = Codec(Stored)


class Desk:
    """A case as it stands now, or stood at as_of_ns."""

    def __init__(self, call: Call, case: str, as_of_ns: int | None = None) -> None:
        self.call = call
        self.house: Final[House] = call.use(House)
        self.case: Final = case
        self.stored = load(call.store, case)
        self.as_of_ns: Final = call.now_ns if as_of_ns is None else as_of_ns
        self.names = Names(call)
        self.by: Final[Actor] = actor_of(call)
        self.archive: Final = Archive(self.house, call.tx, earliest(call.store))

    def moved(self, call: Call) -> "Desk":
        """Return this desk in a later turn of the same request, with what was worked out."""
        moved = copy(self)
        moved.call, moved.names = call, Names(call)
        moved.stored = load(call.store, self.case)
        return moved

    @cached_property
    def evidence(self) -> Evidence:
        """Everything durable, as evidence on this case."""
        return self.archive.evidence(self.case, self.as_of_ns)

    @cached_property
    def file(self) -> CaseFile:
        """The facts of the case, sorted."""
        return CaseFile(self.evidence)

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict that follows from them."""
        return decide(self.evidence)[0]

    def label(self, of: str) -> str:
        """Return words for a node."""
        return self.file.estate.label(of)

    def named(self, text: str) -> NodeId:
        """Return the node that a text means in this case: one of its rows by label, or any name."""
        found = [node for node in self.file.rows if text in {node, self.label(node)}]
        if len(found) > 1:
            raise InvalidRequest(f"{text[:80]!r} is the name of {len(found)} things: write which")
        return found[0] if found else self.names.named(text)

    def prepare(self, *, judged: bool) -> None:
        """Work out what the case file says, and with judged its verdict; for a worker."""
        self.file.rows  # noqa: B018 - worked out once, and kept
        if judged:
            self.verdict  # noqa: B018

    def note(self, record: ev.Record) -> int:
        """Journal a record of the case in the caller's name; return its index."""
        return self.house.scope.note(record, self.call.now_ns, self.by)


def on_desk(
    call: Call,
    case: str,
    then: Callable[[Desk], Response | Suspend],
    *,
    as_of_ns: int | None = None,
    judged: bool = False,
    writes: bool = True,
) -> Suspend:
    """Work the case out on a worker, its verdict too if judged, and go on with the desk.

    Where it writes, whoever is exposed is refused: see the module.
    """
    desk = Desk(call, case, as_of_ns)

    def work() -> None:
        desk.prepare(judged=judged)

    def resume(later: Call, result: object) -> Response | Suspend:
        if isinstance(result, Exception):
            raise result
        moved = desk.moved(later)
        if writes:
            require_clean(moved.file, later)
        return then(moved)

    return Suspend(work, resume)


def require_clean(file: CaseFile, call: Call) -> None:
    """Raise PermissionDenied when who calls is exposed in a case, and was not let in again.

    So is everybody who stands behind the token: a user whom an exposed person made, or whose
    password they set, is that person's hand.
    """
    by = actor_of(call)
    entry = Entry("request", 0, entity=by.entity, accessor=by.accessor, device=by.device)
    behind = sorted(call.actor().people - {by.entity})
    for actor in (*actors_of(entry), *(node(NodeKind.PERSON, each) for each in behind)):
        if actor in file.rows and file.readmission(actor) is None:
            raise PermissionDenied(
                f"{file.estate.label(actor)} is exposed in this case: somebody else has to do this"
            )


def load(store: Store, case: str) -> Stored:
    """Return a case's record; raise NotFound."""
    digits = case.isascii() and case.isdigit() and len(case) < len(str(FOREVER))
    raw = store.get(f"case/{int(case):06d}") if digits and str(int(case)) == case else None
    if raw is None:
        raise NotFound(f"there is no case {case[:20]!r}")
    return _STORED.decode(raw)


def save(store: Store, stored: Stored) -> None:
    """Write a case's record."""
    store.put(f"case/{stored.number:06d}", _STORED.encode(stored))


def all_cases(store: Store) -> list[Stored]:
    """Return every case's record, in order."""
    raws = (store.get(f"case/{name}") for name in store.list("case"))
    return [_STORED.decode(raw) for raw in raws if raw is not None]


def earliest(store: Store) -> int:
    """Return the earliest beginning of any case: exposure is the union of them all."""
    return min((stored.from_ns for stored in all_cases(store)), default=FOREVER)


def last_number(store: Store) -> int:
    """Return the number of the newest case; 0 before the first."""
    return int.from_bytes(store.get("number") or b"", "big")


def next_number(store: Store) -> int:
    """Take the number of the next case: each is given once."""
    number = last_number(store) + 1
    if number > MAX_CASES:
        raise InvalidRequest(f"there are {MAX_CASES} cases already")
    store.put("number", number.to_bytes(8, "big"))
    return number


def instant(text: str, now_ns: int) -> int:
    """Return a moment in the past: RFC 3339, or a length of time ago; raise InvalidRequest."""
    try:
        ago = fields.duration(text)
    except InvalidRequest:
        ago = None
    time_ns = now_ns - ago * SECOND_NS if ago is not None else _rfc3339(text)
    if not 0 <= time_ns <= now_ns:
        raise InvalidRequest("the time lies in the future, or before 1970")
    return time_ns


def words(text: str, what: str) -> str:
    """Return text stripped; raise InvalidRequest unless it says something that can be printed."""
    stripped = text.strip()
    if not 1 <= len(stripped) <= MAX_WORDS or not stripped.isprintable():
        raise InvalidRequest(f"{what} takes 1 to {MAX_WORDS} printable characters")
    return stripped


def when(time_ns: int) -> Any:
    """Return a moment as an answer shows it; None for one that has not come."""
    return rfc3339(time_ns) if 0 < time_ns < FOREVER else None


def _rfc3339(text: str) -> int:
    wrong = InvalidRequest(
        "a time is written 2026-05-04T12:00:00Z, or as a length of time ago: 36h"
    )
    try:
        moment = datetime.fromisoformat(text.strip())
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong from None
    if moment.tzinfo is None:
        raise wrong
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000
