"""The short way through the protocol and the way through ASGI cannot be told apart."""

import asyncio
import time
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from ironkeep.app import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.edge import Client, Edge, Raw, request, run

BODY = b'{"data":{"user":"app","n":1.50}}'


def make_vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    vault.write("secret/data/deep/er", {"data": {"password": "q"}})
    return vault


def leaves(vault: Vault) -> list[bytes]:
    return vault.journal.log.leaves(0, vault.journal.durable_size)


def undated(raw: Raw) -> Raw:
    """Return raw without the second in which it was answered; every answer has one."""
    (sent,) = (value for name, value in raw.headers if name == "date")
    assert abs(time.time() - parsedate_to_datetime(sent).timestamp()) < 3_600
    assert sent.endswith(" GMT")
    headers = tuple((name, "" if name == "date" else value) for name, value in raw.headers)
    return Raw(raw.status, headers, raw.body)


def ask_all(vault: Vault, requests: list[bytes], *, short: bool, secure: bool = False) -> list[Raw]:
    """Send each request on a connection that may, or may not, answer the short way."""
    answers: list[Raw] = []

    async def scenario(edge: Edge) -> None:
        if not short:
            edge.protocol = type("Long", (edge.protocol,), {"_answer": lambda *_: False})
        client = edge.connect(secure=secure)
        for data in requests:
            client.send(data)
            answers.append(undated(await client.answer(head=data.startswith(b"HEAD"))))
            await edge.settle()
            if client.transport.closed:
                client = edge.connect(secure=secure)
        assert edge.defects == []
        if not short:
            malformed = [raw for raw in answers if raw.header("connection") == "close"]
            assert edge.state.total_requests >= len(requests) - len(malformed)

    run(scenario, vault)
    return answers


TOKENS = st.sampled_from(["root", "", "hvs.nobody", "a b", "\t", "ü", "x" * 9000])
PATHS = st.sampled_from(
    [
        "secret/data/app", "secret/data/none", "secret/data/deep/", "secret/metadata/",
        "secret/metadata", "secret/data//app", "/secret/data/app", "secret/data/../app",
        "secret/./data", "sys/health", "sys/seal-status", "sys/mounts", "nowhere/x",
        "secret/data/a%2Fb", "secret/data/%C3%BC", "secret/data/%00", "secret/data/%ff",
        "secret/data/app?version=1", "secret/metadata?list=true", "secret/metadata?list=maybe",
        "secret/data/app?help=1", "auth/token/lookup-self", "secret/data/a~b-c_d.e", "",
        "sys/seal", "auth/token/create", "sys/wrapping/wrap", "sys//health",
        "sys/health?standbyok=true",
    ]
)  # fmt: skip
LINES = st.lists(
    st.sampled_from(
        [
            "X-Vault-Wrap-TTL: 60", "X-Vault-Wrap-TTL: soon", "X-Vault-Wrap-TTL: 0",
            "X-Vault-Namespace: other", "X-Vault-Namespace: root", "X-Vault-Namespace:",
            "X-Vault-Request: true", "x-vault-REQUEST:true", "Connection: keep-alive",
            "Connection: Keep-Alive", "Connection: close", "Accept:  */* \t", "Odd-:~ !",
            "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded",
            "Content-Type: application/merge-patch+json", "Authorization: Bearer hvs.nobody",
            "Authorization: Basic eDp5", "X-Vault-Token: second", "Expect: 100-stop",
            "TE: trailers",
            "X-Vault-Wrap-TTL: 61", "Host: twice", "Empty:", "X-High: \xff", "X-Vault-Token:",
        ]
    ),
    max_size=4,
)  # fmt: skip
BODIES = st.sampled_from(
    [
        None, b"", BODY, b"{}", b"null", b"[]", b"{", b'{"data":', b" \r\n{} ", b'{"ttl":"1h"}',
        b"a=1&b=2&b=3", b"a=%zz", b'{"data":{"x":"\\ud800"}}', b"\xff",
        b'{"a":' * 70 + b"1" + b"}" * 70,
    ]
)  # fmt: skip
METHODS = st.sampled_from(["GET", "LIST", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])


@st.composite
def requests(draw: st.DrawFn, root: str) -> bytes:
    token = draw(TOKENS)
    return request(
        draw(METHODS),
        draw(PATHS),
        root if token == "root" else token,
        *draw(LINES),
        body=draw(BODIES),
    )


ROOT = make_vault().root


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(requests(ROOT), min_size=1, max_size=12), st.booleans())
@example([request("GET", "secret/data/app", ROOT)], False)
@example([request("POST", "secret/data/new", ROOT, body=BODY)] * 2, True)
@example([request("LIST", "secret/metadata", ROOT)], False)
@example([request("GET", "sys/health")], False)
@example([request("GET", "secret/data/app", ROOT, "X-Vault-Wrap-TTL: 60")], False)
def test_both_ways_give_equal_answers_and_equal_entries(asked: list[bytes], secure: bool) -> None:
    short, long = make_vault(), make_vault()
    one = ask_all(short, asked, short=True, secure=secure)
    other = ask_all(long, asked, short=False, secure=secure)
    assert one == other
    assert leaves(short) == leaves(long)
    assert short.defects == long.defects == []


@pytest.mark.parametrize(
    "data",
    [
        request("GET", "secret/data/app", ROOT),
        request("LIST", "secret/metadata/", ROOT),
        request("PUT", "secret/data/other", ROOT, body=BODY),
        request("POST", "secret/data/other", ROOT, "Content-Type: application/json", body=BODY),
        request("GET", "secret/data/app", ROOT, "Connection: keep-alive", "Accept: */*"),
    ],
)
def test_plain_requests_take_the_short_way(data: bytes) -> None:
    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        assert (await client.ask(data)).status in (200, 204)
        assert edge.state.total_requests == 0, "it went through ASGI"

    run(scenario, make_vault())


@pytest.mark.parametrize(
    "data",
    [
        request("GET", "secret/data/app", ROOT, "X-Vault-Token: again"),
        request("GET", "secret/data/app", ROOT, "Connection: close"),
        request("GET", "secret/data/app?version=1", ROOT),
        request("GET", "sys/health"),
        request("DELETE", "secret/data/app", ROOT),
    ],
)
def test_odd_requests_do_not(data: bytes) -> None:
    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        await client.ask(data)
        assert edge.state.total_requests == 1

    run(scenario, make_vault())


@pytest.fixture
def vault() -> Vault:
    return make_vault()


async def drain(client: Client, count: int) -> list[Raw]:
    return [await client.answer() for _ in range(count)]


def test_pipelined_requests_are_answered_in_order_whatever_way_they_take(vault: Vault) -> None:
    fast = request("GET", "secret/data/app", vault.root)
    slow = request("GET", "secret/data/deep/er?version=1", vault.root)
    list_ = request("LIST", "secret/metadata/", vault.root)
    write = request("POST", "secret/data/app", vault.root, body=BODY)

    def kind(raw: Raw) -> str:
        data = raw.json()["data"]
        if "keys" in data:
            return "list"
        if "version" in data:
            return "write"
        return "slow" if data["data"].get("password") == "q" else "fast"

    async def scenario(edge: Edge) -> None:
        for sent in (
            [fast, slow, fast, list_, write, slow, fast],
            [slow, slow, fast, write, list_],
            [list_, list_, slow],
        ):
            client = edge.connect()
            client.send(*sent)
            names = [kind(raw) for raw in await drain(client, len(sent))]
            known = {fast: "fast", slow: "slow", list_: "list", write: "write"}
            assert names == [known[data] for data in sent]

    run(scenario, vault)


def test_pipelined_in_one_packet(vault: Vault) -> None:
    one = request("GET", "secret/data/app", vault.root)
    write = request("POST", "secret/data/app", vault.root, body=BODY)

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(one + write + one + one)
        found = await drain(client, 4)
        assert [raw.status for raw in found] == [200] * 4
        assert found[2].json()["data"]["data"]["user"] == "app"

    run(scenario, vault)


@pytest.mark.parametrize("cut", range(1, 9))
def test_the_verb_list_may_come_in_pieces(vault: Vault, cut: int) -> None:
    data = request("LIST", "secret/metadata", vault.root)

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        for _ in range(2):
            raw = await client.ask(data[:cut], data[cut:])
            assert raw.json()["data"] == {"keys": ["app", "deep/"]}
            raw = await client.ask(request("GET", "secret/data/app", vault.root))
            assert raw.status == 200

    run(scenario, vault)


def test_every_byte_by_itself(vault: Vault) -> None:
    data = request("LIST", "secret/metadata", vault.root)
    put = request("PUT", "secret/data/app", vault.root, body=BODY)

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        for whole in (data, put, data):
            client.send(*(whole[i : i + 1] for i in range(len(whole))))
            assert (await client.answer()).status == 200

    run(scenario, vault)


def test_a_client_that_never_reads_is_not_read_either(vault: Vault) -> None:
    data = request("GET", "secret/data/app", vault.root)

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        await client.ask(data)
        client.protocol.pause_writing()
        client.send(data)
        for _ in range(200):
            client.send(data)
        await edge.settle()
        assert not client.answered
        assert not client.transport.reading
        client.protocol.resume_writing()
        await asyncio.sleep(0)
        assert (await client.answer()).status == 200
        assert client.transport.reading

    run(scenario, vault)
