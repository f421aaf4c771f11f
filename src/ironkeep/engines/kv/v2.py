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

import msgspec

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound
from ironkeep.core.event import Released
from ironkeep.core.operation import Operation
from ironkeep.core.text.numbers import loads
from ironkeep.engines.kv import document, metadata as meta, v2_metadata
from ironkeep.engines.kv.metadata import KeyMetadata, Known, Version
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import IntList
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

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


def _find(call: Call, path: str, version: int) -> tuple[Known, int, Version]:
    """Return (metadata, number, version); version 0 means the current one; raise NotFound."""
    known = meta.find(call.store, path)
    if known is None or version < 0:
        raise NotFound("")
    number = version or known.metadata.current
    found = known.metadata.versions.get(number)
    if found is None:
        raise NotFound("")
    return known, number, found


def _record(call: Call, path: str, number: int) -> bytes:
    record = call.store.get(meta.data_path(path, number))
    if record is None:
        raise NotFound("")
    return record


def read(call: Call, given: Which) -> Response:
    """Return one version's data and metadata."""
    known, number, version = _find(call, given.path, given.version)
    shape = known.version_shape(number)
    if version.is_gone(call.now_ns):
        return Response(data={"data": None, "metadata": shape}, absent=True)
    names, secret = document.split(_record(call, given.path, number))
    return Response(
        data={"data": secret, "metadata": shape},
        released=(Released(call.mount.uuid, given.path, number, names),),
    )


def subkeys(call: Call, given: Shape) -> Response:
    """Return the nested names of a version's data, with null leaves."""
    known, number, version = _find(call, given.path, given.version)
    shape = known.version_shape(number)
    if given.depth < 0:
        raise InvalidRequest("depth must not be negative")
    if version.is_gone(call.now_ns):
        return Response(data={"subkeys": None, "metadata": shape}, absent=True)
    _, secret = document.split(_record(call, given.path, number))
    stored = json.loads(secret.reveal())
    return Response(
        data={"subkeys": document.subkeys(stored, given.depth) or {}, "metadata": shape}
    )


def write(call: Call, given: Put) -> Response:
    """Store a new version."""
    if given.data is None:
        raise InvalidRequest("no data provided")
    key = meta.load(call.store, given.path)
    config = meta.load_config(call.store)
    _check_and_set(key, config, given.options)
    return _store(call, given.path, key, config, given.data)


def patch(call: Call, given: Put) -> Response:
    """Store a new version: the current one with a JSON merge patch (RFC 7396) applied."""
    if given.data is None:
        raise InvalidRequest("no data provided")
    known, number, version = _find(call, given.path, 0)
    if version.is_gone(call.now_ns):
        return Response(data={"data": None, "metadata": known.version_shape(number)}, absent=True)
    key = known.metadata
    config = meta.load_config(call.store)
    _check_and_set(key, config, given.options)
    _, secret = document.split(_record(call, given.path, number))
    stored = loads(secret.reveal())
    return _store(call, given.path, key, config, document.merge(stored, given.data))


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
    number = key.current + 1
    life = meta.delete_after_ns(key, config)
    versions = {**key.versions, number: Version(now, now + life if life else 0)}
    past = sorted(versions)[: max(0, len(versions) - meta.limit_of(key, config))]
    call.store.delete_all([meta.data_path(path, old) for old in past])
    for old in past:
        del versions[old]
    key = msgspec.structs.replace(key, current=number, updated_ns=now, versions=versions)
    call.store.put(meta.data_path(path, number), document.encode(data))
    meta.save(call.store, path, key)
    return Response(data=key.version_shape(number), audited={"version": number})


def delete(call: Call, given: Put) -> Response:
    """Mark the current version as deleted; succeed if there is none."""
    key = meta.load(call.store, given.path)
    if key is not None and key.current in key.versions:
        _mark_deleted(call, given.path, key, (key.current,))
    return Response()


def delete_versions(call: Call, given: Versions) -> Response:
    """Mark versions as deleted."""
    key = _versions_of(call, given)
    if key is not None:
        _mark_deleted(call, given.path, key, given.versions)
    return Response()


def _mark_deleted(call: Call, path: str, key: KeyMetadata, numbers: tuple[int, ...]) -> None:
    def deleted(version: Version) -> Version:
        gone = version.is_gone(call.now_ns)
        return version if gone else Version(version.created_ns, call.now_ns)

    _change_versions(call, path, key, numbers, deleted)


def _change_versions(
    call: Call,
    path: str,
    key: KeyMetadata,
    numbers: tuple[int, ...],
    changed: Callable[[Version], Version],
) -> None:
    """Store the metadata with the given versions changed; unknown numbers are ignored."""
    versions = dict(key.versions)
    for number in numbers:
        version = versions.get(number)
        if version is not None:
            versions[number] = changed(version)
    meta.save(call.store, path, msgspec.structs.replace(key, versions=versions))


def undelete(call: Call, given: Versions) -> Response:
    """Make deleted versions readable again, unless they were destroyed."""
    key = _versions_of(call, given)
    if key is not None:
        _change_versions(call, given.path, key, given.versions, _undeleted)
    return Response()


def _undeleted(version: Version) -> Version:
    return version if version.destroyed else Version(version.created_ns)


def destroy(call: Call, given: Versions) -> Response:
    """Remove the data of versions for good."""
    key = _versions_of(call, given)
    if key is not None:
        call.store.delete_all([meta.data_path(given.path, number) for number in given.versions])
        _change_versions(call, given.path, key, given.versions, _destroyed)
    return Response()


def _destroyed(version: Version) -> Version:
    return Version(version.created_ns, version.deleted_ns, destroyed=True)


def _versions_of(call: Call, given: Versions) -> KeyMetadata | None:
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
