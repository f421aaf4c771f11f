"""One cheap request must not hold up everybody: what is large is destroyed in bounded steps."""

import json

import pytest

from ironkeep.api.http import wire
from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.ids import TokenHash
from ironkeep.core.operation import Operation
from ironkeep.core.text.numbers import MAX_NUMBER
from ironkeep.identity import tokens
from ironkeep.kernel.tick import due_turn, tick
from ironkeep.plugin.effects import listings
from ironkeep.store import demolition
from ironkeep.testing.parts import text
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


def turns(vault: Vault, most: int) -> int:
    """Work off what is due in the shortest turns; return their number, each with few writes."""
    vault.clock.advance(seconds=1)
    tick(vault.house, vault.clock.now_ns())
    count, more = 0, True
    while more:
        more = due_turn(vault.house, vault.clock.now_ns(), lambda: True).more
        count += vault.house.ledger.has_open_batch() and written(vault) < most
    return count


def test_unmounting_a_large_mount_does_not_stall_the_server(vault: Vault) -> None:
    """Gains: an operator's own `secrets disable` stops the vault for minutes."""
    uuid = text(vault.read("sys/mounts/secret").data, "uuid")
    fill(vault, uuid, "meta/", MANY)
    asked = vault.asked(Operation.DELETE, "sys/mounts/secret", None, "root")
    vault.pipeline.handle(asked)
    assert written(vault) < 2 * demolition.STEP
    assert vault.read("secret/metadata/k1/1").error is not None
    assert left(vault, uuid) > demolition.STEP
    assert turns(vault, 2 * demolition.STEP) >= MANY // demolition.STEP
    assert left(vault, uuid) == 0
    vault.tick()
    assert not vault.house.demolition.doomed(vault.house.state.begin())
    assert vault.storage.due(vault.clock.now_ns(), 10) == []


def test_a_full_cubbyhole_does_not_stall_the_server_when_its_token_ends(vault: Vault) -> None:
    """Gains: whoever has the default policy stops the vault by revoke-self."""
    token = vault.write("auth/token/create", {"policies": ["default"]}).token
    vault.write("cubbyhole/one", {"a": "b"}, token=token)
    (folder,) = vault.house.store(vault.house.state.begin(), "sys/cubbyhole").list()
    fill(vault, "sys/cubbyhole", folder, MANY)
    vault.pipeline.handle(vault.asked(Operation.UPDATE, "auth/token/revoke-self", None, token))
    assert written(vault) < 2 * demolition.STEP
    vault.tick()
    assert left(vault, "sys/cubbyhole") == 0


def test_a_mount_made_again_at_the_path_of_a_large_one_is_empty(vault: Vault) -> None:
    """Gains: reading a destroyed mount's secrets while its rows are still being removed."""
    uuid = text(vault.read("sys/mounts/secret").data, "uuid")
    fill(vault, uuid, "meta/", MANY)
    vault.delete("sys/mounts/secret")
    vault.write("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    assert vault.list("secret/metadata/").body == {"errors": []}
    vault.write("secret/data/k1/1", {"data": {"a": "kept"}})
    vault.tick()
    assert vault.read("secret/data/k1/1").data["data"] == {"a": "kept"}


def test_moves_do_not_starve_the_expiry_of_tokens(vault: Vault) -> None:
    """Gains: tokens, leases and wrapped answers that are never removed, and an entry a second."""
    vault.write("sys/mounts/a", {"type": "kv"})
    vault.write("sys/remount", {"from": "a", "to": "b"})
    vault.tick(seconds=25 * 3600)
    vault.tick()
    assert vault.storage.due(vault.clock.now_ns(), 10) == []


def test_a_token_with_very_many_children_is_ended_in_steps(vault: Vault) -> None:
    """Gains: whoever may make tokens makes 100,000 below one and ends it: nobody else is served."""
    parent = vault.write("auth/token/create", {"policies": ["root"], "ttl": "1h"})
    token = parent.token
    fresh = []
    for _ in range(10 * tokens.STEP):
        asked = vault.asked(Operation.UPDATE, "auth/token/create", {"ttl": "1h"}, token)
        answer = vault.settle(vault.pipeline.handle(asked))
        fresh.append(json.loads(answer.body or b"")["auth"]["client_token"])
    vault.pipeline.handle(vault.asked(Operation.UPDATE, "auth/token/revoke-self", None, token))
    assert written(vault) < 20 * tokens.STEP
    assert vault.read("auth/token/lookup-self", token=fresh[-1]).error is not None
    assert turns(vault, 20 * tokens.STEP) >= 9
    assert len(vault.list("auth/token/accessors/").keys) == 1
    assert vault.storage.due(vault.clock.now_ns(), 10) == []


def test_looking_for_dead_tokens_goes_on_in_steps(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gains: one call of auth/token/tidy stops a vault of many tokens for many seconds."""
    for _ in range(60):
        vault.write("auth/token/create", {"ttl": "1h"})
    house = vault.house
    tx = house.state.begin()
    maker = text(vault.read("auth/token/lookup-self").data, "accessor")
    now = vault.clock.now_ns()
    house.tokens.spend(tx, house.tokens.store.by_accessor(tx, maker) or TokenHash(""), now)
    tx.merge()
    vault.flush()
    monkeypatch.setattr(tokens, "TIDY_STEP", 20)
    vault.clock.advance(seconds=1)
    tx = house.state.begin()
    assert house.tokens.tidy(tx, vault.clock.now_ns()) == 20
    tx.merge()
    vault.flush()
    vault.tick()
    vault.tick()
    assert house.tokens.accessors(house.state.begin()) == []
    assert vault.storage.due(vault.clock.now_ns(), 10) == []


def test_a_listing_has_a_limit(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gains: whoever may list a folder of millions of names stops the vault as often as wanted."""
    for number in range(6):
        vault.write(f"secret/data/k{number}", {"data": {"a": "b"}})
    monkeypatch.setattr(listings, "MAX_LISTED", 6)
    assert len(vault.list("secret/metadata/").keys) == 6
    monkeypatch.setattr(listings, "MAX_LISTED", 5)
    assert vault.list("secret/metadata/").error is TooLarge


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"1," * wire.MAX_JSON_TOKENS + b"1]}",
        b'{"a":1.' + b"5" * MAX_NUMBER + b"}",
        b'{"a":' + b"1" * 5_000 + b"}",
        b'{"a":' * 70 + b"1" + b"}" * 70,
        b'{"a":' + b"[" * 1_000_000,
    ],
    ids=["many", "long fraction", "long number", "deep", "very deep"],
)
def test_a_body_that_is_dear_to_parse_is_refused(body: bytes) -> None:
    """Gains: a stranger's megabyte a second takes all of the server's time."""
    with pytest.raises((TooLarge, InvalidRequest)):
        wire.parse_json(body)
