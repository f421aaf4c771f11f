"""Compare exposed versions of secrets with what the vault gives out under their names today.

Whoever replaces a secret by hand says so, and the vault can look: it has the versions. A version
that is still current, or whose value the current one has again, is not replaced. The comparison is
a record of its own (`records.Compared`), without any value.
"""

import hmac
from collections.abc import Iterable
from typing import Any, Final

from ironkeep.core.errors import NotFound
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, place_of
from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept
from ironkeep.incident.case.workspace import Workspace
from ironkeep.plugin.effects.effects import Steps, Turn, pause

IN_A_TURN: Final = 8
"""Secrets compared in one turn: some milliseconds."""

_GONE: Final = "the vault has no such secret any more"
_UNVERSIONED: Final = (
    "the mount keeps no versions, so whether the value was replaced cannot be told: delete it, and "
    "store the new one in a mount of version 2"
)


def compare(
    workspace: Workspace, chosen: Iterable[NodeId], turn: Turn
) -> Steps[list[dict[str, Any]]]:
    """Record the comparison of each revoked version in chosen; return the results.

    A secret in a sealed segment cannot be looked at, and stays open in the case.
    """
    results = list[dict[str, Any]]()
    for number, version in enumerate(chosen, start=1):
        found = _look(workspace, version)
        state = "unknown" if found is None else "current" if found[0] else "replaced"
        words = found[1] if found is not None else "its segment is sealed: open it, and probe again"
        if found is not None:
            record = ev.Compared(workspace.case, version, turn.now_ns, *found)
            workspace.house.scope.note(record, turn.now_ns, workspace.by)
        results.append({"secret": workspace.label(version), "state": state, "detail": words})
        if number % IN_A_TURN == 0:
            turn = yield from pause()
    return results


def comparable(workspace: Workspace, only: NodeId | None) -> list[NodeId]:
    """Return the exposed and revoked versions of secrets, or the one named."""
    file = workspace.file
    return [
        each
        for each in file.credentials
        if kind_of(each) is NodeKind.SECRET
        and not each.endswith("@*")
        and file.revocations(each)
        and only in (None, each)
    ]


def _look(workspace: Workspace, version: NodeId) -> tuple[bool, str] | None:
    """Return whether a version is still given out, and that in words; None if it is sealed."""
    uuid, path = place_of(version)
    number = int(version.rpartition("@")[2])
    names = workspace.names
    mount = next((each for each in names.mounts() if each.uuid == uuid), None)
    if mount is None:
        return False, _GONE
    if names.is_sealed(mount):
        return None
    kept = names.kept_at(mount, path)
    if kept is None:
        return False, _GONE
    if kept.current == 0 and number == 0:
        return True, _UNVERSIONED
    if kept.current == number:
        return True, f"version {number} is current"
    if _is_same(_values(kept, number), _values(kept, kept.current)):
        return True, f"version {kept.current} has the value of version {number}"
    return False, f"version {kept.current} is current"


def _values(kept: Kept, number: int) -> tuple[Secret, ...]:
    """Return the texts in a version; empty if it is not kept any more."""
    try:
        return kept.values(number)
    except NotFound:
        return ()


def _is_same(one: tuple[Secret, ...], other: tuple[Secret, ...]) -> bool:
    """Return whether two versions have the same texts, in the same order."""
    if not one or len(one) != len(other):
        return False
    pairs = zip(one, other, strict=True)
    return all(hmac.compare_digest(first.reveal(), second.reveal()) for first, second in pairs)
