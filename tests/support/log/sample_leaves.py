"""A log as a list of leaves, made without a journal: as many as a test of an index needs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.event import Entry, encode
from ironkeep.core.evidence.leaf import KEY_SIZE, LeafKey, wrap_key
from ironkeep.core.secret import Secret
from ironkeep.testing.memory import SeededEntropy
from tests.support.log.sample_journal import READING_KEY

ORIGIN: Final = "vault.example/audit/node-a/1"

KEY_LEAVES: Final = 4_096
"""Leaves for which one run key is used, its own key leaf included."""


def place_of(number: int) -> int:
    """Return the leaf of entry `number` in a log that has nothing but entries and run keys."""
    return number + 1 + number // (KEY_LEAVES - 1)


@dataclass
class SampleLeaves:
    """The leaves of a log; `entries` are the readable ones, with their indexes."""

    origin: str = ORIGIN
    entries: list[tuple[int, Entry]] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    reading_key: bytes = READING_KEY

    def __post_init__(self) -> None:
        self._key: LeafKey | None = None
        self._key_until = 0

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self.stored)

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return leaves [first, last)."""
        assert 0 <= first <= last <= self.size
        return self.stored[first:last]

    def add(self, entries: Iterable[Entry]) -> None:
        """Append entries, each run key good for KEY_LEAVES leaves."""
        for entry in entries:
            if self._key is None or self.size >= self._key_until:
                self.new_key()
            assert self._key is not None
            self.entries.append((self.size, entry))
            self.stored.append(self._key.encrypt(self.size, encode(entry)))

    def new_key(self) -> None:
        """Append a key leaf, as a start does."""
        run_key, ephemeral = (Secret(self.entropy.token(KEY_SIZE)) for _ in range(2))
        leaf = wrap_key(run_key, self.size, self.origin, self.reading_key, ephemeral)
        self._key, self._key_until = LeafKey(run_key, self.origin), self.size + KEY_LEAVES
        self.stored.append(leaf)
