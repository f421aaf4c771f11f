"""Actions of a responder on one account: present a version, end sessions, lock, unlock."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ironkeep.core.credential.inventory import InventoryItem
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.credentials.connections import ConnectionId
from ironkeep.credentials.managed import Credentials
from ironkeep.credentials.outcomes import Ended, Probed
from ironkeep.engines.database.configuration import UNDECLARED
from ironkeep.engines.database.roles import RoleName, known
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.effects import run, turn_of
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route


@dataclass(frozen=True)
class Which:
    """One version of a role's password."""

    name: str
    version: int = field(default=0, metadata={"help": "0 means the current version"})


def probe(call: Call, given: Which) -> Response | Suspend:
    """Present a version to every host; the system counts a refusal as a failed login."""
    which, _ = known(call, given.name)
    version = given.version or call.use(Credentials).store.current(call.tx, which)
    if version is None:
        raise InvalidRequest("no version of this role was ever current: give a version")
    return run(call, call.use(Credentials).accounts.probe(turn_of(call), which, version), _probed)


def _probed(_call: Call, probed: Probed) -> Response:
    shown = probed.shown
    answers = [
        {
            "endpoint": each.endpoint,
            "state": str(each.state),
            "code": each.code,
            "reason": each.reason,
            "took_ms": each.took_ms,
        }
        for each in shown.answers
    ]
    return Response(
        data={
            "version": int(probed.version.rpartition("@")[2]),
            "system": probed.system,
            "state": str(shown.state),
            "reason": shown.reason,
            "answers": answers,
        },
        audited={"state": str(shown.state)},
    )


def kill(call: Call, given: RoleName) -> Response | Suspend:
    """End every session of a role; lock it first, or its clients may reconnect."""
    which, about = known(call, given.name)
    credentials = call.use(Credentials)
    connection = ConnectionId(call.mount.uuid, about.connection)
    declared = credentials.connections.get(call.tx, connection).poolers is not None
    steps = credentials.accounts.kill(turn_of(call), which)
    return run(call, steps, partial(_ended, declared=declared))


def _ended(_call: Call, ended: Ended, *, declared: bool) -> Response:
    warnings = [] if declared else [UNDECLARED]
    if ended.logins:
        warnings.append("logins begun before may still finish: end the sessions again")
    return Response(
        data={
            "system": ended.system,
            "ended": ended.ended,
            "remaining": ended.remaining,
            "killed": ended.killed,
            "logins": ended.logins,
            "reason": ended.reason,
        },
        warnings=warnings,
        audited={"ended": ended.ended, "remaining": ended.remaining},
    )


def sessions(call: Call, given: RoleName) -> Response | Suspend:
    """Return the open sessions of a role."""
    which, _ = known(call, given.name)
    steps = call.use(Credentials).accounts.sessions(turn_of(call), which)
    return run(call, steps, _listed)


def _listed(_call: Call, found: tuple[tuple[str, InventoryItem], ...]) -> Response:
    shown: list[dict[str, Any]] = [
        {
            "endpoint": endpoint,
            "kind": item.source,
            "name": item.name,
            "attributes": dict(item.attributes),
        }
        for endpoint, item in found
    ]
    return Response(data={"sessions": shown}, audited={"sessions": len(shown)})


def lock(call: Call, given: RoleName) -> Response | Suspend:
    """Forbid new logins of a role."""
    which, _ = known(call, given.name)
    steps = call.use(Credentials).accounts.lock(turn_of(call), which)
    return run(call, steps, _done)


def unlock(call: Call, given: RoleName) -> Response | Suspend:
    """Allow logins of a role again."""
    which, _ = known(call, given.name)
    steps = call.use(Credentials).accounts.unlock(turn_of(call), which)
    return run(call, steps, _done)


def _done(_call: Call, _result: None) -> Response:
    return Response()


ROUTES: Final = (
    Route(
        Operation.UPDATE, "probe/{name}", probe, Which, audited=("version",),
        help="Present a version to the database: alive, dead or unknown.",
    ),
    Route(Operation.READ, "sessions/{name}", sessions, RoleName, help="A role's open sessions."),
    Route(Operation.UPDATE, "kill/{name}", kill, RoleName, help="End a role's sessions."),
    Route(Operation.UPDATE, "lock/{name}", lock, RoleName, help="Forbid a role's logins."),
    Route(Operation.UPDATE, "unlock/{name}", unlock, RoleName, help="Allow a role's logins."),
)  # fmt: skip
