"""The envelope, the only format of encrypted bytes: AES-256-GCM after a version and a key term.

    version 0x01 ‖ term u32 big-endian ‖ nonce 12 ‖ ciphertext ‖ tag 16

Spec: NIST SP 800-38D, RFC 5116 (AEAD_AES_256_GCM). The additional data is not stored: the reader
derives it from the place of the bytes, so bytes moved to another place do not open. Version and
term are not part of the additional data: changing either selects another reader or another key.

The nonce is random. SP 800-38D 8.3 allows 2^32 such encryptions under one key, so the uses of a key
are counted (store/ciphers.py) and the key is rotated earlier. GCM does not commit to its key: a
successful decryption proves origin only against parties without the key.
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
    """Return the first bytes of every envelope under the key of term."""
    return _HEADER.pack(VERSION, term)


def encrypt(cipher: AESGCM, term: int, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt plaintext under cipher, the key of term, and bind it to aad.

    Reuse the cipher object: making one costs more than encrypting a record. The nonce is 12 bytes
    that were never used with this key. Raise ValueError if the nonce has another size.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError("a nonce is 12 bytes")
    return header(term) + nonce + cipher.encrypt(nonce, plaintext, aad)


def term_of(encrypted: bytes) -> int:
    """Return the term of the key that made these bytes; the term is not authenticated yet.

    Raise IntegrityError if encrypted is too short or has another version.
    """
    if len(encrypted) < OVERHEAD_BYTES:
        raise IntegrityError(f"encrypted bytes are cut short: {len(encrypted)} bytes")
    if encrypted[0] != VERSION:
        raise IntegrityError(f"encrypted bytes have unknown version {encrypted[0]}")
    return int.from_bytes(encrypted[1:HEADER_BYTES], "big")


def decrypt(cipher: AESGCM, encrypted: bytes, aad: bytes) -> bytes:
    """Return the plaintext that `encrypt` was given, under the same key and aad.

    Raise IntegrityError if the key, the aad or any byte differs; it cannot tell which.
    """
    if encrypted[:1] != _VERSION_BYTE:
        term_of(encrypted)
    try:
        return cipher.decrypt(encrypted[HEADER_BYTES:_BODY], encrypted[_BODY:], aad)
    except (InvalidTag, ValueError):  # ValueError: the nonce is cut short
        term_of(encrypted)
        raise IntegrityError("encrypted bytes do not open: changed, or moved elsewhere") from None
