"""The term key: turns terms into digests that only its holders can compute.

    key      HKDF-SHA256(journal's private reading key, info "ironkeep index terms v1" ‖ 0 ‖ origin)
    digest   BLAKE2b-16(key, what ‖ 0x00 ‖ value)
    check    first 16 bytes of SHA-256("ironkeep index key check v1" ‖ key)

The key reads no entry. An evidence pack discloses it, so that a verifier can compute the digests of
the queried terms; the check in every index leaf pins it. A holder of the key can test guesses at
the terms whose digests a proof shows, and learns nothing about the others.
"""

from hashlib import blake2b, sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ironkeep.core.secret import Secret
from ironkeep.index.terms import Term

KEY_SIZE: Final = 32
"""Bytes of a term key."""

DIGEST_SIZE: Final = 16
"""Bytes of a digest: a chance collision among 2^40 terms has a probability below 2^-48."""

CHECK_SIZE: Final = 16
"""Bytes of a key check."""

_INFO: Final = b"ironkeep index terms v1\x00"
_CHECK: Final = b"ironkeep index key check v1"


class TermKey:
    """A term key, ready for use; `check` is public."""

    __slots__ = ("_prf", "_secret", "check")

    def __init__(self, key: Secret) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a term key is {KEY_SIZE} bytes")
        self._secret: Final = key
        # Copied for each digest: setting up a keyed hash costs as much as hashing.
        self._prf: Final = blake2b(key=key.reveal(), digest_size=DIGEST_SIZE)
        self.check: Final = sha256(_CHECK + key.reveal()).digest()[:CHECK_SIZE]

    def disclose(self) -> bytes:
        """Return the key itself, for a pack whose verifier must compute digests."""
        return self._secret.reveal()

    def digest(self, what: str, value: str) -> bytes:
        """Return the digest of a term. Lone surrogates, which no entry has, get one too."""
        prf = self._prf.copy()
        prf.update(what.encode() + b"\x00" + value.encode("utf-8", "surrogatepass"))
        return prf.digest()

    def of(self, term: Term) -> bytes:
        """Return the digest of a term."""
        return self.digest(term.what, term.value)


def term_key(private_key: Secret, origin: str) -> TermKey:
    """Return the term key of a log for entries under one private reading key (32 bytes)."""
    hkdf = HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=_INFO + origin.encode())
    return TermKey(Secret(hkdf.derive(private_key.reveal())))
