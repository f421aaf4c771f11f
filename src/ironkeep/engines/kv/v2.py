"""KV version 2: versions, check-and-set, soft delete, destroy, metadata.

Source: the Vault HTTP API, secret/kv/kv-v2. A deleted or destroyed version answers 404 with the
whole envelope and data null; the CLI and hvac rely on it. This file has the data handlers,
v2_metadata.py those of metadata and configuration.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound
from ironkeep.core.event import WROTE, Released
from ironkeep.core.operation import Operation
from ironkeep.core.text.numbers import loads
from ironkeep.engines.kv import document, metadata as meta, v2_metadata, versions as stored
from ironkeep.engines.kv.metadata import KeyMetadata, Known, Version
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.pauses import later
from ironkeep.plugin.fields import IntList
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.store.barrier import Store

WRONG_PATH: Final = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "
    "endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation."
)
_NUMBER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
MAX_VERSIONS_A_CALL: Final = 1_000


@dataclass(frozen=True)
class Which:
    """The query of a read."""

    path: str
    version: int = field(default=0, metadata={"help": "0 means the current version"})


@dataclass(frozen=True)
class Put:
    """The body of a write."""

    path: str
    data: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Versions:
    """The body of delete, undelete and destroy."""

    path: str
    versions: IntList = ()


@dataclass(frozen=True)
class Shape:
    """The query of subkeys."""

    path: str
    version: int = 0
    depth: int = 0


def _find(store: Store, path: str, version: int) -> tuple[Known, int, Version]:
    """Return (metadata, number, version); version 0 means the current one; raise NotFound."""
    known = meta.find(store, path)
    if known is None or version < 0:
        raise NotFound("")
    key = known.metadata
    number = version or key.current
    found = key.versions.get(number) or stored.find(store, path, key, number)
    if found is None:
        raise NotFound("")
    return known, number, found


def _record(store: Store, path: str, key: KeyMetadata, number: int) -> bytes:
    record = store.get(stored.data_path(path, key, number))
    if record is None:
        raise NotFound("")
    return record


def read(call: Call, given: Which) -> Response:
    """Return one version's data and metadata."""
    store = call.store
    known, number, version = _find(store, given.path, given.version)
    shape = known.version_shape(number, version)
    if version.is_gone(call.now_ns):
        return Response(data={"data": None, "metadata": shape}, absent=True)
    names, secret = document.split(_record(store, given.path, known.metadata, number))
    return Response(
        data={"data": secret, "metadata": shape},
        released=(Released(call.mount.uuid, given.path, number, names),),
    )


def subkeys(call: Call, given: Shape) -> Response:
    """Return the nested names of a version's data, with null leaves."""
    known, number, version = _find(call.store, given.path, given.version)
    shape = known.version_shape(number, version)
    if given.depth < 0:
        raise InvalidRequest("depth must not be negative")
    if version.is_gone(call.now_ns):
        return Response(data={"subkeys": None, "metadata": shape}, absent=True)
    _, secret = document.split(_record(call.store, given.path, known.metadata, number))
    stored = json.loads(secret.reveal())
    return Response(
        data={"subkeys": document.subkeys(stored, given.depth) or {}, "metadata": shape}
    )


def write(call: Call, given: Put) -> Response | Suspend:
    """Store a new version."""
    if given.data is None:
        raise InvalidRequest("no data provided")
    key = meta.load(call.store, given.path)
    config = meta.load_config(call.store)
    _check_and_set(key, config, given.options)
    if key is not None and _prune(call, given.path, key, config):
        return later(lambda call: write(call, given), durable=True)
    return _store(call, given.path, key, config, given.data)


def patch(call: Call, given: Put) -> Response | Suspend:
    """Store a new version: the current one with a JSON merge patch (RFC 7396) applied."""
    if given.data is None:
        raise InvalidRequest("no data provided")
    known, number, version = _find(call.store, given.path, 0)
    if version.is_gone(call.now_ns):
        shape = known.version_shape(number, version)
        return Response(data={"data": None, "metadata": shape}, absent=True)
    key = known.metadata
    config = meta.load_config(call.store)
    _check_and_set(key, config, given.options)
    if _prune(call, given.path, key, config):
        return later(lambda call: patch(call, given), durable=True)
    _, secret = document.split(_record(call.store, given.path, known.metadata, number))
    merged = document.merge(loads(secret.reveal()), given.data)
    return _store(call, given.path, key, config, merged)


def _check_and_set(
    key: KeyMetadata | None, config: meta.Config, options: Mapping[str, Any]
) -> None:
    required = config.cas_required or (key is not None and key.cas_required)
    cas = options.get("cas")
    if cas is None:
        if required:
            raise Conflict("check-and-set parameter required for this call")
        return
    if isinstance(cas, str) and _NUMBER.fullmatch(cas):
        cas = int(cas)
    if not isinstance(cas, int) or isinstance(cas, bool):
        raise InvalidRequest("error parsing check-and-set parameter")
    if cas != (key.current if key is not None else 0):
        raise Conflict("check-and-set parameter did not match the current version")


def _surplus(key: KeyMetadata, config: meta.Config) -> int:
    """Return how many versions a new one leaves above the limit."""
    return max(0, key.count + 1 - meta.limit_of(key, config))


def _prune(call: Call, path: str, key: KeyMetadata, config: meta.Config) -> bool:
    """Remove a turn's worth of versions if more are above the limit, which was lowered, then."""
    if _surplus(key, config) <= stored.CHANGED:
        return False
    key = stored.drop(call.store, path, key, stored.CHANGED, call.now_ns)
    stored.save(call.store, path, key)
    return True


def _store(
    call: Call,
    path: str,
    key: KeyMetadata | None,
    config: meta.Config,
    data: Mapping[str, Any],
) -> Response:
    now = call.now_ns
    if not path:
        raise InvalidRequest("missing path")
    key = key or KeyMetadata(created_ns=now, updated_ns=now)
    life = meta.delete_after_ns(key, config)
    version = Version(now, now + life if life else 0)
    body, surplus = document.encode(data), _surplus(key, config)
    known = stored.add(call.store, path, key, version, body, surplus)
    number = known.metadata.current
    return Response(
        data=known.version_shape(number, version),
        audited={"version": number, WROTE: f"{path}@{number}"},
    )


def delete(call: Call, given: Put) -> Response:
    """Mark the current version as deleted; succeed if there is none."""
    key = meta.load(call.store, given.path)
    if key is not None:
        stored.change(call.store, given.path, key, (key.current,), _deleted(call.now_ns))
    return Response()


def delete_versions(call: Call, given: Versions) -> Response | Suspend:
    """Mark versions as deleted."""
    return _change(call, given, _deleted(call.now_ns))


def undelete(call: Call, given: Versions) -> Response | Suspend:
    """Make deleted versions readable again, unless they were destroyed."""
    return _change(call, given, _undeleted)


def destroy(call: Call, given: Versions) -> Response | Suspend:
    """Remove the data of versions for good."""
    return _change(call, given, _destroyed)


def _change(
    call: Call, given: Versions, changed: Callable[[Version], Version], done: int = 0
) -> Response | Suspend:
    """Change the given versions in turns, without the first `done`; unknown ones are ignored."""
    key = _key_of(call, given)
    if key is None:
        return Response()
    turn = given.versions[done : done + stored.CHANGED]
    stored.change(call.store, given.path, key, turn, changed)
    done += len(turn)
    if done == len(given.versions):
        return Response()
    return later(lambda call: _change(call, given, changed, done), durable=True)


def _deleted(now_ns: int) -> Callable[[Version], Version]:
    def deleted(version: Version) -> Version:
        return version if version.is_gone(now_ns) else Version(version.created_ns, now_ns)

    return deleted


def _undeleted(version: Version) -> Version:
    return version if version.destroyed else Version(version.created_ns)


def _destroyed(version: Version) -> Version:
    return Version(version.created_ns, version.deleted_ns, destroyed=True)


def _key_of(call: Call, given: Versions) -> KeyMetadata | None:
    if not given.versions:
        raise InvalidRequest("No version number provided")
    if len(given.versions) > MAX_VERSIONS_A_CALL:
        raise InvalidRequest(f"at most {MAX_VERSIONS_A_CALL} versions in one call")
    return meta.load(call.store, given.path)


def exists(call: Call) -> bool:
    """Return whether the key has metadata: a write to a deleted key is an update."""
    return meta.load(call.store, call.params["path"]) is not None


def wrong_path(_call: Call) -> Response:
    """Answer a version 1 client with 404 and a hint."""
    return Response(absent=True, warnings=[WRONG_PATH])


ROUTES: Final = (
    Route(
        Operation.READ, "data/{path...}", read, Which, releases=True, secret=True,
        help="Read a version.",
    ),
    Route(
        Operation.UPDATE, "data/{path...}", write, Put, exists=exists, makes=True,
        help="Write a new version.",
    ),
    Route(Operation.PATCH, "data/{path...}", patch, Put, help="Merge into the current version."),
    Route(Operation.DELETE, "data/{path...}", delete, Put, help="Delete the current version."),
    Route(
        Operation.READ, "subkeys/{path...}", subkeys, Shape, releases=True,
        secret=True, help="A version without its values.",
    ),
    Route(
        Operation.UPDATE, "delete/{path...}", delete_versions, Versions, audited=("versions",),
        ends=True, help="Delete versions.",
    ),
    Route(
        Operation.UPDATE, "undelete/{path...}", undelete, Versions, audited=("versions",),
        help="Undo the deletion of versions.",
    ),
    Route(
        Operation.UPDATE, "destroy/{path...}", destroy, Versions, audited=("versions",), ends=True,
        help="Remove the data of versions permanently.",
    ),
    *v2_metadata.ROUTES,
    Route(Operation.READ, "{path...}", wrong_path, help="404: use data/ instead."),
    Route(Operation.UPDATE, "{path...}", wrong_path, help="404: use data/ instead."),
    Route(Operation.DELETE, "{path...}", wrong_path, help="404: use data/ instead."),
    Route(Operation.LIST, "{path...}", wrong_path, help="404: use data/ instead."),
)  # fmt: skip
