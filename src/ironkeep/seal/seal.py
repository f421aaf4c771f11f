"""The seal of one segment, as a state machine without I/O.

                  initialise              enough shares, or the key file
    uninitialised ──────────▶ sealed ◀──────────────────────────────▶ unsealed
                                            close, restart

It reads and writes the two rows of seal/config.py through a view. Its memory reflects executed
writes: after a commit whose outcome is unknown, the kernel calls `load` with the rows as read
again. The kernel also checks the store against its set-hash, after unsealing and before serving.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from ironkeep.core.envelope import KEY_BYTES
from ironkeep.core.errors import IntegrityError, InvalidRequest, Sealed, Uninitialised
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.seal import config as seal_config
from ironkeep.seal.config import SealConfig, config_key, keyring_key
from ironkeep.seal.shares import Shares, decode_share, new_nonce
from ironkeep.seal.wraps import (
    OpenSeal,
    decode_file_key,
    encode_file_key,
    open_file,
    open_keyring,
    open_shamir,
    wrap_root_key,
)
from ironkeep.store.keyring import Keyring, SegmentId, new_keyring
from ironkeep.store.rows import RowView

SEAL_TYPE: Final = "shamir"

_UNINITIALISED: Final = "Vault is not initialized: run `ironkeep operator init`"

INAPPLICABLE: Final = (
    "pgp_keys",
    "root_token_pgp_key",
    "pgp_key",
    "recovery_shares",
    "recovery_threshold",
    "recovery_pgp_keys",
)
"""Parameters of Vault's init, rekey and generate-root that do not apply to a seal of this type."""


@dataclass(frozen=True, slots=True)
class SealStatus:
    """The response of sys/seal-status and sys/unseal: t is the threshold, n the share count."""

    initialized: bool
    sealed: bool
    t: int = 0
    n: int = 0
    progress: int = 0
    nonce: str = ""
    type: str = SEAL_TYPE
    recovery_seal: bool = False
    migration: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Initialised:
    """The shares, and the key file's content if one was requested; neither is stored anywhere."""

    keys: tuple[Secret, ...]
    key_file: Secret | None


def check_applicable(parameters: Mapping[str, object]) -> None:
    """Raise InvalidRequest, with Vault's text, if a parameter is set that this seal type lacks."""
    named = [name for name in INAPPLICABLE if parameters.get(name)]
    if named:
        raise InvalidRequest(
            f"parameters {','.join(named)} not applicable to seal type {SEAL_TYPE}"
        )


def shares_of(config: SealConfig) -> Shares:
    """Return an empty attempt to gather the shares of a seal."""
    return Shares(config.shamir.threshold, config.checks)


class Seal:
    """The seal of one segment."""

    def __init__(self, segment: SegmentId, entropy: Entropy) -> None:
        self.segment: Final = segment
        self._entropy: Final = entropy
        self._config: SealConfig | None = None
        self._open: OpenSeal | None = None
        self._shares = Shares(0)
        self._nonce = ""

    @property
    def initialized(self) -> bool:
        """Return whether this segment has keys."""
        return self._config is not None

    @property
    def sealed(self) -> bool:
        """Return whether the keys are not in memory."""
        return self._open is None

    @property
    def config(self) -> SealConfig:
        """Return the configuration; raise Uninitialised when there is none."""
        if self._config is None:
            raise Uninitialised(_UNINITIALISED)
        return self._config

    @property
    def opened(self) -> OpenSeal:
        """Return the keys; raise Uninitialised or Sealed when there are none."""
        if self._config is None:
            raise Uninitialised(_UNINITIALISED)
        if self._open is None:
            raise Sealed("Vault is sealed: unseal it with its key shares")
        return self._open

    def load(self, view: RowView) -> None:
        """Read the seal from view; an open seal stays open if it is still the stored one.

        The progress of an unseal attempt is lost. Raise IntegrityError on damaged rows; the seal is
        then closed.
        """
        held, self._open = self._open, None
        self._restart()
        row = view.get(config_key(self.segment))
        self._config = None if row is None else seal_config.decode(row.value)
        if self._config is not None and self._config.segment != self.segment:
            self._config = None
            raise IntegrityError("the seal configuration is that of another segment")
        self._restart()
        if held is not None and held.config == self._config:
            self._open_with(view, held.root_key, held.file_key)

    def status(self) -> SealStatus:
        """Return the state of the seal and the progress of the unseal attempt."""
        if self._config is None:
            return SealStatus(initialized=False, sealed=True)
        wrap = self._config.shamir
        return SealStatus(
            initialized=True,
            sealed=self.sealed,
            t=wrap.threshold,
            n=wrap.shares,
            progress=self._shares.progress,
            nonce=self._nonce,
        )

    def initialise(
        self,
        view: RowView,
        now_ns: int,
        shares: int,
        threshold: int,
        *,
        with_key_file: bool = False,
    ) -> Initialised:
        """Make all keys of the segment, store them in view, and stay sealed.

        Raise InvalidRequest if it already has keys, or on an impossible scheme. The caller makes
        the rows durable before it shows the shares.
        """
        if self._config is not None:
            raise InvalidRequest("Vault is already initialized")
        root_key = Secret(self._entropy.token(KEY_BYTES))
        file_key = Secret(self._entropy.token(KEY_BYTES)) if with_key_file else None
        config, keys = wrap_root_key(
            root_key, self.segment, 1, (shares, threshold), file_key, self._entropy
        )
        fresh = OpenSeal(config, root_key, new_keyring(self.segment, self._entropy, now_ns))
        self._store(view, fresh)
        self._config = config
        self._restart()
        return Initialised(keys, Secret(encode_file_key(file_key)) if file_key else None)

    def unseal(
        self,
        view: RowView,
        key: str,
        *,
        reset: bool = False,
        nonce: str = "",
        migrate: bool = False,
    ) -> SealStatus:
        """Take one share, in hexadecimal or base64; open the seal when it completes the threshold.

        A share given twice counts once; a share given while open changes nothing. Raise
        InvalidRequest on malformed shares and on shares that do not belong to this seal; the shares
        given before are kept. `reset` forgets them; it needs the nonce of the attempt, which only
        the response to a share shows, so that a stranger cannot disturb the shareholders. Raise
        IntegrityError when the shares are right but the keyring is damaged.
        """
        config = self.config
        if migrate:
            raise InvalidRequest("can't perform a seal migration, no migration seal found")
        if reset:
            held = self._nonce.encode()
            if not held or not hmac.compare_digest(nonce.encode("utf-8", "replace"), held):
                raise InvalidRequest(
                    "a reset needs the nonce of the attempt in progress, which the response to "
                    "each share shows"
                )
            self._restart()
            return self.status()
        if not key:
            raise InvalidRequest(
                "'key' must be specified in request body as JSON, or 'reset' set to true"
            )
        share = decode_share(key)
        if self.sealed and self._shares.add(share):
            self._nonce = self._nonce or new_nonce(self._entropy)
            root_key = self._shares.open(partial(open_shamir, config))
            if root_key is not None:
                self._restart()
                self._open_with(view, root_key, None)
        return self.status()

    def unseal_with_file(self, view: RowView, content: bytes) -> SealStatus:
        """Open the seal with the content of the key file.

        Raise InvalidRequest when it does not open the root key, IntegrityError when the root key
        does not open the keyring.
        """
        file_key = decode_file_key(content)
        root_key = open_file(self.config, file_key)
        if self.sealed:
            self._restart()
            self._open_with(view, root_key, file_key)
        return self.status()

    def close(self) -> None:
        """Drop the keys and any progress; do nothing if already sealed."""
        self._open = None
        self._restart()

    def store_keyring(self, view: RowView, keyring: Keyring) -> None:
        """Store keyring, rotated or with new use counts, under the root key.

        After a rotation the caller makes a new Barrier from it.
        """
        self._open = replace(self.opened, keyring=keyring)
        key, row = self._open.keyring_row(self._entropy)
        view.put(key, row)

    def adopt(self, view: RowView, config: SealConfig, root_key: Secret) -> None:
        """Replace root key and wraps with those of a completed rekey; keep the keyring."""
        self._open = replace(self.opened, config=config, root_key=root_key)
        self._config = config
        self._store(view, self._open)

    def _open_with(self, view: RowView, root_key: Secret, file_key: Secret | None) -> None:
        keyring = open_keyring(self.config, root_key, view.get(keyring_key(self.segment)))
        self._open = OpenSeal(self.config, root_key, keyring, file_key)

    def _store(self, view: RowView, opened: OpenSeal) -> None:
        for key, row in opened.rows(self._entropy).items():
            view.put(key, row)

    def _restart(self) -> None:
        config = self._config
        self._shares = Shares(0) if config is None else shares_of(config)
        self._nonce = ""
