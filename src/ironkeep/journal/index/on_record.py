"""The index leaves that stand in a log: the first one of each run, with its position.

Where blocks cover the log, their records say where index leaves are; the rest is looked through.
"""

from collections.abc import Callable
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.leaf import is_index
from ironkeep.index.leaf import IndexLeaf, Run, read_index_leaf
from ironkeep.journal.entries import Leaves
from ironkeep.journal.index.build import Steps

_CHUNK: Final = 4_096
"""Leaves looked through at a time."""

_STEP: Final = 256

Positions = Callable[[int, int], list[int]]
"""(first, last) -> the positions of index leaves in a range that blocks cover."""


class OnRecord:
    """The index leaves of a log, found once and then followed as the log grows."""

    def __init__(self, log: Leaves) -> None:
        self._log: Final = log
        self._seen = 0
        self._first: Final[dict[Run, tuple[int, IndexLeaf]]] = {}

    def refresh(self, covered: int, positions: Positions, size: int) -> Steps[None]:
        """Take the index leaves below size; `positions` answers for the leaves below `covered`."""
        if self._seen < covered:
            for position in positions(self._seen, covered):
                self._take(position, self._log.leaves(position, position + 1)[0])
                if len(self._first) % _STEP == 0:
                    yield
            self._seen = covered
        while self._seen < size:
            end = min(self._seen + _CHUNK, size)
            for position, leaf in enumerate(self._log.leaves(self._seen, end), self._seen):
                if is_index(leaf):
                    self._take(position, leaf)
            self._seen = end
            yield

    def get(self, run: Run) -> tuple[int, IndexLeaf] | None:
        """Return (position, leaf) of the first index leaf of a run; None if there is none."""
        return self._first.get(run)

    def require_same(self, leaf: IndexLeaf) -> None:
        """Raise IntegrityError if the log has another index leaf for the same run.

        One of another term key is no contradiction: the reading key has changed since.
        """
        found = self._first.get(leaf.run)
        if found is None or found[1].key_check != leaf.key_check:
            return
        if found[1] != leaf:
            raise IntegrityError(
                f"{leaf.run} differs from index leaf {found[0]} of the log: the entries, or the "
                "index when it was made, were changed. Keep the directory as evidence"
            )

    def _take(self, position: int, leaf: bytes) -> None:
        try:
            read = read_index_leaf(leaf, position)
        except IntegrityError:
            # Of a later version, or wrong: `audit verify` names it, and the run has no leaf here.
            return
        self._first.setdefault(read.run, (position, read))
