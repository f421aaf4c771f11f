"""Compare exposed versions of secrets with what the vault gives out under their names today.

Whoever replaces a secret by hand says so, and the vault can look: it has the versions. A version
that is still current, or whose value the current one has again, is not replaced. Neither is one
whose value another secret has: who knows it can use it there (elsewhere.py). The comparison is a
record of its own (`records.Compared`), without any value.
"""

from collections.abc import Iterable
from typing import Any, Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of, place_of
from ironkeep.credentials.listing import Kept
from ironkeep.incident.case.workspace import Workspace
from ironkeep.incident.eviction.elsewhere import elsewhere
from ironkeep.incident.eviction.texts import fields_of, is_among
from ironkeep.plugin.effects.effects import Steps, pause

IN_A_TURN: Final = 8
"""Secrets compared in one turn: some milliseconds."""

_GONE: Final = "the vault has no such secret any more"
_UNVERSIONED: Final = (
    "the mount keeps no versions, so whether the value was replaced cannot be told: delete it, and "
    "store the new one in a mount of version 2"
)
_UNREADABLE: Final = (
    "version {number} is not kept as it was read, or has no text, so whether version {current} has "
    "its value cannot be told: undelete it and probe again, or exempt it"
)


def compare(workspace: Workspace, chosen: Iterable[NodeId]) -> Steps[list[dict[str, Any]]]:
    """Record the comparison of each revoked version in chosen; return the results.

    A secret in a sealed segment cannot be looked at, and stays open in the case.
    """
    results, versions = list[dict[str, Any]](), list(chosen)
    others = yield from elsewhere(workspace, versions)
    turn = yield from pause()
    for number, version in enumerate(versions, start=1):
        found = _look(workspace, version)
        if found is not None and not found[0] and version in others:
            found = True, others[version]
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
    replaced = f"version {kept.current} is current"
    # A version that began later is that of a secret that was stored anew under the old name.
    anew = _began(kept, number) > _known_ns(workspace, version)
    exposed = () if anew else fields_of(kept, number)
    if exposed:
        if is_among(exposed, fields_of(kept, kept.current)):
            return True, f"version {kept.current} has the value of version {number}"
        return False, replaced
    if kept.is_generated or _seen(workspace, version, kept):
        return False, replaced
    return True, _UNREADABLE.format(number=number, current=kept.current)


def _known_ns(workspace: Workspace, version: NodeId) -> int:
    """Return when a version was exposed, or was named as a subject, which is later."""
    file = workspace.file
    opening = file.case.opening
    named = opening.entry.time_ns if opening and version in file.case.subjects else 0
    return max(file.rows[version].exposed_ns, named)


def _seen(workspace: Workspace, version: NodeId, kept: Kept) -> bool:
    """Return whether the last comparison saw that this current version has another value."""
    began_ns = _began(kept, kept.current)
    last = workspace.file.about(ev.Compared, version, "")[-1:]
    words = f"version {kept.current} is current"
    return any(
        not each.record.same and each.record.words == words and each.record.at_ns >= began_ns
        for each in last
    )


def _began(kept: Kept, number: int) -> int:
    """Return the instant since which a version could be read; 0 if it is not known."""
    return next((each.from_ns for each in kept.versions if each.number == number), 0)
