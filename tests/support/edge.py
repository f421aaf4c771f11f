"""The server's edge over a house in memory: real protocol and committer, no sockets, no waiting.

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        answer = await client.ask(request("GET", "secret/data/app", token))

    run(scenario, vault)

Bytes arrive in the pieces in which a test sends them. `edge.loop.jump` moves the loop's clock, so
that every deadline can be met without sleeping.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.server import ServerState

from ironkeep.api.callers import Callers
from ironkeep.api.commit.committer import Committer, Owner
from ironkeep.api.http.asgi import App
from ironkeep.api.http.protocol import Protocol
from ironkeep.api.server import configure, protocol_of
from ironkeep.api.service import Service
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.testing.vault import Vault


class JumpLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be moved on."""

    offset: float = 0.0

    def time(self) -> float:
        """Return the loop's time, jumps included."""
        return super().time() + self.offset

    def jump(self, seconds: float) -> None:
        """Let time pass at once."""
        self.offset += seconds


@dataclass(frozen=True, slots=True)
class Raw:
    """One HTTP answer as it came; header names in lower case, in order."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value; "" when it is not there."""
        return dict(self.headers).get(name, "")

    def json(self) -> Any:
        """Return the body parsed."""
        return json.loads(self.body)

    @property
    def errors(self) -> list[str]:
        """Vault's list of errors."""
        found: list[str] = self.json()["errors"]
        return found


class MemoryTransport(asyncio.Transport):
    """The server's end of a connection: what is written to it stays here."""

    def __init__(self, peer: tuple[str, int], *, secure: bool) -> None:
        super().__init__()
        self.written: Final = bytearray()
        self.closed = False
        self.aborted = False
        self.reading = True
        self.broken: Exception | None = None
        self.on_closed: Callable[[Exception | None], None] = _nothing
        self.changed: Final = asyncio.Event()
        self._info: Final = {
            "peername": peer,
            "sockname": ("127.0.0.1", 8200),
            "sslcontext": object() if secure else None,
        }

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what a socket would say."""
        return self._info.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep data; raise as uvloop does when the client is gone."""
        if self.broken is not None:
            raise self.broken
        assert not self.closed, "written to a closed connection"
        self.written.extend(data)
        self.changed.set()

    def is_closing(self) -> bool:
        """Return whether the connection was ended."""
        return self.closed

    def close(self) -> None:
        """End it; the protocol is told in the loop's next turn, as by a real one."""
        if not self.closed:
            self.closed = True
            self.changed.set()
            asyncio.get_running_loop().call_soon(self.on_closed, None)

    def abort(self) -> None:
        """End it at once."""
        self.aborted = True
        self.close()

    def pause_reading(self) -> None:
        """Stop the client's bytes."""
        self.reading = False

    def resume_reading(self) -> None:
        """Let them come again."""
        self.reading = True


class Client:
    """One connection, from the client's side."""

    def __init__(self, protocol: Protocol, transport: MemoryTransport) -> None:
        self.protocol: Final = protocol
        self.transport: Final = transport
        self._read = 0
        transport.on_closed = protocol.connection_lost
        protocol.connection_made(transport)

    def send(self, *pieces: bytes) -> None:
        """Let pieces arrive, each by itself."""
        for piece in pieces:
            self.protocol.data_received(piece)

    def finish(self) -> None:
        """Close the sending half, as `nc -N` does."""
        if not self.protocol.eof_received():
            self.transport.close()

    def leave(self) -> None:
        """Be gone."""
        self.transport.closed = True
        self.protocol.connection_lost(None)

    @property
    def answered(self) -> bool:
        """Whether anything came that was not read yet."""
        return len(self.transport.written) > self._read

    async def answer(self, *, head: bool = False) -> Raw:
        """Return the next answer; raise ConnectionError when the connection ends before it."""
        while (found := _parse(self.transport.written, self._read, head=head)) is None:
            if self.transport.closed:
                raise ConnectionError("closed without an answer")
            self.transport.changed.clear()
            await self.transport.changed.wait()
        raw, self._read = found
        return raw

    async def ask(self, *pieces: bytes) -> Raw:
        """Send and return the answer."""
        self.send(*pieces)
        return await self.answer()


def _nothing(error: Exception | None) -> None:
    """Nobody is told yet."""


def request(
    method: str, path: str, token: str = "", *lines: str, body: bytes | None = None
) -> bytes:
    """Return the bytes of a request to /v1/path; lines are further header lines."""
    head = [f"{method} /v1/{path} HTTP/1.1", "Host: vault.example", *lines]
    if token:
        head.append(f"X-Vault-Token: {token}")
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + (body or b"")


def _parse(data: bytearray, at: int, *, head: bool) -> tuple[Raw, int] | None:
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        return None
    first, *lines = bytes(data[at:end]).decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    length = 0 if head else int(dict(headers).get("content-length", "0"))
    begin = end + 4
    if len(data) < begin + length:
        return None
    return Raw(int(status), headers, bytes(data[begin : begin + length])), begin + length


@dataclass(slots=True)
class Edge:
    """Everything between a connection and the house."""

    vault: Vault
    loop: JumpLoop
    committer: Committer
    protocol: type[Protocol]
    config: Any
    state: ServerState = field(default_factory=ServerState)
    failures: list[BaseException] = field(default_factory=list)
    defects: list[Exception] = field(default_factory=list)

    def connect(
        self, peer: tuple[str, int] = ("192.0.2.7", 40000), *, secure: bool = False
    ) -> Client:
        """Return a new connection."""
        make: Callable[..., Protocol] = self.protocol
        protocol = make(config=self.config, server_state=self.state, app_state={}, _loop=self.loop)
        return Client(protocol, MemoryTransport(peer, secure=secure))

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        await self.committer.drain()
        while self.state.tasks:
            await asyncio.wait(set(self.state.tasks))


def run(scenario: Callable[[Edge], Awaitable[None]], vault: Vault) -> Edge:
    """Run scenario on an edge over vault; return it, for what it met."""

    async def main(loop: JumpLoop) -> Edge:
        failures: list[BaseException] = []
        defects: list[Exception] = []

        def fail(error: BaseException) -> None:
            failures.append(error)
            vault.house.fail(f"the journal or the database failed: {error}")

        committer = Committer(vault.house.ledger, loop, Owner(fail, defects.append))
        callers = Callers("https://vault.example", ("x", "twice"))
        service = Service(Pipeline(vault.house), committer, defects.append, callers)
        protocol = protocol_of(service)
        config = configure(App(service), protocol)
        edge = Edge(vault, loop, committer, protocol, config, ServerState(), failures, defects)
        try:
            await scenario(edge)
        finally:
            await asyncio.to_thread(committer.close)
        return edge

    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpLoop)
        return runner.run(main(loop))
