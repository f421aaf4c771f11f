"""The side effects Ironkeep needs, as protocols.

Each has one real implementation in adapters/ and one in-memory implementation, with faults, in
testing/. Code below adapters/ takes these as arguments and never reaches for the real thing. Times
are POSIX nanoseconds, UTC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """The one clock: UTC, and it never runs backwards within a process."""

    def now_ns(self) -> int:
        """Return the current time; never less than any value returned before."""
        ...


class Entropy(Protocol):
    """Cryptographically secure random bytes."""

    def token(self, size: int) -> bytes:
        """Return size unpredictable bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One stored row: ciphertext, and the instant at which it wants attention, if any."""

    value: bytes
    due_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Where the store stands: the number of the last commit and what the kernel filed with it."""

    seq: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one commit changes; all of it becomes durable, or none.

    `seq` is the store's head plus one: a store whose head has moved refuses, so a second writer
    fences out the first. `writes` maps key to row, or to None for a removal. `state` replaces the
    head's. `frame` is the batch's journal frame, kept in the outbox until a later commit says by
    `drained_seq` that every frame of a commit up to that number reached the journal.
    """

    seq: int
    writes: Mapping[bytes, Row | None]
    state: bytes
    frame: bytes
    drained_seq: int


@dataclass(frozen=True, slots=True)
class Change:
    """One row as it stands since commit `seq`; row None means removed."""

    seq: int
    key: bytes
    row: Row | None


class Storage(Protocol):
    """A durable, ordered map from key to row. It only ever sees blind keys and ciphertext.

    Reads see the last finished commit, and may run on another thread than `commit`.
    """

    def head(self) -> Head:
        """Return the head; seq 0 and empty state for a new store."""
        ...

    def get(self, key: bytes) -> Row | None:
        """Return the row at key, or None."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows whose key starts with prefix, in key order."""
        ...

    def due(self, before_ns: int, limit: int) -> list[bytes]:
        """Return at most limit keys whose due_ns is before before_ns, the earliest first."""
        ...

    def commit(self, commit: Commit) -> None:
        """Make commit durable, all or nothing.

        When this returns the writes have reached stable storage. When it raises OSError they may or
        may not have: read `head` to learn which. Raise IntegrityError when seq is not the next one.
        """
        ...

    def outbox(self) -> list[tuple[int, bytes]]:
        """Return (seq, frame) of every frame not yet reported as drained, in order."""
        ...

    def changes(self, after_seq: int, limit: int) -> list[Change]:
        """Return the rows last changed after commit after_seq, by seq then key, at most limit.

        The stream is compacted: a row appears once, at its latest change. Backups, caches and
        replicas feed on it.
        """
        ...

    def close(self) -> None:
        """Release what the store holds; commits already made stay."""
        ...
