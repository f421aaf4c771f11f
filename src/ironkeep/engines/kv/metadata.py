"""The record that KV version 2 stores for a key: newest versions, limits, custom metadata.

Older versions of a key that has many are in records of their own: engines/kv/versions.py.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ports import Row
from ironkeep.core.text import goformat
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.gone.spans import Span
from ironkeep.store.barrier import Store

DEFAULT_MAX_VERSIONS: Final = 10
MAX_MAX_VERSIONS: Final = 100_000
MAX_CUSTOM_PAIRS: Final = 64
MAX_CUSTOM_KEY: Final = 128
MAX_CUSTOM_VALUE: Final = 512
"""Vault's own limits on custom metadata."""

_MEMO: Final = 32_768
"""Decoded metadata kept in memory, about 1 KB each; it never contains secret values."""
_MEMO_BYTES: Final = 4_096
"""Stored metadata up to this size, some hundred versions, is kept decoded in memory."""
_MEMO_LARGE: Final = 8
"""Larger metadata that is kept; it has many custom pairs, or is of before the chunks."""

_ENCODER: Final = msgspec.json.Encoder()


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One version of a key; times are POSIX nanoseconds, 0 means never."""

    created_ns: int
    deleted_ns: int = 0
    destroyed: bool = False

    def is_gone(self, now_ns: int) -> bool:
        """Return whether the version's data must not be read any more."""
        return self.destroyed or 0 < self.deleted_ns <= now_ns

    def shape(self) -> dict[str, Any]:
        """Return the version as the metadata endpoint shows it."""
        return {
            "created_time": goformat.rfc3339(self.created_ns),
            "deletion_time": goformat.rfc3339(self.deleted_ns) if self.deleted_ns else "",
            "destroyed": self.destroyed,
        }

    def listed(self, number: int) -> bytes:
        """Return the same in JSON, as a member of the object of all versions."""
        return b'"%d":%b' % (number, _ENCODER.encode(self.shape()))


class KeyMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metadata of a key. Its versions are contiguous and end with `current`.

    `versions` by number has the newest ones. Versions `first` to `spilled` are in chunks
    (engines/kv/versions.py); both are 0 if none is. `slots` has the numbers that the data of
    versions is stored under, of those that took the place of a version that was pruned.
    """

    created_ns: int
    updated_ns: int
    current: int = 0
    versions: dict[int, Version] = {}
    max_versions: int = 0
    cas_required: bool = False
    delete_after_seconds: int = 0
    custom: dict[str, str] | None = None
    older: bool = False
    """The mount was upgraded: version 1 was readable before its recorded time of creation."""
    first: int = 0
    spilled: int = 0
    past: tuple[Span, ...] = ()
    """When the versions that were removed could be read."""
    slots: dict[int, int] = {}

    @property
    def oldest(self) -> int:
        """The lowest version still known; 0 if there is none."""
        return self.first or (self.current + 1 - len(self.versions) if self.versions else 0)

    @property
    def count(self) -> int:
        """The number of versions."""
        return self.current + 1 - self.first if self.first else len(self.versions)

    def shape(self, versions: Mapping[int, bytes]) -> dict[str, Any]:
        """Return the metadata as the API shows it, with versions as `Version.listed` gives them."""
        oldest = self.oldest
        members = b",".join([each for number, each in versions.items() if number >= oldest])
        return {
            "cas_required": self.cas_required,
            "created_time": goformat.rfc3339(self.created_ns),
            "current_version": self.current,
            "custom_metadata": self.custom,
            "delete_version_after": goformat.duration(self.delete_after_seconds),
            "max_versions": self.max_versions,
            "oldest_version": oldest if self.current > self.count else 0,
            "updated_time": goformat.rfc3339(self.updated_ns),
            "versions": msgspec.Raw(b"{%b}" % members),
        }


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    """The mount's defaults for its keys."""

    max_versions: int = 0
    cas_required: bool = False
    delete_after_seconds: int = 0

    def shape(self) -> dict[str, Any]:
        """Return the configuration as the API shows it."""
        return {
            "cas_required": self.cas_required,
            "delete_version_after": goformat.duration(self.delete_after_seconds),
            "max_versions": self.max_versions,
        }


_KEY: Final = msgspec.json.Decoder(KeyMetadata)
_CONFIG: Final = msgspec.json.Decoder(Config)


class Known:
    """A key's metadata decoded from one stored row, with the encoded shapes of its versions."""

    __slots__ = ("_shapes", "metadata", "row")

    def __init__(self, row: Row, metadata: KeyMetadata) -> None:
        self.row: Final = row
        self.metadata: Final = metadata
        self._shapes: Final[dict[int, msgspec.Raw]] = {}

    def version_shape(self, number: int, version: Version) -> msgspec.Raw:
        """Return one version's metadata as reads and writes of data show it, in JSON.

        Those of the newest versions are encoded at most once.
        """
        shape = self._shapes.get(number)
        if shape is None:
            custom = {"custom_metadata": self.metadata.custom, "version": number}
            shape = msgspec.Raw(_ENCODER.encode({**version.shape(), **custom}))
            if number in self.metadata.versions:
                self._shapes[number] = shape
        return shape


_memo: Final[dict[bytes, Known]] = {}
_large: Final[dict[bytes, Known]] = {}


def find(store: Store, path: str) -> Known | None:
    """Return the metadata of the key at path, decoded once per stored row."""
    key = store.key_of(f"meta/{path}")
    row = store.row_at(key)
    if row is None:
        return None
    known = _memo.get(key) or _large.get(key)
    if known is not None and known.row is row:
        return known
    return _keep(key, Known(row, _KEY.decode(store.open_row(key, row))))


def _keep(key: bytes, known: Known) -> Known:
    """Keep decoded metadata in memory; it counts only while the store has the same row."""
    small = len(known.row.value) <= _MEMO_BYTES
    memo, most = (_memo, _MEMO) if small else (_large, _MEMO_LARGE)
    if len(memo) >= most:
        for old in list(memo)[: most // 2]:
            del memo[old]
    (_large if small else _memo).pop(key, None)
    memo[key] = known
    return known


def load(store: Store, path: str) -> KeyMetadata | None:
    """Return the metadata of the key at path."""
    known = find(store, path)
    return known.metadata if known is not None else None


def save(store: Store, path: str, metadata: KeyMetadata) -> Known:
    """Write the metadata of the key at path; engines call versions.save, which keeps it small."""
    at = f"meta/{path}"
    row = store.put(at, _ENCODER.encode(metadata))
    return _keep(store.key_of(at), Known(row, metadata))


def load_config(store: Store) -> Config:
    """Return the mount's configuration."""
    raw = store.get("config")
    return _CONFIG.decode(raw) if raw is not None else Config()


def save_config(store: Store, config: Config) -> None:
    """Write the mount's configuration."""
    store.put("config", _ENCODER.encode(config))


def limit_of(metadata: KeyMetadata, config: Config) -> int:
    """Return the maximum number of versions of the key."""
    return metadata.max_versions or config.max_versions or DEFAULT_MAX_VERSIONS


def delete_after_ns(metadata: KeyMetadata, config: Config) -> int:
    """Return the lifetime of a new version in nanoseconds; 0 means unlimited."""
    return (metadata.delete_after_seconds or config.delete_after_seconds) * SECOND_NS


def check_custom(pairs: object) -> dict[str, str]:
    """Return checked custom metadata; raise InvalidRequest past Vault's limits."""
    if not isinstance(pairs, dict):
        raise InvalidRequest("custom_metadata must be an object of strings")
    if len(pairs) > MAX_CUSTOM_PAIRS:
        raise InvalidRequest(f"payload must contain at most {MAX_CUSTOM_PAIRS} keys")
    for name, value in pairs.items():
        if not isinstance(value, str) or not 0 < len(name) <= MAX_CUSTOM_KEY:
            raise InvalidRequest("custom_metadata must be an object of strings with short names")
        if len(value) > MAX_CUSTOM_VALUE or not (name + value).isprintable():
            raise InvalidRequest("a custom_metadata value must be printable and at most 512 long")
    return dict(pairs)
