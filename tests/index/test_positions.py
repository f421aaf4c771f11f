"""Positions as bytes: every set has one encoding, and every other one is refused."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.index.positions import (
    FAN,
    RUN,
    chunks_of,
    decode_chunk,
    encode_chunk,
    positions_of,
    record_of,
    union,
)

SETS = st.one_of(
    st.sets(st.integers(0, RUN - 1), min_size=1, max_size=40),
    st.sets(st.integers(0, RUN - 1), min_size=200, max_size=600),
    st.builds(
        lambda start, step: set(range(start, RUN, step)), st.integers(0, 9), st.integers(1, 9)
    ),
)


@given(SETS)
def test_a_chunk_gives_its_offsets_back(offsets: set[int]) -> None:
    """However sparse or dense they are; a chunk is never longer than the bitmap."""
    chunk = encode_chunk(sorted(offsets))
    assert decode_chunk(chunk) == sorted(offsets)
    assert len(chunk) <= RUN // 8


@given(st.binary(max_size=20))
def test_any_bytes_are_the_encoding_of_their_offsets_or_refused(data: bytes) -> None:
    """No two chunks mean the same."""
    try:
        offsets = decode_chunk(data)
    except IntegrityError:
        return
    assert encode_chunk(offsets) == data


SPARSE_BITMAP = bytes([1]) + bytes(511)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x00", b"\x81", b"\xff\x7f", bytes(512), bytes(513), SPARSE_BITMAP]
)
def test_other_encodings_are_refused(data: bytes) -> None:
    """Longer numbers, numbers past the run, empty and needless bitmaps."""
    with pytest.raises(IntegrityError):
        decode_chunk(data)


def test_a_record_is_read_by_range() -> None:
    """Chunks outside of the range are not decoded; those at its edges are cut."""
    record = b"".join(
        bytes([ordinal]) + record_of(encode_chunk([0, 9, 4_000]))[1:] for ordinal in (0, 3, 63)
    )
    base = 10 * RUN
    everything = [base + run * RUN + at for run in (0, 3, 63) for at in (0, 9, 4_000)]
    assert positions_of(record, base) == everything
    for first, last in (
        (base + 1, base + 3 * RUN + 9),
        (0, base),
        (base + 3 * RUN, base + 4 * RUN),
    ):
        expected = [at for at in everything if first <= at < last]
        assert positions_of(record, base, first, last) == expected


@pytest.mark.parametrize(
    "record", [b"", b"\x00", b"\x00\x05a", b"\x00\x01\x01\x00\x01\x01", bytes([FAN, 1, 1])]
)
def test_a_damaged_record_is_refused(record: bytes) -> None:
    """Nothing in it, cut short, a run twice, a run past the last."""
    with pytest.raises(IntegrityError):
        list(chunks_of(record))


def test_a_union_is_ascending_and_has_each_position_once() -> None:
    assert union([[1, 5], [], [2, 5]]) == [1, 2, 5]
    assert union([[], [3]]) == [3]
    assert union([]) == []
