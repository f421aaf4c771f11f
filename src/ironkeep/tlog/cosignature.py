"""Cosignatures of witnesses (c2sp.org/tlog-cosignature), type 0x04: cosignature/v1 with Ed25519.

With a cosignature, a witness states that at this time the checkpoint was the largest one it had
seen of its origin, and consistent with all earlier ones. The signature does not cover the witness's
name, so each witness needs its own key.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.note import KeyType, Signature, SigningKey, VerifierKey, verify_ed25519
from ironkeep.tlog.wire import MAX_SIZE

_TIME_SIZE: Final = 8
_DATA_SIZE: Final = _TIME_SIZE + 64


class Cosigner:
    """Cosigns checkpoints as one witness."""

    __slots__ = ("_private", "key")

    def __init__(self, key: SigningKey) -> None:
        self.key: Final = key.verifier_key(KeyType.COSIGNATURE)
        self._private: Final = key.private_key()

    def cosign(self, checkpoint: Checkpoint, timestamp: int) -> Signature:
        """Return the cosignature of a checkpoint at timestamp, in POSIX seconds.

        Before the call, verify the checkpoint against the last one; make the new head durable
        before the cosignature leaves.
        """
        if not 0 < timestamp <= MAX_SIZE:
            raise InvalidRequest("a cosignature's time must be a positive number of seconds")
        signed = self._private.sign(_message(checkpoint.text, timestamp))
        data = timestamp.to_bytes(_TIME_SIZE, "big") + signed
        return Signature(self.key.name, self.key.key_id, data)


class CosignatureVerifier:
    """Checks the cosignatures of one witness."""

    __slots__ = ("_public", "key")

    def __init__(self, key: VerifierKey) -> None:
        if key.kind is not KeyType.COSIGNATURE:
            raise InvalidRequest(f"{key.name}: not a key of type cosignature/v1 (04)")
        self.key: Final = key
        self._public: Final = Ed25519PublicKey.from_public_bytes(key.public)

    def verify(self, text: bytes, data: bytes) -> None:
        """Raise IntegrityError unless data cosigns a checkpoint's text."""
        timestamp = _timestamp(data)
        verify_ed25519(self._public, data[_TIME_SIZE:], _message(text, timestamp))


def cosigned_at(signature: Signature) -> int:
    """Return the time of a verified cosignature, in POSIX seconds."""
    return _timestamp(signature.data)


def _timestamp(data: bytes) -> int:
    """Return the time in a cosignature's data; raise IntegrityError if malformed."""
    timestamp = int.from_bytes(data[:_TIME_SIZE], "big")
    if len(data) != _DATA_SIZE or not 0 < timestamp <= MAX_SIZE:
        raise IntegrityError("cosignature: needs a time above 0 and 64 bytes of signature")
    return timestamp


def _message(text: bytes, timestamp: int) -> bytes:
    """Return the signed message: a line with the time, then the checkpoint's text."""
    return b"cosignature/v1\ntime %d\n" % timestamp + text
