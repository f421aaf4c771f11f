"""What RFC 9112 has a server refuse, and trailers, and clients that close their sending half."""

import asyncio
from collections.abc import Iterator

import pytest

from ironkeep.api.http.strict import MAX_HEAD, MAX_HEADERS
from ironkeep.app import PLUGINS
from ironkeep.core.errors import NotFound
from ironkeep.testing.vault import Vault
from tests.support.edge import Client, Edge, Raw, request, run

BODY = b'{"data":{"user":"app"}}'


@pytest.fixture(scope="module")
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    return vault


def ask(vault: Vault, *pieces: bytes) -> tuple[Raw, Client]:
    found: list[tuple[Raw, Client]] = []

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        raw = await client.ask(*pieces)
        await edge.settle()
        found.append((raw, client))
        assert edge.defects == []

    run(scenario, vault)
    return found[0]


class TestHosts:
    @pytest.mark.parametrize("query", ["", "?version=1"])
    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("Host: vault.example", 200),
            ("Host: vault.example:8200", 200),
            ("Host: 127.0.0.1:8200", 200),
            ("Host: [2001:db8::1]:8200", 200),
            ("Host:", 421),
            ("X-Other: y", 400),
            ("Host: a\r\nHost: b", 400),
            ("Host: a\r\nhost: a", 400),
            ("Host: a b", 400),
            ("Host: a/b", 400),
            ("Host: user@a", 400),
            ("Host: a:b", 400),
            ("Host: 2001:db8::1", 400),
            ("Host: a\\b", 400),
        ],
    )
    def test_one_that_can_be_one(self, vault: Vault, host: str, query: str, status: int) -> None:
        head = f"GET /v1/secret/data/app{query} HTTP/1.1\r\n{host}\r\n"
        raw, client = ask(vault, f"{head}X-Vault-Token: {vault.root}\r\n\r\n".encode())
        assert raw.status == status
        assert client.transport.closed == (status == 400)
        if status == 400:
            assert "Host header" in raw.errors[0]


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        (b"GET /v1/sys/health", {400, 505}),
        (b"GET /v1/sys/health HTTP/0.9", {505}),
        (b"GET /v1/sys/health HTTP/2.0", {505}),
        (b"GET /v1/sys/health HTTP/3.0", {400, 505}),
        (b"GET /v1/sys/health HTTP/1.2", {400, 505}),
        (b"GET /v1/sys/health HTTP/1.0", {200}),
        (b"GET /v1/sys/health HTTP/1.1", {200}),
    ],
)
def test_versions(vault: Vault, line: bytes, statuses: set[int]) -> None:
    raw, _ = ask(vault, line + b"\r\nHost: x\r\n\r\n")
    assert raw.status in statuses


@pytest.mark.parametrize(
    ("version", "coding", "status"),
    [
        ("1.1", "chunked", 200),
        ("1.1", "Chunked", 200),
        ("1.0", "chunked", 400),
        ("1.1", "gzip, chunked", 400),
        ("1.1", "chunked, chunked", 400),
        ("1.1", "gzip\r\nTransfer-Encoding: chunked", 400),
        ("1.1", "identity, chunked", 400),
    ],
)
def test_a_transfer_coding_is_chunked(vault: Vault, version: str, coding: str, status: int) -> None:
    """Else what is taken for the body is not what the sender meant by it."""
    head = f"PUT /v1/secret/data/coded HTTP/{version}\r\nHost: vault.example\r\n"
    head += f"X-Vault-Token: {vault.root}\r\nTransfer-Encoding: {coding}\r\n\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    raw, client = ask(vault, head.encode(), chunk)
    assert raw.status == status
    assert client.transport.closed is (status != 200)


@pytest.mark.parametrize("excess", [0, 1])
@pytest.mark.parametrize("query", [b"", b"?version=1"])
def test_a_head_has_so_many_headers_and_no_more(vault: Vault, query: bytes, excess: int) -> None:
    lines = b"".join(b"h%d:\r\n" % number for number in range(MAX_HEADERS - 2 + excess))
    head = b"GET /v1/secret/data/app" + query + b" HTTP/1.1\r\nHost: x\r\nX-Vault-Token: "
    raw, _ = ask(vault, head + vault.root.encode() + b"\r\n" + lines + b"\r\n")
    assert raw.status == (431 if excess else 200)


@pytest.mark.parametrize("zeros", [0, 1_000, 8_000])
def test_a_length_has_few_digits(vault: Vault, zeros: int) -> None:
    line = f"Content-Length: {'0' * zeros}2"
    raw, _ = ask(vault, request("POST", "sys/wrapping/lookup", vault.root, line) + b"{}")
    assert raw.status == (413 if zeros else 400)


def chunked(path: str, token: str, *lines: str) -> bytes:
    return request("POST", path, token, "Transfer-Encoding: chunked", *lines)


class TestTrailers:
    def test_they_are_read_past(self, vault: Vault) -> None:
        body = b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\nExpires: x\r\n\r\n" % (len(BODY), BODY)
        raw, client = ask(vault, chunked("secret/data/app", vault.root) + body)
        assert raw.status == 200
        assert not client.transport.closed

    @pytest.mark.parametrize(
        "line",
        ["X-Vault-Token: {}", "Authorization: Bearer {}", "X-Vault-Wrap-TTL: 60", "Host: y"],
    )
    def test_nothing_in_them_decides(self, vault: Vault, line: str) -> None:
        token = "" if "{}" in line else vault.root
        trailer = line.format(vault.root).encode() + b"\r\n\r\n"
        head = chunked("secret/data/app", token)
        raw, _ = ask(vault, head + b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY) + trailer)
        assert raw.status == (200 if token else 403)
        if token:
            assert "wrap_info" not in raw.json() or raw.json()["wrap_info"] is None

    def endless(self) -> Iterator[tuple[bytes, Iterator[bytes]]]:
        """Yield chunked framings that go on without a body."""
        yield b"0\r\n", iter(lambda: b"a:b\r\n" * 100, None)
        yield b"0\r\n", iter(lambda: b"a" * 500, None)
        yield b"0\r\na: ", iter(lambda: b"b" * 500, None)
        yield b"1;a=", iter(lambda: b"b" * 500, None)
        yield b"1\r\nx\r\n0;", iter(lambda: b"b" * 500, None)

    @pytest.mark.parametrize("number", range(5))
    def test_they_have_an_end(self, vault: Vault, number: int) -> None:
        begin, rest = list(self.endless())[number]

        async def scenario(edge: Edge) -> None:
            client = edge.connect()
            client.send(chunked("secret/data/app", vault.root) + begin)
            sent = 0
            while not client.transport.closed:
                piece = next(rest)
                client.send(piece)
                sent += len(piece)
                assert sent <= 2 * MAX_HEAD
            assert (await client.answer()).status == 431
            await edge.settle()

        run(scenario, vault)

    def test_in_one_packet_too(self, vault: Vault) -> None:
        lines = b"a:b\r\n" * MAX_HEAD
        raw, client = ask(vault, chunked("secret/data/app", vault.root) + b"0\r\n" + lines)
        assert raw.status == 431
        assert client.transport.closed


class TestHalfClosed:
    """A client that closes its sending half gets its answers, or nothing was done for it."""

    GET = ("GET", "secret/data/app")

    async def answers(self, client: Client) -> list[int]:
        statuses = []
        while True:
            try:
                statuses.append((await client.answer()).status)
            except ConnectionError:
                return statuses

    @pytest.mark.parametrize("query", ["", "?version=1"])
    @pytest.mark.parametrize("count", [1, 3])
    def test_it_is_answered(self, vault: Vault, query: str, count: int) -> None:
        data = request("GET", "secret/data/app" + query, vault.root)

        async def scenario(edge: Edge) -> None:
            client = edge.connect()
            client.send(data * count)
            client.finish()
            assert await self.answers(client) == [200] * count
            assert client.transport.closed

        run(scenario, vault)

    def test_what_is_not_whole_is_not(self, vault: Vault) -> None:
        whole = request("GET", "secret/data/app", vault.root)
        head = request("POST", "secret/data/half", vault.root, "Content-Length: 100")

        async def scenario(edge: Edge) -> None:
            for cut in (b"GET /v1/sys/hea", head + b'{"data":'):
                for front in (b"", whole):
                    client = edge.connect()
                    client.send(front + cut)
                    client.finish()
                    assert await self.answers(client) == ([200] if front else [])
                    assert client.transport.closed
            await edge.settle()

        run(scenario, vault)
        assert vault.read("secret/data/half").error is NotFound

    def test_one_that_was_answered_is_closed(self, vault: Vault) -> None:
        async def scenario(edge: Edge) -> None:
            client = edge.connect()
            await client.ask(request("GET", "secret/data/app", vault.root))
            await asyncio.sleep(0)
            client.finish()
            assert client.transport.closed

        run(scenario, vault)


class TestRoom:
    """Connections that wait make room for new ones; those that are being served never do."""

    def test_the_silent_are_pushed_away(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = request("GET", "secret/data/app", vault.root)

        async def scenario(edge: Edge) -> None:
            monkeypatch.setattr(edge.protocol, "most", 20)
            kept = edge.connect()
            assert (await kept.ask(data)).status == 200
            silent = []
            for _ in range(200):
                edge.loop.jump(0.01)
                silent.append(edge.connect())
                await asyncio.sleep(0)
            assert len(edge.state.connections) <= 21
            assert (await edge.connect().ask(data)).status == 200
            # One that has asked before is the last to go.
            assert (await kept.ask(data)).status == 200
            assert sum(client.transport.aborted for client in silent) >= 180

        run(scenario, vault)
