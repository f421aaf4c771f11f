"""Random entries, and the steps of an index, for the tests of it."""

from collections.abc import Sequence
from random import Random
from typing import Final

from ironkeep.core.event import Entry, Kind, Released, Value
from ironkeep.core.secret import Secret
from ironkeep.journal.index.index import Index
from ironkeep.testing.memory import SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from tests.support.log.sample_journal import READING_SECRET
from tests.support.log.sample_leaves import SampleLeaves

HOSTILE: Final = [
    "", "a", "A", "\x00", "a\x00b", "\u202e", "\xe9", "e\u0301",
    "x" * 3_000, "a/b//c/", "/", "\U0001f5dd",
]  # fmt: skip
KINDS: Final[list[Kind]] = [
    "request",
    "request",
    "request",
    "commit",
    "effect",
    "notice",
    "tick",
    "refused",
]


def random_entry(rng: Random) -> Entry:
    """Return an entry of random fields: hostile values, equal times, times that run back."""

    def text() -> str:
        return rng.choice(HOSTILE) if rng.random() < 0.5 else str(rng.randrange(50))

    values: list[Value] = [text(), rng.randrange(9), True, [text(), text()]]
    names = ["username", "accessor", "lease_id", "incident", "case", "version", "targets", "x"]
    return Entry(
        rng.choice(KINDS), rng.randrange(-5, 5_000), parent=rng.choice(["", "", text()]),
        op=rng.choice(["read", "update", "delete"]), path=text(), mount=text(), entity=text(),
        accessor=text(), device=text(), rule=text(), outcome=rng.choice(["ok", "ok", "denied"]),
        released=tuple(Released(text(), text(), 1) for _ in range(rng.randrange(3))),
        issued=rng.choice(["", "", text()]),
        audited={rng.choice(names): rng.choice(values) for _ in range(rng.randrange(3))},
    )  # fmt: skip


def index_of(
    log: SampleLeaves,
    disk: LogDisk,
    seed: int = 0,
    periods: Sequence[tuple[int, Secret]] = ((0, READING_SECRET),),
) -> Index:
    """Open the index of a log, as a start does."""
    disk.crash()
    return Index(log, MemoryLogFiles(disk), SeededEntropy(seed), periods)


def advance(index: Index, log: SampleLeaves) -> list[bytes]:
    """Build what is missing and append the index leaves, until nothing is left to do."""
    found: list[bytes] = []
    while new := [leaf for leaf in index.advance() if leaf is not None]:
        log.stored += new
        found += new
    return found
