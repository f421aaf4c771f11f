"""The index of one log: answers questions from blocks, and builds the blocks that are missing.

    index = Index(log, block_files, entropy, reading_key_periods)
    for leaf in index.advance():              # in the background: build, and put on record
        if leaf is not None:
            journal.append_leaf(leaf)
    index.find(terms, first, last)            # entries, in order

Plain synchronous code, for a process of its own: one Index writes a folder of blocks. Answers
are complete at any time: leaves that no block covers yet are read one by one.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeVar

from ironkeep.core.event import Entry
from ironkeep.core.logport import LogFiles
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.index.leaf import LEVELS, IndexLeaf, Run
from ironkeep.index.positions import RUN, positions_of, union
from ironkeep.index.records import Merger, Record, Times, times_of
from ironkeep.index.terms import INDEX_LEAVES, KEY_LEAVES, TIMES, Term, terms_of
from ironkeep.journal.entries import Leaves
from ironkeep.journal.index.block import Block, DamagedBlock
from ironkeep.journal.index.blocks import Blocks, parts_of
from ironkeep.journal.index.build import Keys, Steps, at_once, records_of
from ironkeep.journal.index.on_record import OnRecord
from ironkeep.tlog.tile import TILE_WIDTH

_T = TypeVar("_T")
_LARGE: Final = LEVELS[1]
_NEAR: Final = 3
"""Entries of one bundle that take longer to read one by one than all of its leaves."""


class Index:
    """The index of one log; implements index.finder.Finder.

    Every method may raise IntegrityError for a damaged leaf, or if the log's entries give another
    root than an index leaf on record.
    """

    def __init__(
        self,
        log: Leaves,
        files: LogFiles,
        entropy: Entropy,
        periods: Sequence[tuple[int, Secret]],
    ) -> None:
        """Open the index of a log.

        files is the folder of its blocks, periods are the reading keys with their first indexes.
        """
        self.log: Final = log
        self.keys: Final = Keys(log, periods)
        self.blocks: Final = Blocks(files, self.keys, entropy)
        self.on_record: Final = OnRecord(log)

    @property
    def covered(self) -> int:
        """The leaf up to which blocks cover the log; questions read the leaves from there on."""
        return self.blocks.covered

    def advance(self, size: int | None = None) -> Iterator[bytes | None]:
        """Build the missing blocks of the first `size` leaves, and yield the leaves to append.

        An index leaf is yielded again by the next call, unless the log has it by then: append what
        comes, make it durable, and call again. None comes after each step of some 50 ms, and the
        iterator can be left at any item.
        """
        end = self.log.size if size is None else min(size, self.log.size)
        yield from self.refresh(end)
        self._tidy(end)
        for run in self.blocks.runs():
            if self.on_record.get(run) is None:
                yield self.ask(run, lambda block: block.leaf).encode()
        while (missing := self._next(end)) is not None:
            yield from self._new((yield from self._build(missing)))
            if missing.level == 0 and missing.end % _LARGE == 0:
                yield from self._new((yield from self._merge(Run(1, missing.end - _LARGE))))

    def positions(self, terms: Collection[Term], first: int, last: int) -> list[int]:
        """Return the positions in [first, last) and below `covered` with any of the terms."""
        found: list[int] = []
        for run in self.runs(first, last):
            found += self._positions(run, terms, first, last)
        return found

    def find(self, terms: Collection[Term], first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield the entries of [first, last) with any of the terms, in order; see Finder."""
        end = min(last, self.log.size)
        covered = self.covered
        for run in self.runs(first, min(end, covered)):
            found = self._positions(run, terms, first, end)
            keys = self._positions(run, [KEY_LEAVES], run.first, run.end) if found else []
            for index, leaf in self._leaves(found):
                at = bisect_right(keys, index)
                # The key of the run's first entries may be in the run before.
                key_index = keys[at - 1] if at else None
                yield index, self.keys.reader(index).opened(index, leaf, key_index)
        wanted = frozenset(terms)
        for index, entry in self._scan(max(first, covered), end):
            if not wanted.isdisjoint(terms_of(entry)):
                yield index, entry

    def position_at(self, time_ns: int) -> int:
        """Return the first position at or after a time; see Finder."""
        covered = self.covered
        for run in self.blocks.runs():
            for start, _, latest in self._times(run):
                if latest >= time_ns:
                    return self._first_at(time_ns, start, start + RUN)
        return self._first_at(time_ns, covered, self.log.size)

    def ask(self, run: Run, question: Callable[[Block], _T]) -> _T:
        """Return the answer of a run's block, which is built again if it is damaged."""
        try:
            return question(self.blocks.get(run))
        except DamagedBlock:
            at_once(self._build(run))
            return question(self.blocks.get(run))

    def _next(self, end: int) -> Run | None:
        """Return the next run to build below end: a large one where none of its parts is built."""
        covered = self.covered
        large = Run(1, covered - covered % _LARGE)
        if covered == large.first and large.end <= end:
            return large
        small = Run(0, covered)
        return small if small.end <= end else None

    def _build(self, run: Run) -> Steps[IndexLeaf]:
        """Compute the block of a run from the log, and write it."""
        records = yield from records_of(self.keys, run)
        yield
        return (yield from self._write(run, records))

    def _merge(self, run: Run) -> Steps[IndexLeaf]:
        """Write the block of a large run from those of its parts, and remove these."""
        parts = parts_of(run)
        same = self.keys.digests(run)
        if any(self.keys.digests(part) is not same for part in parts):
            return (yield from self._build(run))
        merger = Merger()
        for part in parts:
            merger.take(self.blocks.records(part))
            yield
        return (yield from self._write(run, merger.records()))

    def _write(self, run: Run, records: list[Record]) -> Steps[IndexLeaf]:
        leaf = yield from self.blocks.write(run, records)
        self._settle(leaf)
        return leaf

    def _settle(self, leaf: IndexLeaf) -> None:
        """Compare a new block with the log; remove it if the log has another root for its run."""
        try:
            self.on_record.require_same(leaf)
        except BaseException:
            self.blocks.remove(leaf.run)
            raise

    def _new(self, leaf: IndexLeaf) -> Iterator[bytes]:
        if self.on_record.get(leaf.run) is None:
            yield leaf.encode()

    def refresh(self, size: int) -> Steps[None]:
        """Learn about the index leaves below size."""
        covered = min(self.covered, size)
        yield from self.on_record.refresh(
            covered, lambda low, end: self.positions([INDEX_LEAVES], low, end), size
        )

    def _tidy(self, size: int) -> None:
        """Remove the blocks of parts of large runs whose index leaf is on record.

        It has to be for RUN leaves, so that a head covers it: proofs need the parts until then.
        """
        for run in self.blocks.merged():
            recorded = self.on_record.get(run)
            if recorded is not None and recorded[0] + RUN <= size:
                for part in parts_of(run):
                    self.blocks.remove(part)

    def proving(self, run: Run, size: int) -> list[Run]:
        """Return the runs by which the leaves of a run are proven under a head of that size.

        Until the index leaf of a large run is there, these are its parts.
        """
        recorded = self.on_record.get(run)
        if run.level and (recorded is None or recorded[0] >= size):
            return [part for part in parts_of(run) if part in self.blocks]
        return [run]

    def runs(self, first: int, last: int) -> Iterator[Run]:
        """Yield the runs with a block that share leaves with [first, last), in order."""
        return (run for run in self.blocks.runs() if run.first < last and run.end > first)

    def _positions(self, run: Run, terms: Collection[Term], first: int, last: int) -> list[int]:
        digests = self.keys.digests(run)

        def look_up(block: Block) -> list[int]:
            records = (block.find(digests.of(term)) for term in terms)
            return union(
                [positions_of(record, run.first, first, last) for record in records if record]
            )

        return self.ask(run, look_up)

    def _leaves(self, positions: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield (index, leaf) at ascending positions; a bundle with several is read once."""
        for _, group in groupby(positions, lambda position: position // TILE_WIDTH):
            near = list(group)
            if len(near) < _NEAR:
                for index in near:
                    yield index, self.log.leaves(index, index + 1)[0]
                continue
            leaves = self.log.leaves(near[0], near[-1] + 1)
            yield from ((index, leaves[index - near[0]]) for index in near)

    def _times(self, run: Run) -> list[Times]:
        digest = self.keys.digests(run).of(TIMES)
        record = self.ask(run, lambda block: block.find(digest))
        return [] if record is None else list(times_of(record, run.first))

    def _first_at(self, time_ns: int, first: int, last: int) -> int:
        begun = next(self._scan(first, last), None)
        high, late = last, self.log.size
        # The times of this release's entries never run back, and only these name their node.
        while begun is not None and begun[1].node and high - first > RUN:
            middle = (first + high) // 2
            found = next(self._scan(middle, high), None)
            if found is None or found[1].time_ns >= time_ns:
                high, late = middle, late if found is None else found[0]
            else:
                first = found[0]
        near = (index for index, entry in self._scan(first, high) if entry.time_ns >= time_ns)
        return next(near, late)

    def _scan(self, first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield the readable entries in [first, last), in order."""
        for start, end, reader in self.keys.spans(first, last):
            yield from reader.entries(start, end)
