"""The journal, read only: Vault's list of audit devices, entries, proofs.

Source: the read operations of the Vault HTTP API, sys/audit. Devices cannot be added, moved or
disabled here, because an intruder with a root token could do the same. `sys/audit/log/…` is an
extension of Ironkeep.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.tlog.tile import Tile

REFUSED: Final = (
    "the journal is part of the server: it is always on, and audit devices cannot be added, moved "
    "or disabled. Mirror it with `ironkeep witness --mirror`, read it with `ironkeep audit`"
)


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
