"""Multiproofs: for every set of leaves of small trees, and no other proof."""

from itertools import combinations

import pytest

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.merkle import Frontier, inclusion_proof, leaf_hash, subtree_root
from ironkeep.tlog.multiproof import multiproof, verify_multiproof


def tree(size: int) -> tuple[list[bytes], bytes, list[list[bytes]]]:
    hashes = [leaf_hash(bytes([at])) for at in range(size)]
    frontier, levels = Frontier(), list[list[bytes]]()
    frontier.append(hashes, levels)
    return hashes, frontier.root(), levels


def proof_of(indexes: list[int], size: int) -> list[bytes]:
    _, _, levels = tree(size)
    return multiproof(
        indexes,
        size,
        lambda low, high: subtree_root(low, high, lambda level, at: levels[level][at]),
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 9])
def test_every_set_of_leaves_has_a_proof_that_verifies(size: int) -> None:
    hashes, root, _ = tree(size)
    for count in range(1, size + 1):
        for indexes in combinations(range(size), count):
            proof = proof_of(list(indexes), size)
            shown = {at: hashes[at] for at in indexes}
            verify_multiproof(shown, size, proof, root)
            other = {**shown, indexes[0]: leaf_hash(b"other")}
            bad = [
                (other, proof),
                (shown, [*proof, root]),
                (shown, proof[:-1] if proof else [root]),
            ]
            for leaves, path in bad:
                with pytest.raises(IntegrityError):
                    verify_multiproof(leaves, size, path, root)


def test_one_leaf_has_the_hashes_of_its_inclusion_proof() -> None:
    _, _, levels = tree(300 % 256)
    size = 44
    for index in range(size):
        single = proof_of([index], size)
        known = inclusion_proof(index, size, lambda level, at: levels[level][at])
        assert sorted(single) == sorted(known)


@pytest.mark.parametrize("indexes", [[], [3, 3], [4, 3], [-1], [9]])
def test_impossible_sets_are_refused(indexes: list[int]) -> None:
    _, root, _ = tree(9)
    with pytest.raises(InvalidRequest):
        proof_of(indexes, 9)
    if not set(indexes) & set(range(9)):
        with pytest.raises(IntegrityError):
            verify_multiproof(dict.fromkeys(indexes, root), 9, [], root)


def test_a_short_hash_is_refused() -> None:
    hashes, root, _ = tree(2)
    with pytest.raises(IntegrityError, match="not 32 bytes"):
        verify_multiproof({0: hashes[0]}, 2, [hashes[1][:31]], root)
