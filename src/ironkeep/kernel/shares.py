"""Key shares as people submit them, and the progress of one attempt to gather enough.

An attempt lives in memory only. Anyone who reaches the server can submit shares, so an attempt
holds no more of them than its threshold: garbage can spoil a round, which a new nonce then tells,
but not fill the memory.
"""

import base64
import binascii
import hmac
from typing import Final

from ironkeep.core.envelope import KEY_BYTES
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import uuid
from ironkeep.core.ports import Entropy

SHARE_BYTES: Final = KEY_BYTES + 1
"""The y bytes and the x coordinate."""

ALREADY_GIVEN: Final = "given key has already been provided during this generation operation"

BASE64_CHARS: Final = 4 * SHARE_BYTES // 3
"""A share in base64: 33 bytes take no padding."""

MAX_KEY_CHARS: Final = 2 * SHARE_BYTES
"""A share in hexadecimal; base64 is shorter."""


def decode_share(key: str) -> bytes:
    """Return the bytes of a share written in hexadecimal or base64.

    Raise InvalidRequest, in Vault's words, when key is neither or of another size.
    """
    if len(key) > MAX_KEY_CHARS:
        raise InvalidRequest(f"key is longer than maximum {SHARE_BYTES} bytes")
    try:
        # By its length, because base64 may happen to consist of hexadecimal digits.
        if len(key) == BASE64_CHARS:
            share = base64.b64decode(key, validate=True)
        else:
            share = binascii.unhexlify(key)
    except (binascii.Error, ValueError):
        raise InvalidRequest("'key' must be a valid hex or base64 string") from None
    if len(share) != SHARE_BYTES:
        relation = "shorter than minimum" if len(share) < SHARE_BYTES else "longer than maximum"
        raise InvalidRequest(f"key is {relation} {SHARE_BYTES} bytes")
    return share


def new_nonce(entropy: Entropy) -> str:
    """Return a name for one attempt: it tells shareholders what they contribute to."""
    return uuid(entropy.token(16))


class Shares:
    """The distinct shares given so far in one attempt."""

    __slots__ = ("_given", "threshold")

    def __init__(self, threshold: int) -> None:
        self.threshold: Final = threshold
        self._given: list[bytes] = []

    @property
    def progress(self) -> int:
        """Return how many shares were given."""
        return len(self._given)

    def add(self, share: bytes) -> bool:
        """Keep share; return False, and keep nothing, when it was given before."""
        # All are compared, so that the time does not tell which one was equal.
        if sum(hmac.compare_digest(share, given) for given in self._given):
            return False
        self._given.append(share)
        return True

    def take(self) -> list[bytes] | None:
        """Return the shares and forget them, once there are enough; None before."""
        if len(self._given) < self.threshold:
            return None
        given, self._given = self._given, []
        return given
