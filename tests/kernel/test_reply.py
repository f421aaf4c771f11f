"""Answers as bytes: the envelope's keys, exact numbers, and secrets that only a release reveals."""

import json
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from ironkeep.core.secret import Secret
from ironkeep.kernel import reply
from ironkeep.plugin.response import LeaseInfo, Response, SecretJson, Unkept

KEYS = [
    "request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings",
    "auth", "mount_type",
]  # fmt: skip


def test_every_key_of_the_envelope_is_there_in_vault_s_order() -> None:
    raw = reply.encode(reply.envelope(Response(), "id", "kv"), releases=False)
    assert list(json.loads(raw)) == KEYS
    assert json.loads(raw)["warnings"] is None


def test_lease_warnings_and_data_have_their_places() -> None:
    response = Response(
        data=MappingProxyType({"a": 1}), lease=LeaseInfo("x/1", True, 60), warnings=["careful"]
    )
    found = json.loads(reply.encode(reply.envelope(response, "id", "kv"), releases=False))
    assert (found["lease_id"], found["renewable"], found["lease_duration"]) == ("x/1", True, 60)
    assert (found["data"], found["warnings"], found["mount_type"]) == ({"a": 1}, ["careful"], "kv")


def test_a_flat_answer_stands_beside_its_envelope_without_changing_it() -> None:
    response = Response(data={"a": 1, "request_id": "forged", "data": "forged"})
    flat = reply.flattened(reply.envelope(response, "id", "kv"))
    assert (flat["a"], flat["request_id"], flat["data"]["a"]) == (1, "id", 1)
    assert set(reply.flattened(reply.envelope(Response(), "id", "kv"))) == set(KEYS)


def test_a_wrapped_answer_holds_nothing_but_where_it_is() -> None:
    raw = reply.encode(reply.wrapped({"token": Secret(b"hvs.x")}, ["careful"]), releases=True)
    found = json.loads(raw)
    assert {name for name, value in found.items() if value} == {"wrap_info", "warnings"}
    assert found["wrap_info"]["token"] == "hvs.x"


@pytest.mark.parametrize("secret", [Secret(b"hunter2"), SecretJson(b'{"p":"hunter2"}')])
@pytest.mark.parametrize("wrap", [lambda s: {"a": s}, lambda s: [{"b": [s]}], lambda s: s])
def test_a_secret_leaves_only_where_a_release_is_named(secret: Secret, wrap: Any) -> None:
    document = wrap(secret)
    assert b"hunter2" in reply.encode(document, releases=True)
    with pytest.raises(RuntimeError) as caught:
        reply.encode(document, releases=False)
    assert "hunter2" not in str(caught.value)


def test_a_refused_answer_does_not_make_the_next_one_fail() -> None:
    with pytest.raises(RuntimeError):
        reply.encode({"a": Secret(b"x")}, releases=False)
    assert reply.encode({"a": "x"}, releases=False) == b'{"a":"x"}'


def test_what_is_not_kept_may_always_be_shown() -> None:
    assert reply.encode({"id": Unkept(b"hvs.x")}, releases=False) == b'{"id":"hvs.x"}'


def test_stored_json_goes_out_byte_for_byte() -> None:
    stored = b'{"n": 1.10,  "e":1E+400}'
    assert reply.encode({"data": SecretJson(stored)}, releases=True) == b'{"data":' + stored + b"}"


def test_numbers_are_numbers() -> None:
    assert reply.encode({"n": Decimal("1.10"), "m": 10**15}, releases=False) == (
        b'{"n":1.10,"m":1000000000000000}'
    )


def test_what_has_no_place_in_an_answer_is_a_defect() -> None:
    with pytest.raises(TypeError):
        reply.encode({"a": object()}, releases=True)
