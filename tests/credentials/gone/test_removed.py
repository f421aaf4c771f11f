"""What is gone is on record: bounded, found from the newest, and what is forgotten is said."""

import pytest

from ironkeep.core.ids import MountUuid
from ironkeep.credentials.gone import removed as module
from ironkeep.credentials.gone.removed import Gone, Removed
from ironkeep.credentials.gone.spans import Span
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.vault import Vault


@pytest.fixture
def vault() -> Vault:
    return Vault.started()


def gone(name: str) -> Gone:
    return Gone(name, f"data/{name}", (Span(1, 1, 0, 9),))


def test_what_was_removed_after_an_instant_is_found_and_nothing_older_is_read(
    vault: Vault,
) -> None:
    removed, tx = Removed(vault.house.store), vault.house.state.begin()
    for number in range(10):
        removed.add(tx, "m", [gone(f"k{number}")], 100 + number)
    removed.add(tx, "other", [gone("x")], 105)
    found = [batch.gone[0].path for batch in removed.after(tx, "m", 106)]
    assert found == ["k9", "k8", "k7"]
    assert removed.forgotten_ns(tx, "m") == 0


def test_the_oldest_are_forgotten_and_that_is_said(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 4)
    removed, tx = Removed(vault.house.store), vault.house.state.begin()
    for number in range(6):
        removed.add(tx, "m", [gone(f"k{number}")], 100 + number)
    rows = list(vault.house.store(tx, module.PLACE).walk("m"))
    assert len(rows) == 4 + 1
    assert [batch.gone[0].path for batch in removed.after(tx, "m", 0)] == ["k5", "k4", "k3", "k2"]
    assert removed.forgotten_ns(tx, "m") == 101


def test_a_new_vault_has_always_recorded_removals_and_an_older_one_since_it_was_opened(
    vault: Vault,
) -> None:
    tx = vault.house.state.begin()
    assert vault.house.removed.since_ns(tx) == 0
    vault.house.store(tx, module.PLACE).delete("since")
    vault.house.removed.begin(tx, 77)
    vault.house.removed.begin(tx, 99)
    assert vault.house.removed.since_ns(tx) == 77


def paths(vault: Vault, uuid: str) -> list[str]:
    tx = vault.house.state.begin()
    return sorted(
        each.path for batch in vault.house.removed.after(tx, uuid, 0) for each in batch.gone
    )


def test_a_removed_mount_leaves_the_names_of_all_its_secrets_across_a_restart(
    vault: Vault,
) -> None:
    vault.write("sys/mounts/kv2", {"type": "kv", "options": {"version": "2"}})
    house = vault.house
    uuid = MountUuid(
        house.mounts.table(house.store(house.state.begin(), MOUNTS)).by_path["kv2/"].uuid
    )
    names = [f"a/{number:03d}" for number in range(3 * module.TOGETHER + 5)]
    for name in names:
        vault.write(f"kv2/data/{name}", {"data": {"k": name}})
    vault.clock.advance(seconds=1)
    assert vault.delete("sys/mounts/kv2").error is None
    # The request has begun; due turns do the rest, some before and some after a restart.
    assert len(paths(vault, uuid)) == module.TOGETHER
    again = vault.restarted()
    again.unseal()
    for _ in range(20):
        again.clock.advance(seconds=1)
        again.tick()
    assert paths(again, uuid) == names
    tx = again.house.state.begin()
    assert again.house.demolition.doomed(tx) == frozenset()
    assert list(again.house.store(tx, uuid).walk()) == []
