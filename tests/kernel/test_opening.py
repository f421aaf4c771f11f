"""Bringing the house up: with a key file, not while rows are on their way, never half."""

import pytest

from ironkeep.core.errors import IronkeepError, NotFound, Sealed, Unavailable
from ironkeep.core.operation import Operation
from ironkeep.kernel import opening
from ironkeep.plugin import plans
from ironkeep.seal.seal import Initialised
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault


def with_key_file() -> tuple[Vault, Initialised]:
    vault = Vault(PLUGINS)
    tx = vault.house.state.begin()
    made, root = opening.initialise(vault.house, tx, 1, 1, with_key_file=True)
    tx.merge()
    vault.flush()
    vault.root = root.token.reveal().decode()
    return vault, made


def test_a_key_file_opens_it_without_shares() -> None:
    vault, made = with_key_file()
    assert made.key_file is not None
    assert vault.read("sys/mounts").error is Sealed
    opening.open_with_key_file(vault.house, made.key_file.reveal())
    assert vault.read("sys/mounts").error is None
    opening.open_with_key_file(vault.house, b"not asked again: it is open")
    again = vault.restarted()
    opening.open_with_key_file(again.house, made.key_file.reveal())
    assert again.read("sys/mounts").error is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"nonsense", b"x" * 10_000])
def test_another_file_opens_nothing(content: bytes) -> None:
    vault, _ = with_key_file()
    with pytest.raises(IronkeepError):
        opening.open_with_key_file(vault.house, content)
    assert vault.house.barrier is None


def test_before_it_has_keys_a_key_file_does_nothing() -> None:
    vault = Vault(PLUGINS)
    opening.open_with_key_file(vault.house, b"x")
    assert vault.read("sys/init", token=None).body == {"initialized": False}


def test_the_standard_mounts_are_there_and_the_keys_are_not() -> None:
    vault, _ = with_key_file()
    assert vault.house.barrier is None
    assert vault.house.seal.sealed
    assert {path for path, *_ in opening.STANDARD_MOUNTS} >= {"sys/", "cubbyhole/", "auth/token/"}


def test_it_is_not_opened_while_a_change_is_on_its_way_to_the_disk() -> None:
    vault = Vault.started(PLUGINS)
    write = vault.asked(Operation.UPDATE, "secret/data/app", {"data": {"a": "1"}}, "root")
    vault.pipeline.handle(write)
    batch = vault.house.ledger.close()
    assert batch is not None
    vault.pipeline.handle(vault.asked(Operation.UPDATE, "sys/seal", {}, "root"))
    unseal = vault.asked(Operation.UPDATE, "sys/unseal", {"key": vault.keys[0]}, None)
    refused = vault.pipeline.handle(unseal)
    assert refused.error is Unavailable  # type: ignore[union-attr]
    assert vault.house.barrier is None
    vault.house.ledger.persist(batch)
    vault.house.ledger.settle(batch)
    vault.flush()
    assert vault.unseal().body["sealed"] is False
    assert vault.read("secret/data/app").data["data"] == {"a": "1"}


def test_a_mount_whose_engine_is_gone_answers_like_none() -> None:
    vault = Vault.started(PLUGINS)
    without = {kind: plugin for kind, plugin in PLUGINS.items() if kind != "kv"}
    vault.files.close()
    again = Vault(without, storage=vault.storage, disk=vault.disk, clock=vault.clock, seed=9)
    again.keys, again.root = vault.keys, vault.root
    again.unseal()
    assert again.read("secret/data/app").error is NotFound
    assert "secret/" in again.read("sys/mounts").data, "it is still listed, and its rows stay"


def test_remembered_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "MAX_PLANS", 8)
    vault = Vault.started(PLUGINS)
    for number in range(50):
        assert vault.read(f"secret/data/{number}").error is NotFound
    assert len(vault.house.routing._plans._known) <= 8
    vault.delete("sys/mounts/secret")
    assert "no handler for route" in vault.read("secret/data/1").errors[0]
