"""One case, opened for one request: its stored record, its case file, and the writing of records.

    case / number           -> title, time of opening, earliest start, subjects
    number                  -> the last number assigned
    earliest                -> the earliest start of any case

Everything else about a case is in the journal. A principal exposed in a case cannot write records
in it, and neither can a token that depends on such a person: those records would not count, so they
are refused.
"""

from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Final, cast

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import actors_of
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import NodeId, NodeKind, node
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.evidence.records import Evidence
from ironkeep.core.evidence.verdict import Verdict, decide_on
from ironkeep.core.ids import EntityId
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.actor import Actor, actor_of
from ironkeep.incident.case.naming import Names
from ironkeep.incident.evidence.archive import Archive
from ironkeep.incident.evidence.brief import Brief, decode, is_barred
from ironkeep.kernel.house import House
from ironkeep.plugin import fields
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.questions import Question
from ironkeep.plugin.response import Response
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

MAX_CASES: Final = 10_000
MAX_WORDS: Final = 1_000
"""Characters of a title, reason or receipt, which people have to read."""


class Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored record of a case, beside the journal; times are POSIX nanoseconds."""

    number: int
    title: str
    opened_ns: int
    from_ns: int
    subjects: tuple[NodeId, ...] = ()
    """For containment before the journal has been asked; empty in a record of an early release."""


_MACHINES: Final = frozenset({"approle", "cert", "jwt"})
"""The auth methods by which machines log in."""

_STORED: Final = Codec(Stored)
_EARLIEST: Final = "earliest"


class Workspace:
    """A case at as_of_ns (default: now), with everything that a handler needs to work on it.

    It has the evidence and its case file after `on_desk`, or the case in brief after `with_brief`.
    """

    evidence: Evidence
    brief: Brief

    def __init__(self, call: Call, case: str, as_of_ns: int | None = None) -> None:
        self.call = call
        self.house: Final[House] = call.use(House)
        self.case: Final = case
        self.stored = load(call.store, case)
        self.as_of_ns: Final = call.now_ns if as_of_ns is None else as_of_ns
        self.names = Names(call)
        self.by: Final[Actor] = actor_of(call)
        self.archive: Final = Archive(call, (earliest(call.store), self.stored.from_ns))

    def moved(self, call: Call) -> "Workspace":
        """Return this workspace for a later turn of the same request, keeping cached results."""
        moved = copy(self)
        moved.call, moved.names = call, Names(call)
        moved.stored = load(call.store, self.case)
        return moved

    def question(self, kinds: tuple[str, ...] = ()) -> Question:
        """Return the question to the journal whose answer `take` takes."""
        return self.archive.ask_evidence(self.case, self.as_of_ns, kinds)

    def take(self, answer: dict[str, Any]) -> None:
        """Take the journal's answer: the durable entries on which the case depends."""
        self.evidence = self.archive.evidence(self.case, self.as_of_ns, answer)

    def briefed(self, call: Call, brief: Brief) -> "Workspace":
        """Return this workspace for a later turn of the same request, with the case in brief."""
        moved = self.moved(call)
        moved.brief = brief
        return moved

    @cached_property
    def file(self) -> CaseFile:
        """The facts of the case, derived from the evidence."""
        return CaseFile(self.evidence)

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict that follows from the evidence."""
        return decide_on(self.file)

    def label(self, of: str) -> str:
        """Return a readable label for a node."""
        return self.file.estate.label(of)

    def named(self, text: str) -> NodeId:
        """Return the node of a text: an exposed node or its label, or else any name."""
        found = [node for node in self.file.rows if text in {node, self.label(node)}]
        if len(found) > 1:
            raise InvalidRequest(f"{text[:80]!r} names {len(found)} things: write the node itself")
        return found[0] if found else self.names.named(text)

    def prepare(self, *, judged: bool) -> None:
        """Compute the case file, and with judged also the verdict; runs on a worker."""
        self.file.rows  # noqa: B018 - computes and caches the rows
        if judged:
            self.verdict  # noqa: B018

    def owner(self, given: str) -> str:
        """Return the person responsible: the given name, or else the caller's."""
        return words(given or self.by.name or "root", "an owner")

    @property
    def people(self) -> tuple[str, ...]:
        """All people behind the caller's token, for a record of their statement."""
        return tuple(sorted(self.call.actor().people))

    @property
    def vouching(self) -> tuple[str, ...]:
        """All people behind the caller's token; raise PermissionDenied if it is a machine's.

        Whoever has a machine's credential would be a second person by it.
        """
        entity = self.house.identity.get(self.call.tx, EntityId(self.by.entity))
        types = {mount.accessor: mount.type for mount in self.names.mounts()}
        methods = {types.get(each.mount, "") for each in entity.aliases} - {""} if entity else set()
        if methods and methods <= _MACHINES:
            raise PermissionDenied("a statement takes a person: this token is that of a machine")
        return self.people

    def note(self, record: ev.Record) -> int:
        """Journal a record of the case, attributed to the caller; return its index."""
        return self.house.scope.note(record, self.call.now_ns, self.by)


def on_desk(
    call: Call,
    case: str,
    then: Callable[[Workspace], Response | Suspend],
    *,
    as_of_ns: int | None = None,
    judged: bool = False,
    writes: bool = True,
    kinds: tuple[str, ...] = (),
) -> Suspend:
    """Compute the case on a worker, with judged also its verdict, then continue with the workspace.

    With writes, a caller exposed in the case is refused (see the module). kinds are further kinds
    of entries (index/terms.py) that the file is to contain.
    """
    workspace = Workspace(call, case, as_of_ns)

    def gathered(_later: Call, answer: object) -> Suspend:
        if isinstance(answer, Exception):
            raise answer

        def work() -> None:
            workspace.take(cast("dict[str, Any]", answer))
            workspace.prepare(judged=judged)

        return Suspend(work, resume)

    def resume(later: Call, result: object) -> Response | Suspend:
        if isinstance(result, Exception):
            raise result
        moved = workspace.moved(later)
        if writes:
            file = moved.file
            require_clean(later, partial(is_barred, file), file.estate.label)
        return then(moved)

    return Suspend(workspace.question(kinds), gathered)


def with_brief(question: Question, then: Callable[[Call, Brief], Response | Suspend]) -> Suspend:
    """Ask for the brief of a case, then continue with it; a caller who is exposed is refused."""

    def gathered(_later: Call, answer: Any) -> Suspend:
        if isinstance(answer, Exception):
            raise answer
        return Suspend(lambda: decode(answer), resume)

    def resume(later: Call, brief: Brief | Exception) -> Response | Suspend:
        if isinstance(brief, Exception):
            raise brief
        require_clean(later, brief.is_barred, brief.label)
        return then(later, brief)

    return Suspend(question, gathered)


def answered(name: str) -> Callable[[Call, object], Response]:
    """Return a last step for `effects.run` that answers with the result under a name."""

    def then(_call: Call, result: object) -> Response:
        return Response(data={name: result})

    return then


def require_clean(
    call: Call, is_barred: Callable[[NodeId], bool], label: Callable[[NodeId], str]
) -> None:
    """Raise PermissionDenied when the caller is exposed in a case and was not readmitted.

    The same holds for every person behind the token: a user whom an exposed person created, or
    whose password that person set, may act for that person.
    """
    by = actor_of(call)
    entry = Entry("request", 0, entity=by.entity, accessor=by.accessor, device=by.device)
    behind = sorted(call.actor().people - {by.entity})
    for actor in (*actors_of(entry), *(node(NodeKind.PERSON, each) for each in behind)):
        if is_barred(actor):
            raise PermissionDenied(
                f"{label(actor)} is exposed in this case: another person has to do this"
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
    first = min(earliest(store), stored.from_ns)
    store.put(f"case/{stored.number:06d}", _STORED.encode(stored))
    store.put(_EARLIEST, first.to_bytes(8, "big"))


def all_cases(store: Store) -> list[Stored]:
    """Return every case's record, in order."""
    raws = (store.get(f"case/{name}") for name in store.list("case"))
    return [_STORED.decode(raw) for raw in raws if raw is not None]


def earliest(store: Store) -> int:
    """Return the earliest start of any case: exposure is computed over all cases together."""
    raw = store.get(_EARLIEST)
    if raw is not None:
        return int.from_bytes(raw, "big")
    # Cases of earlier releases have no such row until one of them changes.
    return min((stored.from_ns for stored in all_cases(store)), default=FOREVER)


def last_number(store: Store) -> int:
    """Return the number of the newest case; 0 before the first."""
    return int.from_bytes(store.get("number") or b"", "big")


def next_number(store: Store) -> int:
    """Assign the number of the next case; numbers are never reused."""
    number = last_number(store) + 1
    if number > MAX_CASES:
        raise InvalidRequest(f"there are {MAX_CASES} cases already")
    store.put("number", number.to_bytes(8, "big"))
    return number


def instant(text: str, now_ns: int) -> int:
    """Parse a past time, RFC 3339 or a duration ago such as 36h; raise InvalidRequest."""
    try:
        # Elsewhere an empty text is no time at all: as a start it would hide what came before.
        ago = fields.duration(text) if text.strip() else None
    except InvalidRequest:
        ago = None
    time_ns = now_ns - ago * SECOND_NS if ago is not None else _rfc3339(text)
    if not 0 <= time_ns <= now_ns:
        raise InvalidRequest("the time is in the future or before 1970")
    return time_ns


def words(text: str, what: str) -> str:
    """Return text stripped; raise InvalidRequest when it is empty, long or unprintable."""
    stripped = text.strip()
    if not 1 <= len(stripped) <= MAX_WORDS or not stripped.isprintable():
        raise InvalidRequest(f"{what} takes 1 to {MAX_WORDS} printable characters")
    return stripped


def _rfc3339(text: str) -> int:
    wrong = InvalidRequest("write a time as 2026-05-04T12:00:00Z, or as a duration ago such as 36h")
    try:
        moment = datetime.fromisoformat(text.strip())
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong from None
    if moment.tzinfo is None:
        raise wrong
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000
