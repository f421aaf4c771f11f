"""Endings: end the sessions of revoked credentials wherever they may be, and count what is left."""

from typing import Any, Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.operation import Operation
from ironkeep.credentials.outcomes import Ended
from ironkeep.incident.case.workspace import Workspace, answered, on_desk
from ironkeep.incident.eviction.places import put_on_record, systems_of
from ironkeep.incident.eviction.rotation import Exposed, One, revoked
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import Steps, Turn, settled, turn_of
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route


def kill(call: Call, given: One) -> Suspend:
    """End the sessions that were opened with revoked credentials."""
    return on_desk(call, given.id, lambda workspace: _kill(workspace, given))


def _kill(workspace: Workspace, given: One) -> Response | Suspend:
    steps = _endings(workspace, revoked(workspace, given.secret), turn_of(workspace.call))
    return effects.run(workspace.call, steps, answered("sessions"))


def _endings(
    workspace: Workspace, chosen: list[Exposed], turn: Turn
) -> Steps[list[dict[str, Any]]]:
    results = []
    for each in chosen:
        put_on_record(workspace, each.which, turn)
        ended = yield from workspace.house.credentials.accounts.kill(turn, each.which)
        for number in each.versions:
            _note_ending(workspace, each.which.version(number), ended)
        results.append(
            {
                "secret": workspace.label(each.which.version(max(each.versions))),
                "ended": ended.ended,
                "remaining": ended.remaining if ended.remaining >= 0 else None,
                "logins": ended.logins or (None if ended.login_seconds else 0),
                "detail": _detail(ended),
            }
        )
        turn = yield from settled()
    return results


def _note_ending(workspace: Workspace, version: NodeId, ended: Ended) -> None:
    """Record an ending at each system whose endpoints were counted.

    A connection whose first host was exchanged leads to another system than before, and its former
    hosts are those of the system of before.
    """
    for system, endpoints in systems_of(workspace, version, ended.system):
        part = ended.counted(endpoints)
        if part is not None:
            record = ev.Ended(
                workspace.case,
                version,
                system,
                part.done_ns,
                part.ended,
                part.remaining,
                part.began_ns,
                part.logins,
                part.login_seconds,
                part.endpoints,
                ended.unlisted,
            )
            workspace.house.scope.note(record, ended.done_ns, workspace.by)


def _detail(ended: Ended) -> str:
    """Return what keeps sessions from being ended and counted, as one sentence, or ""."""
    found = [ended.reason] if ended.reason else []
    if ended.logins:
        found.append("logins begun before may still finish: end the sessions again")
    if ended.login_seconds:
        found.append("logins under way are not listed everywhere: end the sessions again later")
    if ended.unlisted:
        found.append("replicas follow it that are not among the hosts: add them to the connection")
    found += [
        f"a pooler answers at {each}: name it in poolers, and the server itself as host"
        for each in ended.pooled
    ]
    return "; ".join(found)


ROUTES: Final = (
    Route(
        Operation.UPDATE, "cases/{id}/kill", kill, One, sudo=True, audited=("id",),
        help="End sessions opened with revoked credentials.",
    ),
)  # fmt: skip
