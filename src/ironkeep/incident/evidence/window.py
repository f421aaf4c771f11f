"""The window of a question to the journal: where it begins, and how each part of it is read.

proven      an index leaf under the head covers it: entries are found by their terms
whole       no index leaf covers it, or a late one: every leaf is read, and shown in a pack
unindexed   the same where it is too long for that: found in place, but not proven
"""

from bisect import bisect_right
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ironkeep.core.event import Entry
from ironkeep.core.evidence.leaf import Disclosed, LeafKey, is_entry
from ironkeep.index.finder import Held
from ironkeep.index.leaf import Run
from ironkeep.index.terms import KEY_LEAVES, Term
from ironkeep.journal.index.index import Index
from ironkeep.journal.journal import ENTRIES_PER_KEY
from ironkeep.journal.questions import Context, stretches

WHOLE: Final = 1 << 16
"""Leaves of a window shown whole at most. The newest leaves, which no index covers yet, are some
thousands; a log without an index is at most as large as this, or its index is being built."""

Part = tuple[int, int]
"""Leaves [first, last)."""

_BACK: Final = 512


@dataclass(slots=True)
class Window:
    """The window [start, size) with its parts.

    `entries` are those of the whole parts; `withheld` counts the ones that do not open. `late`
    counts the leaves that nothing made at their time proves.
    """

    start: int
    size: int
    proven: list[Part] = field(default_factory=list)
    whole: list[Part] = field(default_factory=list)
    unindexed: list[Part] = field(default_factory=list)
    late: int = 0
    entries: list[tuple[int, Entry]] = field(default_factory=list)
    withheld: int = 0


def open_window(
    context: Context, index: Index, from_ns: int, size: int
) -> Generator[None, None, Window]:
    """Return the window from an instant to a size of the log, with the entries of whole parts."""
    yield from index.refresh(size)
    window = Window(_start(context, index, from_ns, size), size)
    _plan(index, window)
    for first, last in window.whole:
        for low, high in stretches(first, last):
            opened = list(context.reader.entries(low, high))
            window.withheld += sum(map(is_entry, context.log.leaves(low, high))) - len(opened)
            window.entries += opened
            yield
    return window


def _start(context: Context, index: Index, from_ns: int, size: int) -> int:
    """Return the last entry before an instant, where the window begins; 0 for none."""
    end = min(index.position_at(from_ns), size)
    while end > 0:
        low = max(0, end - _BACK)
        found = list(context.reader.entries(low, end))
        if found:
            return found[-1][0]
        end = low
    return 0


def _plan(index: Index, window: Window) -> None:
    """Divide a window into parts that the index proves, and parts to read whole."""
    at, late = window.start, list[Part]()
    unindexed: list[Part] = []
    for run, is_late in _recorded(index, window):
        low, high = max(run.first, window.start), min(run.end, window.size)
        unindexed += [(at, low)] if at < low else []
        (late if is_late else window.proven).append((low, high))
        at = high
    unindexed += [(at, window.size)] if at < window.size else []
    room = WHOLE - _length(unindexed)
    if room < 0:
        window.unindexed = unindexed
    else:
        window.whole = unindexed
    for part in late:
        if _length([part]) <= room:
            window.whole.append(part)
            room -= _length([part])
        else:
            window.proven.append(part)
            window.late += _length([part])
    window.late += _length(window.unindexed)
    window.whole = _joined(window.whole)


def _recorded(index: Index, window: Window) -> Iterator[tuple[Run, bool]]:
    """Yield the runs with an index leaf under the head, in order, and whether it was made late."""
    for run in index.runs(window.start, window.size):
        for part in index.proving(run, window.size):
            recorded = index.on_record.get(part)
            inside = part.first < window.size and part.end > window.start
            if recorded is None or recorded[0] >= window.size or not inside:
                continue
            position, leaf = recorded
            if leaf.key_check == index.keys.digests(part).key.check:
                yield part, leaf.is_late(position)


def _length(parts: Iterable[Part]) -> int:
    return sum(high - low for low, high in parts)


def _joined(parts: list[Part]) -> list[Part]:
    """Return parts in order, with neighbours joined."""
    joined: list[Part] = []
    for low, high in sorted(parts):
        if joined and joined[-1][1] == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


class Opener:
    """Opens single entries of a window, by the key leaves that the index knows."""

    def __init__(self, index: Index, window: Window) -> None:
        self._index: Final = index
        self._window: Final = window
        self._covered: Final = index.covered

    @cached_property
    def _keys(self) -> list[int]:
        first = max(0, self._window.start - ENTRIES_PER_KEY)
        return self._index.positions([KEY_LEAVES], first, self._window.size)

    def entry(self, index: int) -> Entry:
        """Return the entry at index."""
        (leaf,) = self._index.log.leaves(index, index + 1)
        return self._index.keys.reader(index).opened(index, leaf, self._key_of(index))

    def disclosed(self, index: int) -> tuple[bytes, Disclosed]:
        """Return the leaf at index with its disclosure."""
        reader, log = self._index.keys.reader(index), self._index.log
        (leaf,) = log.leaves(index, index + 1)
        at = self._key_of(index)
        if at is None:
            return leaf, reader.disclose(index)
        key: LeafKey = reader.key_in(at, log.leaves(at, at + 1)[0])
        return leaf, key.open(index, leaf)

    def _key_of(self, index: int) -> int | None:
        """Return the key leaf of an entry; None where the index cannot tell."""
        at = bisect_right(self._keys, index)
        found = self._keys[at - 1] if at else -1
        known = self._covered > index and found >= 0
        return found if known and index - found <= ENTRIES_PER_KEY else None


class Parts:
    """Finds the entries of a window, each opened once: by the index, or among the whole parts."""

    def __init__(self, index: Index, window: Window, opener: Opener) -> None:
        self._index: Final = index
        self._window: Final = window
        self._rest: Final = Held(window.entries, window.size)
        self._proven: Final = _joined(window.proven)
        self._opener: Final = opener
        self._opened: Final[dict[int, Entry]] = {}

    def find(self, terms: Collection[Term], first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield the entries of [first, last) with any of the terms; not in order."""
        for low, high in self._proven:
            for index in self._index.positions(terms, max(low, first), min(high, last)):
                entry = self._opened.get(index)
                if entry is None:
                    entry = self._opened[index] = self._opener.entry(index)
                yield index, entry
        for low, high in self._window.unindexed:
            yield from self._index.find(terms, max(low, first), min(high, last))
        yield from self._rest.find(terms, first, last)

    def position_at(self, time_ns: int) -> int:
        """Return the first position at or after a time; see Finder."""
        return self._index.position_at(time_ns)
