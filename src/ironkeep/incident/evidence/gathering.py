"""Questions of the incident room to the journal: the evidence on a case, and what sessions did.

    evidence    the entries on which a verdict depends
    brief       what opening a case and containing its principals need of them
    active      the sessions that acted in a span of time
    made        the sessions that sessions made
    issued      the tokens that a person was issued in a span of time
    first       the first release of a secret version

They run where the log is only read (journal/questions.py): in a process of its own, or here for a
log in memory. Their cost follows from the entries that they find, not from the window.
"""

from collections.abc import Generator, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, Final

import msgspec

from ironkeep.core import event
from ironkeep.core.event import Entry
from ironkeep.core.evidence.activity import Act
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import NodeId, NodeKind, name_of, node
from ironkeep.core.evidence.records import Evidence, LogFacts
from ironkeep.incident.evidence import brief as briefs
from ironkeep.incident.evidence.window import Opener, Parts, Window, open_window
from ironkeep.index.closure import collect
from ironkeep.index.finder import Held
from ironkeep.index.terms import Kind, actor, kind, release, thing
from ironkeep.journal.index.index import Index
from ironkeep.journal.questions import Context, Steps, stretches

CLOCK_NS: Final = 86_400 * 10**9
"""Steps of the clock are told up to a day before the window (core/evidence/checks/record.py)."""

MAX_ACTS: Final = 100_000
"""Entries of a person that are opened to find the person's earlier tokens: some seconds."""

_STEP: Final = 256


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """A case, as the journal is asked about it.

    `starts` are the earliest compromise of any case, and of this one. `scope` are the indexes of
    the records of scope, `kinds` further kinds of entries that the caller wants to see. `supposed`
    is an entry that is not in the log yet, to be taken as its next one. `size` is that of the
    signed head to prove under; 0 takes all durable leaves.
    """

    case: str
    as_of_ns: int
    starts: tuple[int, ...]
    scope: tuple[int, ...]
    kinds: tuple[str, ...] = ()
    supposed: bytes = b""
    size: int = 0


def evidence(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return the evidence on a case: {start, size, withheld, late, entries: [[index, body]]}."""
    window, file = yield from gathered(context, msgspec.convert(about, About))
    return {
        "start": window.start,
        "size": window.size,
        "withheld": window.withheld,
        "late": window.late,
        "entries": [[index, event.encode(entry)] for index, entry in file.evidence.entries],
    }


def brief(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return the brief of a case as MessagePack (evidence/brief.py)."""
    _, file = yield from gathered(context, msgspec.convert(about, About))
    return briefs.encode(briefs.brief_of(file))


def gathered(context: Context, given: About) -> Generator[None, None, tuple[Window, CaseFile]]:
    """Return the window of a case, and the case file of the closed evidence in it."""
    index = context.index
    size = given.size or context.log.size
    window = yield from open_window(context, index, min(given.starts), size)
    # Entries of this release state the vault's own time, which never runs back. An older one needs
    # those before it (core/evidence/order.py).
    older = [each for each in window.entries if not each[1].node]
    file = yield from closed_evidence(context, index, given, window, older)
    return window, file


def closed_evidence(
    context: Context,
    index: Index,
    given: About,
    window: Window,
    shown: list[tuple[int, Entry]],
) -> Generator[None, None, CaseFile]:
    """Return the case file of the closed evidence on a case (index/closure.py), with `shown`."""
    opener = Opener(index, window)
    parts, entries = Parts(index, window, opener), dict(shown)
    begun = {*_earlier(index, given, window), *_anchors(index, given, window)}
    for number, position in enumerate(sorted(begun - set(entries)), start=1):
        entries[position] = opener.entry(position)
        if number % _STEP == 0:
            yield
    if given.kinds:
        wanted = [kind(each) for each in given.kinds]
        entries.update(parts.find(wanted, window.start, window.size))
    if given.supposed:
        entries[window.size] = event.decode(given.supposed)
    facts = LogFacts(context.log.origin, window.size, window.start, 0, (), 0)
    known = tuple(sorted(entries.items(), key=lambda each: each[0]))
    bare = Evidence(given.case, given.as_of_ns, (facts,), known)
    return (yield from collect(bare, parts, partial(_issues, index, window.start)))


def _issues(
    index: Index, start: int, sessions: list[NodeId]
) -> Generator[None, None, dict[int, Entry]]:
    """Return the entries from before the window that issued sessions.

    A token of before the window was good in it with the policies that it was issued with. Of all
    entries that name a token, the one that issued it is the first.
    """
    found: dict[int, Entry] = {}
    for session in sessions:
        first = next(index.find([thing(session)], 0, start), None)
        if first is not None and first[1].issued == name_of(session):
            found[first[0]] = first[1]
        yield
    return found


def active(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return the accessors of the tokens that acted in [from_ns, until_ns], in order."""
    index, found = context.index, dict[str, None]()
    first, last = index.position_at(about["from_ns"]), index.position_at(about["until_ns"] + 1)
    for low, high in stretches(first, last):
        for _, entry in context.reader.entries(low, high):
            if entry.kind == "request" and entry.outcome == "ok" and entry.accessor:
                found[entry.accessor] = None
        yield
    return list(found)


def made(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return `sessions` with the sessions that they issued, and those that these issued.

    They are those of the log as it is now: a chain that grows meanwhile would be followed for ever.
    """
    index, size = context.index, context.log.size
    covered = min(index.covered, size)
    issuing: list[tuple[int, Entry]] = []
    for low, high in stretches(covered, size):
        issuing += [each for each in context.reader.entries(low, high) if each[1].issued]
        yield
    rest = Held(issuing, size)
    found = dict.fromkeys(about["sessions"])
    fresh = list(found)
    while fresh:
        terms = [actor(node(NodeKind.SESSION, each)) for each in fresh]
        issued: dict[str, None] = {}
        entries = chain(index.find(terms, 0, covered), rest.find(terms, covered, size))
        for number, (_, entry) in enumerate(entries, 1):
            if entry.issued and entry.outcome == "ok":
                issued[entry.issued] = None
            if number % _STEP == 0:
                yield
        fresh = [each for each in issued if each not in found]
        found.update(dict.fromkeys(fresh))
        yield
    return list(found)


def issued(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return what a person was issued in tokens: {"grants", "complete"}.

    `about` has the person's node, and the span of time [from_ns, until_ns). It is not complete if
    the person has more than MAX_ACTS entries in it; the newest are then left out.
    """
    index, found = context.index, dict[briefs.Grant, None]()
    low, high = index.position_at(about["from_ns"]), index.position_at(about["until_ns"])
    terms = [actor(about["person"])]
    for number, (position, entry) in enumerate(index.find(terms, low, high), start=1):
        if number > MAX_ACTS:
            return {"grants": list(found), "complete": False}
        if entry.outcome == "ok":
            found.update(dict.fromkeys(briefs.issued_by(Act(position, entry, ()))))
        if number % _STEP == 0:
            yield
    return {"grants": list(found), "complete": True}


def first(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return the time of the first release of a secret version, in POSIX nanoseconds; or None."""
    term = release(about["mount"], about["path"], about["version"])
    yield
    found = next(context.index.find([term], 0, context.log.size), None)
    return None if found is None else found[1].time_ns


def _earlier(index: Index, given: About, window: Window) -> Iterator[int]:
    """Yield the records of scope, and recent steps of the clock, from before the window."""
    yield from (each for each in given.scope if each < window.start)
    yield from earlier_steps(index, min(given.starts), window.start)


def earlier_steps(index: Index, from_ns: int, start: int) -> Iterator[int]:
    """Yield the positions of the steps of the clock shortly before a window."""
    begin = index.position_at(from_ns - CLOCK_NS)
    for position, _ in index.find([kind(Kind.CLOCK)], begin, start):
        yield position


def _anchors(index: Index, given: About, window: Window) -> Iterator[int]:
    """Yield the entries at which the window, the case and the time after the verdict begin.

    An entry's effective time follows from the entries before it (core/evidence/order.py).
    """
    if window.start:
        yield window.start
    for time_ns in (*given.starts, given.as_of_ns + 1):
        position = index.position_at(time_ns)
        if window.start <= position < window.size:
            yield position
