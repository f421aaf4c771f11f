"""Bytes made up by a machine: a request, an error of ours, or a closed connection; nothing else."""

import asyncio
from collections.abc import Callable

from hypothesis import given, settings, strategies as st

from ironkeep.api.http import wire
from ironkeep.app import PLUGINS
from ironkeep.core.errors import IronkeepError
from ironkeep.core.operation import Operation
from ironkeep.testing.vault import Vault
from tests.support.edge import Edge, run

VAULT = Vault.started(PLUGINS)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "LIST", "POST", "PUT", "PATCH", "DELETE", "TRACE", ""]),
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=40).map(lambda text: b"/v1/" + text.encode("utf-8", "surrogatepass")),
    ),
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from(["list=true", "list=", "help=1", "a=%", "a=%ff", "&&", "x"])).map(
            lambda parts: "&".join(parts).encode()
        ),
    ),
    st.dictionaries(
        st.sampled_from(
            [b"x-vault-token", b"authorization", b"x-vault-wrap-ttl", b"x-vault-namespace",
             b"content-type"]
        ),
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([b"application/merge-patch+json", b"Bearer x", b"1h", b"-1", b"1e9h"]),
        ),
    ),
    st.one_of(
        st.binary(max_size=80),
        st.text(alphabet='{}[]",:0123456789.eE-tfn\\ud8 ', max_size=60).map(str.encode),
    ),
)  # fmt: skip
def test_parsing_gives_a_request_or_an_error_of_ours(
    method: str, path: bytes, query: bytes, headers: dict[bytes, bytes], body: bytes
) -> None:
    try:
        found = wire.parse(method, path, query, headers, body, "192.0.2.7:1")
    except IronkeepError:
        return
    assert isinstance(found.op, Operation)
    assert found.path == found.path.lstrip("/")
    assert found.wrap_ttl_seconds is None or found.wrap_ttl_seconds > 0
    assert isinstance(found.data, dict)
    found.path.encode("utf-8")


LEAVES = st.sampled_from(
    ["1", "-1", "0", "-0", "-0.0", "1.10", "1e3", "1E400", "1e-400", "01", "1.", ".5", "+1", "1e",
     "NaN", "-Infinity", "true", "null", "9" * 18, "9" * 19, "-" + "9" * 30, "9" * 40 + ".5",
     "9" * 2_000, "0." + "9" * 2_000, "1e99999999999999999999", '"a"', '"-0"', '"é"', '"\\n"',
     '"\\u0041"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"\x01"', '"\x7f"', "", " ", "//"]
)  # fmt: skip
NAMES = st.sampled_from(['"a"', '"b"', '"é"', '"\\u0061"', "a", ""])


def _documents(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(NAMES, inner).map(":".join), max_size=3)
    return st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        pairs.map(lambda items: f"{{{', '.join(items)}}}"),
    )


@settings(max_examples=1_000, deadline=None)
@given(
    st.recursive(LEAVES, _documents, max_leaves=8),
    st.sampled_from(['{"a":%s}', '{"a":%s,"a":1}', "%s", "\t{\n%s}\r ", '{"a":%s}x', '{"a":%s']),
    st.integers(0, 70),
)
def test_both_decoders_of_a_body_agree(document: str, around: str, depth: int) -> None:
    nested = "[" * depth + document + "]" * depth if depth > 60 else document
    body = (around % nested).encode()
    assert outcome(wire.parse_json, body) == outcome(wire._parse_slowly, body)


def outcome(parse: Callable[[bytes], object], body: bytes) -> object:
    """Return a document with the types and spellings of its values, or the error."""
    try:
        return spelt(parse(body))
    except IronkeepError as error:
        return type(error), str(error)


def spelt(value: object) -> object:
    if isinstance(value, dict):
        return [(name, spelt(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [spelt(item) for item in value], "list"
    return type(value), str(value)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8), st.booleans())
def test_any_bytes_end_in_an_answer_a_wait_or_a_close(
    pieces: list[bytes], after_head: bool
) -> None:
    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        for piece in [b"GET /v1/", *pieces] if after_head else pieces:
            if not client.transport.closed:
                client.send(piece)
        await asyncio.sleep(0)
        await edge.committer.drain()
        assert edge.defects == []
        edge.loop.jump(200)
        client.protocol.sweep(edge.loop.time())
        await edge.settle()
        assert client.transport.closed

    run(scenario, VAULT)
    assert VAULT.defects == []
