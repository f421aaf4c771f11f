"""The people, devices and secrets that a search of the journal names.

A name that nothing has is refused, and so is one that several have: an empty table would look like
an answer. People and devices keep their records when they are deleted or revoked, so their ids are
found for good.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from ironkeep.access.devices.devices import Devices
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.identity.entities import Entity, Identity
from ironkeep.identity.token_params import display_name
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.store.reserved import MOUNTS

MAX_NAME: Final = 1_024
"""Characters of a name, or of a path."""
MAX_DEVICES: Final = 1_024
"""Devices among which a name is looked for: past it, devices are named by their ids."""
MAX_MOUNTS: Final = 1_000
"""Removed mounts among which those of a person's logins are looked for."""

_KV: Final = "kv"
_VERBS: Final = ("data", "metadata", "delete", "undelete", "destroy", "subkeys")
_SHOWN: Final = 8

_MOUNT: Final = msgspec.json.Decoder(Mount)


@dataclass(frozen=True, slots=True)
class Person:
    """A person: the entity's id, and its login names as mount uuid/name."""

    entity: EntityId
    logins: tuple[str, ...]


NOBODY: Final = Person(EntityId(""), ())
"""The person of a search that asks for none."""


def person(call: Call, text: str) -> Person:
    """Return a person by entity id, entity name, login name, or mount/login name.

    mount-login, as entries name the holder of a token, is found too.

    Raises InvalidRequest for an unknown one, and if several have the name.
    """
    text = _printable(text, "entity")
    identity, mounts = call.use(Identity), _mounts(call)
    found: dict[EntityId, Entity] = {}
    for known in (
        identity.stored(call.tx, EntityId(text))[2],
        identity.by_name(call.tx, text),
        *(
            identity.by_alias(call.tx, mount.accessor, name)
            for mount in mounts.values()
            for name in _names_at(mount, text)
        ),
    ):
        if known is not None:
            found.setdefault(known.id, known)
    if not found:
        raise InvalidRequest(
            f"there is no person {text[:80]!r}: give the entity's id or name, or a login name such "
            "as alice or userpass/alice. Tokens without a person are found by `accessor`"
        )
    if len(found) > 1:
        raise InvalidRequest(_several("person", text, list(found)))
    (entity,) = found.values()
    return Person(entity.id, _logins(call, entity, mounts))


def device(call: Call, text: str) -> DeviceId:
    """Return a device by its id or name, revoked ones too; errors as `person`."""
    text = _printable(text, "device")
    devices = call.use(Devices)
    record = devices.get(call.tx, DeviceId(text))
    if record is not None:
        return record.id
    ids = devices.ids(call.tx)
    if len(ids) > MAX_DEVICES:
        raise InvalidRequest(f"there are more than {MAX_DEVICES} devices: give the device's id")
    named = [each for each in ids if _is_named(devices, call, each, text)]
    if not named:
        raise InvalidRequest(f"there is no device {text[:80]!r}: give its id or its name")
    if len(named) > 1:
        raise InvalidRequest(_several("device", text, named))
    return named[0]


def secret(call: Call, text: str) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Return ((mount uuid, record path), API paths) of a KV secret, in all its versions.

    `text` is mount/path, or the API path of its data. Raises InvalidRequest below no KV mount.
    """
    path = _printable(text, "secret").removeprefix("/")
    table = call.use(House).mounts.table(call.services.store(call.tx, MOUNTS))
    mount = table.find(path)
    inside = "" if mount is None else path.removeprefix(mount.path)
    if mount is None or mount.type != _KV or not inside or inside.endswith("/"):
        raise InvalidRequest(
            f"{path[:80]!r} is no path of a secret in a KV engine: write mount/path"
        )
    if mount.options.get("version") != "2":
        return (mount.uuid, inside), (path,)
    inside = inside.removeprefix("data/")
    return (mount.uuid, inside), tuple(f"{mount.path}{verb}/{inside}" for verb in _VERBS)


def _logins(call: Call, entity: Entity, mounts: dict[str, Mount]) -> tuple[str, ...]:
    """Return a person's login names with the uuids of their mounts, removed ones too."""
    known = {mount.accessor: mount for mount in mounts.values()}
    if any(alias.mount not in known for alias in entity.aliases):
        history = call.use(House).history
        for uuid in history.names(call.tx, "mount")[:MAX_MOUNTS]:
            for interval in history.intervals(call.tx, "mount", uuid)[-1:]:
                mount = _MOUNT.decode(interval.value)
                known.setdefault(mount.accessor, mount)
    aliases = (each for each in entity.aliases if each.mount in known)
    return tuple(f"{known[alias.mount].uuid}/{alias.name}" for alias in aliases)


def _mounts(call: Call) -> dict[str, Mount]:
    """Return the auth mounts by path."""
    table = call.use(House).mounts.table(call.services.store(call.tx, MOUNTS))
    return {path: each for path, each in table.by_path.items() if path.startswith("auth/")}


def _names_at(mount: Mount, text: str) -> list[str]:
    """Return the login names that text may mean at a mount."""
    short = mount.path.removeprefix("auth/")
    prefixes = ("", mount.path, short, f"{display_name(mount)}-")
    return [text.removeprefix(each) for each in prefixes if text.startswith(each)]


def _is_named(devices: Devices, call: Call, device: DeviceId, text: str) -> bool:
    record = devices.get(call.tx, device)
    return record is not None and record.name == text


def _several(what: str, text: str, ids: list[EntityId] | list[DeviceId]) -> str:
    shown = ", ".join(ids[:_SHOWN])
    return f"{len(ids)} have the {what} name {text[:80]!r}: give one of the ids {shown}"


def _printable(text: str, what: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise InvalidRequest(f"{what}: 1 to {MAX_NAME} printable characters")
    return text
