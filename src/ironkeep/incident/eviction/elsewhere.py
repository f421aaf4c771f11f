"""Find the secrets that have the value of an exposed version of another secret.

Whoever knows a password can use it everywhere it is used. When it is replaced under the name under
which it was exposed, another secret of the vault may still have it, and a system that takes it.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ironkeep.core.evidence.node import NodeId, place_of
from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept
from ironkeep.incident.case.fingerprints import Budget, Prints, normal
from ironkeep.incident.case.workspace import Workspace
from ironkeep.incident.eviction.texts import fields_of, secret_texts
from ironkeep.plugin.effects.effects import Steps, pause
from ironkeep.plugin.mount import Mount

AT_ONCE: Final = 50
"""Secrets looked at in one turn: some milliseconds."""

MAX_SEARCHED: Final = 4_096
"""Bytes of a text that are searched for a value inside it; only the whole of a longer one counts.
Searching takes 0.2 ms a kilobyte."""

_HIDDEN: Final = (
    "another secret, which you may not read, has its value: have it probed by somebody who may "
    "read that one"
)


def elsewhere(workspace: Workspace, versions: Iterable[NodeId]) -> Steps[dict[NodeId, str]]:
    """Return where the values of versions are current as well, in words, by version.

    Values shorter than 8 bytes are not looked for: they would be found by chance. A sealed segment
    gives nothing out, and is not looked at.
    """
    prints, found = Prints(workspace.call.entropy.token(32)), dict[NodeId, str]()
    for version in versions:
        for text in _exposed(workspace, version):
            prints.add(version, Secret(text))
    if not prints.by_anchor:
        return found
    for number, (mount, kept) in enumerate(_kept(workspace), start=1):
        for version in _same(prints, mount, kept):
            # A name that the caller may know says more than that there is one.
            if found.get(version, _HIDDEN) == _HIDDEN:
                found[version] = _words(workspace, mount, kept)
        if number % AT_ONCE == 0:
            yield from pause()
    return found


def _exposed(workspace: Workspace, version: NodeId) -> list[bytes]:
    """Return the texts of an exposed version that may be secret, as far as they are kept."""
    uuid, path = place_of(version)
    names = workspace.names
    mount = next((each for each in names.mounts() if each.uuid == uuid), None)
    if mount is None or names.is_sealed(mount):
        return []
    kept = names.kept_at(mount, path)
    if kept is None or kept.is_generated:
        return []
    return secret_texts(fields_of(kept, int(version.rpartition("@")[2])))


def _kept(workspace: Workspace) -> Iterator[tuple[Mount, Kept]]:
    """Yield every secret that can be read now, with its mount."""
    names = workspace.names
    for mount in names.mounts():
        if not names.is_sealed(mount):
            yield from ((mount, each) for each in names.kept(mount))


def _same(prints: Prints, mount: Mount, kept: Kept) -> Iterator[NodeId]:
    """Yield the versions of other secrets whose value stands in the current version of this one."""
    for _, value in fields_of(kept, kept.current):
        text = normal(value.reveal())
        found = prints.found_in(text, Budget()) if len(text) <= MAX_SEARCHED else prints.whole(text)
        yield from (each for each in sorted(found) if place_of(each) != (mount.uuid, kept.path))


def _words(workspace: Workspace, mount: Mount, kept: Kept) -> str:
    """Return where a value was found, if the caller may know it."""
    if not workspace.names.may_tell(mount.uuid, kept.path, mount.path + kept.read):
        return _HIDDEN
    return f"{mount.path}{kept.path} version {kept.current} has its value"
