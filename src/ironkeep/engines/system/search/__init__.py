"""Reading the journal through the API: searches by name, a cursor to follow, the open questions.

A search is answered off the loop (plugin/effects/questions.py). Its first request is journalled
with the conditions and the bounds; the answers after it continue a reading, and so do those of a
follower (plugin/effects/readings.py).

    cursor = origin@position       the next entry that its follower gets

A follower gets entries that a signed checkpoint covers, once each and in order. The cursor stays
valid over restarts of either side, and goes on in the log of the next epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from ironkeep.core.errors import Conflict, InvalidRequest, IronkeepError
from ironkeep.core.event import Value
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.engines.system.search import subjects
from ironkeep.journal.epochs import FIRST_EPOCH, split_origin
from ironkeep.journal.questions.search import Query
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.heads import NextHead
from ironkeep.plugin.effects.questions import Questions, question_of
from ironkeep.plugin.effects.readings import Reading
from ironkeep.plugin.fields import Duration, duration
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_FOUND: Final = 1_000
"""Entries in one answer."""
DEFAULT_FOUND: Final = 100
MAX_WAIT: Final = 30
"""Seconds that a follower's request waits for an entry."""
MAX_CURSOR: Final = 1_200
"""Characters of a cursor: an origin and a number."""

_MAX_POSITION: Final = 1 << 62


def _codes(of: type[IronkeepError]) -> set[str]:
    return {of.code}.union(*map(_codes, of.__subclasses__()))


OUTCOMES: Final = frozenset({"ok", "pending", "refused", "internal", *_codes(IronkeepError)})
"""The outcomes that an entry may have; "internal" is that of a request that met a defect."""


@dataclass(frozen=True)
class Search:
    """Conditions, all of which must match; `first` and `last` bound the index."""

    first: int = 0
    last: int | None = None
    limit: int = DEFAULT_FOUND
    path: str = field(default="", metadata={"help": "a path, or a folder that ends in a slash"})
    entity: str = field(default="", metadata={"help": "a person: id, name or login name"})
    device: str = field(default="", metadata={"help": "a device: id or name"})
    secret: str = field(default="", metadata={"help": "a KV secret, in all its versions"})
    accessor: str = field(default="", metadata={"help": "a token, with its login and its end"})
    op: str = ""
    outcome: str = ""
    since: str = field(default="", metadata={"help": "RFC 3339, or a duration ago"})
    until: str = ""
    since_ns: int = 0
    until_ns: int = 0
    newest: bool = field(default=False, metadata={"help": "the last `limit` entries"})
    reading: str = field(default="", metadata={"help": "the search that this one continues"})
    next: int | None = field(default=None, metadata={"help": "where it continues"})


@dataclass(frozen=True)
class Follow:
    """A cursor, and the reading that a request continues; without one it begins a reading."""

    cursor: str = field(default="", metadata={"help": "origin@position; now, if it is empty"})
    reading: str = ""
    limit: int = MAX_FOUND
    wait: Duration = field(default=0, metadata={"help": "seconds to wait for an entry, 30 at most"})


@dataclass(frozen=True)
class Number:
    """The number of a question."""

    number: int


def search(call: Call, given: Search) -> Suspend:
    """Return matching entries, and in `next` where to continue; it is null at the end.

    `reading` names the search for its further requests, `cursor` the end of what was searched.
    """
    if not 1 <= given.limit <= MAX_FOUND or given.first < 0:
        raise InvalidRequest(f"limit must be between 1 and {MAX_FOUND}, first must not be negative")
    if given.reading:
        return _further(call, given)
    query = _query(call, given)
    if query.since_ns and 0 < query.until_ns <= query.since_ns:
        raise InvalidRequest("no time is after `since` and before `until`: swap them")
    if query.since_ns > call.now_ns:
        raise InvalidRequest("`since` is in the future: no entry is that late")
    if given.outcome and given.outcome not in OUTCOMES:
        known = ", ".join(sorted(OUTCOMES))
        raise InvalidRequest(f"no entry has the outcome {given.outcome[:80]!r}. There are {known}")
    conditions = _conditions(given)

    def resume(later: Call, answer: Any) -> Response:
        found = _answer_of(answer)
        _require_known(later, given, found)
        data = _found(later, found)
        data["cursor"] = f"{later.use(House).journal.origin}@{found['last']}"
        audited: dict[str, Value] = {**conditions, "from": found["first"], "to": found["last"]}
        if found["next"] is not None:
            bound = msgspec.structs.replace(
                query, first=found["first"], last=found["last"], since_ns=0, until_ns=0
            )
            readings = later.use(House).readings
            reading = readings.begin(later.actor(), bound, later.now_ns)
            audited["reading"] = data["reading"] = reading.id
        return Response(data=data, audited=audited)

    return Suspend(_ask(call, "search", query), resume)


def _further(call: Call, given: Search) -> Suspend:
    """Continue a search where an earlier answer ended."""
    house = call.use(House)
    reading = house.readings.get(call.actor(), given.reading, call.now_ns)
    bound = reading.about
    if not isinstance(bound, Query) or given.next is None or not 0 <= given.next <= _MAX_POSITION:
        raise InvalidRequest("a search is continued with its reading and its next")
    if not bound.first <= given.next <= bound.last:
        raise InvalidRequest("next is outside the bounds of this search")
    edge = {"last": given.next} if bound.newest else {"first": given.next}
    query = msgspec.structs.replace(bound, limit=given.limit, **edge)

    def resume(later: Call, answer: Any) -> Response:
        found = _answer_of(answer)
        house.readings.hand_out(reading, query.first, query.last, found["count"], 0)
        return Response(data={**_found(later, found), "reading": reading.id}, accounted=True)

    return Suspend(_ask(call, "search", query), resume)


def follow(call: Call, given: Follow) -> Response | Suspend:
    """Begin to follow the journal at a cursor, or return the entries from a cursor on."""
    if not 1 <= given.limit <= MAX_FOUND:
        raise InvalidRequest(f"limit must be between 1 and {MAX_FOUND}")
    house = call.use(House)
    origin, position = _place(house, given.cursor)
    if not given.reading:
        reading = house.readings.begin(call.actor(), None, call.now_ns)
        cursor = f"{origin}@{position}"
        audited: dict[str, Value] = {"reading": reading.id, "cursor": cursor}
        return Response(
            data={"reading": reading.id, "cursor": cursor, "entries": []}, audited=audited
        )
    reading = house.readings.get(call.actor(), given.reading, call.now_ns)
    if reading.about is not None:
        raise InvalidRequest("this reading is a search: begin to follow without one")
    is_at_end = origin == house.journal.origin and position >= _signed(house)
    if given.wait and is_at_end:
        rest = replace(given, wait=0)
        work = NextHead(house.readings.heads, min(given.wait, MAX_WAIT))
        return Suspend(work, lambda later, _woken: follow(later, rest))
    return _handed(call, reading, origin, position, given.limit)


def _handed(call: Call, reading: Reading, origin: str, position: int, limit: int) -> Suspend:
    """Read the entries from a position on, and count them."""
    house = call.use(House)
    is_own = origin == house.journal.origin
    last = _signed(house) if is_own else None
    about = {"origin": origin, "first": position, "last": last, "limit": limit}

    def resume(_later: Call, answer: Any) -> Response:
        found = _answer_of(answer)
        if found is None:
            raise Conflict(
                f"the log {origin} is not on this node. The log after it begins at the cursor "
                f"{_next_epoch(origin)}@0"
            )
        end, at = found["end"], origin
        if not is_own and position > found["size"]:
            raise InvalidRequest(f"the log {origin} ends at {found['size']}")
        if not is_own and end >= found["size"]:
            at, end = _next_epoch(origin), 0
        count, notices = found["count"], found["notices"]
        house.readings.hand_out(reading, position, found["end"], count, notices)
        data = {
            "reading": reading.id,
            "cursor": f"{at}@{end}",
            "entries": msgspec.Raw(found["entries"]),
        }
        return Response(data=data, accounted=True)

    return Suspend(_ask(call, "read", about), resume)


def _place(house: House, cursor: str) -> tuple[str, int]:
    """Return (origin, position) of a cursor; raise InvalidRequest unless it can be followed here.

    Without a cursor: the end of what is signed now.
    """
    own = house.journal.origin
    if not cursor:
        return own, _signed(house)
    origin, at, number = cursor.rpartition("@")
    sound = at and number.isascii() and number.isdigit() and len(cursor) <= MAX_CURSOR
    position = int(number[:20]) if sound else 0
    if not sound or position > _MAX_POSITION:
        raise InvalidRequest("a cursor is origin@position, as an answer gave it")
    stem, epoch = split_origin(origin)
    own_stem, newest = split_origin(own)
    if stem != own_stem or not FIRST_EPOCH <= epoch <= newest or origin != f"{stem}/{epoch}":
        raise InvalidRequest(f"the cursor is of another log than {own}, and of none before it")
    if origin == own and position > house.journal.durable_size:
        raise Conflict(
            f"the log {own} ends at {house.journal.durable_size}, before this cursor: this is an "
            "older copy of it than the one that gave the cursor"
        )
    return origin, position


def _next_epoch(origin: str) -> str:
    stem, epoch = split_origin(origin)
    return f"{stem}/{epoch + 1}"


def _signed(house: House) -> int:
    head = house.journal.log.published
    return 0 if head is None else head.checkpoint.size


def questions(call: Call) -> Response:
    """Return the questions that are being answered, and those that wait with their place."""
    return Response(data={"questions": call.use(Questions).listed()})


def cancel(call: Call, given: Number) -> Response:
    """Cancel a question; who asked it gets an error."""
    call.use(Questions).cancel(given.number)
    return Response()


def _ask(call: Call, name: str, about: Query | Mapping[str, Any]) -> Any:
    plain = msgspec.structs.asdict(about) if isinstance(about, Query) else about
    return question_of(call, name, plain)


def _answer_of(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _found(call: Call, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "entries": msgspec.Raw(found["entries"]),
        "size": call.use(House).journal.durable_size,
        "next": found["next"],
    }


def _query(call: Call, given: Search) -> Query:
    """Return the search in ids; raise InvalidRequest for a name that is not one."""
    house = call.use(House)
    person = subjects.person(call, given.entity) if given.entity else subjects.NOBODY
    secret, writes = subjects.secret(call, given.secret) if given.secret else (None, ())
    size = house.journal.durable_size
    return Query(
        first=min(given.first, size),
        last=size if given.last is None else max(0, min(given.last, size)),
        limit=given.limit,
        newest=given.newest,
        person=person.entity,
        logins=person.logins,
        device=subjects.device(call, given.device) if given.device else "",
        accessor=given.accessor,
        secret=secret,
        writes=writes,
        path=given.path,
        op=given.op,
        outcome=given.outcome,
        since_ns=instant(given.since, call.now_ns) or max(0, given.since_ns),
        until_ns=instant(given.until, call.now_ns) or max(0, given.until_ns),
    )


def _require_known(call: Call, given: Search, found: Mapping[str, Any]) -> None:
    """Raise InvalidRequest if nothing was found of a thing that the whole log does not name.

    An earlier epoch may name it, so in a later one an empty answer stands.
    """
    named = given.secret or given.accessor
    first_log = split_origin(call.use(House).journal.origin)[1] == FIRST_EPOCH
    if named and first_log and not found["known"]:
        raise InvalidRequest(
            f"no entry of the journal names {named[:80]!r}: check how it is written"
        )


def _conditions(given: Search) -> dict[str, Value]:
    """Return what was asked, as the entry records it."""
    names = ("path", "entity", "device", "secret", "accessor", "op", "outcome", "since", "until")
    texts = {name: getattr(given, name)[: subjects.MAX_NAME] for name in names}
    found: dict[str, Value] = {name: text for name, text in texts.items() if text}
    if given.since_ns or given.until_ns:
        found |= {"since_ns": given.since_ns, "until_ns": given.until_ns}
    return {**found, "limit": given.limit, "newest": given.newest}


def instant(text: str, now_ns: int) -> int:
    """Return an RFC 3339 time, or a duration before now_ns, in POSIX nanoseconds; 0 for ""."""
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return max(1, now_ns - _ago(text) * SECOND_NS)
    if moment.tzinfo is None:
        raise InvalidRequest("a time needs its zone: 2026-11-24T08:00:00Z")
    time_ns = int(moment.timestamp()) * SECOND_NS + moment.microsecond * 1_000
    # Nothing in a log is later; a larger number has no form in the message to the worker.
    return max(1, min(time_ns, FOREVER))


def _ago(text: str) -> int:
    try:
        return duration(text)
    except InvalidRequest:
        raise InvalidRequest(
            f"{text[:80]!r} is no time: write 2026-11-24T08:00:00Z, or a duration ago such as 36h"
        ) from None


ROUTES: Final = (
    Route(
        Operation.READ, "audit/log/search", search, Search, sudo=True, help="Search the journal.",
    ),
    Route(
        Operation.READ, "audit/log/follow", follow, Follow, sudo=True,
        help="Follow the journal from a cursor.",
    ),
    Route(
        Operation.READ, "questions", questions, sudo=True,
        help="The questions that are being answered.",
    ),
    Route(
        Operation.DELETE, "questions/{number}", cancel, Number, sudo=True,
        audited=("number",), help="Cancel a question.",
    ),
)  # fmt: skip
