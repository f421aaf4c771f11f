"""The index of a log answers what a scan of it answers, whatever a crash has left of its blocks."""

from random import Random
from typing import Final

from hypothesis import given, settings, strategies as st

from ironkeep.core.event import Entry, Released
from ironkeep.index.finder import Scan
from ironkeep.index.leaf import LEVELS
from ironkeep.index.terms import Term, terms_of
from ironkeep.journal.index.index import Index
from ironkeep.testing.memory import SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from tests.support.log.sample_journal import READING_SECRET
from tests.support.log.sample_leaves import SampleLeaves

HOSTILE: Final = [
    "", "a", "A", "\x00", "a\x00b", "\u202e", "\xe9", "e\u0301", "x" * 3_000, "a/b//c/", "/", "\U0001f5dd",
]  # fmt: skip
KINDS: Final = ["request", "request", "request", "commit", "effect", "notice", "tick", "refused"]
LARGE: Final = LEVELS[1]


def random_entry(rng: Random) -> Entry:
    """Return an entry of random fields: hostile values, equal times, times that run back."""
    text = lambda: rng.choice(HOSTILE) if rng.random() < 0.5 else str(rng.randrange(50))  # noqa: E731
    audited = {
        rng.choice(["username", "accessor", "lease_id", "incident", "case", "version", "x"]): (
            rng.choice([text(), rng.randrange(9), True, [text(), text()]])
        )
        for _ in range(rng.randrange(3))
    }
    return Entry(
        rng.choice(KINDS), rng.randrange(-5, 5_000), parent=rng.choice(["", "", text()]),
        op=rng.choice(["read", "update", "delete"]), path=text(), mount=text(), entity=text(),
        accessor=text(), device=text(), rule=text(), outcome=rng.choice(["ok", "ok", "denied"]),
        released=tuple(Released(text(), text(), 1) for _ in range(rng.randrange(3))),
        issued=rng.choice(["", "", text()]), audited=audited,
    )  # fmt: skip


def index_of(log: SampleLeaves, disk: LogDisk, seed: int = 0) -> Index:
    """Open the index of a log, as a start does."""
    disk.locked = False
    return Index(log, MemoryLogFiles(disk), SeededEntropy(seed), [(0, READING_SECRET)])


def advance(index: Index, log: SampleLeaves) -> list[bytes]:
    """Build what is missing and append the index leaves, until nothing is left to do."""
    found: list[bytes] = []
    while new := [leaf for leaf in index.advance() if leaf is not None]:
        log.stored += new
        found += new
    return found


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
