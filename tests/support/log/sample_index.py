"""Random entries, and the steps of an index, for the tests of it."""

from random import Random
from typing import Final

from ironkeep.core.event import Entry, Released
from ironkeep.journal.index.index import Index
from ironkeep.testing.memory import SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from tests.support.log.sample_journal import READING_SECRET
from tests.support.log.sample_leaves import SampleLeaves

HOSTILE: Final = [
    "", "a", "A", "\x00", "a\x00b", "\u202e", "\xe9", "e\u0301",
    "x" * 3_000, "a/b//c/", "/", "\U0001f5dd",
]  # fmt: skip
KINDS: Final = ["request", "request", "request", "commit", "effect", "notice", "tick", "refused"]


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
