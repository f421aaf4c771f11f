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
from ironkeep.credentials.listing import STATIC, Kept
from ironkeep.incident.case.workspace import Workspace
from ironkeep.plugin.effects.effects import Steps, Turn, pause

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
_PLAIN: Final = frozenset({
    "database", "dbname", "email", "endpoint", "engine", "host", "hostname", "port", "region",
    "role", "scheme", "type", "url", "user", "username",
})  # fmt: skip
"""Names of fields that say where a secret is used and by whom. A replaced secret may keep them.

Fields of free text, such as `note`, are not among them: people keep secrets there.
"""

_USERINFO: Final = b"@"
_URL: Final = b"://"


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
    replaced = f"version {kept.current} is current"
    # A version that began later is that of a secret that was stored anew under the old name.
    anew = _began(kept, number) > _known_ns(workspace, version)
    exposed = () if anew else _fields(kept, number)
    if exposed:
        if _is_among(exposed, _fields(kept, kept.current)):
            return True, f"version {kept.current} has the value of version {number}"
        return False, replaced
    if _is_generated(kept) or _seen(workspace, version, kept):
        return False, replaced
    return True, _UNREADABLE.format(number=number, current=kept.current)


def _known_ns(workspace: Workspace, version: NodeId) -> int:
    """Return when a version was exposed, or was named as a subject, which is later."""
    file = workspace.file
    opening = file.case.opening
    named = opening.entry.time_ns if opening and version in file.case.subjects else 0
    return max(file.rows[version].exposed_ns, named)


def _is_generated(kept: Kept) -> bool:
    """Return whether each version of a secret is a new value by the way in which it is made."""
    return kept.path.startswith(f"{STATIC}/")


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


def _fields(kept: Kept, number: int) -> tuple[tuple[str, Secret], ...]:
    """Return the texts in a version with their fields; empty if it is not kept any more."""
    try:
        return kept.fields(number)
    except NotFound:
        return ()


def _is_among(
    exposed: tuple[tuple[str, Secret], ...], current: tuple[tuple[str, Secret], ...]
) -> bool:
    """Return whether a secret text of an exposed version stands in the current one, anywhere.

    White space around a text does not make it another one. A version without any text that may be
    secret is compared by all that it has.
    """
    old = [value.reveal().strip() for name, value in exposed if not _is_plain(name, value)]
    new = [value.reveal().strip() for _, value in current]
    if not any(old):
        old = [value.reveal().strip() for _, value in exposed]
    return any(each and hmac.compare_digest(each, other) for each in old for other in new)


def _is_plain(name: str, value: Secret) -> bool:
    """Return whether a field only describes a secret. A URL can have a password in it."""
    text = value.reveal()
    return name.casefold() in _PLAIN and not (_URL in text and _USERINFO in text)
