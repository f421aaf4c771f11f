"""Generating a root token by the consent of threshold shareholders.

    idle ─start─▶ gathering shares ─enough─▶ granted once, and idle

Spec: sys/generate-root/* of Vault's HTTP API: the token leaves as base64(token XOR otp) without
padding, so that it can pass through people who do not know the one-time password.

An attempt belongs to the keys that were open when it started: sealing, or a rekey, ends it.
"""

import base64
from dataclasses import dataclass
from functools import partial
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import base62
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.seal.seal import Seal, shares_of
from ironkeep.seal.shares import ALREADY_GIVEN, Shares, decode_share, new_nonce
from ironkeep.seal.wraps import open_shamir

TOKEN_CHARS: Final = 28
"""`hvs.` and 24 base62 characters; the one-time password has the same length as the token."""


@dataclass(frozen=True, slots=True)
class RootStatus:
    """The response of sys/generate-root/attempt, without encoded token and one-time password."""

    nonce: str
    started: bool
    progress: int
    required: int
    complete: bool = False
    otp_length: int = TOKEN_CHARS
    pgp_fingerprint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RootGrant:
    """Permission to make one root token, granted once for each completed attempt."""

    status: RootStatus
    otp: Secret

    def encode(self, token: Secret) -> str:
        """Return the encoded token: base64, without padding, of token XOR otp.

        Raise ValueError when the token is not TOKEN_CHARS long: the otp would not cover it.
        """
        if len(token) != TOKEN_CHARS:
            raise ValueError(f"a root token has {TOKEN_CHARS} characters")
        mixed = bytes(a ^ b for a, b in zip(token.reveal(), self.otp.reveal(), strict=True))
        return base64.b64encode(mixed).rstrip(b"=").decode()


@dataclass(slots=True, eq=False)
class _Attempt:
    nonce: str
    otp: Secret
    root_key: Secret
    given: Shares


class RootGeneration:
    """The one attempt to generate a root token that a seal may have in progress."""

    def __init__(self, seal: Seal, entropy: Entropy) -> None:
        self._seal: Final = seal
        self._entropy: Final = entropy
        self._attempt: _Attempt | None = None

    def status(self) -> RootStatus:
        """Return the progress of the attempt; raise Sealed while sealed, as all methods do."""
        attempt = self._current()
        required = self._seal.config.shamir.threshold
        if attempt is None:
            return RootStatus("", started=False, progress=0, required=required)
        return RootStatus(attempt.nonce, True, attempt.given.progress, required)

    def start(self, otp: str = "") -> tuple[RootStatus, Secret | None]:
        """Begin to gather shares; return the status and the one-time password if otp was empty.

        Raise InvalidRequest when an attempt is in progress, or on an otp that is not TOKEN_CHARS
        ASCII characters.
        """
        if self._current() is not None:
            raise InvalidRequest("root generation already in progress")
        if otp and not (otp.isascii() and len(otp) == TOKEN_CHARS):
            raise InvalidRequest(f"OTP string is wrong length: it takes {TOKEN_CHARS} characters")
        made = None if otp else base62(self._entropy.token(2 * TOKEN_CHARS), TOKEN_CHARS)
        opened = self._seal.opened
        self._attempt = _Attempt(
            new_nonce(self._entropy),
            Secret((made or otp).encode()),
            opened.root_key,
            shares_of(opened.config),
        )
        return self.status(), Secret(made.encode()) if made else None

    def cancel(self) -> None:
        """Forget the attempt in progress, if any."""
        self._current()
        self._attempt = None

    def update(self, key: str, nonce: str) -> RootStatus | RootGrant:
        """Take one share; with the last one needed, grant a root token and end the attempt.

        Raise InvalidRequest on a wrong nonce, a share given before, or one that does not belong to
        the seal; the shares given before are kept.
        """
        attempt = self._current()
        if attempt is None:
            raise InvalidRequest("no root generation in progress")
        if nonce != attempt.nonce:
            raise InvalidRequest(
                "incorrect nonce supplied; nonce for this root generation operation is "
                f'"{attempt.nonce}"'
            )
        if not attempt.given.add(decode_share(key)):
            raise InvalidRequest(ALREADY_GIVEN)
        if attempt.given.open(partial(open_shamir, self._seal.config)) is None:
            return self.status()
        self._attempt = None
        required = attempt.given.threshold
        status = RootStatus(attempt.nonce, True, required, required, complete=True)
        return RootGrant(status, attempt.otp)

    def _current(self) -> _Attempt | None:
        root_key = self._seal.opened.root_key
        if self._attempt is not None and self._attempt.root_key is not root_key:
            self._attempt = None
        return self._attempt
