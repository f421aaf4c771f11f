"""The one form of encrypted bytes: AES-256-GCM with a version and a key term in front.

    version 0x01 ‖ term u32 big-endian ‖ nonce 12 ‖ ciphertext ‖ tag 16

Spec: NIST SP 800-38D, RFC 5116 (AEAD_AES_256_GCM). The additional data is not stored: whoever
opens must know from where the bytes came, so bytes moved to another place do not open. Version and
term are not part of the additional data: changing either picks another reader or another key.

The nonce is random. SP 800-38D 8.3 allows 2^32 such encryptions under one key, so a key's uses are
counted (store/ciphers.py) and the key is rotated before. GCM does not commit to its key: bytes
that open are proof of origin only against those who do not hold the key.
"""

import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironkeep.core.errors import IntegrityError

VERSION: Final = 1
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
MAX_TERM: Final = 2**32 - 1
HEADER_BYTES: Final = 5
_BODY: Final = HEADER_BYTES + NONCE_BYTES
OVERHEAD_BYTES: Final = _BODY + TAG_BYTES
_VERSION_BYTE: Final = bytes([VERSION])
_HEADER: Final = struct.Struct(">BI")


def header(term: int) -> bytes:
    """Return the first bytes of whatever is sealed under the key of term."""
    return _HEADER.pack(VERSION, term)


def seal(cipher: AESGCM, term: int, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt plaintext under cipher, the key of term, and bind it to aad.

    Pass the same cipher object each time: making one costs more than encrypting a record. The nonce
    is 12 bytes that were never used with this key. Raise ValueError on a wrong size of nonce.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError("a nonce is 12 bytes")
    return header(term) + nonce + cipher.encrypt(nonce, plaintext, aad)


def term_of(sealed: bytes) -> int:
    """Return the term of the key that sealed was encrypted under, which is not yet authenticated.

    Raise IntegrityError when sealed is too short or of another version.
    """
    if len(sealed) < OVERHEAD_BYTES:
        raise IntegrityError(f"encrypted bytes are cut short: {len(sealed)} bytes")
    if sealed[0] != VERSION:
        raise IntegrityError(f"encrypted bytes have unknown version {sealed[0]}")
    return int.from_bytes(sealed[1:HEADER_BYTES], "big")


def open_sealed(cipher: AESGCM, sealed: bytes, aad: bytes) -> bytes:
    """Return the plaintext that `seal` encrypted under the same key and aad.

    Raise IntegrityError when the key, the aad or any byte differs; which of them is not knowable.
    """
    if sealed[:1] != _VERSION_BYTE:
        term_of(sealed)
    try:
        return cipher.decrypt(sealed[HEADER_BYTES:_BODY], sealed[_BODY:], aad)
    except (InvalidTag, ValueError):  # a ValueError is a nonce cut short
        term_of(sealed)
        raise IntegrityError("encrypted bytes do not open: they, or their place, changed") from None
