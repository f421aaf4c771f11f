"""The journal, read only: Vault's list of audit devices, entries, proofs.

Source: the read operations of the Vault HTTP API, sys/audit. Devices cannot be added, moved or
disabled here, because an intruder with a root token could do the same. `sys/audit/log/…` is an
extension of Ironkeep.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.event import Entry
from ironkeep.core.operation import Operation
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.tlog.tile import Tile

MAX_FOUND: Final = 1_000
"""Entries in one answer."""
MAX_LOOKED_AT: Final = 10_000
"""Entries that one request examines, some 0.2 s in which no other request is served; `next` tells
where the following request continues."""
DEFAULT_FOUND: Final = 100

REFUSED: Final = (
    "the journal is part of the server: it is always on, and audit devices cannot be added, moved "
    "or disabled. Mirror it with `ironkeep witness --mirror`, read it with `ironkeep audit`"
)


@dataclass(frozen=True)
class Search:
    """The search conditions, all of which must match; `first` and `last` bound the index."""

    first: int = 0
    last: int | None = None
    limit: int = DEFAULT_FOUND
    path: str = field(default="", metadata={"help": "a prefix of the path"})
    entity: str = ""
    accessor: str = ""
    op: str = ""
    outcome: str = ""
    since_ns: int = 0
    until_ns: int = 0
    newest: bool = field(default=False, metadata={"help": "the last `limit` entries"})


@dataclass(frozen=True)
class Index:
    """The index of an entry."""

    index: int


def devices(call: Call) -> Response:
    """Return the journal as the only audit device."""
    house = call.use(House)
    data: dict[str, Any] = {
        "journal/": {
            "type": "journal",
            "description": "the tamper-evident journal; always on",
            "options": {"origin": house.journal.origin},
            "local": True,
            "path": "journal/",
        }
    }
    return Response(data=data)


def refuse(_call: Call) -> Response:
    """Refuse every change of audit devices."""
    raise InvalidRequest(REFUSED)


def disable(call: Call) -> Response:
    """Refuse to disable the journal; any other device does not exist and so is disabled."""
    if call.params["path"] == "journal":
        raise InvalidRequest(REFUSED)
    return Response()


def no_hash(_call: Call) -> Response:
    """Refuse: entries contain no values, so there are no hashes to look up."""
    raise InvalidRequest("unknown audit backend: the journal records versions, not hashed values")


def search(call: Call, given: Search) -> Response:
    """Return matching entries, and in `next` the index at which to continue.

    Pass it as `first`, or in a search for the newest entries as `last`. It is null at the end.
    """
    if not 1 <= given.limit <= MAX_FOUND or given.first < 0:
        raise InvalidRequest(f"limit must be between 1 and {MAX_FOUND}, first must not be negative")
    reader = call.use(House).audit_reader()
    size = call.use(House).journal.durable_size
    first, last = given.first, size if given.last is None else min(given.last, size)
    found, further = (_newest if given.newest else _oldest)(reader, given, first, last)
    entries = [{"index": index, **msgspec.to_builtins(entry)} for index, entry in found]
    return Response(data={"entries": entries, "size": size, "next": further})


Found = tuple[list[tuple[int, Entry]], int | None]
"""Entries with their indices, and the index at which to continue."""


def _oldest(reader: Any, given: Search, first: int, last: int) -> Found:
    """Search forwards from the first index."""
    end = min(last, first + MAX_LOOKED_AT)
    found = reader.search(lambda entry: _matches(entry, given), first, end, given.limit)
    further = found[-1][0] + 1 if len(found) == given.limit else end
    return found, further if further < last else None


def _newest(reader: Any, given: Search, first: int, last: int) -> Found:
    """Search backwards from the last index."""
    start = max(first, last - MAX_LOOKED_AT)
    found = _backwards(reader, given, start, last)
    further = found[0][0] if len(found) == given.limit else start
    return found, further if first < further < last else None


def _backwards(reader: Any, given: Search, first: int, last: int) -> list[tuple[int, Entry]]:
    """Return the newest matching entries in order, read in stretches from the end."""
    found: list[tuple[int, Entry]] = []
    while last > first and len(found) < given.limit:
        start = max(first, last - MAX_FOUND)
        stretch = [item for item in reader.entries(start, last) if _matches(item[1], given)]
        found = stretch[-(given.limit - len(found)) :] + found
        last = start
    return found


def _matches(entry: Entry, given: Search) -> bool:
    return (
        entry.path.startswith(given.path)
        and given.entity in ("", entry.entity)
        and given.accessor in ("", entry.accessor)
        and given.op in ("", entry.op)
        and given.outcome in ("", entry.outcome)
        and entry.time_ns >= given.since_ns
        and (not given.until_ns or entry.time_ns < given.until_ns)
    )


def proof(call: Call, given: Index) -> Response:
    """Return a disclosed entry with its inclusion proof (c2sp.org/tlog-proof)."""
    house = call.use(House)
    disclosed = house.audit_reader().disclose(given.index)
    head = house.journal.log.published
    if head is None or head.checkpoint.size <= given.index:
        raise NotFound("no signed checkpoint covers the entry yet: try again in a second")
    return Response(
        data={
            "index": given.index,
            "leaf": b64encode(house.journal.log.leaf(given.index)).decode(),
            "salt": b64encode(disclosed.salt).decode(),
            "entry": b64encode(disclosed.body).decode(),
            "proof": house.journal.log.proof(given.index).serialise().decode(),
        },
    )


def checkpoint(call: Call) -> Response:
    """Return the latest cosigned checkpoint, else the latest signed one; it is public."""
    head = call.use(House).journal.log.cosigned or call.use(House).journal.log.published
    if head is None:
        raise NotFound("no checkpoint is signed yet: try again in a second")
    return Response(raw=("text/plain; charset=utf-8", head.note.serialise()))


def tile(call: Call) -> Response:
    """Return a hash tile or an entry bundle (c2sp.org/tlog-tiles); leaves are encrypted."""
    log = call.use(House).journal.log
    wanted = Tile.parse(call.path.removeprefix("audit/log/"))
    return Response(raw=("application/octet-stream", log.tile(wanted)))


ROUTES: Final = (
    Route(Operation.READ, "audit", devices, sudo=True, flat=True, help="The audit devices."),
    Route(Operation.UPDATE, "audit/{path...}", refuse, sudo=True, help="Refused."),
    Route(Operation.DELETE, "audit/{path...}", disable, sudo=True, folder="path", help="Refused."),
    Route(Operation.UPDATE, "audit-hash/{path...}", no_hash, sudo=True, help="Refused."),
    Route(
        Operation.READ, "audit/log/search", search, Search, sudo=True,
        audited=("first", "limit", "path", "entity", "accessor"), help="Search the journal.",
    ),
    Route(
        Operation.READ, "audit/log/proof/{index}", proof, Index, sudo=True, audited=("index",),
        help="An entry with its inclusion proof.",
    ),
    Route(
        Operation.READ, "audit/log/checkpoint", checkpoint, open=True, sealed_ok=True,
        help="The latest checkpoint.",
    ),
    Route(
        Operation.READ, "audit/log/tile/{path...}", tile, open=True, sealed_ok=True,
        help="Tiles and bundles, for witnesses and mirrors.",
    ),
)  # fmt: skip
