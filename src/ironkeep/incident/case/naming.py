"""Translate the names that people write into nodes of the exposure graph.

person:<id, name or alias>   token:<accessor>   document:<name>   device:<id or name>
secret/app/db                the current version        secret/app/db@3   that version
secret/app/db@*              every version              system:…, store:… are nodes as written
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence.node import (
    NodeId,
    NodeKind,
    is_family,
    node,
    parse_node,
    place_of,
    secret_family,
    secret_version,
    version_of,
)
from ironkeep.core.ids import DeviceId, EntityId, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.core.secret import Secret
from ironkeep.credentials.listing import Kept, Spot, kept_at, kept_of, spot_of
from ironkeep.credentials.store import CONFIG, CredentialId
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Table
from ironkeep.store.reserved import MOUNTS

MAX_NAME: Final = 2_048
"""Characters of a written name; long paths fit."""
MAX_DEVICES: Final = 1_024
"""Devices among which a name is looked for: past it, devices are named by their ids."""

_FAMILY: Final = "*"
_NUMBER: Final = re.compile(r"\d{1,18}", re.ASCII)
_SESSION: Final = "token:"
_PERSON: Final = "person:"
_DEVICE: Final = "device:"
_KINDS: Final = frozenset(map(str, NodeKind)) - {NodeKind.ALL_OF}


class Names:
    """Resolves names against the vault's state in one request."""

    def __init__(self, call: Call) -> None:
        self._call: Final = call
        self._house: Final = call.use(House)
        self.table: Final[Table] = self._house.mounts.table(self._house.store(call.tx, MOUNTS))

    def mounts(self) -> list[Mount]:
        """Return every mount, by path."""
        return list(self.table.by_path.values())

    def is_sealed(self, mount: Mount) -> bool:
        """Return whether a mount's contents are unknown, because its segment is sealed."""
        segments = self._house.segments
        segment = segments.table(self._call.tx).by_place.get(mount.uuid)
        return segment is not None and not segments.keys.is_open(segment)

    def is_destroyed(self, mount: Mount) -> bool:
        """Return whether nothing can ever be read from a mount again: its segment has no keys."""
        segment = self._house.segments.table(self._call.tx).by_place.get(mount.uuid)
        return segment is not None and segment.state != "live"

    def kept(self, mount: Mount) -> Iterator[Kept]:
        """Yield the secrets stored in a mount, in no order."""
        house, tx = self._house, self._call.tx
        plugin = house.plugins.get(mount.type)
        return kept_of(plugin, mount, house.mount_store(tx, mount), house.credentials.store, tx)

    def kept_at(self, mount: Mount, path: str) -> Kept | None:
        """Return the secret stored at a path of a mount, or None."""
        house, tx = self._house, self._call.tx
        plugin, store = house.plugins.get(mount.type), house.mount_store(tx, mount)
        return kept_at(plugin, mount, store, house.credentials.store, tx, path)

    def has_version(self, mount: Mount, secret: NodeId) -> bool:
        """Return whether a stored secret has, or had, the version that a node names."""
        if is_family(secret):
            return True
        kept = self.kept_at(mount, place_of(secret)[1])
        known = () if kept is None else (kept.current, *(each.number for each in kept.versions))
        return version_of(secret) <= max(known, default=0)

    def may_tell(self, mount: MountUuid, path: str, read: str) -> bool:
        """Return whether the caller may read a secret by policy alone; `read` is its API path.

        That a text occurs in a secret confirms a value just as a read does. So a match with a
        secret whose read needs a touch or an approval is not reported either.
        """
        secret_class = self._house.features.classes.of(self._call.tx, mount, path)
        if secret_class is not SecretClass.OPEN:
            return False
        return bool(self._call.actor().acl.decide(read, Operation.READ).allowed)

    def admins(self, mount: Mount) -> Iterator[tuple[str, Secret]]:
        """Yield path and present password of the accounts by which a mount administers systems."""
        credentials, tx = self._house.credentials.store, self._call.tx
        for name in credentials.paths(tx, mount.uuid, CONFIG.rstrip("/")):
            which = CredentialId(mount.uuid, CONFIG + name)
            current = credentials.current(tx, which)
            if current is not None:
                yield which.path, credentials.secret(tx, which, current)

    def spot(self, secret: NodeId) -> tuple[Mount, Spot]:
        """Return the mount of a secret's node, and what is at its path there."""
        uuid, path = place_of(secret)
        mount = next(each for each in self.mounts() if each.uuid == uuid)
        house, tx = self._house, self._call.tx
        plugin = house.plugins.get(mount.type)
        store = None if self.is_sealed(mount) else house.mount_store(tx, mount)
        return mount, spot_of(plugin, mount, store, house.credentials.store, tx, path)

    def subject(self, text: str) -> NodeId:
        """Return the node of a case's subject; raise InvalidRequest for an unknown one."""
        text = _printable(text)
        if text.startswith(_SESSION):
            return node(NodeKind.SESSION, text.removeprefix(_SESSION))
        if text.startswith(_PERSON):
            return self._person(text.removeprefix(_PERSON))
        if text.startswith(_DEVICE):
            return self._device(text.removeprefix(_DEVICE))
        if ":" in text or "/" in text:
            return self.node(text)
        found = self._found(text)
        if len(found) != 1:
            raise InvalidRequest(
                f"{text[:80]!r} is {'no' if not found else 'more than one'} person, token or "
                "document: write person:NAME, token:ACCESSOR or document:NAME"
            )
        return found[0]

    def named(self, text: str) -> NodeId:
        """Return the node of a subject, or of any name that `node` accepts."""
        people = text.strip().startswith((_SESSION, _PERSON, _DEVICE))
        plain = ":" not in text and "/" not in text
        return self.subject(text) if people or plain else self.node(text)

    def node(self, text: str, *, family: bool = False) -> NodeId:
        """Return the node of `kind:name` as written, or of the path of a secret.

        A path without a version means the current version, or with `family` all versions.
        """
        text = _printable(text)
        kind, colon, _ = text.partition(":")
        if colon and kind in _KINDS:
            return parse_node(text)
        return self.secret(text, family=family)

    def secret(self, text: str, *, family: bool = False) -> NodeId:
        """Return the node of a secret's path (see the module); raise InvalidRequest."""
        path, at, version = _printable(text).rpartition("@")
        if not at or not (version == _FAMILY or _NUMBER.fullmatch(version)):
            path, version = text, _FAMILY if family else ""
        mount = self.table.find(path)
        if mount is None:
            raise InvalidRequest(
                f"{path[:80]!r} is not below a mount: write mount/path or mount/path@2"
            )
        inside = path.removeprefix(mount.path)
        if mount.options.get("version") == "2":
            inside = inside.removeprefix("data/")
        if version == _FAMILY:
            return secret_family(mount.uuid, inside)
        if version:
            return secret_version(mount.uuid, inside, int(version))
        kept = self.kept_at(mount, inside)
        if kept is not None:
            return secret_version(mount.uuid, inside, kept.current)
        raise InvalidRequest(f"there is no secret {path[:80]!r}: give its version, {path[:80]}@1")

    def _person(self, text: str) -> NodeId:
        found = self._entities(text)
        if len(found) != 1:
            raise InvalidRequest(f"{'no' if not found else 'more than one'} person {text[:80]!r}")
        return found[0]

    def _device(self, text: str) -> NodeId:
        """Return the node of a device by id or name; revoked devices keep their records."""
        devices, tx = self._house.features.devices, self._call.tx
        if devices.get(tx, DeviceId(text)) is not None:
            return node(NodeKind.DEVICE, text)
        ids = devices.ids(tx)
        if len(ids) > MAX_DEVICES:
            raise InvalidRequest(f"there are more than {MAX_DEVICES} devices: give the device's id")
        records = (devices.get(tx, each) for each in ids)
        named = [each.id for each in records if each is not None and each.name == text]
        if len(named) != 1:
            raise InvalidRequest(
                f"{'no' if not named else 'more than one'} device {text[:80]!r}: give its id, from "
                "`ironkeep list device/devices`"
            )
        return node(NodeKind.DEVICE, named[0])

    def _found(self, text: str) -> list[NodeId]:
        call, house = self._call, self._house
        found = self._entities(text)
        if house.tokens.find_accessor(call.tx, text, call.now_ns) is not None:
            found.append(node(NodeKind.SESSION, text))
        if call.store.row(document_path(text)) is not None:
            found.append(node(NodeKind.DOCUMENT, text))
        return found

    def _entities(self, text: str) -> list[NodeId]:
        tx, identity = self._call.tx, self._house.identity
        auths = [mount for mount in self.mounts() if mount.path.startswith("auth/")]
        # The id also finds a deleted entity, because its tokens may have read secrets before.
        known = [
            identity.stored(tx, EntityId(text))[2],
            identity.by_name(tx, text),
            *(identity.by_alias(tx, mount.accessor, text) for mount in auths),
        ]
        ids = dict.fromkeys(entity.id for entity in known if entity is not None)
        return [node(NodeKind.PERSON, each) for each in ids]


def _printable(text: str) -> str:
    """Return text stripped; raise InvalidRequest when it is empty, long or unprintable."""
    stripped = text.strip()
    if not stripped or len(stripped) > MAX_NAME or not stripped.isprintable():
        raise InvalidRequest(f"a name has 1 to {MAX_NAME} printable characters")
    return stripped


def document_path(name: str) -> str:
    """Return the storage path of a registered document."""
    return f"document/{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
