"""The agent waits for nobody for ever: silent and dripping clients, and a server that drips."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.server import ServerState

from ironkeep.agent import listening, vault
from ironkeep.agent.listening import MAX_CLIENTS, Protocol
from ironkeep.agent.vault import Vault
from ironkeep.core.errors import UpstreamFailed
from ironkeep.testing.tls import Tls, make_tls
from tests.support.edge import JumpLoop, MemoryTransport

GET = b"GET /v1/sys/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"


class Bench:
    """Connections to an agent that answers every request with 204."""

    def __init__(self, loop: JumpLoop) -> None:
        self.loop = loop
        self.state = ServerState()
        self.config = listening.server(self._app).config  # type: ignore[arg-type]
        self.config.load()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def connect(self) -> tuple[Protocol, MemoryTransport]:
        protocol = Protocol(self.config, self.state, {}, _loop=self.loop)
        transport = MemoryTransport(("127.0.0.1", 5), secure=False)
        transport._info["socket"] = SimpleNamespace(
            family=socket.AF_INET,
            getpeername=lambda: ("127.0.0.1", 5),
            getsockname=lambda: ("127.0.0.1", 8100),
        )
        transport.on_closed = protocol.connection_lost
        protocol.connection_made(transport)
        return protocol, transport

    async def settle(self) -> None:
        while self.state.tasks:
            await asyncio.wait(set(self.state.tasks))
        await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        self.loop.jump(seconds)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpLoop)

        async def main() -> None:
            await scenario(Bench(loop))

        runner.run(main())


@pytest.mark.parametrize(
    ("sent", "drip", "seconds"),
    [
        (b"", b"", listening.HEAD_SECONDS),
        (b"GET /v1/", b"a", listening.HEAD_SECONDS),
        (GET + b"GET /v1/", b"a", listening.HEAD_SECONDS),
        (POST, b"a", listening.BODY_SECONDS),
    ],
)
def test_who_is_slow_is_cut_off(sent: bytes, drip: bytes, seconds: float) -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        if sent:
            protocol.data_received(sent)
        await bench.settle() if not sent.startswith(b"POST") else await asyncio.sleep(0)
        for _ in range(4):
            await bench.pass_time(seconds / 5)
            assert not transport.aborted
            if drip:
                protocol.data_received(drip)
        await bench.pass_time(seconds / 5 + 1)
        assert transport.aborted

    run(scenario)


def test_one_that_reads_nothing_is_cut_off() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(GET)
        await bench.settle()
        protocol.pause_writing()
        protocol.resume_writing()
        await bench.pass_time(listening.WRITE_SECONDS + 1)
        assert not transport.aborted
        protocol.pause_writing()
        await bench.pass_time(listening.WRITE_SECONDS + 1)
        assert transport.aborted

    run(scenario)


def test_silent_connections_shut_nobody_out() -> None:
    async def scenario(bench: Bench) -> None:
        served, kept = bench.connect()
        served.data_received(POST)  # its request is under way
        silent = [bench.connect()[1] for _ in range(3 * MAX_CLIENTS)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(bench.state.connections) <= MAX_CLIENTS + 1
        protocol, transport = bench.connect()
        protocol.data_received(GET)
        await asyncio.wait_for(transport.changed.wait(), 20)
        assert transport.written.startswith(b"HTTP/1.1 204")
        assert sum(each.aborted for each in silent) >= 2 * MAX_CLIENTS
        assert not kept.aborted

    run(scenario)


def test_a_half_closed_request_is_answered() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(GET)
        assert protocol.eof_received()
        await bench.settle()
        assert transport.written.startswith(b"HTTP/1.1 204")
        assert transport.closed

    run(scenario)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@contextmanager
def upstream(tls: Tls, first: bytes, drip: bytes) -> Iterator[str]:
    """Run a server that sends first, and then drip until the client has gone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.cert, tls.key)

    def serve(listener: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as one:
            one.recv(1 << 16)
            one.sendall(first)
            one.settimeout(0.02 if drip else 20)
            while True:
                one.sendall(drip)
                with suppress(TimeoutError):
                    if not one.recv(1 << 16):
                        return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.close()
        thread.join(20)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("first", "drip", "said"),
    [
        (OK + b"Content-Length: 100000\r\n\r\n", b" ", "took longer"),
        (OK + b"X-Drip: ", b"a", "took longer"),
        (OK + b"Content-Length: 900000\r\n\r\n" + b"x" * 300_000, b"", "too large"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde", b"", "is compressed"),
    ],
)
def test_a_hostile_server_holds_the_agent_for_a_while_at_most(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, first: bytes, drip: bytes, said: str
) -> None:
    if drip:
        monkeypatch.setattr(vault, "TOTAL_SECONDS", 1.0)
    with upstream(tls, first, drip) as address, pytest.raises(UpstreamFailed, match=said):
        Vault(address, str(Path(tls.ca))).post("device/nonce", {})
