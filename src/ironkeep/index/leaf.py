"""Index leaves: the root of the index over one run of leaves, on record in the log itself.

    0x01 ‖ 0x04 ‖ version 1 ‖ level u8 ‖ first leaf u64 ‖ leaf count u32 ‖ term count u32
         ‖ root 32 ‖ key check 16

Numbers are big-endian. A run of level 0 is the leaves [k * 4,096, (k + 1) * 4,096), one of level 1
the same for 64 times as many. The index leaf of a run lies anywhere behind it. If there are several
for one run, only the first counts. One that lies more than MAX_DELAY leaves behind its run's end is
late: it was not made when the entries were, so it proves less.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.leaf import INDEX
from ironkeep.index.key import CHECK_SIZE
from ironkeep.index.positions import FAN, RUN
from ironkeep.tlog.wire import HASH_SIZE, MAX_SIZE

VERSION: Final = 1

LEVELS: Final = (RUN, RUN * FAN)
"""Leaves of a run, by level."""

MAX_DELAY: Final = RUN * FAN
"""Leaves from the end of a run within which its index leaf counts as made at the time.

At the server's full speed this is some twelve seconds, enough to build and merge under load.
"""

MAX_TERMS: Final = (1 << 31) - 1
"""Terms in one run: far more than its entries can have."""

_FORM: Final = Struct(f">2sBBQII{HASH_SIZE}s{CHECK_SIZE}s")
INDEX_LEAF: Final = _FORM.size
"""Bytes of an index leaf."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of leaves that has an index of its own: the level, and the first leaf."""

    level: int
    first: int

    @property
    def count(self) -> int:
        """The number of leaves."""
        return LEVELS[self.level]

    @property
    def end(self) -> int:
        """The index after the last leaf."""
        return self.first + self.count

    def __str__(self) -> str:
        return f"the index of leaves {self.first} to {self.end - 1}"


@dataclass(frozen=True, slots=True)
class IndexLeaf:
    """The root of a run's index, with the number of its records and the check of its term key."""

    run: Run
    terms: int
    root: bytes
    key_check: bytes

    def encode(self) -> bytes:
        """Return the leaf as it stands in the log."""
        run = self.run
        return _FORM.pack(
            INDEX, VERSION, run.level, run.first, run.count, self.terms, self.root, self.key_check
        )

    def is_late(self, position: int) -> bool:
        """Return whether this leaf, at that position of the log, was made too long afterwards."""
        return position - self.run.end > MAX_DELAY


def read_index_leaf(leaf: bytes, position: int) -> IndexLeaf:
    """Return the index leaf at a position of the log; raise IntegrityError unless it is sound."""
    if len(leaf) != INDEX_LEAF:
        raise IntegrityError(f"leaf {position} is not an index leaf of {INDEX_LEAF} bytes")
    kind, version, level, first, count, terms, root, check = _FORM.unpack(leaf)
    if kind != INDEX or version != VERSION:
        raise IntegrityError(f"leaf {position} is not an index leaf of version {VERSION}")
    known = level < len(LEVELS) and count == LEVELS[level] and not first % count
    if not known or not 0 < terms <= MAX_TERMS or not first + count <= position <= MAX_SIZE:
        raise IntegrityError(f"index leaf {position} does not describe a run of leaves before it")
    return IndexLeaf(Run(level, first), terms, root, check)
