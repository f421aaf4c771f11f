"""Checking every index leaf of a log against its entries, as `ironkeep audit verify` does.

Without a reading key, only the leaves themselves can be checked: each is well-formed, describes a
run that lies before it, and does not contradict another one. With the keys, every run that has an
index leaf is indexed again from its entries, each of them opened and checked in full. An index leaf
that omits, adds or moves one position has another root, and is named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.leaf import is_index
from ironkeep.index.leaf import LEVELS, IndexLeaf, Run, read_index_leaf
from ironkeep.index.positions import RUN
from ironkeep.index.records import Merger, Record, record_hash, root_of
from ironkeep.journal.entries import Leaves
from ironkeep.journal.index.build import Keys, Steps, at_once, records_of

_EVIDENCE: Final = "Keep the directory as evidence: the server that wrote it indexed it falsely"


@dataclass(frozen=True, slots=True)
class Checked:
    """The result: the number of runs with an index leaf, and how many of these came late.

    `recomputed` tells whether their roots were compared with the entries.
    """

    runs: int
    late: int
    recomputed: bool


def check_index(log: Leaves, keys: Keys | None) -> Steps[Checked]:
    """Check the index leaves of a log; raise IntegrityError at the first that is wrong.

    Only the form of the leaves is checked if keys is None.
    """
    found: dict[Run, tuple[int, IndexLeaf]] = {}
    for first in range(0, log.size, RUN):
        for position, leaf in _leaves(log, first, min(first + RUN, log.size)):
            known = found.setdefault(leaf.run, (position, leaf))
            if known[1] != leaf:
                raise IntegrityError(
                    f"index leaf {position} contradicts index leaf {known[0]}, which describes the "
                    f"same leaves. {_EVIDENCE}"
                )
        yield
    if keys is not None:
        for first in range(0, log.size, LEVELS[1]):
            yield from _recompute(keys, found, first)
    late = sum(leaf.is_late(position) for position, leaf in found.values())
    return Checked(len(found), late, keys is not None)


def _leaves(log: Leaves, first: int, last: int) -> Iterator[tuple[int, IndexLeaf]]:
    """Yield (position, index leaf) of the index leaves in [first, last)."""
    for position, leaf in enumerate(log.leaves(first, last), first):
        if is_index(leaf):
            yield position, read_index_leaf(leaf, position)


def _recompute(keys: Keys, found: dict[Run, tuple[int, IndexLeaf]], first: int) -> Steps[None]:
    """Compare the index leaves of one large run and of its parts with the entries."""
    large = Run(1, first)
    parts = [Run(0, start) for start in range(large.first, large.end, RUN)]
    merger = Merger()
    for run in parts:
        if run not in found and large not in found:
            continue
        digests = keys.digests(run)
        records = at_once(records_of(keys, run, full=True))
        if run in found:
            _compare(*found[run], records, digests.key.check)
        if large in found:
            if keys.digests(large) is not digests:
                records = at_once(records_of(keys, run, full=True, digests=keys.digests(large)))
            merger.take(records)
        yield
    if large in found:
        _compare(*found[large], merger.records(), keys.digests(large).key.check)


def _compare(position: int, leaf: IndexLeaf, records: list[Record], check: bytes) -> None:
    """Raise IntegrityError unless the leaf is that of these records."""
    if leaf.key_check != check:
        raise IntegrityError(
            f"index leaf {position} was made with another term key than the log's reading key "
            f"gives. {_EVIDENCE}"
        )
    root = root_of([record_hash(record) for record in records])
    if (leaf.terms, leaf.root) != (len(records), root):
        raise IntegrityError(
            f"index leaf {position} does not match the entries: {leaf.run} omits, adds or moves a "
            f"position. {_EVIDENCE}"
        )
