"""A record has one spelling, or it does not decode."""

from typing import Any, Literal, cast

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.store.record import Codec


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    count: int = 0
    tags: tuple[str, ...] = ()
    kind: Literal["plain", "other"] = "plain"
    place: str = "root"
    size: int = 1000


CODEC = Codec(Sample)


@given(st.builds(Sample))
def test_what_is_encoded_decodes(sample: Sample) -> None:
    assert CODEC.decode(CODEC.encode(sample)) == sample


def test_a_default_is_spelled_one_way_wherever_it_came_from() -> None:
    kind = cast("Any", "PLAIN".lower())
    sample = Sample("a", kind=kind, place="ROOT".lower(), size=int("1000"))
    assert sample == Sample("a")
    assert CODEC.decode(CODEC.encode(sample)) == sample


@given(st.binary(max_size=64))
def test_any_bytes_decode_to_themselves_or_are_refused(raw: bytes) -> None:
    try:
        sample = CODEC.decode(raw)
    except IntegrityError:
        return
    assert CODEC.encode(sample) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x02" + msgspec.msgpack.encode({"name": "a"}),
        b"\x01" + msgspec.msgpack.encode({"name": "a", "count": 0}),
        b"\x01" + msgspec.msgpack.encode({"name": "a", "unknown": 1}),
        b"\x01" + msgspec.msgpack.encode({"count": 1}),
    ],
    ids=["empty", "version", "a default spelled out", "unknown field", "missing field"],
)
def test_another_spelling_is_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        CODEC.decode(raw)
