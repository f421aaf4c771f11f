"""Routes to open, widen and list cases."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.core.errors import Conflict, InvalidRequest
from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import PRINCIPALS, NodeId, NodeKind, kind_of
from ironkeep.core.operation import Operation
from ironkeep.credentials.actor import actor_of
from ironkeep.incident.case import workspace as desks
from ironkeep.incident.case.links import spell_out
from ironkeep.incident.case.naming import Names
from ironkeep.incident.case.workspace import Stored, instant, with_brief, words
from ironkeep.incident.evidence.archive import Archive
from ironkeep.incident.evidence.brief import Brief
from ironkeep.incident.evidence.views import when
from ironkeep.incident.survey.holdings import IN_A_TURN, holdings
from ironkeep.incident.survey.survey import SURVEYED, Survey
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import Steps, pause, settled
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response, listing
from ironkeep.plugin.route import Route

MAX_SUBJECTS: Final = 100

_SUBJECTS: Final = PRINCIPALS | {NodeKind.DOCUMENT, NodeKind.SECRET, NodeKind.PART}


@dataclass(frozen=True)
class Case:
    """The input that names a case."""

    id: str


@dataclass(frozen=True)
class At(Case):
    """A case, and the time for which it is evaluated."""

    as_of: str = field(default="", metadata={"help": "RFC 3339, or a time ago; default: now"})


@dataclass(frozen=True)
class OpenCase:
    """The subjects that may be compromised, and the earliest possible time."""

    title: str = field(metadata={"help": "a short title without secrets"})
    subjects: CommaList = field(metadata={"help": "person:NAME, token:ACCESSOR, document:NAME"})
    start: str = field(metadata={"help": "earliest possible compromise: RFC 3339, or 36h ago"})
    basis: str = field(metadata={"help": "why it cannot be earlier"})


@dataclass(frozen=True)
class WidenCase:
    """Further subjects, or an earlier start."""

    id: str
    basis: str = field(metadata={"help": "the new finding"})
    subjects: CommaList = ()
    start: str = ""


def open_case(call: Call, given: OpenCase) -> Suspend:
    """Open a case, and compute at once which secrets its subjects could read."""
    subjects = _subjects(Names(call), given.subjects)
    if not subjects:
        raise InvalidRequest("a case needs subjects: people, tokens, devices, documents or secrets")
    number = desks.last_number(call.store) + 1
    start = instant(given.start, call.now_ns)
    stored = Stored(number, words(given.title, "a title"), call.now_ns, start, tuple(subjects))
    basis = words(given.basis, "a basis")
    opened = ev.Opened(
        *ev.UNPLACED, str(number), stored.title, tuple(subjects), stored.from_ns, basis
    )
    return _as_if(call, stored, opened, lambda later, brief: _opened(later, brief, stored, opened))


def _opened(call: Call, brief: Brief, stored: Stored, opened: ev.Opened) -> Response | Suspend:
    names, by = Names(call), actor_of(call)
    if desks.next_number(call.store) != stored.number:
        raise Conflict("another case was opened at the same time: try again")
    desks.save(call.store, stored)
    for mount in names.mounts():
        call.use(House).scope.mounted(mount, call.now_ns)
    call.use(House).scope.write(opened, call.now_ns, by)
    return _surveyed(call, brief, names, stored)


def widen(call: Call, given: WidenCase) -> Suspend:
    """Add subjects, or move the start back; a case never becomes narrower."""
    before = desks.load(call.store, given.id)
    subjects = _subjects(Names(call), given.subjects)
    start = instant(given.start, call.now_ns) if given.start else before.from_ns
    if start > before.from_ns:
        raise InvalidRequest("the start of a case can only move back")
    if not subjects and start == before.from_ns:
        raise InvalidRequest("give more subjects, or an earlier start")
    known = tuple(dict.fromkeys((*before.subjects, *subjects)))
    stored = msgspec.structs.replace(before, from_ns=start, subjects=known)
    widened = ev.Widened(
        *ev.UNPLACED, given.id, tuple(subjects), start, words(given.basis, "a basis")
    )
    return _as_if(
        call, stored, widened, lambda later, brief: _widened(later, brief, stored, widened)
    )


def _widened(call: Call, brief: Brief, stored: Stored, widened: ev.Widened) -> Response | Suspend:
    names = Names(call)
    known = desks.load(call.store, widened.case)
    earliest = min(stored.from_ns, known.from_ns)
    subjects = tuple(dict.fromkeys((*known.subjects, *stored.subjects)))
    desks.save(call.store, msgspec.structs.replace(known, from_ns=earliest, subjects=subjects))
    call.use(House).scope.write(widened, call.now_ns, actor_of(call))
    return _surveyed(call, brief, names, stored, known.from_ns)


def _reach_back(call: Call, before_ns: int, from_ns: int) -> Steps[None]:
    """Let containments of a case that begins earlier now make void what was set up since then."""
    turn = yield from settled()
    tokens = call.use(House).tokens
    names = tokens.store.ended(turn.tx)
    for at in range(0, len(names), IN_A_TURN):
        tokens.reach_back(turn.tx, names[at : at + IN_A_TURN], before_ns, from_ns)
        turn = yield from settled()


def list_cases(call: Call) -> Response:
    """Return the numbers of all cases, with their titles."""
    info = {str(each.number): summary(each) for each in desks.all_cases(call.store)}
    return listing(list(info), info)


def summary(stored: Stored) -> dict[str, Any]:
    """Return the stored record of a case, as a client sees it."""
    return {
        "id": str(stored.number),
        "title": stored.title,
        "opened": when(stored.opened_ns),
        "start": when(stored.from_ns),
    }


def _subjects(names: Names, given: tuple[str, ...]) -> list[NodeId]:
    if len(given) > MAX_SUBJECTS:
        raise InvalidRequest(f"a case is opened on at most {MAX_SUBJECTS} subjects at a time")
    subjects = list(dict.fromkeys(names.subject(text) for text in given))
    for each in subjects:
        if kind_of(each) not in _SUBJECTS:
            raise InvalidRequest(
                "the subjects of a case are people, tokens, devices, documents and secrets: what "
                "these open follows from the links"
            )
        if each.endswith("@*"):
            raise InvalidRequest("name a version of the secret: mount/path@version")
    return subjects


def _as_if(
    call: Call,
    stored: Stored,
    record: ev.Opened | ev.Widened,
    then: Callable[[Call, Brief], Response | Suspend],
) -> Suspend:
    """Continue with the case in brief, as it will be once the record is in the log.

    A caller who would then be exposed is refused.
    """
    earliest = min(stored.from_ns, desks.earliest(call.store))
    archive = Archive(call, (earliest, stored.from_ns))
    entry = Entry(kind="effect", time_ns=call.now_ns, audited=ev.to_audited(record))
    return with_brief(archive.ask_brief(record.case, call.now_ns, entry), then)


def _surveyed(
    call: Call, brief: Brief, names: Names, stored: Stored, before_ns: int = 0
) -> Response | Suspend:
    """Compute which secrets the subjects could read, and answer.

    `before_ns` is the start of the case until now.
    """

    def steps() -> Steps[None]:
        if stored.from_ns < before_ns:
            yield from _reach_back(call, before_ns, stored.from_ns)
        yield from settled()
        yield from spell_out(call, names)
        for each in brief.subjects:
            if kind_of(each) in SURVEYED:
                turn = yield from pause()
                held = yield from holdings(call.use(House), brief, each, turn)
                surveying = Survey(call, brief, each, held)
                yield from surveying.link(brief.standings[each].out_ns)

    data = {**summary(stored), "subjects": list(brief.subjects.values())}
    return effects.run(call, steps(), lambda _call, _none: Response(data=data))


ROUTES: Final = (
    Route(Operation.LIST, "cases/", list_cases, sudo=True, help="List the cases."),
    Route(
        Operation.UPDATE, "cases", open_case, OpenCase, sudo=True,
        audited=("subjects", "start"), help="Open a case.",
    ),
    Route(
        Operation.UPDATE, "cases/{id}/widen", widen, WidenCase, sudo=True,
        audited=("id", "subjects", "start"), help="Add subjects, or move the start back.",
    ),
)  # fmt: skip
