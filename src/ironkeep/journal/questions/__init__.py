"""Questions to the journal: named functions over a log, cut into turns.

A question is a generator. It yields between steps of bounded work, so that several questions, and
the index that grows beside them, take turns in one thread; it returns plain data (dict, list, str,
int, bytes, None), because the answer may cross to another process.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ironkeep.core.event import Entry
from ironkeep.core.evidence.leaf import Disclosed
from ironkeep.journal.entries import Leaves
from ironkeep.journal.index.index import Index
from ironkeep.tlog.merkle import HashReader

STRETCH: Final = 4_096
"""Leaves that one step of a question covers: some 50 ms where all of them must be opened."""

_NEWEST: Final = 256
"""Leaves of the first part from the end: mostly it has the few newest entries that are wanted."""

Steps = Generator[None, None, Any]
"""A question at work; it returns the answer."""


class EntryReader(Protocol):
    """Opens the entries of a log, across all reading keys."""

    def entries(self, first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield (index, entry) in order for [first, last)."""
        ...

    def disclosures(self, first: int, last: int) -> Iterator[Disclosed]:
        """Yield the disclosure of each readable entry in [first, last)."""
        ...

    def disclose(self, index: int) -> Disclosed:
        """Return the disclosure of the entry at index; raise NotFound if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a question reads: the leaves of a log, its entries, and the index that finds them.

    `hashes` returns a reader of the log's hashes. `older` returns the same of an older log of this
    node, by its origin, or None if its leaves are not here.
    """

    log: Leaves
    reader: EntryReader
    open_index: Callable[[], Index]
    hashes: Callable[[], HashReader]
    older: Callable[[str], "Context | None"]

    @property
    def index(self) -> Index:
        """The index as it is now; a later look may find it grown."""
        return self.open_index()


Job = Callable[[Context, Mapping[str, Any]], Steps]
"""A question by its name: it takes the context and the arguments, which are plain data."""


def stretches(
    first: int, last: int, *, newest: bool = False, width: int = STRETCH
) -> Iterator[tuple[int, int]]:
    """Yield the parts of [first, last) in order; with newest, from the end, small ones first."""
    if newest:
        part = min(_NEWEST, width)
        while last > first:
            yield max(first, last - part), last
            last -= part
            part = min(2 * part, width)
        return
    for start in range(first, last, width):
        yield start, min(start + width, last)
