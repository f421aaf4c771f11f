"""Rebuilding a segment: what it held is issued anew, in the order in which things depend.

    1. administering accounts of connections      rotated here
    2. accounts that these set                    rotated here
    3. secrets that somebody else issues          listed: replace each at its issuer, write it here
    4. auth methods                               listed: their users log in again

A credential is not handed out by one that is older than the loss: that is why the order counts. A
rotation that cannot finish now goes on by itself, and is shown as waiting.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from ironkeep.core.errors import IronkeepError
from ironkeep.core.operation import Operation
from ironkeep.credentials.listing import STATIC, kept_of
from ironkeep.credentials.managed import Credentials, Rotated
from ironkeep.credentials.store import CredentialId
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import Steps, Turn, turn_of
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Plugins, Route
from ironkeep.seal.segment_record import Segment
from ironkeep.seal.segments import Segments
from ironkeep.store.reserved import MOUNTS

MAX_LISTED: Final = 1_000
"""Secrets named in one answer; past it the list says that it is cut."""

_ADMIN: Final = "config"


@dataclass(frozen=True)
class Rebuild:
    """Which segment; `plan` only lists, and changes nothing."""

    name: str
    plan: bool = False


@dataclass(frozen=True, slots=True)
class Managed:
    """A credential that is rotated here, and its path by API."""

    which: CredentialId
    path: str


def rebuild(call: Call, given: Rebuild) -> Response | Suspend:
    """Rotate what is managed in a segment, administering accounts first; list what is not."""
    segment = call.use(Segments).find(call.tx, given.name)
    call.use(Segments).barrier(segment)
    mounts = mounts_of(call, segment)
    managed = [
        *(each for mount in mounts for each in _managed(call, mount, _ADMIN)),
        *(each for mount in mounts for each in _managed(call, mount, STATIC)),
    ]
    by_hand, whole = _by_hand(call, mounts)
    listed = {
        "by_hand": by_hand,
        "by_hand_complete": whole,
        "log_in_again": [mount.path for mount in mounts if mount.path.startswith("auth/")],
    }
    if given.plan or not managed:
        steps = [{"credential": each.path, "state": "planned", "detail": ""} for each in managed]
        return Response(data={"rotated": steps, **listed})

    def answer(_later: Call, told: list[dict[str, Any]]) -> Response:
        return Response(data={"rotated": told, **listed}, audited={"rotated": len(told)})

    return effects.run(call, _rotations(call.use(Credentials), managed, turn_of(call)), answer)


def mounts_of(call: Call, segment: Segment) -> list[Mount]:
    """Return the mounts of a segment that are there now, by path."""
    inside = {placed.uuid for placed in segment.mounts}
    table = call.use(Mounts).table(call.services.store(call.tx, MOUNTS)).by_path
    return [table[path] for path in sorted(table) if table[path].uuid in inside]


def _managed(call: Call, mount: Mount, folder: str) -> list[Managed]:
    names = call.use(Credentials).store.paths(call.tx, mount.uuid, folder)
    return [
        Managed(CredentialId(mount.uuid, f"{folder}/{name}"), f"{mount.path}{folder}/{name}")
        for name in names
    ]


def _by_hand(call: Call, mounts: list[Mount]) -> tuple[list[str], bool]:
    """Return the paths of secrets that are issued elsewhere, and whether that is all of them."""
    found: list[str] = []
    for mount in mounts:
        plugin = call.use(Plugins).get(mount.type)
        store = call.store_of(mount)
        kept = kept_of(plugin, mount, store, call.use(Credentials).store, call.tx)
        paths = (mount.path + each.read for each in kept if not each.path.startswith(STATIC))
        found += islice(paths, MAX_LISTED + 1 - len(found))
    return found[:MAX_LISTED], len(found) <= MAX_LISTED


def _rotations(
    credentials: Credentials, managed: list[Managed], turn: Turn
) -> Steps[list[dict[str, Any]]]:
    told = []
    for each in managed:
        try:
            rotated: Rotated = yield from credentials.rotate(turn, each.which)
        except IronkeepError as error:
            told.append({"credential": each.path, "state": "failed", "detail": str(error)})
        else:
            state = "rotated" if rotated.done else "lost" if rotated.lost else "waiting"
            told.append({"credential": each.path, "state": state, "detail": rotated.reason})
        turn = yield from effects.settled()
    return told


ROUTES: Final = (
    Route(
        Operation.UPDATE, "segments/{name}/rebuild", rebuild, Rebuild, sudo=True,
        audited=("name", "plan"), help="Issue anew what a segment holds, in the right order.",
    ),
)  # fmt: skip
