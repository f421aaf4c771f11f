"""Key shares as people submit them, and the progress of one attempt to gather enough.

An attempt lives in memory only, and anyone who reaches the server can submit shares. A seal stores
a check (a hash) of each of its shares, so that a wrong share is refused at once and does not affect
the shares given before. Older seals have no checks: there, shares are kept until some combination
of them opens the seal, and at most `MAX_SPARE` beyond the threshold are kept.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import combinations, islice
from typing import Final

from ironkeep.core.envelope import KEY_BYTES
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import uuid
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.seal.config import check_of
from ironkeep.seal.wraps import WRONG_SHARES

SHARE_BYTES: Final = KEY_BYTES + 1
"""The y bytes and the x coordinate."""

ALREADY_GIVEN: Final = "given key has already been provided during this generation operation"

BASE64_CHARS: Final = 4 * SHARE_BYTES // 3
"""A share in base64: 33 bytes take no padding."""

MAX_SPARE: Final = 2
"""Shares beyond the threshold that are kept for a seal without checks."""

MAX_COMBINED: Final = 32
"""Combinations tried with each new share for such a seal: some milliseconds."""

MAX_KEY_CHARS: Final = 2 * SHARE_BYTES
"""A share in hexadecimal; base64 is shorter."""


def decode_share(key: str) -> bytes:
    """Return the bytes of a share written in hexadecimal or base64.

    Raise InvalidRequest, in Vault's words, when key is neither, or has the wrong size.
    """
    if len(key) > MAX_KEY_CHARS:
        raise InvalidRequest(f"key is longer than maximum {SHARE_BYTES} bytes")
    try:
        # The length decides, because base64 may happen to consist of hexadecimal digits.
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
    """Return a nonce that names one attempt, so that shareholders know which one they join."""
    return uuid(entropy.token(16))


class Shares:
    """The distinct shares given so far in one attempt; `checks` are those of its seal."""

    __slots__ = ("_checks", "_given", "threshold")

    def __init__(self, threshold: int, checks: Sequence[bytes] = ()) -> None:
        self.threshold: Final = threshold
        self._checks: Final = tuple(checks)
        self._given: list[bytes] = []

    @property
    def progress(self) -> int:
        """Return the number of shares that count, at most threshold - 1.

        Once threshold shares have failed to open the seal, at least one of them is wrong.
        """
        return min(len(self._given), max(self.threshold - 1, 0))

    def add(self, share: bytes) -> bool:
        """Keep share; return False, without keeping it, when it was given before.

        Raise InvalidRequest if it does not belong to the seal; the shares given before are kept.
        """
        if self._checks and not self._is_genuine(share):
            raise InvalidRequest(
                f"{WRONG_SHARES}: this share does not belong to it. "
                f"The {self.progress} given before are kept"
            )
        # Compare with all of them, so that the time does not reveal which one was equal.
        if sum(hmac.compare_digest(share, given) for given in self._given):
            return False
        self._given.append(share)
        return True

    def open(self, opens: Callable[[list[bytes]], Secret]) -> Secret | None:
        """Return the key that enough shares open, and forget the shares; None while too few.

        `opens` raises InvalidRequest when shares do not belong together. Raise InvalidRequest when
        no combination opens the seal.
        """
        if len(self._given) < self.threshold:
            return None
        *before, newest = self._given
        for others in islice(combinations(before, self.threshold - 1), MAX_COMBINED):
            with suppress(InvalidRequest):
                opened = opens([*others, newest])
                self._given = []
                return opened
        if len(self._given) > self.threshold + MAX_SPARE:
            self._given = []
            raise InvalidRequest(f"{WRONG_SHARES} in any combination: all are dropped, start again")
        raise InvalidRequest(
            f"{WRONG_SHARES}: at least one of the {len(self._given)} is wrong. All are kept: "
            "give one more correct share"
        )

    def _is_genuine(self, share: bytes) -> bool:
        coordinate = share[-1]
        known = self._checks[coordinate - 1] if 1 <= coordinate <= len(self._checks) else b""
        return hmac.compare_digest(known, check_of(share))
