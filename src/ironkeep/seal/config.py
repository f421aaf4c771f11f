"""The seal configuration: the wraps of a segment's root key, readable while sealed.

    root key ── wrapped by each of a set of wraps (Shamir shares; a file, for development)
        └── seals the keyring ── whose data keys seal the records

Two rows in the plain space hold a seal: its configuration, and the keyring under the root key. Each
segment has its own pair, which no other segment's root key opens. `generation` counts the root keys
of a segment: it is the term in the envelopes of the wraps and of the keyring.
"""

import hashlib
from typing import Final

import msgspec

from ironkeep.core.envelope import KEY_BYTES, MAX_TERM, OVERHEAD_BYTES, term_of
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.shamir import check_scheme
from ironkeep.store.keyring import MAX_SEGMENT_CHARS, SegmentId
from ironkeep.store.standing.sethash import REMEDY

PLAIN_SPACE: Final = b"\x00"
VERSION: Final = b"\x02"
UNCHECKED: Final = b"\x01"
"""The version of seals that were made before shares had checks; a rekey adds the checks."""
CHECK_BYTES: Final = hashlib.sha256().digest_size
WRAP_BYTES: Final = KEY_BYTES + OVERHEAD_BYTES

_CHANGED: Final = f"the seal configuration was changed outside Ironkeep: {REMEDY}"


class ShamirWrap(msgspec.Struct, tag="shamir", array_like=True, frozen=True):
    """The root key under a wrapping key that any `threshold` of `shares` key shares recover."""

    shares: int
    threshold: int
    sealed: bytes


class FileWrap(msgspec.Struct, tag="file", array_like=True, frozen=True):
    """The root key under the key in a file.

    The server unseals itself with it, so a copy of the disk is enough to read everything.
    """

    sealed: bytes


class SealConfig(msgspec.Struct, array_like=True, frozen=True):
    """The wraps of one root key: always Shamir's, and the file's if a key file was requested.

    `checks` recognise the genuine shares, in the order of their x coordinates; empty in seals made
    before checks existed.
    """

    segment: str
    generation: int
    shamir: ShamirWrap
    file: FileWrap | None = None
    checks: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes that `decode` reads."""
        if self.checks:
            return VERSION + msgspec.msgpack.encode(self)
        return UNCHECKED + msgspec.msgpack.encode(msgspec.structs.astuple(self)[:-1])


def decode(data: bytes) -> SealConfig:
    """Return the configuration that `SealConfig.encode` wrote.

    Raise IntegrityError on any other bytes.
    """
    if data[:1] not in {VERSION, UNCHECKED}:
        raise IntegrityError("the seal is of an unknown version: use the release that wrote it")
    try:
        config = msgspec.msgpack.decode(memoryview(data)[1:], type=SealConfig)
        check_scheme(config.shamir.shares, config.shamir.threshold)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidRequest):
        raise IntegrityError(_CHANGED) from None
    wraps = [config.shamir.sealed, *([config.file.sealed] if config.file else [])]
    sound = (
        0 < len(config.segment) <= MAX_SEGMENT_CHARS
        and config.segment.isascii()
        and 0 < config.generation <= MAX_TERM
        and all(len(sealed) == WRAP_BYTES for sealed in wraps)
        and all(term_of(sealed) == config.generation for sealed in wraps)
        and len(config.checks) in {0, config.shamir.shares}
        and all(len(check) == CHECK_BYTES for check in config.checks)
    )
    if not sound or config.encode() != data:
        raise IntegrityError(_CHANGED)
    return config


def check_of(share: bytes) -> bytes:
    """Return the stored hash of a share, to recognise it; 256 random bits rule out a search."""
    return hashlib.sha256(b"ironkeep/share/v1\0" + share).digest()


def config_key(segment: SegmentId) -> bytes:
    """Return the row key of the seal configuration of segment."""
    return plain_key(segment, "seal")


def keyring_key(segment: SegmentId) -> bytes:
    """Return the row key of the sealed keyring of segment."""
    return plain_key(segment, "keyring")


def plain_key(segment: SegmentId, name: str) -> bytes:
    """Return the row key of the item `name` that can be read while segment is sealed."""
    return PLAIN_SPACE + hashlib.sha256(f"ironkeep/plain/v1\0{segment}\0{name}".encode()).digest()
