"""The metadata and configuration endpoints of KV version 2."""

from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.credentials.gone.removed import Gone, Removed
from ironkeep.credentials.scope import Scope
from ironkeep.engines.kv import metadata as meta, versions as stored
from ironkeep.engines.kv.metadata import KeyMetadata
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.effects.pauses import later
from ironkeep.plugin.fields import Duration
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route


@dataclass(frozen=True)
class MountSettings:
    """Limits of a mount or a key; None leaves a limit unchanged."""

    path: str = ""
    max_versions: int | None = None
    cas_required: bool | None = None
    delete_version_after: Duration | None = None


@dataclass(frozen=True)
class KeySettings(MountSettings):
    """Limits of a key and its custom metadata."""

    custom_metadata: dict[str, Any] | None = field(
        default=None, metadata={"help": "strings by name; replaces all present pairs"}
    )


@dataclass(frozen=True)
class Key:
    """The input that names a key."""

    path: str


def read_config(call: Call) -> Response:
    """Return the mount's defaults."""
    return Response(data=meta.load_config(call.store).shape())


def write_config(call: Call, given: MountSettings) -> Response:
    """Change the mount's defaults."""
    config = meta.load_config(call.store)
    meta.save_config(call.store, msgspec.structs.replace(config, **_changes(given)))
    return Response()


def read(call: Call, given: Key) -> Response | Suspend:
    """Return a key's metadata."""
    return _listed(call, given.path, 0, {})


def _listed(call: Call, path: str, created_ns: int, shapes: dict[int, bytes]) -> Response | Suspend:
    """Add a turn's worth of versions to `shapes`; answer when all are there.

    A version that is added or removed meanwhile is shown or left out as of the last turn. A key
    that is made again meanwhile, as its time of creation tells, is listed from the start.
    """
    key = meta.load(call.store, path)
    if key is None:
        raise NotFound("")
    if key.created_ns != created_ns:
        shapes = {}
    since = max(shapes, default=0) + 1
    for number, version in islice(stored.every(call.store, path, key, since), stored.LISTED):
        shapes[number] = version.listed(number)
    if max(shapes, default=0) < key.current:
        created_ns = key.created_ns
        return later(lambda call: _listed(call, path, created_ns, shapes))
    return Response(data=key.shape(shapes))


def write(call: Call, given: KeySettings) -> Response:
    """Change a key's limits and custom metadata; create the key if there is none.

    A write without any setting neither creates nor changes anything.
    """
    if not given.path:
        raise InvalidRequest("missing path")
    now = call.now_ns
    key = meta.load(call.store, given.path) or KeyMetadata(created_ns=now, updated_ns=now)
    changes = _changes(given)
    if given.custom_metadata is not None:
        changes["custom"] = meta.check_custom(given.custom_metadata)
    if not changes:
        return Response()
    call.use(Scope).custom(call, given.path, changes.get("custom"))
    stored.save(call.store, given.path, msgspec.structs.replace(key, updated_ns=now, **changes))
    return Response()


def patch(call: Call, given: KeySettings) -> Response:
    """Change parts of a key's metadata; a null removes a limit or a custom pair."""
    key = meta.load(call.store, given.path)
    if key is None:
        raise NotFound("")
    changes = _changes(given)
    for name, default in (("max_versions", 0), ("cas_required", False)):
        if name in call.raw and call.raw[name] is None:
            changes[name] = default
    if "delete_version_after" in call.raw and call.raw["delete_version_after"] is None:
        changes["delete_after_seconds"] = 0
    if "custom_metadata" in call.raw:
        changes["custom"] = _patched(key.custom or {}, given.custom_metadata)
    call.use(Scope).custom(call, given.path, changes.get("custom"))
    now = call.now_ns
    stored.save(call.store, given.path, msgspec.structs.replace(key, updated_ns=now, **changes))
    return Response()


def _patched(custom: dict[str, str], patch: dict[str, Any] | None) -> dict[str, str] | None:
    if patch is None:
        return None
    merged = {name: value for name, value in custom.items() if patch.get(name, value) is not None}
    merged.update({name: value for name, value in patch.items() if value is not None})
    return meta.check_custom(merged)


def delete(call: Call, given: Key) -> Response | Suspend:
    """Remove a key with all its versions, the oldest first if they take several turns."""
    key = meta.load(call.store, given.path)
    if key is None:
        return Response()
    count = min(key.count, stored.CHANGED)
    left = stored.drop(call.store, given.path, key, count, call.now_ns)
    if count < key.count:
        stored.save(call.store, given.path, left)
        return later(lambda call: delete(call, given), durable=True)
    if left.past:
        gone = [Gone(given.path, f"data/{given.path}", left.past)]
        call.use(Removed).add(call.tx, call.mount.uuid, gone, call.now_ns)
    call.store.delete(f"meta/{given.path}")
    return Response()


def list_keys(call: Call) -> Response | Suspend:
    """Return the names directly below the path."""
    return list_folder(call, call.store, f"meta/{call.params['path']}")


def exists(call: Call) -> bool:
    """Return whether the key has metadata."""
    return meta.load(call.store, call.params["path"]) is not None


def _changes(given: MountSettings) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if given.max_versions is not None:
        if not 0 <= given.max_versions <= meta.MAX_MAX_VERSIONS:
            raise InvalidRequest(f"max_versions must be between 0 and {meta.MAX_MAX_VERSIONS}")
        changes["max_versions"] = given.max_versions
    if given.cas_required is not None:
        changes["cas_required"] = given.cas_required
    if given.delete_version_after is not None:
        changes["delete_after_seconds"] = given.delete_version_after
    return changes


ROUTES: Final = (
    Route(Operation.READ, "config", read_config, help="The mount's defaults."),
    Route(
        Operation.UPDATE, "config", write_config, MountSettings,
        audited=("max_versions", "cas_required"), help="Change the mount's defaults.",
    ),
    Route(Operation.LIST, "metadata/{path...}", list_keys, help="List keys."),
    Route(Operation.READ, "metadata/{path...}", read, Key, help="A key's metadata."),
    Route(
        Operation.UPDATE, "metadata/{path...}", write, KeySettings, exists=exists, makes=True,
        audited=("max_versions", "cas_required"), help="Change a key's metadata.",
    ),
    Route(
        Operation.PATCH, "metadata/{path...}", patch, KeySettings,
        help="Change parts of a key's metadata.",
    ),
    Route(
        Operation.DELETE, "metadata/{path...}", delete, Key,
        help="Remove a key with all its versions.",
    ),
)  # fmt: skip
