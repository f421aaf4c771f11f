"""Find the secrets that have the value of an exposed version, under whatever name.

Whoever knows a password can use it everywhere it is used. When it is replaced under the name under
which it was exposed, another secret of the vault may still have it, and a system that takes it. The
current versions of all secrets are searched, those of the exposed ones too, as they are and
decoded (fingerprints.layers), for the exposed texts and what these contain (texts.forms_of).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.evidence.node import NodeId, place_of
from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept
from ironkeep.incident.case.fingerprints import Found, Prints, search
from ironkeep.incident.case.workspace import Workspace
from ironkeep.incident.eviction.texts import Fields, fields_of, forms_of, secret_texts
from ironkeep.plugin.effects.effects import Steps, pause
from ironkeep.plugin.mount import Mount

AT_ONCE: Final = 3_072
"""Bytes searched in one turn, where each text and secret counts `OVERHEAD` more: some 4 ms."""

OVERHEAD: Final = 64

AT_HAND: Final = 1_024
"""Bytes of a text that are searched in a turn; a longer one is searched on a worker. Searching
takes 1 ms a kilobyte, most of it for its encodings."""

HIDDEN: Final = (
    "another secret, which you may not read, has its value: have it probed by somebody who may "
    "read that one"
)
_CROWDED: Final = "a secret that takes too many comparisons may have its value: remove it"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where values are current, in words, by version; and what was not looked at.

    `searched` are the versions whose texts are known, `sealed` the mounts that nobody can look at.
    """

    found: dict[NodeId, str] = field(default_factory=dict)
    searched: set[NodeId] = field(default_factory=set)
    sealed: list[str] = field(default_factory=list)


def elsewhere(workspace: Workspace, versions: Iterable[NodeId]) -> Steps[Elsewhere]:
    """Return where the values of versions are current, be it in the secrets that had them.

    Values shorter than 8 bytes are not looked for: they would be found by chance. The turn in which
    it begins must not have written anything.
    """
    prints, told = Prints(workspace.call.entropy.token(32)), Elsewhere()
    for version in versions:
        for text in exposed_texts(workspace, version):
            told.searched.add(version)
            for form in forms_of(text):
                prints.add(version, Secret(form))
    if not prints.by_anchor:
        return told
    done = 0
    for mount, kept in _kept(workspace, told):
        done += OVERHEAD
        for _, value in fields_of(kept, kept.current):
            done += len(value) + OVERHEAD if len(value) <= AT_HAND else AT_ONCE
            seen = yield from _searched(value, prints)
            _note(workspace, told, seen, mount, kept)
        if done >= AT_ONCE:
            done = 0
            yield from pause()
    yield from _look_at_admins(workspace, prints, told)
    return told


def exposed_texts(workspace: Workspace, version: NodeId) -> list[bytes]:
    """Return the texts of an exposed version that may be secret, as far as they are kept."""
    return secret_texts(fields_at(workspace, version))


def fields_at(workspace: Workspace, version: NodeId) -> Fields:
    """Return all texts of a version with their fields, as far as they are kept."""
    uuid, path = place_of(version)
    names = workspace.names
    mount = next((each for each in names.mounts() if each.uuid == uuid), None)
    if mount is None or names.is_sealed(mount):
        return ()
    kept = names.kept_at(mount, path)
    return () if kept is None else fields_of(kept, number_of(version))


def number_of(version: NodeId) -> int:
    """Return the number of a secret's version."""
    return int(version.rpartition("@")[2])


def _kept(workspace: Workspace, told: Elsewhere) -> Iterator[tuple[Mount, Kept]]:
    """Yield every secret that can be read now, with its mount; note the mounts that are sealed."""
    names = workspace.names
    for mount in names.mounts():
        if not names.is_sealed(mount):
            yield from ((mount, each) for each in names.kept(mount))
        elif not names.is_destroyed(mount):
            told.sealed.append(mount.path)


def _searched(value: Secret, prints: Prints) -> Steps[Found]:
    """Return what a text has in it."""
    if len(value) <= AT_HAND:
        return search(value.reveal(), prints, ())
    _, found = yield lambda: search(value.reveal(), prints, ())
    assert isinstance(found, Found)
    return found


def _note(workspace: Workspace, told: Elsewhere, seen: Found, mount: Mount, kept: Kept) -> None:
    """Put on record which versions a current version has the values of."""
    for version in seen.versions if seen.complete else told.searched:
        is_own = place_of(version) == (mount.uuid, kept.path)
        if is_own and kept.current in {0, number_of(version)}:
            continue
        if version not in seen.versions:
            words = _CROWDED
        elif is_own:
            words = f"version {kept.current} has the value of version {number_of(version)}"
        elif workspace.names.may_tell(mount.uuid, kept.path, mount.path + kept.read):
            words = f"{mount.path}{kept.path} version {kept.current} has its value"
        else:
            words = HIDDEN
        # A name that the caller may know says more than that there is one.
        if told.found.get(version, HIDDEN) == HIDDEN:
            told.found[version] = words


def _look_at_admins(workspace: Workspace, prints: Prints, told: Elsewhere) -> Steps[None]:
    """Put on record which values are those by which the vault administers a system."""
    names = workspace.names
    for mount in (each for each in names.mounts() if not names.is_sealed(each)):
        for path, value in names.admins(mount):
            may_tell = names.may_tell(mount.uuid, path, mount.path + path)
            words = f"{mount.path}{path} administers its system with it" if may_tell else HIDDEN
            for version in search(value.reveal(), prints, ()).versions:
                if told.found.get(version, HIDDEN) == HIDDEN:
                    told.found[version] = words
        yield from pause()
