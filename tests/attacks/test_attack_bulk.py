"""One cheap request must not hold up everybody: what is large is destroyed in bounded steps."""

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.operation import Operation
from ironkeep.kernel import demolition
from ironkeep.testing.vault import Vault

MANY = 3 * demolition.STEP


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def written(vault: Vault) -> int:
    """Return how many rows the open batch has, and make it durable."""
    batch = vault.house.ledger.close()
    assert batch is not None
    vault.house.ledger.persist(batch)
    vault.house.ledger.settle(batch)
    return len(batch.commit.writes) if batch.commit else 0


def fill(vault: Vault, place: str, folder: str, count: int) -> None:
    """Put records into a place in one batch."""
    tx = vault.house.state.begin()
    store = vault.house.store(tx, place)
    for number in range(count):
        store.put(f"{folder}k{number % 40}/{number}", b"x")
    tx.merge()
    vault.flush()


def left(vault: Vault, place: str) -> int:
    return len(list(vault.house.store(vault.house.state.begin(), place).walk()))


def test_unmounting_a_large_mount_does_not_stall_the_server(vault: Vault) -> None:
    """Gains: an operator's own `secrets disable` stops the vault for minutes."""
    uuid = vault.read("sys/mounts/secret").data["uuid"]
    fill(vault, uuid, "meta/", MANY)
    asked = vault.asked(Operation.DELETE, "sys/mounts/secret", None, "root")
    vault.pipeline.handle(asked)
    assert written(vault) < 2 * demolition.AT_ONCE
    assert vault.read("secret/metadata/k1/1").error is not None
    assert left(vault, uuid) > demolition.STEP
    steps = 0
    while left(vault, uuid):
        vault.clock.advance(seconds=1)
        vault.house.tick(vault.clock.now_ns())
        assert written(vault) < 2 * demolition.STEP
        steps += 1
    assert steps >= MANY // demolition.STEP
    vault.tick()
    assert not vault.house.demolition.doomed(vault.house.state.begin())
    assert vault.storage.due(vault.clock.now_ns(), 10) == []


def test_a_full_cubbyhole_does_not_stall_the_server_when_its_token_ends(vault: Vault) -> None:
    """Gains: whoever has the default policy stops the vault by revoke-self."""
    token = vault.write("auth/token/create", {"policies": ["default"]}).auth["client_token"]
    vault.write("cubbyhole/one", {"a": "b"}, token=token)
    (folder,) = vault.house.store(vault.house.state.begin(), "sys/cubbyhole").list()
    fill(vault, "sys/cubbyhole", folder, MANY)
    vault.pipeline.handle(vault.asked(Operation.UPDATE, "auth/token/revoke-self", None, token))
    assert written(vault) < 2 * demolition.AT_ONCE
    for _ in range(MANY // demolition.STEP + 3):
        vault.tick()
    assert left(vault, "sys/cubbyhole") == 0


def test_a_mount_made_again_at_the_path_of_a_large_one_is_empty(vault: Vault) -> None:
    """Gains: reading a destroyed mount's secrets while its rows are still being removed."""
    uuid = vault.read("sys/mounts/secret").data["uuid"]
    fill(vault, uuid, "meta/", MANY)
    vault.delete("sys/mounts/secret")
    vault.write("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    assert vault.list("secret/metadata/").body == {"errors": []}
    vault.write("secret/data/k1/1", {"data": {"a": "kept"}})
    for _ in range(MANY // demolition.STEP + 3):
        vault.tick()
    assert vault.read("secret/data/k1/1").data["data"] == {"a": "kept"}


def test_moves_do_not_starve_the_expiry_of_tokens(vault: Vault) -> None:
    """Gains: tokens, leases and wrapped answers that are never removed, and an entry a second."""
    vault.write("sys/mounts/a", {"type": "kv"})
    vault.write("sys/remount", {"from": "a", "to": "b"})
    vault.tick(seconds=25 * 3600)
    vault.tick()
    assert vault.storage.due(vault.clock.now_ns(), 10) == []
