"""Followers that wait for a signed head: on the loop, without a thread, and never for ever."""

import asyncio

import pytest

from ironkeep.app import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.edge import Edge, request, run

FOLLOW = "sys/audit/log/follow"


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    return vault


def follower(vault: Vault) -> str:
    """Return the path of a request that waits for the next entry."""
    vault.journal.checkpoint()
    begun = vault.read(FOLLOW).data
    vault.journal.checkpoint()
    cursor = f"{vault.origin}@{vault.journal.durable_size}"
    return f"{FOLLOW}?reading={begun['reading']}&cursor={cursor}&wait=30"


def test_followers_take_no_thread_and_are_resumed_together(vault: Vault) -> None:
    asked = follower(vault)

    async def scenario(edge: Edge) -> None:
        clients = [edge.connect() for _ in range(40)]
        for client in clients:
            client.send(request("GET", asked, vault.root))
        assert (
            await edge.connect().ask(request("GET", "secret/data/app", vault.root))
        ).status == 200
        assert not any(client.answered for client in clients)
        vault.journal.checkpoint()
        vault.house.readings.heads.signed()
        for client in clients:
            (entry,) = (await client.answer()).json()["data"]["entries"]
            assert entry["path"] == "secret/data/app"

    run(scenario, vault)


def test_a_server_that_stops_keeps_none_of_them(vault: Vault) -> None:
    asked = follower(vault)

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(request("GET", asked, vault.root))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not client.answered
        vault.house.readings.heads.close()
        assert (await client.answer()).json()["data"]["entries"] == []
        assert (await client.ask(request("GET", asked, vault.root))).status == 200

    run(scenario, vault)


def test_one_waiter_too_many_is_answered_at_once(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironkeep.plugin.effects.heads.MAX_WAITERS", 1)
    asked = follower(vault)

    async def scenario(edge: Edge) -> None:
        first, second = edge.connect(), edge.connect()
        first.send(request("GET", asked, vault.root))
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await second.ask(request("GET", asked, vault.root))).status == 200
        assert not first.answered
        edge.loop.jump(31)
        assert (await first.answer()).json()["data"]["entries"] == [], "its time is over"

    run(scenario, vault)
