"""Computing the records of a run from the leaves of the log.

Building decodes only the fields from which terms follow, and leaves the commitments of entries to
the readers that disclose them. Checking (`full`) opens every entry as a reader does and takes its
terms one by one, so it also checks the way in which building is fast.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import decode
from ironkeep.core.evidence.leaf import LeafKey, is_entry, is_index, is_key
from ironkeep.core.secret import Secret
from ironkeep.index.key import term_key
from ironkeep.index.leaf import Run
from ironkeep.index.positions import RUN
from ironkeep.index.records import Digests, Merger, Record, RunBuilder
from ironkeep.index.terms import INDEX_LEAVES, KEY_LEAVES, UNREAD, Facts, terms_of
from ironkeep.journal.entries import Leaves, Reader

_T = TypeVar("_T")

Steps = Generator[None, None, _T]
"""Work cut into steps of some 50 ms, with a result: other work may be done between them."""


def at_once(steps: Steps[_T]) -> _T:
    """Do all steps without a break; return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


_FACTS: Final = msgspec.json.Decoder(Facts)


class Keys:
    """The reading keys of a log: (first index, private key) pairs, ascending.

    The term key of a run follows from the last reading key that begins before the run's end.
    """

    def __init__(self, log: Leaves, periods: Sequence[tuple[int, Secret]]) -> None:
        if not periods:
            raise ValueError("a log without a reading key cannot be indexed")
        self.log: Final = log
        self._periods: Final = [
            (first, private, Reader(log, private), Digests(term_key(private, log.origin)))
            for first, private in periods
        ]

    @property
    def first(self) -> int:
        """The first index that can be read; entries before it stay unread."""
        return self._periods[0][0]

    def reader(self, index: int) -> Reader:
        """Return the reader of the entry at index."""
        return self._before(index + 1)[2]

    def spans(self, first: int, last: int) -> Iterator[tuple[int, int, Reader]]:
        """Yield (first, last, reader) for the readable parts of [first, last), in order."""
        ends = [period[0] for period in self._periods[1:]] + [last]
        for (begin, _, reader, _), end in zip(self._periods, ends, strict=True):
            yield max(first, begin), min(last, end), reader

    def digests(self, run: Run) -> Digests:
        """Return the digests of a run's terms."""
        return self._before(run.end)[3]

    def private(self, run: Run) -> Secret:
        """Return the reading key that a run's block is encrypted under."""
        return self._before(run.end)[1]

    def _before(self, end: int) -> tuple[int, Secret, Reader, Digests]:
        """Return the last period that begins before end; the first one if none does."""
        begun = [period for period in self._periods if period[0] < end]
        return begun[-1] if begun else self._periods[0]


def records_of(
    keys: Keys, run: Run, *, full: bool = False, digests: Digests | None = None
) -> Steps[list[Record]]:
    """Return the records of a run, sorted; a step takes 4,096 leaves.

    The digests are those of the run's own term key by default. Raises IntegrityError at a damaged
    leaf.
    """
    digests = digests or keys.digests(run)
    if run.level == 0:
        return _level_0(keys, run.first, digests, full=full)
    merger = Merger()
    for first in range(run.first, run.end, RUN):
        merger.take(_level_0(keys, first, digests, full=full))
        yield
    return merger.records()


def _level_0(keys: Keys, first: int, digests: Digests, *, full: bool) -> list[Record]:
    builder = RunBuilder(digests)
    if full:
        for index, body in _bodies(keys, first, builder, LeafKey.body):
            entry = _decoded(index, body, decode)
            builder.take_terms(index - first, entry.time_ns, terms_of(entry))
    else:
        take, facts_in = builder.take, _FACTS.decode
        for index, body in _bodies(keys, first, builder, LeafKey.peek):
            take(index - first, _decoded(index, body, facts_in))
    return builder.records()


def _bodies(
    keys: Keys, first: int, builder: RunBuilder, open_leaf: Callable[[LeafKey, int, bytes], bytes]
) -> Iterator[tuple[int, bytes]]:
    """Yield (index, body) of the readable entries of a run; give builder the other leaves."""
    key: LeafKey | None = None
    for index, leaf in enumerate(keys.log.leaves(first, first + RUN), first):
        if is_entry(leaf):
            if index < keys.first:
                builder.take_leaf(index - first, UNREAD)
                continue
            if key is None:
                key = keys.reader(index).key_before(index)
            yield index, open_leaf(key, index, leaf)
        elif is_key(leaf):
            builder.take_leaf(index - first, KEY_LEAVES)
            key = keys.reader(index).key_in(index, leaf) if index >= keys.first else None
        elif is_index(leaf):
            builder.take_leaf(index - first, INDEX_LEAVES)


def _decoded(index: int, body: bytes, decoder: Callable[[bytes], _T]) -> _T:
    try:
        return decoder(body)
    except (msgspec.MsgspecError, RecursionError):
        raise IntegrityError(f"leaf {index} does not contain an audit entry") from None
