"""Batch tokens: the token carries its own record, encrypted, and no row is stored.

    "hvb." ‖ base64url without padding( envelope of msgpack(record) )      core/envelope.py
    AAD = "ironkeep/batch-token/v1"

A batch token therefore cannot be revoked alone, renewed or limited in its uses; it ends at its
expiry, with its parent, and by the revocation epoch of its entity. Nonces are
random under one key, so 2^32 may be made: a million a day for eleven years.
"""

import base64
import binascii
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironkeep.core import envelope
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.identity.token_store import StoredToken
from ironkeep.store.record import Codec

PREFIX: Final = "hvb."
MAX_CHARS: Final = 4_096
"""A token is sent in a header, and common servers allow 8 KiB for all headers."""

_PREFIX_BYTES: Final = PREFIX.encode()
_AAD: Final = b"ironkeep/batch-token/v1"
_TERM: Final = 1
_RECORD: Final = Codec(StoredToken)


def is_batch(token: bytes) -> bool:
    """Return whether token claims to be a batch token."""
    return token.startswith(_PREFIX_BYTES)


def encrypt_token(key: bytes, record: StoredToken, entropy: Entropy) -> Secret:
    """Return the batch token that carries record; raise InvalidRequest when it gets too long."""
    nonce = entropy.token(envelope.NONCE_BYTES)
    sealed = envelope.encrypt(AESGCM(key), _TERM, nonce, _RECORD.encode(record), _AAD)
    token = _PREFIX_BYTES + base64.urlsafe_b64encode(sealed).rstrip(b"=")
    if len(token) > MAX_CHARS:
        raise InvalidRequest("too many policies or metadata for a batch token: use a service token")
    return Secret(token)


def open_token(key: bytes, token: bytes) -> StoredToken | None:
    """Return the record that token carries, or None when it was not made with key."""
    text = token[len(_PREFIX_BYTES) :]
    if len(token) > MAX_CHARS:
        return None
    try:
        sealed = base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
        if envelope.term_of(sealed) != _TERM:
            # The term selects the key, and is not authenticated itself.
            return None
        record = _RECORD.decode(envelope.decrypt(AESGCM(key), sealed, _AAD))
    except (binascii.Error, IntegrityError):
        return None
    # A token has only one valid spelling: the last character's unused bits must be as written.
    canonical = base64.urlsafe_b64encode(sealed).rstrip(b"=")
    return record if canonical == text else None
