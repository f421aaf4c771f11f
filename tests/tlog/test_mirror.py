"""Uploads to mirrors: bytes there and back, proofs of packages, and hostile bytes."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.merkle import inclusion_proof
from ironkeep.tlog.mirror import (
    MAX_HASHES,
    MAX_PACKAGE,
    MirrorInfo,
    Upload,
    encode_package,
    package_proof,
    split_package,
    verify_package,
)
from ironkeep.tlog.wire import MAX_SIZE
from tests.support.log.sample_log import SampleLog

LOG = SampleLog()
LOG.append(str(number).encode() for number in range(1500))

SIZES = st.integers(0, MAX_SIZE)


@given(
    st.text("abc/.\u00e9", max_size=40), SIZES, SIZES, st.binary(max_size=40), st.binary(max_size=9)
)
def test_the_head_of_an_upload_is_read_as_written(
    origin: str, one: int, two: int, ticket: bytes, rest: bytes
) -> None:
    head = Upload(origin, min(one, two), max(one, two), ticket)
    data = head.serialise()
    assert Upload.split(data + rest) == (head, len(data))
    for cut in range(len(data)):
        assert Upload.split(data[:cut]) is None


@pytest.mark.parametrize(
    "data",
    [
        Upload("o", 0, 0).serialise().replace(b"o", b"\xff"),
        Upload("o", 0, 0).serialise().replace(b"o", b"\x01"),
        Upload("o", 2, 1).serialise(),
        Upload("o", 0, MAX_SIZE + 1).serialise(),
    ],
)
def test_a_head_that_says_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Upload.split(data)


@given(st.integers(0, 1500), st.integers(0, 1500))
def test_packages_cover_an_upload_and_end_at_multiples_of_256(one: int, two: int) -> None:
    start, end = min(one, two), max(one, two)
    spans = list(Upload("o", start, end).spans())
    assert [index for first, last in spans for index in range(first, last)] == list(
        range(start, end)
    )
    assert all(first < last for first, last in spans)
    assert all(last % 256 == 0 for _, last in spans[:-1])
    assert all(first // 256 == (last - 1) // 256 for first, last in spans)


@given(
    st.lists(st.binary(max_size=9), min_size=1, max_size=9),
    st.lists(st.binary(min_size=32, max_size=32), max_size=MAX_HASHES),
    st.binary(max_size=5),
)
def test_a_package_is_read_as_written(
    entries: list[bytes], proof: list[bytes], rest: bytes
) -> None:
    data = encode_package(entries, proof)
    assert split_package(bytearray(data + rest), len(entries)) == (entries, proof, len(data))
    for cut in range(len(data)):
        assert split_package(data[:cut], len(entries)) is None


def test_a_package_has_bounds() -> None:
    hashes = [bytes(32)] * MAX_HASHES
    largest = encode_package([bytes(0xFFFF)] * 256, hashes)
    assert len(largest) == MAX_PACKAGE
    assert split_package(largest, 256) is not None
    with pytest.raises(IntegrityError, match="at most 63"):
        split_package(encode_package([b""], [*hashes, bytes(32)]), 1)


@given(st.data())
def test_a_package_proves_its_place(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 1500))
    start = data.draw(st.integers(0, (size - 1) // 256)) * 256
    leaves = LOG.leaves[start : min(size, start + 256)]
    proof = package_proof(inclusion_proof(start, size, LOG.read), len(leaves))
    root = LOG.root(size)
    verify_package(start, leaves, size, proof, root)
    at = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:at], bytes(32), *leaves[at + 1 :]]
    for bad in (changed, leaves[:-1], [*leaves, bytes(32)]):
        with pytest.raises(IntegrityError):
            verify_package(start, bad, size, proof, root)
    for place in {start + 256, start - 256, start + 1}:
        with pytest.raises(IntegrityError):
            verify_package(place, leaves, size, proof, root)
    for path in ([*proof, bytes(32)], proof[:-1] if proof else [bytes(32)]):
        with pytest.raises(IntegrityError):
            verify_package(start, leaves, size, path, root)


@given(SIZES, SIZES, st.binary(max_size=60))
def test_mirror_info_is_read_as_written(size: int, next_entry: int, ticket: bytes) -> None:
    info = MirrorInfo(size, next_entry, ticket)
    assert MirrorInfo.parse(info.serialise()) == info


@pytest.mark.parametrize("body", [b"", b"1\n2\n", b"1\n2\n\n\n", b"01\n2\n\n", b"1\n2\n!\n"])
def test_other_mirror_info_is_refused(body: bytes) -> None:
    with pytest.raises(IntegrityError):
        MirrorInfo.parse(body)


@given(st.binary(max_size=200))
def test_hostile_mirror_info_is_refused_or_read_exactly(body: bytes) -> None:
    try:
        info = MirrorInfo.parse(body)
    except IntegrityError:
        return
    assert info.serialise() == body
