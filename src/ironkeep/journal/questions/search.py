"""Searching a log: the entries that match all of some conditions, found through its index.

Conditions on time choose a window by position: from the first entry that is not before `since`, to
the first that is not before `until`. An entry of a clock that was put back stays where it was
written, so no step of a clock hides it.
"""

from collections.abc import Generator, Iterator, Mapping
from heapq import merge
from operator import itemgetter
from typing import Any, Final

import msgspec

from ironkeep.core.event import Entry, encode
from ironkeep.core.evidence.node import NodeId
from ironkeep.index.terms import MAX_FOLDERS, Kind, Term, What, actor, kind, secret
from ironkeep.journal.questions import STRETCH, Context, Steps, stretches

MAX_BYTES: Final = 4 << 20
"""Bytes of entries in one answer, but at least one entry: the next answer continues."""

MAX_PERSON: Final = 20_000
"""Entries of a person that are gathered to learn the person's sessions; see `_logins`."""
MAX_SESSIONS: Final = 256
"""Sessions of a person whose logins are looked for, the newest: each costs one look into every
part of the index."""

_INDEXED: Final = 4 * STRETCH
"""Leaves that one step covers where the index names the entries to open."""
_AT_ONCE: Final = 512
"""Entries that one step opens, each by itself."""


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Conditions, all of which an entry must meet; empty ones ask for nothing.

    [first, last) bounds the positions; the answer has the first `limit` matches, or the last ones
    with `newest`. `person` is an entity and `logins` its login names as mount uuid/name. `secret`
    is a mount uuid and a record path, and `writes` are the API paths that change it. `path` is
    exact, or a folder if it ends in a slash. Times are POSIX nanoseconds, 0 for none.
    """

    first: int
    last: int
    limit: int
    newest: bool = False
    person: str = ""
    logins: tuple[str, ...] = ()
    device: str = ""
    accessor: str = ""
    secret: tuple[str, str] | None = None
    writes: tuple[str, ...] = ()
    path: str = ""
    op: str = ""
    outcome: str = ""
    since_ns: int = 0
    until_ns: int = 0


def search(context: Context, about: Mapping[str, Any]) -> Steps:
    """Answer a Query: {"entries": a JSON array of entries with their index, "next", "first"}.

    `known` is false if no entry of the whole log has any of the terms that were looked for. `next`
    is the position at which the same search goes on (as `first`, or as `last` for the newest
    entries); None at the end. `first` and `last` are the bounds that were searched.
    """
    query = msgspec.convert(about, Query)
    first, last = query.first, min(query.last, context.log.size)
    if query.since_ns:
        first = max(first, context.index.position_at(query.since_ns))
        yield
    if query.until_ns:
        last = min(last, context.index.position_at(query.until_ns))
        yield
    logins: list[int] = []
    if query.person:
        sessions = yield from _sessions(context, query, first, last)
        logins = yield from _logins(context, sessions, first, last)
    found = yield from _taken(context, query, first, last, logins)
    known = bool(found) or not terms_for(query) or (yield from _is_known(context, query))
    return {**_answer(query, first, last, found), "known": known}


def _is_known(context: Context, query: Query) -> Generator[None, None, bool]:
    """Return whether any entry of the whole log has one of the terms that are looked for."""
    index, terms = context.index, terms_for(query)
    # Leaves that are not indexed yet are opened one by one, millions of them after a restore.
    for start, stop in ((0, index.covered), *stretches(index.covered, context.log.size)):
        if next(iter(index.find(terms, start, stop)), None) is not None:
            return True
        yield
    return False


def read(context: Context, about: Mapping[str, Any]) -> Steps:
    """Answer with the entries of [first, last): {"entries": a JSON array, "count", ...}.

    `about` has the bounds, and an `origin` if they are of an older log; a `last` of None means its
    end. `end` is where the next such question goes on; it is before `last` if the answer is full.
    `size` is the size of that log, `notices` the number of notices about readings among the
    entries. Without the leaves of that log the answer is None.
    """
    of = context if about["origin"] == context.log.origin else context.older(about["origin"])
    yield
    if of is None:
        return None
    last = of.log.size if about["last"] is None else min(about["last"], of.log.size)
    parts: list[bytes] = []
    notices = 0
    room, end = MAX_BYTES, about["first"]
    for start, stop in stretches(about["first"], last, width=STRETCH // 4):
        for index, entry in of.reader.entries(start, stop):
            body = shown(index, entry)
            if parts and (len(parts) == about["limit"] or len(body) > room):
                return _part(parts, notices, index, of.log.size)
            parts.append(body)
            notices += "reading" in entry.audited and entry.kind == "notice"
            room -= len(body)
        end = stop
        yield
    return _part(parts, notices, end, of.log.size)


def _part(parts: list[bytes], notices: int, end: int, size: int) -> dict[str, Any]:
    return {
        "entries": array(parts),
        "count": len(parts),
        "notices": notices,
        "end": end,
        "size": size,
    }


def shown(index: int, entry: Entry) -> bytes:
    """Return an entry with its index as JSON."""
    return b'{"index":%d,' % index + encode(entry)[1:]


def array(parts: list[bytes]) -> bytes:
    """Return JSON values as one JSON array."""
    return b"[" + b",".join(parts) + b"]"


def terms_for(query: Query) -> tuple[Term, ...]:
    """Return the terms of which an entry has at least one if it matches; none for any entry.

    The most selective condition is taken; `matches` checks the others.
    """
    if query.accessor:
        session = NodeId(f"session:{query.accessor}")
        return actor(session), Term(What.THING, session)
    if query.secret is not None:
        return secret(*query.secret), *(Term(What.PATH, path) for path in query.writes)
    if query.person:
        logins = (actor(NodeId(f"login:{each}")) for each in query.logins)
        return actor(NodeId(f"person:{query.person}")), *logins
    if query.device:
        return (actor(NodeId(f"device:{query.device}")),)
    if query.path:
        return (Term(What.PATH, _indexed_part(query.path)),)
    if query.outcome not in {"", "ok", "pending"}:
        return (kind(Kind.REFUSED),)
    return ()


def matches(query: Query, entry: Entry) -> bool:
    """Return whether an entry meets all conditions but those on position, time and person."""
    return (
        query.device in ("", entry.device)
        and query.op in ("", entry.op)
        and query.outcome in ("", entry.outcome)
        and _is_at(query.path, entry.path)
        and (not query.accessor or _concerns(query.accessor, entry))
        and (query.secret is None or _touches(query, entry))
    )


def _is_of(query: Query, entry: Entry) -> bool:
    """Return whether an entry is of the query's person, or is a login by one of its names."""
    if not query.person or entry.entity == query.person:
        return True
    login = f"{entry.mount}/{entry.audited.get('username', '')}"
    return not entry.entity and not entry.accessor and login in query.logins


def _is_at(path: str, of_entry: str) -> bool:
    if path.endswith("/"):
        return of_entry.startswith(path)
    return path in ("", of_entry)


def _concerns(accessor: str, entry: Entry) -> bool:
    return accessor in (entry.accessor, entry.issued, entry.audited.get("accessor"))


def _touches(query: Query, entry: Entry) -> bool:
    released = any((each.mount, each.path) == query.secret for each in entry.released)
    return released or entry.path in query.writes


def _indexed_part(path: str) -> str:
    """Return path, or the deepest of its folders that has a term."""
    parts = path.split("/")
    # MAX_FOLDERS folders of a path have terms; a folder below them is found through the deepest.
    deepest = MAX_FOLDERS if path.endswith("/") else len(parts)
    return path if len(parts) - 1 <= deepest else "/".join(parts[:MAX_FOLDERS]) + "/"


def _taken(context: Context, query: Query, first: int, last: int, also: list[int]) -> Steps:
    """Return the matches in order, up to the limit; `also` are positions of the person's logins."""
    terms = terms_for(query)
    found: list[tuple[int, Entry]] = []
    looked = 0
    width = _INDEXED if terms else STRETCH
    for start, stop in stretches(first, last, newest=query.newest, width=width):
        part: list[tuple[int, Entry]] = []
        wanted = query.limit - len(found)
        for index, entry in _candidates(context, terms, start, stop, also):
            looked += 1
            if looked % _AT_ONCE == 0:
                yield
            if matches(query, entry) and (index in also or _is_of(query, entry)):
                part.append((index, entry))
                if len(part) == wanted and not query.newest:
                    break
        found = [*part[-wanted:], *found] if query.newest else [*found, *part]
        if len(found) >= query.limit:
            break
        yield
    return found


def _candidates(
    context: Context, terms: tuple[Term, ...], first: int, last: int, also: list[int]
) -> Iterator[tuple[int, Entry]]:
    """Yield the entries with one of the terms, or at one of the positions, once and in order."""
    find, read_all = context.index.find, context.reader.entries
    hits = find(terms, first, last) if terms else read_all(first, last)
    logins = (
        each for index in also if first <= index < last for each in read_all(index, index + 1)
    )
    before = -1
    for index, entry in merge(hits, logins, key=itemgetter(0)):
        if index != before:
            yield index, entry
        before = index


def _sessions(context: Context, query: Query, first: int, last: int) -> Steps:
    """Return the accessors of a person's sessions whose login does not name the person."""
    terms = (actor(NodeId(f"person:{query.person}")),)
    seen: dict[str, None] = {}
    named: set[str] = set()
    count = 0
    for start, stop in stretches(first, last, newest=True, width=_INDEXED):
        for _, entry in context.index.find(terms, start, stop):
            count += 1
            if entry.accessor:
                seen[entry.accessor] = None
            else:
                named.add(entry.issued)
        if count >= MAX_PERSON:
            break
        yield
    return [accessor for accessor in seen if accessor not in named][:MAX_SESSIONS]


def _logins(context: Context, sessions: list[str], first: int, last: int) -> Steps:
    """Return the positions of the logins that made some sessions.

    An entry of an earlier version names the token that a login issued, and not the person.
    """
    wanted = set(sessions)
    terms = tuple(Term(What.THING, f"session:{each}") for each in sessions)
    found: list[int] = []
    for start, stop in stretches(first, last, width=_INDEXED):
        if not terms:
            break
        found += [
            index
            for index, entry in context.index.find(terms, start, stop)
            if entry.issued in wanted and not entry.accessor
        ]
        yield
    return found


def _answer(query: Query, first: int, last: int, found: list[tuple[int, Entry]]) -> dict[str, Any]:
    """Return the answer, cut to MAX_BYTES."""
    ordered = found[::-1] if query.newest else found
    parts: list[bytes] = []
    room = MAX_BYTES
    for index, entry in ordered:
        body = shown(index, entry)
        if parts and len(body) > room:
            break
        parts.append(body)
        room -= len(body)
    full = len(parts) < len(found) or len(found) == query.limit
    further = ordered[len(parts) - 1][0] if full else None
    if further is not None and not query.newest:
        further += 1
    inside = further is not None and first < further < last
    if query.newest:
        parts.reverse()
    return {
        "entries": array(parts),
        "count": len(parts),
        "next": further if inside else None,
        "first": first,
        "last": last,
    }
