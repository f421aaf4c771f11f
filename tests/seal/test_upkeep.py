"""Keys in use: counted across restarts, rotated when used or kept long enough."""

import msgspec
import pytest

from ironkeep.core.errors import InvalidRequest
from ironkeep.seal.upkeep import (
    MIN_INTERVAL_SECONDS,
    MIN_OPERATIONS,
    SAVE_EVERY,
    RotateConfig,
)
from ironkeep.store.barrier import Barrier
from ironkeep.store.keyring import MAX_OPERATIONS
from ironkeep.store.reserved import UPKEEP
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def used(barrier: Barrier, times: int) -> None:
    """Count uses as that many encryptions would."""
    barrier.ciphers._used += times


def term(vault: Vault) -> int:
    return vault.house.keys().ciphers.keyring.current.number


def configure(vault: Vault, config: RotateConfig) -> None:
    tx = vault.house.state.begin()
    vault.house.upkeep.configure(vault.house.store(tx, UPKEEP), config)
    tx.merge()
    vault.flush()


def test_nothing_is_due_at_first(vault: Vault) -> None:
    seq = vault.house.ledger.seq
    vault.tick()
    assert (term(vault), vault.house.ledger.seq) == (1, seq)


def test_a_key_kept_long_enough_is_rotated_and_journalled(vault: Vault) -> None:
    configure(vault, RotateConfig(interval=MIN_INTERVAL_SECONDS))
    vault.tick(MIN_INTERVAL_SECONDS + 1)
    assert term(vault) == 2
    noted = [e for _, e in vault.house.audit_reader().entries() if e.op == "keys"]
    assert noted[-1].audited["term"] == 2
    vault.write("secret/data/app", {"data": {"a": "1"}})
    again = vault.restarted()
    again.unseal()
    assert term(again) == 2
    assert again.read("secret/data/app").data["data"] == {"a": "1"}


def test_a_key_used_often_enough_is_rotated(vault: Vault) -> None:
    configure(vault, RotateConfig(max_operations=MIN_OPERATIONS))
    used(vault.house.keys(), MIN_OPERATIONS - 1_000)
    vault.tick()
    assert term(vault) == 1
    used(vault.house.keys(), 1_000)
    vault.tick()
    assert term(vault) == 2
    assert vault.house.keys().ciphers.encryptions < 1_000, "the new key's own count"


def test_a_key_stays_when_rotation_is_off(vault: Vault) -> None:
    configure(vault, RotateConfig(max_operations=MIN_OPERATIONS, enabled=False))
    used(vault.house.keys(), 2 * MIN_OPERATIONS)
    vault.tick()
    assert term(vault) == 1


def test_the_count_is_saved_now_and_then(vault: Vault) -> None:
    used(vault.house.keys(), SAVE_EVERY)
    vault.tick()
    counted = vault.house.keys().ciphers.encryptions
    again = vault.restarted()
    again.unseal()
    assert again.house.keys().ciphers.encryptions >= SAVE_EVERY
    assert counted >= SAVE_EVERY


@pytest.mark.parametrize(
    "config",
    [
        RotateConfig(max_operations=MIN_OPERATIONS - 1),
        RotateConfig(max_operations=MAX_OPERATIONS + 1),
        RotateConfig(interval=MIN_INTERVAL_SECONDS - 1),
        RotateConfig(interval=-1),
    ],
)
def test_settings_out_of_bounds(vault: Vault, config: RotateConfig) -> None:
    with pytest.raises(InvalidRequest):
        configure(vault, config)


def test_settings_at_their_bounds(vault: Vault) -> None:
    for config in (
        RotateConfig(max_operations=MIN_OPERATIONS),
        RotateConfig(max_operations=MAX_OPERATIONS, interval=MIN_INTERVAL_SECONDS),
    ):
        configure(vault, config)
        store = vault.house.store(vault.house.state.begin(), UPKEEP)
        assert vault.house.upkeep.config(store) == config
        assert msgspec.structs.asdict(config)["enabled"] is True
    assert SAVE_EVERY < MAX_OPERATIONS
