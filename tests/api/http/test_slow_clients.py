"""Clients that are slow, many, or gone: each costs nobody but itself."""

import asyncio

import pytest

from ironkeep.api.http import protocol
from ironkeep.app import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.edge import Edge, request, run

GET = b"GET /v1/secret/data/app HTTP/1.1\r\n"


@pytest.fixture(scope="module")
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    return vault


class TestSlowClients:
    def after(self, vault: Vault, sent: bytes, seconds: float, *, drip: bytes = b"") -> str:
        """Return what became of a client that sent something, and then only drip."""
        found: list[str] = []

        async def scenario(edge: Edge) -> None:
            client = edge.connect()
            if sent:
                client.send(sent)
            await edge.settle() if not drip else await asyncio.sleep(0)
            for _ in range(int(seconds)):
                edge.loop.jump(1)
                if drip and not client.transport.closed:
                    client.send(drip)
                client.protocol.sweep(edge.loop.time())
            transport = client.transport
            found.append(
                "aborted" if transport.aborted else "closed" if transport.closed else "open"
            )

        run(scenario, vault)
        return found[0]

    def test_one_that_says_nothing(self, vault: Vault) -> None:
        assert self.after(vault, b"", protocol.HEAD_SECONDS - 1) == "open"
        assert self.after(vault, b"", protocol.HEAD_SECONDS + 1) == "aborted"

    def test_one_whose_head_drips(self, vault: Vault) -> None:
        seconds = protocol.HEAD_SECONDS
        assert self.after(vault, GET, seconds - 1, drip=b"a") == "open"
        assert self.after(vault, GET, seconds + 1, drip=b"a") == "aborted"

    def test_one_whose_body_drips(self, vault: Vault) -> None:
        head = request("POST", "secret/data/x", "", "Content-Length: 1000")
        seconds = protocol.READ_SECONDS
        assert self.after(vault, head, seconds - 1, drip=b"a") == "open"
        assert self.after(vault, head, seconds + 1, drip=b"a") == "aborted"

    def test_one_that_is_idle(self, vault: Vault) -> None:
        data = request("GET", "secret/data/app", vault.root)
        assert self.after(vault, data, protocol.IDLE_SECONDS - 1) == "open"
        assert self.after(vault, data, protocol.IDLE_SECONDS + 2) == "closed"

    def test_one_that_does_not_read(self, vault: Vault) -> None:
        async def scenario(edge: Edge) -> None:
            client = edge.connect()
            await client.ask(request("GET", "secret/data/app", vault.root))
            client.protocol.pause_writing()
            edge.loop.jump(protocol.WRITE_SECONDS + 1)
            client.protocol.sweep(edge.loop.time())
            assert client.transport.aborted

        run(scenario, vault)


def test_connections_have_a_limit(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    head = request("POST", "secret/data/x", vault.root, "Content-Length: 100")

    async def scenario(edge: Edge) -> None:
        monkeypatch.setattr(edge.protocol, "most", 3)
        clients = [edge.connect() for _ in range(3)]
        for client in clients:
            client.send(head)  # one that is being served makes room for nobody
        clients.append(edge.connect())
        raw = await clients[3].answer()
        assert raw.status == 503
        assert raw.errors == ["too many connections: try again shortly"]
        assert clients[3].transport.closed
        clients[0].leave()
        clients[3].leave()
        data = request("GET", "secret/data/app", vault.root)
        assert (await edge.connect().ask(data)).status == 200

    run(scenario, vault)


class TestClientsThatLeave:
    def test_one_that_leaves_early_costs_nobody_an_answer(self, vault: Vault) -> None:
        data = request("GET", "secret/data/app", vault.root)
        slow = request("GET", "secret/data/app?version=1", vault.root)

        async def scenario(edge: Edge) -> None:
            clients = [edge.connect() for _ in range(9)]
            for number, client in enumerate(clients):
                client.send(slow if number % 2 else data)
            clients[0].leave()
            clients[1].leave()
            # A transport may also be closed without our having been told yet.
            clients[2].transport.broken = RuntimeError("the handler is closed")
            for client in clients[3:]:
                assert (await client.answer()).status == 200
            await edge.settle()
            assert [str(error) for error in edge.defects] == ["the handler is closed"]

        run(scenario, vault)

    def test_a_request_cut_short_is_not_executed(self, vault: Vault) -> None:
        head = request("POST", "sys/seal", vault.root, "Content-Length: 2")

        async def scenario(edge: Edge) -> None:
            client = edge.connect()
            client.send(head)
            await asyncio.sleep(0)
            client.leave()
            await edge.settle()
            assert not client.answered

        run(scenario, vault)
        assert vault.house.barrier is not None
