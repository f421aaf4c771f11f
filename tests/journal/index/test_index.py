"""The index of a log answers what a scan of it answers, whatever a crash has left of its blocks."""

from random import Random
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.index.finder import Scan
from ironkeep.index.leaf import LEVELS, IndexLeaf, Run, read_index_leaf
from ironkeep.index.positions import RUN
from ironkeep.index.terms import Term, terms_of
from ironkeep.journal.index.index import Index
from ironkeep.testing.memory import Fault, SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from tests.support.log.sample_index import advance, index_of, random_entry
from tests.support.log.sample_journal import READING_SECRET
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


def small_log() -> SampleLeaves:
    """Return a log of two runs and a tail."""
    rng = Random(3)
    log = SampleLeaves()
    log.add(random_entry(rng) for _ in range(2 * RUN + 50))
    return log


def copy_of(log: SampleLeaves) -> SampleLeaves:
    return SampleLeaves(entries=list(log.entries), stored=list(log.stored))


SMALL: Final = small_log()
TRUE: Final = [leaf for leaf in index_of(SMALL, LogDisk()).advance() if leaf is not None]


def test_the_leaves_are_those_of_the_runs_in_order() -> None:
    """Each describes one run, and says how many terms it has."""
    leaves = [read_index_leaf(leaf, SMALL.size) for leaf in TRUE]
    assert [leaf.run for leaf in leaves] == [Run(0, 0), Run(0, RUN)]
    assert all(leaf.terms > 100 for leaf in leaves)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("call", range(3))
def test_a_failed_write_and_a_restart_change_no_answer(call: int, fault: Fault) -> None:
    """The disk fails at each of the writes in turn; the next start builds what is missing."""
    log, disk = copy_of(SMALL), LogDisk()
    files = MemoryLogFiles(disk)
    index = Index(log, files, SeededEntropy(), [(0, READING_SECRET)])
    files.fail(call, fault)
    try:
        found = advance(index, log)
    except OSError:
        found = []
    again = index_of(log, disk, seed=1)
    assert found + advance(again, log) == TRUE
    assert not advance(index_of(log, disk, seed=2), log)
    require_same(again, log, Random(4))


def names(disk: LogDisk) -> list[str]:
    return sorted(name for name in disk.files if name.startswith("0/"))


@pytest.mark.parametrize("length", [0, 1, 63, 70, 4_000, -1])
def test_a_torn_or_missing_block_is_built_again(length: int) -> None:
    """Whether a question or the next start notices, it is the same index."""
    log, disk = copy_of(SMALL), LogDisk()
    advance(index_of(log, disk), log)
    before = log.size
    for name in names(disk):
        if length == 0:
            del disk.files[name]
        else:
            del disk.files[name][length:]
    index = index_of(log, disk, seed=1)
    require_same(index, log, Random(length))
    assert advance(index, log) == []
    assert log.size == before
    require_same(index, log, Random(length))


def test_each_damaged_byte_of_a_block_is_noticed() -> None:
    """No damaged byte changes an answer: the block is built again where it is read."""
    log, disk = copy_of(SMALL), LogDisk()
    advance(index_of(log, disk), log)
    block = disk.files[names(disk)[0]]
    term = next(iter(terms_of(log.entries[10][1])))
    expected = [at for at, _ in Scan(log.entries, log.size).find([term], 0, RUN)]
    for at in (*range(0, 150, 7), *range(150, len(block), len(block) // 40)):
        block[at] ^= 1
        assert index_of(log, disk, seed=at).positions([term], 0, RUN) == expected
        block = disk.files[names(disk)[0]]


def test_a_block_without_its_index_leaf_gets_one() -> None:
    """A crash between the two loses the leaf; the next start appends it."""
    log, disk = copy_of(SMALL), LogDisk()
    unwritten = [leaf for leaf in index_of(log, disk).advance() if leaf is not None]
    assert unwritten == TRUE
    log.stored.append(unwritten[0])
    assert advance(index_of(log, disk, seed=1), log) == TRUE[1:]


def test_an_index_leaf_without_its_block_is_not_repeated() -> None:
    """All blocks are lost: they are built again, and agree with the leaves on record."""
    log = copy_of(SMALL)
    advance(index_of(log, LogDisk()), log)
    fresh = index_of(log, LogDisk(), seed=1)
    assert fresh.covered == 0
    assert advance(fresh, log) == []
    assert fresh.covered == 2 * RUN


def test_a_root_that_contradicts_the_log_is_an_error() -> None:
    """The entries were changed since, or the index was false when it was made."""
    log = copy_of(SMALL)
    true = read_index_leaf(TRUE[0], log.size)
    log.stored.append(IndexLeaf(true.run, true.terms, bytes(32), true.key_check).encode())
    index = index_of(log, LogDisk())
    with pytest.raises(IntegrityError, match="the index of leaves 0 to 4095 differs"):
        advance(index, log)
    assert index.covered == 0


def test_a_large_run_is_the_same_whether_merged_or_built_at_once() -> None:
    """The blocks of its parts stay until its index leaf is well on record."""
    rng = Random(7)
    log, disk = SampleLeaves(), LogDisk()
    leaves: list[bytes] = []
    while log.size < LARGE:
        log.add(random_entry(rng) for _ in range(20))
        log.stored += [b"\x01\x09"] * min(rng.randrange(RUN, 2 * RUN), LARGE - log.size)
        leaves += advance(index_of(log, disk), log)
    merged = copy_of(log)
    leaves += advance(index_of(log, disk), log)
    runs = [read_index_leaf(leaf, log.size).run for leaf in leaves]
    assert runs == [*(Run(0, at) for at in range(0, LARGE, RUN)), Run(1, 0)]
    assert len(names(disk)) == LARGE // RUN
    log.stored += [b"\x01\x09"] * RUN
    advance(index_of(log, disk), log)
    assert len(names(disk)) < LARGE // RUN
    require_same(index_of(log, disk), log, rng)
    fresh = index_of(SampleLeaves(stored=merged.stored[:LARGE]), LogDisk())
    at_once = [leaf for leaf in fresh.advance() if leaf is not None]
    assert at_once == leaves[-1:]
