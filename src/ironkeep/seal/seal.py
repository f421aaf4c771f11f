"""The seal of one segment, as a state machine without I/O.

                  initialise              enough shares, or the key file
    uninitialised ──────────▶ sealed ◀──────────────────────────────▶ unsealed
                                            close, restart

It reads and writes the two rows of seal/config.py through a view. What it holds is what was
executed: after a commit whose outcome is unknown the kernel calls `load` on the rows as re-read. To
check the store against its set-hash, after unsealing and before serving, is the kernel's part.
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
from ironkeep.store.rows import View

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
"""Parameters of Vault's init, rekey and generate-root that a seal of this type has no use for."""


@dataclass(frozen=True, slots=True)
class SealStatus:
    """What sys/seal-status and sys/unseal answer: t is the threshold, n the number of shares."""

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
    """What exists once only: the shares, and the content of the key file if one was wanted."""

    keys: tuple[Secret, ...]
    key_file: Secret | None


def check_applicable(parameters: Mapping[str, object]) -> None:
    """Raise InvalidRequest, in Vault's words, if parameters set something this seal cannot do."""
    named = [name for name in INAPPLICABLE if parameters.get(name)]
    if named:
        raise InvalidRequest(
            f"parameters {','.join(named)} not applicable to seal type {SEAL_TYPE}"
        )


def shares_of(config: SealConfig) -> Shares:
    """Return an attempt to gather the shares of a seal."""
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
        """Return whether the keys are out of reach."""
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

    def load(self, view: View) -> None:
        """Take the seal as stored in view; an open seal stays open if it is still the stored one.

        Progress of an attempt to unseal is lost. Raise IntegrityError on damaged rows; the seal is
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
        """Return where the seal stands."""
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
        self, view: View, now_ns: int, shares: int, threshold: int, *, with_key_file: bool = False
    ) -> Initialised:
        """Make all keys of the segment, store them in view, and stay sealed.

        Raise InvalidRequest when it has keys already, or on an impossible scheme. The caller makes
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
        self, view: View, key: str, *, reset: bool = False, nonce: str = "", migrate: bool = False
    ) -> SealStatus:
        """Take one share, in hexadecimal or base64; open the seal when it completes the threshold.

        A share given twice counts once; one given while open changes nothing. Raise InvalidRequest
        on text that is no share and on one that is not of this seal: those given before stay. A
        reset forgets them, and takes the nonce of the attempt, which only the answer to a share
        shows. Raise IntegrityError when the keyring under them is damaged.
        """
        config = self.config
        if migrate:
            raise InvalidRequest("can't perform a seal migration, no migration seal found")
        if reset:
            held = self._nonce.encode()
            if not held or not hmac.compare_digest(nonce.encode("utf-8", "replace"), held):
                raise InvalidRequest(
                    "a reset takes the nonce of the attempt in progress, which the answer to each "
                    "share shows"
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

    def unseal_with_file(self, view: View, content: bytes) -> SealStatus:
        """Open the seal with the content of the key file.

        Raise InvalidRequest when it does not fit, IntegrityError when the keyring does not.
        """
        file_key = decode_file_key(content)
        root_key = open_file(self.config, file_key)
        if self.sealed:
            self._restart()
            self._open_with(view, root_key, file_key)
        return self.status()

    def close(self) -> None:
        """Drop the keys and any progress; sealing what is sealed is fine."""
        self._open = None
        self._restart()

    def store_keyring(self, view: View, keyring: Keyring) -> None:
        """Store keyring, rotated or newly counted, under the root key.

        After a rotation the caller makes a new Barrier of it.
        """
        self._open = replace(self.opened, keyring=keyring)
        key, row = self._open.keyring_row(self._entropy)
        view.put(key, row)

    def adopt(self, view: View, config: SealConfig, root_key: Secret) -> None:
        """Replace root key and wraps by those of a completed rekey; the keyring stays the same."""
        self._open = replace(self.opened, config=config, root_key=root_key)
        self._config = config
        self._store(view, self._open)

    def _open_with(self, view: View, root_key: Secret, file_key: Secret | None) -> None:
        keyring = open_keyring(self.config, root_key, view.get(keyring_key(self.segment)))
        self._open = OpenSeal(self.config, root_key, keyring, file_key)

    def _store(self, view: View, opened: OpenSeal) -> None:
        for key, row in opened.rows(self._entropy).items():
            view.put(key, row)

    def _restart(self) -> None:
        config = self._config
        self._shares = Shares(0) if config is None else shares_of(config)
        self._nonce = ""
