"""What a hostile, broken or slow client may send, and what becomes of it."""

import asyncio
import itertools
from urllib.parse import quote

import pytest

from ironkeep.api.http import bodies, strict, wire
from ironkeep.app import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.edge import Client, Edge, Raw, request, run

BODY = b'{"data":{"user":"app"}}'


@pytest.fixture(scope="module")
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    return vault


def ask(vault: Vault, *pieces: bytes) -> tuple[Raw, Client]:
    """Send pieces on a new connection; return the first answer, and the client as it is then."""
    found: list[tuple[Raw, Client]] = []

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        raw = await client.ask(*pieces)
        await edge.settle()
        found.append((raw, client))
        assert edge.defects == []

    run(scenario, vault)
    assert vault.defects == []
    return found[0]


GET = b"GET /v1/secret/data/app HTTP/1.1\r\n"
HOST = b"Host: x\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # TLS to the plain port
        b"\x00" * 40,
        b"get / HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/x HTTP/9.9\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        GET + b"Host x\r\n\r\n",
        GET + b": x\r\n\r\n",
        GET + b"Ho st: x\r\n\r\n",
        GET + b"Host: x\r\n folded: y\r\n\r\n",
        GET + b"X: a\x00b\r\n\r\n",
        GET + b"X: a\rb\r\n\r\n",
        GET + b"X: a\nY: b\r\n\r\n",
        GET + b"X\x00: a\r\n\r\n",
        b"GET /v1/a\x00b HTTP/1.1\r\n\r\n",
        b"GET /v1/a b HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /v1/x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_what_is_no_request_is_refused_in_json_and_closed(vault: Vault, data: bytes) -> None:
    raw, client = ask(vault, data)
    assert raw.status == 400
    assert raw.header("content-type") == "application/json"
    assert raw.errors == ["not a valid HTTP request"]
    assert client.transport.closed


@pytest.mark.parametrize(
    "front",
    [
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length : 0\r\n",
        b"Content-Length: 0\r\nContent-Length: 0\r\n",
        b"Content-Length: +0\r\n",
        b"X: y\n\r\nContent-Length: 0\r\n",
    ],
)
def test_a_smuggled_request_is_never_executed(vault: Vault, front: bytes) -> None:
    hidden = request("POST", "secret/data/smuggled", vault.root, body=BODY)
    data = b"POST /v1/secret/data/x HTTP/1.1\r\n" + HOST + front + b"\r\n" + hidden

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(data)
        await edge.settle()
        assert client.transport.closed

    run(scenario, vault)
    assert vault.read("secret/data/smuggled").answer.error is not None


def test_what_follows_a_body_is_a_request_of_its_own(vault: Vault) -> None:
    inner = request("GET", "secret/data/app", vault.root)
    outer = request("POST", "secret/data/outer", vault.root, body=b'{"data":{"a":1}}')

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(outer + inner)
        assert "version" in (await client.answer()).json()["data"]
        assert (await client.answer()).json()["data"]["data"] == {"password": "p"}

    run(scenario, vault)


@pytest.mark.parametrize("cut", [1, 3, 30, strict.MAX_HEAD - 1])
@pytest.mark.parametrize("excess", [0, 1])
def test_a_head_may_have_so_many_bytes_and_no_more(vault: Vault, excess: int, cut: int) -> None:
    front = GET + HOST + b"X-Vault-Token: " + vault.root.encode() + b"\r\nX: "
    data = front + b"a" * (strict.MAX_HEAD + excess - len(front)) + b"\r\n\r\n"
    raw, client = ask(vault, data[:cut], data[cut:])
    assert raw.status == (431 if excess else 200)
    assert client.transport.closed == bool(excess)
    if excess:
        assert raw.errors == ["the request's head is too large"]


def test_a_head_that_never_ends_is_refused_early(vault: Vault) -> None:
    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        sent = 0
        for piece in itertools.chain([GET], itertools.repeat(b"X: " + b"a" * 997 + b"\r\n")):
            client.send(piece)
            sent += len(piece)
            if client.transport.closed:
                break
        assert sent <= strict.MAX_HEAD + 1_002
        assert (await client.answer()).status == 431

    run(scenario, vault)


def pieces_of(data: bytes, size: int = 1 << 16) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("excess", [0, 1])
def test_a_body_may_have_so_many_bytes_and_no_more(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, excess: int, *, chunked: bool
) -> None:
    limit = 200_000
    monkeypatch.setattr(wire, "MAX_BODY", limit)
    front, back = b'{"data":{"a":"', b'"}}'
    body = front + b"x" * (limit + excess - len(front) - len(back)) + back
    head = b"POST /v1/secret/data/large HTTP/1.1\r\n" + HOST
    head += b"X-Vault-Token: " + vault.root.encode() + b"\r\n"
    if chunked:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        sent = [head, *(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces_of(body)), b"0\r\n\r\n"]
    else:
        sent = [head + b"Content-Length: %d\r\n\r\n" % len(body), *pieces_of(body)]
    after = request("GET", "secret/data/app", vault.root)

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(*sent)
        raw = await client.answer()
        assert raw.status == (413 if excess else 200)
        if excess:
            assert raw.errors == ["http: request body too large"]
        assert (await client.ask(after)).status == 200

    run(scenario, vault)


def test_the_limit_on_bodies_is_that_of_the_reference() -> None:
    assert wire.MAX_BODY == 32 << 20


def test_a_length_past_the_limit_is_refused_before_the_body(vault: Vault) -> None:
    head = request("POST", "secret/data/x", vault.root, f"Content-Length: {wire.MAX_BODY + 1}")
    raw, _ = ask(vault, head)
    assert raw.status == 413


def test_all_bodies_of_strangers_together_have_a_limit(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_STRANGERS_BODIES", 150_000)
    head = request("POST", "secret/data/x", "", "Content-Length: 100000")

    async def scenario(edge: Edge) -> None:
        first, second = edge.connect(), edge.connect()
        first.send(head, b"x" * 90_000)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        raw = await second.ask(head, b"x" * 90_000)
        assert raw.status == 503
        first.leave()
        await edge.settle()
        third = edge.connect()
        assert (await third.ask(head, b"x" * 100_000)).status == 400

    run(scenario, vault)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 404),
        ("%", 404),
        ("secret/data/%zz", 404),
        ("secret/data/%00", 400),
        ("secret/data/a%0d%0aX:%20y", 400),
        ("secret/data/%ff", 400),
        ("secret/data/%c0%ae%c0%ae/", 400),
        ("secret/data/..", 400),
        ("secret/data/%2e%2e/x", 400),
        ("secret/data/.", 400),
        ("secret/data/a/%2e/b", 400),
        ("secret/data/...", 404),
        ("../v1/secret/data/app", 400),
        ("/secret/data/app", 200),
        ("secret/data//app", 404),
        ("secret/data/%61pp", 200),
        ("secret%2fdata%2fapp", 200),
        ("secret/data/%C3%BC", 404),
        ("secret/data/%E2%80%AE", 400),
        ("secret/data/%EF%BF%BE", 400),
        ("secret/data/app%3Fversion=1", 404),
        ("secret/data/" + "a" * 4_200, 400),
        ("secret/data/" + "a/" * 600, 413),
        ("secret/data/app#fragment", 200),
    ],
)
def test_paths(vault: Vault, path: str, status: int) -> None:
    raw, _ = ask(vault, request("GET", path, vault.root))
    assert raw.status == status
    assert isinstance(raw.json().get("errors", []), list)


@pytest.mark.parametrize("target", [b"/", b"/v1", b"/v2/sys/health", b"/ui/", b"*", b"http://x/"])
def test_there_is_nothing_outside_the_api(vault: Vault, target: bytes) -> None:
    raw, _ = ask(vault, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert raw.status in (400, 404)
    assert raw.header("content-type") == "application/json"


@pytest.mark.parametrize(
    "name", ["X-Vault-Token", "x-vault-token", "X-Vault-Namespace", "X-Vault-Wrap-TTL"]
)
def test_a_header_that_decides_something_is_given_once(vault: Vault, name: str) -> None:
    value = vault.root if "token" in name.lower() else "60"
    token = "" if "token" in name.lower() else vault.root
    lines = (f"{name}: {value}", f"{name}: {value}")
    raw, _ = ask(vault, request("GET", "secret/data/app", token, *lines))
    assert raw.status == 400
    assert "given twice" in raw.errors[0]


def test_answers_carry_nothing_that_was_sent_as_a_header(vault: Vault) -> None:
    mark = "canary-7f3a"
    raw, _ = ask(
        vault,
        request(
            "GET", f"secret/data/{mark}", vault.root, f"X-Vault-Request: {mark}", f"Origin: {mark}"
        ),
    )
    assert all(mark not in value for _, value in raw.headers)
    assert raw.header("cache-control") == "no-store"


def test_a_refused_token_is_not_repeated(vault: Vault) -> None:
    token = "hvs.canaryCANARYcanaryCANARY"
    raw, _ = ask(vault, request("GET", "secret/data/app", token))
    assert raw.status == 403
    assert token.encode() not in raw.body


def test_expect_continue_is_answered_before_the_body(vault: Vault) -> None:
    head = request(
        "POST", "secret/data/x", vault.root, "Expect: 100-continue", f"Content-Length: {len(BODY)}"
    )

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(head)
        assert (await client.answer()).status == 100
        assert (await client.ask(BODY)).status == 200

    run(scenario, vault)


def test_an_upgrade_is_not_taken_up(vault: Vault) -> None:
    lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
    raw, _ = ask(vault, request("GET", "secret/data/app", vault.root, *lines))
    assert raw.status == 200


def test_http_1_0_closes(vault: Vault) -> None:
    data = (
        b"GET /v1/secret/data/app HTTP/1.0\r\nX-Vault-Token: " + vault.root.encode() + b"\r\n\r\n"
    )
    raw, client = ask(vault, data)
    assert raw.status == 200
    assert client.transport.closed


def test_head_has_no_body_and_no_content_answers_have_no_length(vault: Vault) -> None:
    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(request("HEAD", "secret/data/app", vault.root))
        raw = await client.answer(head=True)
        assert raw.status == 200
        assert int(raw.header("content-length")) > 0
        raw = await client.ask(request("DELETE", "secret/data/gone", vault.root))
        assert (raw.status, raw.header("content-length"), raw.body) == (204, "", b"")
        raw = await client.ask(request("GET", "sys/health?activecode=204"))
        assert (raw.status, raw.body) == (204, b"")
        for odd in ("101", "9" * 5_000, "²04", "+204", "204%00"):
            raw = await client.ask(request("GET", f"sys/health?activecode={quote(odd, safe='%')}"))
            assert raw.status == 200, odd
        for path in ("sys/health", "sys/seal-status", "sys/leader", "sys/init"):
            raw = await client.ask(request("GET", f"{path}?help=1", vault.root))
            assert (raw.status, "help" in raw.json()) == (200, True), path

    run(scenario, vault)
