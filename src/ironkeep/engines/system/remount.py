"""Moves of mounts: `sys/remount`. Source: the Vault HTTP API, sys/remount."""

from dataclasses import dataclass, field
from typing import Final

from ironkeep.access.second_person import waits
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.ids import uuid
from ironkeep.core.operation import Operation
from ironkeep.engines.system.mounts import AUTH
from ironkeep.engines.system.unguarding import let_go
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import FolderText
from ironkeep.plugin.mounts import SINGLETONS
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.store.reserved import MOUNTS

_REMEMBER_NS: Final = 24 * 3600 * 1_000_000_000
"""Time for which the outcome of a move can be queried."""


@dataclass(frozen=True)
class Move:
    """The present and the new path of a mount."""

    source: FolderText = field(default="", metadata={"alias": ("from",)})
    target: FolderText = field(default="", metadata={"alias": ("to",)})


def remount(call: Call, given: Move) -> Response:
    """Move a mount to another path; its records, leases and identity stay the same."""
    house = call.use(House)
    source, target = f"{given.source}/", f"{given.target}/"
    if source.startswith(AUTH) is not target.startswith(AUTH):
        raise InvalidRequest("cannot move between secret engines and auth methods")
    found = house.mounts.table(house.store(call.tx, MOUNTS)).by_path.get(source)
    if found is not None and found.type in SINGLETONS:
        raise InvalidRequest(f"cannot remount {source!r}")
    answer = Response() if found is None else let_go(call, found, "moved")
    if waits(answer):
        return answer
    house.mounts.move(call.tx, house.store(call.tx, MOUNTS), source, target, call.now_ns)
    migration = uuid(call.entropy.token(16))
    moved = f"{source}\n{target}".encode()
    call.store.put(f"remount/{migration}", moved, call.now_ns + _REMEMBER_NS)
    audited = {**answer.audited, "from": source, "to": target}
    return Response(data={"migration_id": migration}, audited=audited)


def remount_status(call: Call) -> Response:
    """Return the outcome of a move, which is complete when its request is answered."""
    raw = call.store.get(f"remount/{call.params['id']}")
    if raw is None:
        raise NotFound("")
    source, _, target = raw.decode().partition("\n")
    info = {"source_mount": source, "target_mount": target, "status": "success"}
    return Response(data={"migration_id": call.params["id"], "migration_info": info})


ROUTES: Final = (
    Route(Operation.UPDATE, "remount", remount, Move, sudo=True, quorum=True, help="Move a mount."),
    Route(Operation.READ, "remount/status/{id}", remount_status, help="The outcome of a move."),
)
