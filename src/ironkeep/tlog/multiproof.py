"""Proofs of several leaves of one tree at once: shared hashes appear once.

The proof of a set of leaves is the roots of the largest subtrees without any of them, from left to
right (RFC 6962 trees, split at the largest power of two). A set has exactly one proof. For one leaf
it has the hashes of an inclusion proof.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.merkle import node_hash, split_point
from ironkeep.tlog.wire import HASH_SIZE, MAX_SIZE

SubtreeReader = Callable[[int, int], bytes]
"""(low, high) -> the root of leaves [low, high), a subtree at a split point of the tree."""


def multiproof(indexes: Sequence[int], size: int, subtree: SubtreeReader) -> list[bytes]:
    """Return the proof of the leaves at ascending indexes in the tree of size.

    Raises InvalidRequest unless there is at least one, all below size, ascending.
    """
    if not _are_leaves(indexes, size):
        raise InvalidRequest(f"not ascending leaves of a tree of {size}")
    proof: list[bytes] = []
    # Pairs of a subtree, taken from the left; explicit, as a call per node would cost more.
    waiting = [(0, size)]
    while waiting:
        low, high = waiting.pop()
        at = bisect_left(indexes, low)
        if at == len(indexes) or indexes[at] >= high:
            proof.append(subtree(low, high))
        elif high - low > 1:
            middle = split_point(low, high)
            waiting += ((middle, high), (low, middle))
    return proof


def verify_multiproof(
    leaves: Mapping[int, bytes], size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that leaves (index -> leaf hash) are leaves of the tree of size with that root.

    Raises IntegrityError also for a proof with a hash too many.
    """
    indexes = sorted(leaves)
    if not _are_leaves(indexes, size):
        raise IntegrityError("multiproof: no leaves, or a leaf is not in the tree")
    if any(len(item) != HASH_SIZE for item in (*leaves.values(), *proof)):
        raise IntegrityError(f"a hash is not {HASH_SIZE} bytes")
    fold = _Fold(indexes, leaves, proof)
    if fold.root(0, size) != root:
        raise IntegrityError("multiproof: leads to another root")
    if fold.used != len(proof):
        raise IntegrityError("multiproof: too long")


class _Fold:
    """Computes roots from shown leaves, taking each missing subtree from the proof."""

    def __init__(
        self, indexes: Sequence[int], leaves: Mapping[int, bytes], proof: Sequence[bytes]
    ) -> None:
        self.used = 0
        self._indexes: Final = indexes
        self._leaves: Final = leaves
        self._proof: Final = proof

    def root(self, low: int, high: int) -> bytes:
        """Return the root of leaves [low, high); recursion is at most 63 deep."""
        at = bisect_left(self._indexes, low)
        if at == len(self._indexes) or self._indexes[at] >= high:
            if self.used == len(self._proof):
                raise IntegrityError("multiproof: too short")
            self.used += 1
            return self._proof[self.used - 1]
        if high - low == 1:
            return self._leaves[low]
        middle = split_point(low, high)
        return node_hash(self.root(low, middle), self.root(middle, high))


def _are_leaves(indexes: Sequence[int], size: int) -> bool:
    """Return whether indexes are ascending leaves of a tree of size, at least one."""
    if not indexes or not 0 <= indexes[0] <= indexes[-1] < size <= MAX_SIZE:
        return False
    return all(one < other for one, other in pairwise(indexes))
