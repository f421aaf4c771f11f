"""Trees and proofs, against RFC 6962's recursive definitions and its published roots."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    RangeProof,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    range_proof,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from ironkeep.tlog.wire import MAX_SIZE
from tests.support.log.sample_log import SampleLog

# The test tree of the Certificate Transparency reference implementation, and its roots by size.
CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
CT_LEAVES += ["606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

LOG = SampleLog()
LOG.append(b"entry %d" % index for index in range(66_000))
"""Larger than 256 * 256, so that three tile levels hold hashes."""

SMALL = 600

sizes = st.integers(1, SMALL)


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(tree_hash(leaves[:split]), tree_hash(leaves[split:]))


def test_published_roots() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT == sha256(b"").digest()
    for size, (leaf, root) in enumerate(zip(CT_LEAVES, CT_ROOTS, strict=True), start=1):
        frontier.append([leaf_hash(bytes.fromhex(leaf))])
        assert frontier.root().hex() == root
        assert frontier.size == size


@given(st.lists(st.integers(0, 300), max_size=6))
def test_a_batch_is_its_leaves_one_by_one(batches: list[int]) -> None:
    whole, single = Frontier(), Frontier()
    levels: list[list[bytes]] = []
    one_by_one: list[list[bytes]] = []
    at = 0
    for count in batches:
        leaves = LOG.leaves[at : at + count]
        whole.append(leaves, levels)
        for leaf in leaves:
            single.append([leaf], one_by_one)
        at += count
    assert whole.root() == single.root() == tree_hash(LOG.leaves[:at])
    assert levels == one_by_one
    assert levels == [] if at == 0 else levels[0] == LOG.leaves[:at]


def test_levels_hold_the_roots_of_complete_subtrees() -> None:
    for index in (0, 1, 200):
        assert LOG.read(1, index) == tree_hash(LOG.leaves[256 * index : 256 * (index + 1)])
    assert LOG.read(2, 0) == tree_hash(LOG.leaves[: 256 * 256])


@given(st.integers(0, len(LOG.leaves)), st.integers(0, 300))
@settings(max_examples=30)
def test_a_frontier_is_restored_from_tiles(size: int, more: int) -> None:
    restored = Frontier.from_tiles(size, LOG.read)
    grown = Frontier()
    grown.append(LOG.leaves[:size])
    twin = restored.copy()
    for frontier in (restored, grown):
        frontier.append(LOG.leaves[size : size + more])
    assert restored.size == grown.size
    assert restored.root() == grown.root()
    assert (twin.size, twin.root()) == (size, tree_hash(LOG.leaves[:size]))


def test_a_damaged_hash_file_is_noticed() -> None:
    with pytest.raises(IntegrityError, match="level 0"):
        Frontier.from_tiles(5, lambda _level, _index: b"short")


@given(st.data(), sizes)
def test_inclusion(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, LOG.read)
    root = tree_hash(LOG.leaves[:size])
    verify_inclusion(index, size, LOG.leaves[index], proof, root)
    other = data.draw(st.integers(0, size + 3))
    if other != index:
        with pytest.raises(IntegrityError):
            verify_inclusion(other, size, LOG.leaves[index], proof, root)
    hashes = [LOG.leaves[index], root, *proof]
    leaf, bad_root, *bad_proof = data.draw(one_byte_changed(hashes))
    with pytest.raises(IntegrityError):
        verify_inclusion(index, size, leaf, bad_proof, bad_root)


@given(st.data(), sizes)
def test_consistency(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, new, LOG.read)
    old_root, new_root = tree_hash(LOG.leaves[:old]), tree_hash(LOG.leaves[:new])
    verify_consistency(old, new, old_root, new_root, proof)
    bad_old, bad_new, *bad_proof = data.draw(one_byte_changed([old_root, new_root, *proof]))
    with pytest.raises(IntegrityError):
        verify_consistency(old, new, bad_old, bad_new, bad_proof)
    for wrong in {old - 1, old + 1} - {new + 1}:
        with pytest.raises(IntegrityError):
            verify_consistency(wrong, new, old_root, new_root, proof)


@given(st.data(), sizes)
def test_ranges(data: st.DataObject, size: int) -> None:
    end = data.draw(st.integers(1, size))
    start = data.draw(st.integers(0, end - 1))
    leaves = LOG.leaves[start:end]
    proof = range_proof(start, end, size, LOG.read)
    root = tree_hash(LOG.leaves[:size])
    verify_range(start, leaves, size, proof, root)
    changed = data.draw(one_byte_changed([root, *proof.left, *proof.right, *leaves]))
    bad = RangeProof(
        tuple(changed[1 : 1 + len(proof.left)]),
        tuple(changed[1 + len(proof.left) : len(changed) - len(leaves)]),
    )
    with pytest.raises(IntegrityError):
        verify_range(start, changed[len(changed) - len(leaves) :], size, bad, changed[0])


@given(st.data(), st.integers(4, SMALL))
def test_an_omitted_entry_is_noticed(data: st.DataObject, size: int) -> None:
    start, end = 1, size - 1
    gone = data.draw(st.integers(start, end - 1))
    leaves = LOG.leaves[start:gone] + LOG.leaves[gone + 1 : end]
    root = tree_hash(LOG.leaves[:size])
    for honest in (
        range_proof(start, end, size, LOG.read),
        range_proof(start, size, size, LOG.read),
    ):
        with pytest.raises(IntegrityError):
            verify_range(start, leaves, size, honest, root)
    # Even with a proof built for a log from which the entry was cut.
    forged = SampleLog()
    forged.append(LOG.entries[:gone] + LOG.entries[gone + 1 : size])
    proof = range_proof(start, end - 1, size - 1, forged.read)
    with pytest.raises(IntegrityError):
        verify_range(start, leaves, size, proof, root)
    with pytest.raises(IntegrityError):
        verify_range(start, leaves, size - 1, proof, root)


def test_swapped_entries_are_noticed() -> None:
    leaves = LOG.leaves[3:9]
    leaves[1], leaves[2] = leaves[2], leaves[1]
    with pytest.raises(IntegrityError, match="another root"):
        verify_range(3, leaves, 20, range_proof(3, 9, 20, LOG.read), LOG.root(20))


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 66_000])
def test_proofs_over_three_tile_levels(size: int) -> None:
    root = LOG.root(size)
    assert root == tree_hash(LOG.leaves[:size])
    for index in (0, 255, 256, 65_534, size - 1):
        proof = inclusion_proof(index, size, LOG.read)
        verify_inclusion(index, size, LOG.leaves[index], proof, root)
    for old in (1, 255, 256, 257, 65_535):
        proof = consistency_proof(old, size, LOG.read)
        verify_consistency(old, size, LOG.root(old), root, proof)
    leaves = LOG.leaves[1000:1300]
    verify_range(1000, leaves, size, range_proof(1000, 1300, size, LOG.read), root)


def test_proofs_that_are_too_long_or_too_short() -> None:
    root, proof = LOG.root(7), inclusion_proof(2, 7, LOG.read)
    for bad in (proof[:-1], [*proof, proof[0]], [], [*proof] * 40):
        with pytest.raises(IntegrityError, match="too"):
            verify_inclusion(2, 7, LOG.leaves[2], bad, root)
    proof = consistency_proof(3, 7, LOG.read)
    for bad in (proof[:-1], [*proof, proof[0]], [], [*proof] * 40):
        with pytest.raises(IntegrityError, match="too"):
            verify_consistency(3, 7, LOG.root(3), root, bad)
    with pytest.raises(IntegrityError, match="too long"):
        verify_consistency(7, 7, root, root, proof)
    with pytest.raises(IntegrityError, match="two roots"):
        verify_consistency(7, 7, root, LOG.root(6), [])
    honest = range_proof(1, 3, 7, LOG.read)
    for left, right in ((honest.left * 2, honest.right), (honest.left, honest.right[1:])):
        with pytest.raises(IntegrityError, match="on a side of"):
            verify_range(1, LOG.leaves[1:3], 7, RangeProof(left, right), root)


@pytest.mark.parametrize("junk", [b"", b"x" * 31, b"x" * 33, b"x" * 64])
def test_hashes_of_another_length(junk: bytes) -> None:
    root, proof = LOG.root(7), inclusion_proof(2, 7, LOG.read)
    for leaf, path, top in (
        (junk, proof, root),
        (LOG.leaves[2], [junk, *proof[1:]], root),
        (LOG.leaves[2], proof, junk),
    ):
        with pytest.raises(IntegrityError, match="not 32 bytes"):
            verify_inclusion(2, 7, leaf, path, top)
    with pytest.raises(IntegrityError, match="not 32 bytes"):
        verify_consistency(3, 7, LOG.root(3), root, [junk])
    honest = range_proof(1, 3, 7, LOG.read)
    for bad in (replace(honest, left=(junk,)), replace(honest, right=(junk,) * len(honest.right))):
        with pytest.raises(IntegrityError, match="not 32 bytes"):
            verify_range(1, LOG.leaves[1:3], 7, bad, root)
    with pytest.raises(IntegrityError, match="not 32 bytes"):
        verify_range(1, [LOG.leaves[1], junk], 7, honest, root)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 5), (5, 5), (0, MAX_SIZE + 1)])
def test_no_inclusion_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(InvalidRequest):
        inclusion_proof(index, size, LOG.read)
    with pytest.raises(IntegrityError):
        verify_inclusion(index, size, LOG.leaves[0], [], LOG.leaves[0])


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5), (1, MAX_SIZE + 1)])
def test_no_consistency_of_sizes_out_of_order(old: int, new: int) -> None:
    with pytest.raises(InvalidRequest):
        consistency_proof(old, new, LOG.read)
    with pytest.raises(IntegrityError, match="out of order"):
        verify_consistency(old, new, LOG.leaves[0], LOG.leaves[0], [])


def test_consistency_with_the_empty_tree_proves_nothing() -> None:
    assert consistency_proof(0, 5, LOG.read) == []
    with pytest.raises(IntegrityError):
        verify_consistency(0, 5, EMPTY_ROOT, LOG.root(5), [])


@pytest.mark.parametrize(("start", "end", "size"), [(2, 2, 5), (3, 2, 5), (-1, 2, 5), (2, 6, 5)])
def test_ranges_outside_the_tree(start: int, end: int, size: int) -> None:
    with pytest.raises(InvalidRequest):
        range_proof(start, end, size, LOG.read)
    leaves = LOG.leaves[max(start, 0) : end]
    with pytest.raises(IntegrityError, match="not a range"):
        verify_range(start, leaves, size, RangeProof((), ()), LOG.root(size))


def test_an_empty_range_proves_nothing_though_its_sides_make_the_root() -> None:
    sides = RangeProof((LOG.root(2),), range_proof(1, 2, 5, LOG.read).right)
    with pytest.raises(IntegrityError, match="not a range"):
        verify_range(2, [], 5, sides, LOG.root(5))


def test_a_range_that_runs_past_the_size_that_was_signed() -> None:
    proof = range_proof(2, 6, 6, LOG.read)
    verify_range(2, LOG.leaves[2:6], 6, proof, LOG.root(6))
    with pytest.raises(IntegrityError, match="not a range"):
        verify_range(2, LOG.leaves[2:6], 5, proof, LOG.root(6))


def test_a_range_of_a_huge_tree_is_checked_in_bounded_time() -> None:
    with pytest.raises(IntegrityError, match="on a side of"):
        verify_range(MAX_SIZE // 3, [LOG.leaves[0]], MAX_SIZE, RangeProof((), ()), EMPTY_ROOT)


@st.composite
def one_byte_changed(draw: st.DrawFn, hashes: list[bytes]) -> list[bytes]:
    """Return hashes with one byte of one of them changed."""
    which = draw(st.integers(0, len(hashes) - 1))
    at = draw(st.integers(0, 31))
    flip = draw(st.integers(1, 255))
    changed = bytearray(hashes[which])
    changed[at] ^= flip
    return [*hashes[:which], bytes(changed), *hashes[which + 1 :]]
