"""Wrap and unwrap the root key, and the keyring under it.

A wrap is an envelope around the root key, bound to its segment, kind and scheme: editing the stored
threshold only breaks the seal. Wrong shares combine to a wrong key (core/shamir.py), which the
envelope then refuses; whether the shares or the stored wrap were wrong cannot be told.

Dropped keys stay in freed memory until it is reused: Python cannot wipe bytes. Restart the process
to be rid of them.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironkeep.core import envelope, shamir
from ironkeep.core.envelope import KEY_BYTES, NONCE_BYTES
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.ports import Entropy, Row
from ironkeep.core.secret import Secret
from ironkeep.seal.config import (
    FileWrap,
    SealConfig,
    ShamirWrap,
    check_of,
    config_key,
    keyring_key,
)
from ironkeep.store import keyring as keyrings
from ironkeep.store.keyring import Keyring, SegmentId

FILE_KEY_PREFIX: Final = b"ironkeep-seal-key-1:"

WRONG_SHARES: Final = "invalid key: the given key shares do not open the seal"


@dataclass(frozen=True, slots=True, eq=False)
class OpenSeal:
    """A segment's keys while it is unsealed.

    `file_key` is the key in the development key file, known when the file unsealed the segment.
    """

    config: SealConfig
    root_key: Secret
    keyring: Keyring
    file_key: Secret | None = None

    def keyring_row(self, entropy: Entropy) -> tuple[bytes, Row]:
        """Return the key and the row of the keyring under the root key."""
        segment = self.keyring.segment
        sealed = envelope.encrypt(
            AESGCM(self.root_key.reveal()),
            self.config.generation,
            entropy.token(NONCE_BYTES),
            self.keyring.encode(),
            _aad(b"keyring", segment),
        )
        return keyring_key(segment), Row(sealed)

    def rows(self, entropy: Entropy) -> dict[bytes, Row]:
        """Return the rows that store this seal, configuration and keyring, by key."""
        rows = dict([self.keyring_row(entropy)])
        rows[config_key(self.keyring.segment)] = Row(self.config.encode())
        return rows


def wrap_root_key(
    root_key: Secret,
    segment: SegmentId,
    generation: int,
    scheme: tuple[int, int],
    file_key: Secret | None,
    entropy: Entropy,
) -> tuple[SealConfig, tuple[Secret, ...]]:
    """Return the wraps of root_key, and the shares of the Shamir wrap, which are not stored.

    `scheme` is shares and threshold. Raise InvalidRequest when the scheme is impossible.
    """
    shares, threshold = scheme
    shamir.check_scheme(shares, threshold)
    key = entropy.token(KEY_BYTES)
    random = entropy.token(shamir.random_bytes_needed(KEY_BYTES, threshold))
    parts = shamir.split(key, shares, threshold, random)
    checks = tuple(check_of(part) for part in parts)

    def wrap(wrapping_key: bytes, aad: bytes) -> bytes:
        nonce = entropy.token(NONCE_BYTES)
        return envelope.encrypt(AESGCM(wrapping_key), generation, nonce, root_key.reveal(), aad)

    config = SealConfig(
        segment,
        generation,
        ShamirWrap(shares, threshold, wrap(key, _shamir_aad(segment, shares, threshold, checks))),
        FileWrap(wrap(file_key.reveal(), _aad(b"file", segment))) if file_key else None,
        checks,
    )
    return config, tuple(Secret(part) for part in parts)


def open_shamir(config: SealConfig, shares: list[bytes]) -> Secret:
    """Return the root key that shares open; raise InvalidRequest when they do not."""
    wrap = config.shamir
    segment = SegmentId(config.segment)
    aad = _shamir_aad(segment, wrap.shares, wrap.threshold, config.checks)
    try:
        cipher = AESGCM(shamir.combine(shares))
        return Secret(envelope.decrypt(cipher, wrap.sealed, aad))
    except (InvalidRequest, IntegrityError, ValueError):  # ValueError: the key has another size
        raise InvalidRequest(WRONG_SHARES) from None


def open_file(config: SealConfig, file_key: Secret) -> Secret:
    """Return the root key that file_key opens; raise InvalidRequest when it does not."""
    if config.file is None:
        raise InvalidRequest("the seal has no file wrap: unseal with key shares")
    aad = _aad(b"file", SegmentId(config.segment))
    try:
        return Secret(envelope.decrypt(AESGCM(file_key.reveal()), config.file.sealed, aad))
    except IntegrityError:
        raise InvalidRequest(
            "the key file does not open this seal: is it another vault's?"
        ) from None


def open_keyring(config: SealConfig, root_key: Secret, row: Row | None) -> Keyring:
    """Return the keyring in row, opened with root_key.

    Raise IntegrityError when the row is missing or does not open.
    """
    if row is None or row.due_ns is not None:
        raise IntegrityError("the sealed keyring is missing: restore from a snapshot")
    if envelope.term_of(row.value) != config.generation:
        raise IntegrityError("the keyring is older or newer than its seal: restore from a snapshot")
    segment = SegmentId(config.segment)
    aad = _aad(b"keyring", segment)
    return keyrings.decode(envelope.decrypt(AESGCM(root_key.reveal()), row.value, aad))


def encode_file_key(file_key: Secret) -> bytes:
    """Return the content of a key file, one line; the caller writes the file with mode 0600."""
    return FILE_KEY_PREFIX + base64.b64encode(file_key.reveal()) + b"\n"


def decode_file_key(content: bytes) -> Secret:
    """Return the key in a key file; raise InvalidRequest on any other content."""
    line = content.removesuffix(b"\n")
    try:
        key = Secret(base64.b64decode(line.removeprefix(FILE_KEY_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        key = Secret(b"")
    if len(key) != KEY_BYTES or encode_file_key(key) != content:
        raise InvalidRequest("this is not a key file, or it is damaged") from None
    return key


def _shamir_aad(
    segment: SegmentId, shares: int, threshold: int, checks: tuple[bytes, ...]
) -> bytes:
    # Seals that were made before shares had checks bind an empty value.
    bound = sha256(b"".join(checks)).digest() if checks else b""
    return _aad(b"shamir", segment) + bytes([shares, threshold]) + bound


def _aad(kind: bytes, segment: SegmentId) -> bytes:
    return b"ironkeep/seal/v1\0%b\0%b\0" % (kind, segment.encode())
