"""Rebuilding a segment: its credentials are issued anew, in the order of their dependencies.

    1. administering accounts of connections      rotated here
    2. accounts that these set                    rotated here
    3. secrets that another system issues         listed: replace each at its issuer, write it here
    4. auth methods                               listed: their users log in again

The order matters because an account must not be rotated by one that may have been lost itself. A
rotation that cannot finish now continues by itself, and is shown as waiting.
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
"""Secrets listed in one answer; past it `by_hand_complete` is false."""

_ADMIN: Final = "config"


@dataclass(frozen=True)
class Rebuild:
    """The segment; with `plan` the steps are only listed."""

    name: str
    plan: bool = False


@dataclass(frozen=True, slots=True)
class Managed:
    """A credential that is rotated here, and its API path."""

    which: CredentialId
    path: str


def rebuild(call: Call, given: Rebuild) -> Response | Suspend:
    """Rotate a segment's managed credentials, administering accounts first; list all others."""
    segment = call.use(Segments).find(call.tx, given.name)
    call.use(Segments).keys.barrier(segment)
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
    """Return the present mounts of a segment, by path."""
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
    """Return the paths of secrets that are issued elsewhere, and whether the list is complete."""
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
        audited=("name", "plan"), help="Rotate the credentials in a segment, in the right order.",
    ),
)  # fmt: skip
