"""Perform one step of a rotation on a real system and report what was seen.

core/rotation.py decides, a connector acts; this is the translation between them. It stores nothing:
the caller makes new material, stores each record before the next step, and waits.
"""

from collections.abc import Mapping

from ironkeep.core.connector import Ambiguous, Connector, Rejected, Target, Unreachable
from ironkeep.core.rotation import (
    Applied,
    Killed,
    KillSessions,
    NotKilled,
    Observation,
    Present,
    Presented,
    Refused,
    Set,
    Unsure,
)
from ironkeep.core.secret import Secret


def perform(
    action: Present | Set | KillSessions,
    connector: Connector,
    target: Target,
    username: str,
    material: Mapping[int, Secret],
) -> Observation:
    """Do action for username on target, with the material of each version by its number."""
    match action:
        case Present(version):
            found = connector.probe(target, username, material[version])
            return Presented(version, found.state)
        case Set(version, using):
            current = None if using is None else material[using]
            return _set(connector, target, username, version, material[version], current)
        case KillSessions():
            return _kill(connector, target, username)


def _set(
    connector: Connector,
    target: Target,
    username: str,
    version: int,
    new: Secret,
    current: Secret | None,
) -> Observation:
    try:
        connector.set_password(target, username, new, current)
    except Rejected as failure:
        return Refused(version, str(failure))
    except (Ambiguous, Unreachable) as failure:
        return Unsure(version, str(failure))
    return Applied(version)


def _kill(connector: Connector, target: Target, username: str) -> Observation:
    try:
        connector.kill_sessions(target, username)
    except (Rejected, Ambiguous, Unreachable) as failure:
        return NotKilled(str(failure))
    return Killed()
