"""The entries of a log on which a verdict depends, found by their terms.

A verdict reads few of the entries in its window: the incident records, the acts without an actor,
and all that the exposed principals did. These entries are *closed*: every term that they give rise
to (`wanted`) finds no further entry. `core.evidence.verdict.decide` gives the same result for a
closed set as for the whole window, and for every set in between. The server collects such a set
with `collect`; the offline verifier checks with `wanted` that the set in a pack is closed.

    kinds        incident records, acts of nobody, steps of the clock
    principals   the subjects of all cases, every principal held in the exposure, the sessions that
                 nobody knows to whom they were given, and the sessions that any of these held or
                 issued: what they did, what issued them, the logins that relied on what they had
                 set up, and the changes of people's factors
    families     a secret that a link names in all its versions: every release of it
    replacements the releases of a replacement before the old version was revoked

Reads of an exposed secret by other people are not part of it: no claim depends on them, and a busy
secret has millions.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import actors_of, is_handed_out
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import (
    PRINCIPALS,
    NodeId,
    NodeKind,
    family_of,
    is_family,
    kind_of,
    node,
    place_of,
)
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.evidence.records import Evidence
from ironkeep.index.finder import Finder
from ironkeep.index.terms import Kind, Term, actor, kind, release, secret, thing

KINDS: Final = tuple(map(kind, (Kind.RECORD, Kind.NOBODY, Kind.CLOCK)))
"""The kinds of entries that every verdict reads."""

_STEP: Final = 512
"""Entries opened in one step: some ten milliseconds."""

END: Final = FOREVER
"""The bound of a term that is wanted up to the log's end."""


def wanted(file: CaseFile) -> dict[Term, int]:
    """Return the terms on which the verdict of file depends, each with the bound of its positions.

    Entries with the term at or past the bound (a position in the log, END for none) do not matter.
    """
    terms = dict.fromkeys(KINDS, END)
    for principal in _principals(file):
        terms[actor(principal)] = END
        terms[thing(principal)] = END
    for family in _families(file):
        terms[secret(*place_of(family))] = END
    for term, bound in _replacements(file):
        terms[term] = max(bound, terms.get(term, 0))
    return terms


Issues = Callable[[list[NodeId]], Generator[None, None, Mapping[int, Entry]]]
"""Returns the entries from before the window that issued some sessions."""


def collect(
    evidence: Evidence, finder: Finder, issues: Issues | None = None
) -> Generator[None, None, CaseFile]:
    """Return the case file of closed evidence; yields between steps of bounded work.

    `evidence` has the entries to begin with: those from before the window (`log.start`), and any
    from the window. The window ends at `log.size`. With `issues`, the entries are added that issued
    the sessions of before the window.
    """
    found = dict(evidence.entries)
    asked: dict[Term, int] = {}
    looked: set[NodeId] = set()
    fresh = dict.fromkeys(KINDS, END)
    while True:
        while fresh:
            asked |= fresh
            answer: list[tuple[int, Entry]] = []
            for each in _find(evidence, finder, fresh):
                answer.append(each)
                if len(answer) % _STEP == 0:
                    yield
            found.update(answer)
            yield
            # Most sessions follow from the answer itself, without building a case file.
            fresh = {term: END for term in _sessions(answer, asked) if term not in asked}
        evidence = with_entries(evidence, found)
        file = CaseFile(evidence)
        fresh = {term: to for term, to in wanted(file).items() if to > asked.get(term, -1)}
        if not fresh and issues is not None:
            sessions = [each for each in unissued_sessions(file) if each not in looked]
            looked.update(sessions)
            earlier = yield from issues(sessions)
            # Entries that were not known may lead to others, so that the rounds begin again.
            fresh = dict.fromkeys(KINDS, END) if earlier else {}
            found.update(earlier)
        if not fresh:
            return file


def _find(
    evidence: Evidence, finder: Finder, terms: Mapping[Term, int]
) -> Iterator[tuple[int, Entry]]:
    for bound in sorted(set(terms.values())):
        some = [term for term, until in terms.items() if until == bound]
        yield from finder.find(some, evidence.log.start, min(bound, evidence.log.size))


def _sessions(entries: Iterable[tuple[int, Entry]], asked: Mapping[Term, int]) -> Iterator[Term]:
    """Yield the terms of the sessions that principals asked about acted with or issued."""
    for _, entry in entries:
        if entry.kind != "request" or entry.outcome != "ok":
            continue
        if any(actor(each) in asked for each in actors_of(entry)):
            for accessor in filter(None, (entry.accessor, entry.issued)):
                session = node(NodeKind.SESSION, accessor)
                yield from (actor(session), thing(session))


def with_entries(evidence: Evidence, entries: Mapping[int, Entry]) -> Evidence:
    """Return the evidence with these entries, in the order of the log."""
    return msgspec.structs.replace(evidence, entries=tuple(sorted(entries.items(), key=_index)))


def _index(item: tuple[int, Entry]) -> int:
    return item[0]


def _principals(file: CaseFile) -> Iterable[NodeId]:
    """Return the subjects, held principals and sessions of nobody, with all that these issued."""
    subjects = (each for case in file.cases.values() for each in case.subjects)
    held = sorted(each for each in file.held if kind_of(each) in PRINCIPALS)
    known = {each: None for each in (*subjects, *held) if kind_of(each) in PRINCIPALS}
    for act in file.activity.by_nobody():
        if is_handed_out(act.entry):
            known[node(NodeKind.SESSION, act.entry.issued)] = None
    pending = list(known)
    while pending:
        for each in sessions_of(file, pending.pop()):
            if each not in known:
                known[each] = None
                pending.append(each)
    return known


def sessions_of(file: CaseFile, principal: NodeId) -> Iterator[NodeId]:
    """Yield the sessions that a principal acted with or issued; one may come twice."""
    for act in file.activity.by(principal):
        for accessor in (act.entry.accessor, act.entry.issued):
            if accessor:
                yield node(NodeKind.SESSION, accessor)


def unissued_sessions(file: CaseFile) -> list[NodeId]:
    """Return the sessions of principals that no entry of the evidence has issued."""
    return [
        each
        for each in _principals(file)
        if kind_of(each) is NodeKind.SESSION and not file.activity.issued(each)
    ]


def _families(file: CaseFile) -> set[NodeId]:
    """Return the families that a link leads to and of which a version is held.

    Such a link leads to every version on record, and any release puts a version on record.
    """
    wide = file.estate.wide
    if not wide:
        return set()
    families = {each if is_family(each) else family_of(each) for each in file.held}
    return {each for each in families if each is not None and each in wide}


def _replacements(file: CaseFile) -> Iterator[tuple[Term, int]]:
    """Yield the term of each replacement of a held version, with the place of the revocation."""
    for each in file.filed(ev.Revoked):
        replacement = NodeId(each.record.replacement)
        if replacement and each.record.version in file.held and family_of(replacement):
            mount, path = place_of(replacement)
            version = int(replacement.rpartition("@")[2])
            yield release(mount, path, version), each.index
