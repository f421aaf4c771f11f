"""RFC 6962 Merkle trees: incremental roots, and building and verifying proofs.

Leaf hash SHA-256(0x00 ‖ entry), node hash SHA-256(0x01 ‖ left ‖ right), empty root SHA-256("").
Proofs are built from flat hash files by tile level: level L holds, in order, the roots of all
complete subtrees of 256^L leaves (c2sp.org/tlog-tiles). Verification raises IntegrityError.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.tlog.wire import HASH_SIZE, MAX_SIZE

TILE_HEIGHT: Final = 8
"""Levels of the tree in one tile level."""

EMPTY_ROOT: Final = sha256(b"").digest()

_PAIR: Final = 2 * HASH_SIZE

HashReader = Callable[[int, int], bytes]
"""(tile level, index) -> the 32-byte root of the 256^level leaves from index * 256^level on."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf that holds entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two hashes."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: enough to append leaves and to compute the root."""

    __slots__ = ("_left", "_size")

    def __init__(self) -> None:
        self._size = 0
        # _left[h] is the complete subtree of height h that waits for its right sibling, or b"".
        self._left: list[bytes] = []

    @classmethod
    def from_tiles(cls, size: int, read: HashReader) -> Self:
        """Return the frontier of the first size leaves of a tree, read from its hash files."""
        frontier = cls()
        for height, index in _peaks(0, size):
            frontier._graft(height, _complete(height, index, read))
        return frontier

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaves: Sequence[bytes], out: list[list[bytes]] | None = None) -> None:
        """Append leaf hashes; out[L], if given, grows by the new hashes of tile level L."""
        self._size += len(leaves)
        current = leaves
        height = 0
        while current:
            if out is not None and height % TILE_HEIGHT == 0:
                _emit(out, height // TILE_HEIGHT, current)
            if height == len(self._left):
                self._left.append(b"")
            run = self._left[height] + b"".join(current)
            paired = len(run) - len(run) % _PAIR
            self._left[height] = run[paired:]
            current = [
                sha256(b"\x01" + run[at : at + _PAIR]).digest() for at in range(0, paired, _PAIR)
            ]
            height += 1

    def root(self) -> bytes:
        """Return the root hash of all leaves so far."""
        root = b""
        for left in self._left:
            if left:
                root = node_hash(left, root) if root else left
        return root or EMPTY_ROOT

    def copy(self) -> Self:
        """Return an independent frontier of the same tree."""
        twin = type(self)()
        twin._size = self._size  # noqa: SLF001  # our own kind
        twin._left = self._left.copy()  # noqa: SLF001
        return twin

    def _graft(self, height: int, subtree: bytes) -> None:
        """Append a complete subtree; the size must be a multiple of its width."""
        assert self._size % (1 << height) == 0
        self._size += 1 << height
        self._left.extend(b"" for _ in range(height + 1 - len(self._left)))
        while self._left[height]:
            subtree = node_hash(self._left[height], subtree)
            self._left[height] = b""
            height += 1
            if height == len(self._left):
                self._left.append(b"")
        self._left[height] = subtree


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """Return the hashes that prove leaf index in the tree of size, from its sibling upward.

    Raises InvalidRequest unless 0 <= index < size. RFC 6962, section 2.1.1.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise InvalidRequest(f"there is no leaf {index} in a tree of {size}")
    low, high = 0, size
    proof = []
    while high - low > 1:
        middle = split_point(low, high)
        if index < middle:
            proof.append(subtree_root(middle, high, read))
            high = middle
        else:
            proof.append(subtree_root(low, middle, read))
            low = middle
    proof.reverse()
    return proof


def consistency_proof(old: int, new: int, read: HashReader) -> list[bytes]:
    """Return the hashes that prove the tree of size old a prefix of the tree of size new.

    Empty if old is 0 or equals new. Raises InvalidRequest unless 0 <= old <= new.
    RFC 6962, section 2.1.2.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise InvalidRequest(f"a tree of {old} is not a prefix of a tree of {new}")
    if old in {0, new}:
        return []
    low, high = 0, new
    proof = []
    while old != high:
        middle = split_point(low, high)
        if old <= middle:
            proof.append(subtree_root(middle, high, read))
            high = middle
        else:
            proof.append(subtree_root(low, middle, read))
            low = middle
    if low > 0:
        # If low is 0, the last subtree is the whole old tree, and the verifier has its root.
        proof.append(subtree_root(low, high, read))
    proof.reverse()
    return proof


@dataclass(frozen=True, slots=True)
class RangeProof:
    """The subtrees left and right of leaves [start, end), which together give the root.

    Each side has the roots of the fewest complete aligned subtrees, from left to right, so a range
    has exactly one proof.
    """

    left: tuple[bytes, ...]
    right: tuple[bytes, ...]


def range_proof(start: int, end: int, size: int, read: HashReader) -> RangeProof:
    """Return the proof that leaves are exactly [start, end) in the tree of size.

    Raises InvalidRequest unless 0 <= start < end <= size.
    """
    if not 0 <= start < end <= size <= MAX_SIZE:
        raise InvalidRequest(f"[{start}, {end}) is not a range of a tree of {size}")
    return RangeProof(
        left=tuple(_complete(height, index, read) for height, index in _peaks(0, start)),
        right=tuple(_complete(height, index, read) for height, index in _peaks(end, size)),
    )


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that leaf (a hash) is leaf index of the tree of size with that root.

    Raises IntegrityError. RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise IntegrityError("inclusion proof: the index is not in the tree")
    _require_hashes((leaf, root, *proof))
    first, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise IntegrityError("inclusion proof: too long")
        if first & 1 or first == last:
            node = node_hash(sibling, node)
            first, last = _rise(first, last)
        else:
            node = node_hash(node, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise IntegrityError("inclusion proof: too short")
    if node != root:
        raise IntegrityError("inclusion proof: leads to another root")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (new, new_root) extends the tree (old, old_root).

    An old size of 0 is refused: every tree extends the empty one, so there is nothing to prove.
    Raises IntegrityError. RFC 9162, section 2.1.4.2.
    """
    if not 0 < old <= new <= MAX_SIZE:
        raise IntegrityError("consistency proof: sizes out of order")
    if old == new:
        if proof:
            raise IntegrityError("consistency proof: too long")
        if old_root != new_root:
            raise IntegrityError("consistency proof: two roots at one size")
        return
    _require_hashes((old_root, new_root, *proof))
    # A complete old tree is a node of the new one, so the proof omits it.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise IntegrityError("consistency proof: too short")
    if _fold_consistency(old, new, path) != (old_root, new_root):
        raise IntegrityError("consistency proof: leads to other roots")


def verify_range(
    start: int, leaves: Sequence[bytes], size: int, proof: RangeProof, root: bytes
) -> None:
    """Check that leaves (hashes) are exactly [start, start + len(leaves)) of the tree of size.

    If a leaf between the ends were left out, the root would differ. An empty range is refused, as
    it proves nothing. Raises IntegrityError.
    """
    end = start + len(leaves)
    if not 0 <= start < end <= size <= MAX_SIZE:
        raise IntegrityError("range proof: not a range of the tree")
    _require_hashes((root, *proof.left, *proof.right))
    _require_hashes(leaves)
    frontier = Frontier()
    _graft_all(frontier, _peaks(0, start), proof.left)
    frontier.append(leaves)
    _graft_all(frontier, _peaks(end, size), proof.right)
    if frontier.root() != root:
        raise IntegrityError("range proof: leads to another root")


def _emit(out: list[list[bytes]], level: int, hashes: Iterable[bytes]) -> None:
    """Add hashes to the list of a tile level, making the list if needed."""
    while len(out) <= level:
        out.append([])
    out[level].extend(hashes)


def split_point(low: int, high: int) -> int:
    """Return the split point of leaves [low, high): the largest power of two below their number."""
    return low + (1 << ((high - low - 1).bit_length() - 1))


def _peaks(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield (height, index) of the fewest complete aligned subtrees that cover [low, high)."""
    while low < high:
        height = (high - low).bit_length() - 1
        if low:
            # x & -x is the lowest set bit: the widest subtree that may start here.
            height = min(height, (low & -low).bit_length() - 1)
        yield height, low >> height
        low += 1 << height


def _complete(height: int, index: int, read: HashReader) -> bytes:
    """Return the root of a complete subtree, computed from the hashes of the tile level below."""
    level, above = divmod(height, TILE_HEIGHT)
    first = index << above
    hashes = [read(level, first + at) for at in range(1 << above)]
    if any(len(item) != HASH_SIZE for item in hashes):
        raise IntegrityError(f"hash file of level {level} is damaged or too short")
    while len(hashes) > 1:
        pairs = iter(hashes)
        hashes = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=True)]
    return hashes[0]


def subtree_root(low: int, high: int, read: HashReader) -> bytes:
    """Return the root of leaves [low, high), low being a split point of a tree."""
    root = b""
    for height, index in reversed(list(_peaks(low, high))):
        node = _complete(height, index, read)
        root = node_hash(node, root) if root else node
    return root


def _graft_all(
    frontier: Frontier, peaks: Iterable[tuple[int, int]], nodes: Sequence[bytes]
) -> None:
    """Append the subtrees at peaks; raise IntegrityError if nodes has another number of hashes."""
    heights = [height for height, _ in peaks]
    if len(heights) != len(nodes):
        raise IntegrityError(f"range proof: {len(nodes)} hashes on a side of {len(heights)}")
    for height, node in zip(heights, nodes, strict=True):
        frontier._graft(height, node)  # noqa: SLF001  # one module, one invariant


def _rise(first: int, last: int) -> tuple[int, int]:
    """Skip the levels at which the node is the last one and has no sibling."""
    while first and not first & 1:
        first, last = first >> 1, last >> 1
    return first, last


def _fold_consistency(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the old and the new root that path leads to."""
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise IntegrityError("consistency proof: too long")
        if first & 1 or first == last:
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
            first, last = _rise(first, last)
        else:
            new_node = node_hash(new_node, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise IntegrityError("consistency proof: too short")
    return old_node, new_node


def _require_hashes(hashes: Iterable[bytes]) -> None:
    """Raise unless each is a whole hash: otherwise one proof could be read in two ways."""
    if any(len(item) != HASH_SIZE for item in hashes):
        raise IntegrityError(f"a hash is not {HASH_SIZE} bytes")
