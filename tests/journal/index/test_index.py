"""The index of a log answers what a scan of it answers, whatever a crash has left of its blocks."""

from random import Random
from typing import Final

from hypothesis import given, settings, strategies as st

from ironkeep.index.finder import Scan
from ironkeep.index.leaf import LEVELS
from ironkeep.index.terms import Term, terms_of
from ironkeep.journal.index.index import Index
from ironkeep.testing.memory_log import LogDisk
from tests.support.log.sample_index import advance, index_of, random_entry
from tests.support.log.sample_leaves import SampleLeaves

LARGE: Final = LEVELS[1]


def require_same(index: Index, log: SampleLeaves, rng: Random) -> None:
    """Ask the index and a scan of the log the same random questions."""
    scan = Scan(log.entries, log.size)
    known = [term for _, entry in rng.choices(log.entries, k=30) for term in terms_of(entry)]
    for _ in range(12):
        terms = [*rng.choices(known, k=rng.randrange(4)), Term(known[0].what, "nowhere")]
        first, last = sorted(rng.randrange(log.size + 9) for _ in range(2))
        assert list(index.find(terms, first, last)) == list(scan.find(terms, first, last))
    for time_ns in (-9, 0, 4_990, 4_999, 5_001, rng.randrange(5_000)):
        assert index.position_at(time_ns) == scan.position_at(time_ns)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1 << 30))
def test_the_index_answers_what_a_scan_answers(seed: int) -> None:
    """Random logs with starts, before, during and after the building of the index."""
    rng = Random(seed)
    log, disk = SampleLeaves(), LogDisk()
    for _ in range(rng.randrange(2, 5)):
        log.add(random_entry(rng) for _ in range(rng.randrange(1, 4_000)))
        log.new_key()
        advance(index_of(log, disk), log)
        require_same(index_of(log, disk), log, rng)
