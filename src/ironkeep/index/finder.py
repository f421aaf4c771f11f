"""Finding entries by their terms: the protocol, and the scan that defines its answers.

The index of a journal finds entries without reading the others (`journal.index`). Every
implementation gives exactly the entries that `Scan` gives.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Final, Protocol

from ironkeep.core.event import Entry
from ironkeep.index.terms import Term, terms_of


class Finder(Protocol):
    """A log whose readable entries can be found by their terms."""

    def find(self, terms: Collection[Term], first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield (index, entry) of each entry in [first, last) with any of the terms, in order.

        A `last` past the log's end means the end. Raises IntegrityError at a damaged leaf or block.
        """
        ...

    def position_at(self, time_ns: int) -> int:
        """Return the first position at which the log's running-maximum time is >= time_ns.

        The running maximum at a position is the latest `time_ns` of the readable entries up to and
        including it, so entries of a clock that was put back stay behind the ones before them.
        Returns the log's size if no entry is that late.
        """
        ...


class Scan:
    """Finds entries by looking at all of them, in the order of their positions."""

    def __init__(self, entries: Iterable[tuple[int, Entry]], size: int) -> None:
        self._entries: Final = tuple(entries)
        self._size: Final = size

    def find(self, terms: Collection[Term], first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield the entries of [first, last) with any of the terms; see Finder."""
        wanted = frozenset(terms)
        for index, entry in self._entries:
            if first <= index < last and not wanted.isdisjoint(terms_of(entry)):
                yield index, entry

    def position_at(self, time_ns: int) -> int:
        """Return the first position at or after time_ns; see Finder."""
        late = (index for index, entry in self._entries if entry.time_ns >= time_ns)
        return next(late, self._size)


class Held(Scan):
    """Finds among the same entries many times: their terms are computed once, at the first."""

    def find(self, terms: Collection[Term], first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield the entries of [first, last) with any of the terms; see Finder."""
        known = self._by_term
        for number in sorted({each for term in set(terms) for each in known.get(term, ())}):
            index, entry = self._entries[number]
            if first <= index < last:
                yield index, entry

    @cached_property
    def _by_term(self) -> dict[Term, list[int]]:
        """The numbers of the entries with each term; a number may come twice."""
        found: dict[Term, list[int]] = {}
        for number, (_, entry) in enumerate(self._entries):
            for term in terms_of(entry):
                found.setdefault(term, []).append(number)
        return found
