"""Rekey: new shares for a seal, by the consent of the holders of the old ones.

    idle ─start─▶ gathering old shares ─enough─▶ done            (without verification)
                            │ enough
                            └──────────▶ gathering new shares ─enough─▶ done

Spec: sys/rekey/* of Vault's HTTP API. Completing replaces the wrapping key *and* the root key, so
old shares open nothing that is stored from then on. They still open older copies of the database,
and with those the data keys of that time: rotate the keyring too if old shares may be stolen.

Request verification: without it a crash between the commit and the response leaves a seal whose
shares were never delivered. With it the seal changes only after threshold of the new shares were
given back.

An attempt belongs to the keys that were open when it started: sealing, or another rekey, ends it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from ironkeep.core.envelope import KEY_BYTES, MAX_TERM
from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.core.shamir import check_scheme
from ironkeep.seal.config import SealConfig
from ironkeep.seal.seal import Seal, shares_of
from ironkeep.seal.shares import ALREADY_GIVEN, Shares, decode_share, new_nonce
from ironkeep.seal.wraps import open_shamir, wrap_root_key
from ironkeep.store.keyring import SegmentId
from ironkeep.store.rows import RowView


@dataclass(frozen=True, slots=True)
class RekeyStatus:
    """The response of sys/rekey/init; t and n are of the new scheme, `required` is of the old."""

    nonce: str
    started: bool
    t: int
    n: int
    progress: int
    required: int
    verification_required: bool
    verification_nonce: str = ""
    backup: bool = False
    pgp_fingerprints: None = None


@dataclass(frozen=True, slots=True, eq=False)
class RekeyDone:
    """The new shares. With verification they take effect only after they were given back."""

    nonce: str
    keys: tuple[Secret, ...]
    verification_required: bool
    verification_nonce: str
    backup: bool = False
    pgp_fingerprints: None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class VerifyStatus:
    """The response of sys/rekey/verify; `complete` once the new shares are in force."""

    nonce: str
    started: bool
    t: int
    n: int
    progress: int
    complete: bool = False


@dataclass(slots=True, eq=False)
class _Pending:
    """The new seal, made but not yet in force."""

    config: SealConfig
    root_key: Secret
    nonce: str
    given: Shares


@dataclass(slots=True, eq=False)
class _Attempt:
    nonce: str
    scheme: tuple[int, int]
    verify: bool
    old_root_key: Secret
    given: Shares
    pending: _Pending | None = None


class Rekey:
    """The one rekey that a seal may have in progress."""

    def __init__(self, seal: Seal, entropy: Entropy) -> None:
        self._seal: Final = seal
        self._entropy: Final = entropy
        self._attempt: _Attempt | None = None

    def status(self) -> RekeyStatus:
        """Return the progress of the rekey; raise Sealed while sealed, as all methods do."""
        attempt = self._current()
        required = self._seal.config.shamir.threshold
        if attempt is None:
            return RekeyStatus("", False, 0, 0, 0, required, False)
        shares, threshold = attempt.scheme
        return RekeyStatus(
            attempt.nonce,
            started=True,
            t=threshold,
            n=shares,
            progress=attempt.given.progress,
            required=required,
            verification_required=attempt.verify,
            verification_nonce=attempt.pending.nonce if attempt.pending else "",
        )

    def start(
        self, shares: int, threshold: int, *, verify: bool = False, backup: bool = False
    ) -> RekeyStatus:
        """Begin to gather the old shares; raise InvalidRequest if a rekey is in progress."""
        if backup:
            raise InvalidRequest(
                "cannot request a backup of the new keys without providing PGP keys for encryption"
            )
        check_scheme(shares, threshold)
        if self._current() is not None:
            raise InvalidRequest("rekey already in progress")
        opened = self._seal.opened
        if opened.config.file is not None and opened.file_key is None:
            raise InvalidRequest("a rekey renews the file wrap too: unseal with the key file first")
        self._attempt = _Attempt(
            new_nonce(self._entropy),
            (shares, threshold),
            verify,
            opened.root_key,
            shares_of(opened.config),
        )
        return self.status()

    def cancel(self) -> None:
        """Forget the rekey in progress, if any, and its new shares that are not yet in force."""
        self._current()
        self._attempt = None

    def update(self, view: RowView, key: str, nonce: str) -> RekeyStatus | RekeyDone:
        """Take one old share; with the last one needed, make the new shares.

        The new seal is stored in view at once unless verification was requested. Raise
        InvalidRequest on a wrong nonce, a share given before, or one that does not belong to the
        seal; the shares given before are kept. The caller makes the rows durable before it shows
        the new shares.
        """
        attempt = self._in_progress()
        if attempt.pending is not None:
            raise InvalidRequest(
                "rekey operation already finished; verification must be performed; "
                f'nonce for the verification operation is "{attempt.pending.nonce}"'
            )
        if nonce != attempt.nonce:
            raise InvalidRequest(
                f'incorrect nonce supplied; nonce for this rekey operation is "{attempt.nonce}"'
            )
        if not attempt.given.add(decode_share(key)):
            raise InvalidRequest(ALREADY_GIVEN)
        if attempt.given.open(partial(open_shamir, self._seal.config)) is None:
            return self.status()
        return self._make(view, attempt)

    def verify_status(self) -> VerifyStatus:
        """Return the progress of the verification; raise InvalidRequest if none is in progress."""
        attempt, pending = self._verification()
        shares, threshold = attempt.scheme
        return VerifyStatus(pending.nonce, True, threshold, shares, pending.given.progress)

    def restart_verification(self) -> VerifyStatus:
        """Forget the new shares given back so far, and change the nonce."""
        _, pending = self._verification()
        pending.nonce = new_nonce(self._entropy)
        pending.given = shares_of(pending.config)
        return self.verify_status()

    def verify(self, view: RowView, key: str, nonce: str) -> VerifyStatus:
        """Take back one new share; with the last one needed, put the new seal in force.

        Raise InvalidRequest on a wrong nonce, a share given before, or one that does not belong to
        the new wrap; the shares given back before are kept.
        """
        attempt, pending = self._verification()
        if nonce != pending.nonce:
            raise InvalidRequest(
                f'incorrect nonce supplied; nonce for this verify operation is "{pending.nonce}"'
            )
        if not pending.given.add(decode_share(key)):
            raise InvalidRequest(ALREADY_GIVEN)
        if pending.given.open(partial(open_shamir, pending.config)) is None:
            return self.verify_status()
        self._seal.adopt(view, pending.config, pending.root_key)
        self._attempt = None
        shares, threshold = attempt.scheme
        return VerifyStatus(pending.nonce, True, threshold, shares, threshold, complete=True)

    def _make(self, view: RowView, attempt: _Attempt) -> RekeyDone:
        opened = self._seal.opened
        if opened.config.generation >= MAX_TERM:
            raise TooLarge(f"this seal was rekeyed {MAX_TERM - 1} times, which is the limit")
        root_key = Secret(self._entropy.token(KEY_BYTES))
        config, keys = wrap_root_key(
            root_key,
            SegmentId(opened.config.segment),
            opened.config.generation + 1,
            attempt.scheme,
            opened.file_key,
            self._entropy,
        )
        verification_nonce = ""
        if attempt.verify:
            verification_nonce = new_nonce(self._entropy)
            given = shares_of(config)
            attempt.pending = _Pending(config, root_key, verification_nonce, given)
        else:
            self._seal.adopt(view, config, root_key)
            self._attempt = None
        return RekeyDone(attempt.nonce, keys, attempt.verify, verification_nonce)

    def _current(self) -> _Attempt | None:
        root_key = self._seal.opened.root_key
        if self._attempt is not None and self._attempt.old_root_key is not root_key:
            self._attempt = None
        return self._attempt

    def _in_progress(self) -> _Attempt:
        attempt = self._current()
        if attempt is None:
            raise InvalidRequest("no barrier rekey in progress")
        return attempt

    def _verification(self) -> tuple[_Attempt, _Pending]:
        attempt = self._in_progress()
        if attempt.pending is None:
            raise InvalidRequest("no rekey verification in progress: give the old key shares first")
        return attempt, attempt.pending
