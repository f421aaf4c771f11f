"""Upkeep of a keyring: counts the uses of its key, and rotates it when used or kept long enough.

AES-GCM with random nonces is safe for some 2^32 uses of a key. The count is stored with the
keyring, so that it survives a restart; a crash loses at most `SAVE_EVERY` uses of it.
"""

from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ports import Entropy
from ironkeep.seal.seal import Seal
from ironkeep.store.barrier import Barrier, Store
from ironkeep.store.keyring import MAX_OPERATIONS, Keyring
from ironkeep.store.names import BARRIER_SPACE
from ironkeep.store.state import Tx

SAVE_EVERY: Final = 1 << 20
"""Uses between two saves of the count: a crash loses at most a four-thousandth of the limit."""
MIN_OPERATIONS: Final = 1_000_000
MIN_INTERVAL_SECONDS: Final = 24 * 3600
"""Vault's own lower bounds: rotating more often only fills the keyring."""

_CONFIG: Final = "rotate-config"


class RotateConfig(msgspec.Struct, frozen=True):
    """The settings of automatic key rotation; an interval of 0 means that age does not matter."""

    max_operations: int = MAX_OPERATIONS
    interval: int = 0
    enabled: bool = True


_DECODER: Final = msgspec.json.Decoder(RotateConfig)


class Upkeep:
    """Rotates the keyring of one seal and saves its counts."""

    def __init__(self, seal: Seal, entropy: Entropy, space: bytes = BARRIER_SPACE) -> None:
        self._seal: Final = seal
        self._entropy: Final = entropy
        self._space: Final = space

    def config(self, store: Store) -> RotateConfig:
        """Return the settings."""
        raw = store.get(_CONFIG)
        return RotateConfig() if raw is None else _DECODER.decode(raw)

    def configure(self, store: Store, config: RotateConfig) -> None:
        """Change the settings; raise InvalidRequest outside Vault's bounds."""
        if not MIN_OPERATIONS <= config.max_operations <= MAX_OPERATIONS:
            raise InvalidRequest(f"max_operations is between {MIN_OPERATIONS} and {MAX_OPERATIONS}")
        if config.interval and config.interval < MIN_INTERVAL_SECONDS:
            raise InvalidRequest("interval is 0 or at least 24 hours")
        store.put(_CONFIG, msgspec.json.encode(config))

    def rotate(self, tx: Tx, barrier: Barrier, now_ns: int) -> Barrier:
        """Return a barrier whose keyring has one more key, which encrypts from now on."""
        return self._store(tx, barrier.ciphers.counted_keyring().rotate(self._entropy, now_ns))

    def check(self, tx: Tx, barrier: Barrier, store: Store, now_ns: int) -> Barrier | None:
        """Return a new barrier when the key is due for rotation or its count for saving."""
        config = self.config(store)
        counted = barrier.ciphers.counted_keyring()
        if config.enabled and counted.due_for_rotation(
            now_ns, config.max_operations, config.interval
        ):
            return self._store(tx, counted.rotate(self._entropy, now_ns))
        if counted.encryptions - barrier.ciphers.keyring.encryptions >= SAVE_EVERY:
            return self._store(tx, counted)
        return None

    def _store(self, tx: Tx, keyring: Keyring) -> Barrier:
        self._seal.store_keyring(tx, keyring)
        return Barrier(keyring, self._entropy, self._space)
