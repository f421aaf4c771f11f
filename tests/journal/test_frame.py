"""Frames as bytes: what one says of itself, and that nothing else is taken for one."""

from zlib import crc32

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.journal.frame import (
    FILE_HEADER,
    FRAME_HEADER,
    GENESIS,
    Frame,
    build_frame,
    file_header,
    find_frame,
    frame_extent,
    read_file_header,
    read_frame,
    read_leaves,
    split_frames,
)
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.tile import encode_entries
from tests.support.log.old_frames import frame_of_version_1

leaves = st.lists(st.binary(max_size=40), min_size=1, max_size=8)


def frame_of(previous: bytes, first: int, entries: list[bytes]) -> Frame:
    return build_frame(previous, first, encode_entries(entries), [leaf_hash(e) for e in entries])


@given(st.integers(0, 2**63), leaves, st.binary(max_size=9), st.binary(max_size=9))
def test_a_frame_reads_back_from_among_other_bytes(
    first: int, entries: list[bytes], before: bytes, after: bytes
) -> None:
    frame = frame_of(GENESIS, first, entries)
    data = before + frame.data + after
    assert read_frame(data, len(before), GENESIS) == frame
    assert frame.payload == encode_entries(entries)
    assert frame.end == first + len(entries)
    assert read_leaves(frame.data) == (first, entries)
    assert find_frame(b"\xff" + frame.data, 0) == 1


@given(leaves, st.data())
def test_no_changed_or_cut_frame_is_whole(entries: list[bytes], data: st.DataObject) -> None:
    frame = frame_of(GENESIS, 7, entries)
    flipped = bytearray(frame.data)
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = frame.data[: data.draw(st.integers(0, len(frame.data) - 1))]
    for bad in (bytes(flipped), cut):
        assert read_frame(bad, 0, GENESIS) is None
        assert find_frame(b"\x00" + bad, 0) is None
        with pytest.raises(IntegrityError):
            read_leaves(bad)


def test_a_frame_tells_the_time_of_its_latest_entry() -> None:
    payload, hashes = encode_entries([b"a"]), [leaf_hash(b"a")]
    frame = build_frame(GENESIS, 0, payload, hashes, 1_767_225_600_000_000_001)
    found = read_frame(frame.data, 0, GENESIS)
    assert found is not None
    assert found.time_ns == 1_767_225_600_000_000_001
    assert build_frame(GENESIS, 0, payload, hashes, 5).digest != frame.digest


def test_a_frame_of_an_earlier_release_is_read_and_tells_no_time() -> None:
    payload = encode_entries([b"a", b"bc"])
    data = frame_of_version_1(GENESIS, 7, payload, 2)
    frame = read_frame(data, 0, GENESIS)
    assert frame is not None
    assert (frame.first, frame.count, frame.time_ns, frame.payload) == (7, 2, 0, payload)
    assert read_leaves(data) == (7, [b"a", b"bc"])
    assert find_frame(b"?" + data, 0) == 1
    later = frame_of(frame.digest, 9, [b"d"])
    assert list(split_frames(data + later.data, 0, GENESIS)) == [frame, later]
    assert frame_extent(b"?" + data + later.data, 1) == (7, 2, len(data))
    assert frame_extent(data + later.data, len(data)) == (9, 1, len(later.data))


def test_a_whole_frame_after_another_predecessor_is_no_torn_write() -> None:
    frame = frame_of(GENESIS, 0, [b"a"])
    with pytest.raises(IntegrityError, match="does not chain"):
        read_frame(frame.data, 0, b"\x01" * 32)


def test_a_whole_frame_whose_payload_is_not_its_leaves_is_refused() -> None:
    lying = build_frame(GENESIS, 0, encode_entries([b"a", b"b"]), [leaf_hash(b"a")])
    with pytest.raises(IntegrityError, match="more bytes than its entries"):
        read_frame(lying.data, 0, GENESIS)
    with pytest.raises(IntegrityError, match="more bytes than its entries"):
        read_leaves(lying.data)


def test_a_frame_is_spelled_in_one_way() -> None:
    frame = frame_of(GENESIS, 0, [b"a"])
    odd = bytearray(frame.data)
    odd[5] = 1
    # As a writer would make it, were the reserved bytes free: the checksum fits.
    checksum = crc32(frame.payload, crc32(odd[: FRAME_HEADER - 4]))
    odd[FRAME_HEADER - 4 : FRAME_HEADER] = checksum.to_bytes(4, "big")
    assert read_frame(bytes(odd), 0, GENESIS) is None
    odd[5] = 0
    with pytest.raises(IntegrityError):
        read_leaves(bytes(odd))


def test_frames_are_split_up_to_the_first_that_is_not_whole() -> None:
    first = frame_of(GENESIS, 0, [b"a"])
    second = frame_of(first.digest, 1, [b"b", b"c"])
    data = first.data + second.data
    assert list(split_frames(data + bytes(200), 0, GENESIS)) == [first, second]
    assert list(split_frames(data[:-1], 0, GENESIS)) == [first]
    assert len(first.data) == FRAME_HEADER + len(first.payload)


def test_a_segment_header_is_for_one_place_in_one_log() -> None:
    header = file_header(5, b"\x09" * 32, "a")
    assert len(header) == FILE_HEADER
    assert read_file_header(header + b"more", 5, "a") == b"\x09" * 32
    for data, first, origin in ((header, 6, "a"), (header, 5, "b"), (header[:-1], 5, "a")):
        with pytest.raises(IntegrityError):
            read_file_header(data, first, origin)
    for at in range(FILE_HEADER):
        bad = bytearray(header)
        bad[at] ^= 1
        with pytest.raises(IntegrityError):
            read_file_header(bytes(bad), 5, "a")
