"""The read side of the journal: leaves, hashes, tiles, and proofs under signed checkpoints.

Only leaves under a signed checkpoint have proofs. Each proof is verified before it is returned, so
that the server, not an auditor, notices a damaged hash file.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ironkeep.core.errors import IntegrityError, NotFound, RolledBack
from ironkeep.journal.tree import HashTree
from ironkeep.journal.wal import Wal
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.merkle import (
    RangeProof,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    range_proof,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from ironkeep.tlog.note import Note
from ironkeep.tlog.proof import LogProof
from ironkeep.tlog.tile import Tile, encode_entries
from ironkeep.tlog.wire import HASH_SIZE

RECENT_HEADS: Final = 32
"""Cosigned heads kept: about half a minute of them, for slow witnesses."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A signed checkpoint of this log, and its note with the signatures gathered so far."""

    checkpoint: Checkpoint
    note: Note


@dataclass(slots=True)
class Heads:
    """The heads of the log. Each is replaced as a whole, so any thread may read them.

    `published` is the newest signed one, `cosigned` the newest that a witness has cosigned.
    `recent` has the last cosigned ones, the newest first: the newest may not have a quorum yet.
    """

    published: SignedHead | None = None
    cosigned: SignedHead | None = None
    recent: tuple[SignedHead, ...] = ()

    def keep(self, head: SignedHead) -> None:
        """Add a cosigned head to the recent ones, replacing one of the same size."""
        size = head.checkpoint.size
        others = [each for each in self.recent if each.checkpoint.size != size]
        newest = sorted((head, *others), key=lambda each: -each.checkpoint.size)
        self.recent = tuple(newest[:RECENT_HEADS])


class Log:
    """The read-only view of a journal, safe to use from any thread."""

    def __init__(self, origin: str, wal: Wal, tree: HashTree, heads: Heads) -> None:
        self.origin: Final = origin
        self._wal: Final = wal
        self._tree: Final = tree
        self._heads: Final = heads

    @property
    def size(self) -> int:
        """The number of durable leaves, signed or not."""
        return self._wal.size

    @property
    def published(self) -> SignedHead | None:
        """The newest signed head; None before the first checkpoint."""
        return self._heads.published

    @property
    def cosigned(self) -> SignedHead | None:
        """The newest head that witnesses have cosigned; None before the first."""
        return self._heads.cosigned

    @property
    def recent(self) -> tuple[SignedHead, ...]:
        """The last heads that witnesses have cosigned, the newest first."""
        cosigned = self._heads.cosigned
        return self._heads.recent or (() if cosigned is None else (cosigned,))

    def leaf(self, index: int) -> bytes:
        """Return the durable leaf at index; raise NotFound past the end."""
        if not 0 <= index < self.size:
            raise NotFound(f"the journal has no entry {index}")
        return self._wal.leaves(index, index + 1)[0]

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return the durable leaves [first, last); raise InvalidRequest past the end."""
        return self._wal.leaves(first, last)

    def leaf_hashes(self, first: int, last: int) -> list[bytes]:
        """Return the leaf hashes [first, last), which must be under the newest signed head."""
        self._require_signed(last)
        data = self._tree.slice(0, first, last)
        return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]

    def tile(self, tile: Tile) -> bytes:
        """Return a tile or entry bundle under the newest signed head; raise NotFound past it."""
        if not tile.within(self._require_signed(0).checkpoint.size):
            raise NotFound(f"the journal has no {tile.path} yet")
        if tile.level is None:
            return encode_entries(self._wal.leaves(tile.start, tile.end))
        return self._tree.slice(tile.level, tile.start, tile.end)

    def head_for(self, size: int) -> SignedHead:
        """Return the head to use for proofs that need a tree of at least size leaves.

        That is the newest cosigned head if it is large enough, otherwise the newest signed one.
        Raises NotFound while neither is: such leaves are durable, but not signed yet.
        """
        cosigned = self._heads.cosigned
        if cosigned is not None and size <= cosigned.checkpoint.size:
            return cosigned
        return self._require_signed(size)

    def proof(self, index: int) -> LogProof:
        """Return the .tlog-proof of the leaf at index; raise NotFound until a head covers it."""
        head = self.head_for(index + 1)
        hashes = self.inclusion_proof(index, head.checkpoint)
        return LogProof(index, tuple(hashes), head.note.serialise())

    def inclusion_proof(self, index: int, head: Checkpoint) -> list[bytes]:
        """Return the hashes from the leaf at index to the root of a head of this log."""
        hashes = inclusion_proof(index, head.size, self._tree.reader())
        leaf = leaf_hash(self.leaf(index))
        verify_inclusion(index, head.size, leaf, hashes, head.root)
        return hashes

    def consistency_proof(self, old: int, head: Checkpoint) -> list[bytes]:
        """Return the hashes that prove the first old leaves a prefix of a head of this log."""
        self._require_signed(head.size)
        hashes = consistency_proof(old, head.size, self._tree.reader())
        if old:
            root = self._tree.root_at(old)
            verify_consistency(old, head.size, root, head.root, hashes)
        return hashes

    def range_proof(self, first: int, last: int, head: Checkpoint) -> RangeProof:
        """Return the proof that leaf_hashes(first, last) are complete under a head of this log."""
        proof = range_proof(first, last, head.size, self._tree.reader())
        verify_range(first, self.leaf_hashes(first, last), head.size, proof, head.root)
        return proof

    def root_at(self, size: int) -> bytes:
        """Return the root hash of the first size leaves; all must be under the newest head."""
        self._require_signed(size)
        return self._tree.root_at(size)

    def _require_signed(self, size: int) -> SignedHead:
        head = self._heads.published
        if head is None or size > head.checkpoint.size:
            raise NotFound("no signed checkpoint covers this yet; it will within seconds")
        return head


def require_reached(expected: Checkpoint, size: int, what: str) -> None:
    """Raise RolledBack unless a log of size leaves reaches the expected head."""
    if size < expected.size:
        raise RolledBack(
            f"the journal ends at {size}, but {what} is at {expected.size}: this is an older copy. "
            "Bring back the newest one, or start a new epoch"
        )


def require_root(expected: Checkpoint, root: bytes, what: str) -> None:
    """Raise IntegrityError unless root is the root of the expected head."""
    if root != expected.root:
        raise IntegrityError(
            f"the journal does not lead to {what} at size {expected.size}: entries were changed. "
            "Keep the directory as evidence and compare it with a mirror"
        )


def origin_tag(origin: str) -> str:
    """Return the 8 hex digits that identify a log in receipts."""
    return sha256(origin.encode()).hexdigest()[:8]
