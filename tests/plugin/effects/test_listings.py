"""Folders of any size are listed in turns, and every name is there once."""

import json
import random

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import NotFound, PermissionDenied, TooLarge
from ironkeep.core.operation import Operation
from ironkeep.plugin.effects import listings
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.plugin.effects.pauses import next_turn
from ironkeep.testing.parts import texts
from ironkeep.testing.vault import Vault

PATH = "secret/metadata/"


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def fill(vault: Vault, count: int) -> list[str]:
    """Store keys in a shuffled order; return their names, sorted."""
    names = [f"k{number}" for number in range(count)]
    random.Random(count).shuffle(names)
    house, tx = vault.house, vault.house.state.begin()
    mount = house.mounts.table(house.store(tx, "sys/mounts")).by_path["secret/"]
    for name in names:
        house.mount_store(tx, mount).put(f"meta/{name}", b"")
    tx.merge()
    vault.flush()
    return sorted(names)


def start(vault: Vault, token: str = "root") -> Answer | Waiting:
    return vault.pipeline.handle(vault.asked(Operation.LIST, PATH, None, token))


@pytest.mark.parametrize("count", [1, 6, 7, 8, 100])
def test_a_folder_is_listed_in_turns_of_one_page(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(listings, "PAGE", 7)
    names = fill(vault, count)
    outcome, turns = start(vault), 1
    while isinstance(outcome, Waiting):
        assert outcome.work is next_turn
        assert outcome.receipt is None, "reading writes no entry in each turn"
        outcome, turns = outcome.finish(None), turns + 1
    assert outcome.error is None
    assert vault.list(PATH).keys == names
    assert turns >= -(-count // 7)
    assert (turns == 1) is (count < 7)


def test_names_that_come_or_go_meanwhile_do_no_harm(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "PAGE", 5)
    names = fill(vault, 60)
    outcome = start(vault)
    for number in range(60):
        assert isinstance(outcome, Waiting)
        vault.delete(f"secret/metadata/k{number}")
        vault.write(f"secret/data/new{number}", {"data": {}})
        outcome = outcome.finish(None)
        if not isinstance(outcome, Waiting):
            break
    assert isinstance(outcome, Answer)
    assert outcome.body is not None
    found = texts(json.loads(outcome.body), "data", "keys")
    assert len(found) == len(set(found))
    assert set(names) - {f"k{n}" for n in range(number + 1)} <= set(found)


def test_the_listing_ends_with_the_right_to_it(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "PAGE", 5)
    fill(vault, 60)
    token = vault.write("auth/token/create", {"policies": ["root"]}).token
    outcome = start(vault, token)
    assert isinstance(outcome, Waiting)
    vault.write("auth/token/revoke", {"token": token})
    ended = outcome.finish(None)
    assert isinstance(ended, Answer)
    assert ended.error is PermissionDenied


def test_too_many_and_none(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vault.list(PATH).error is NotFound
    fill(vault, 20)
    monkeypatch.setattr(listings, "MAX_LISTED", 19)
    assert vault.list(PATH).error is TooLarge
    monkeypatch.setattr(listings, "PAGE", 5)
    assert vault.list(PATH).error is TooLarge
