"""The ports: Ironkeep's side effects as protocols.

Each has one real implementation in adapters/ and one in memory, with faults, for tests. Code below
adapters/ takes ports as arguments and never calls the operating system itself. Times are POSIX
nanoseconds, UTC.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ironkeep.core.errors import IntegrityError


class Clock(Protocol):
    """The clock: UTC, and never backwards within a process."""

    def now_ns(self) -> int:
        """Return the current time; never less than any value returned before."""
        ...


class MachineClocks(Protocol):
    """The machine's two clocks; neither can be trusted alone to tell the vault's time."""

    def wall_ns(self) -> int:
        """Return the machine's time of day, UTC, which anyone with its rights can set."""
        ...

    def steady_ns(self) -> int:
        """Return nanoseconds since an arbitrary instant; never set, and goes on in a suspend."""
        ...


class Entropy(Protocol):
    """Cryptographically secure random bytes."""

    def token(self, size: int) -> bytes:
        """Return size unpredictable bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One stored row: ciphertext, and the time from which it is due, if any."""

    value: bytes
    due_ns: int | None = None


@dataclass(frozen=True, slots=True)
class StoreHead:
    """The store's head: the number of the last commit and the state stored with it."""

    seq: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """All changes of one commit; they become durable together or not at all.

    `seq` is the store's head plus one: a store whose head has moved refuses the commit, so a second
    writer fences out the first. `writes` maps key to row, or to None for a removal. `state` is the
    head's from now on. `frame` is the batch's journal frame; the outbox keeps it until a later
    commit has a `drained_seq` of at least its number, which means that it reached the journal.
    `sums`, if given, replaces the store's snapshot of sums (store/standing/).
    """

    seq: int
    writes: Mapping[bytes, Row | None]
    state: bytes
    frame: bytes
    drained_seq: int
    sums: bytes | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What the log of commits keeps of one: its keys as `pack_keys` wrote them, and its state."""

    seq: int
    keys: bytes
    state: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """The state of one row since commit `seq`; row None means removed."""

    seq: int
    key: bytes
    row: Row | None


_KEY: Final = struct.Struct(">?H")


def pack_keys(writes: Mapping[bytes, Row | None]) -> bytes:
    """Return the keys of a commit as the log of commits keeps them.

    For each key in order: one byte that is 1 for a row and 0 for a removal, u16 length, key.
    """
    pack = _KEY.pack
    return b"".join([pack(row is not None, len(key)) + key for key, row in writes.items()])


def unpack_keys(packed: bytes) -> Iterator[bytes]:
    """Yield the keys that `pack_keys` was given; raise IntegrityError on any other bytes."""
    at, end = 0, len(packed)
    while at < end:
        start = at + _KEY.size
        if start > end or (at := start + _KEY.unpack_from(packed, at)[1]) > end:
            raise IntegrityError("the database's log of commits is damaged: restore a backup")
        yield packed[start:at]


class Storage(Protocol):
    """A durable, ordered map from key to row. It only sees blind keys and ciphertext.

    Reads see the last finished commit, and may run on another thread than `commit`.
    """

    def head(self) -> StoreHead:
        """Return the head; seq 0 and empty state for a new store."""
        ...

    def get(self, key: bytes) -> Row | None:
        """Return the row at key, or None."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows whose key starts with prefix, in key order."""
        ...

    def tails(self, first: bytes, last: bytes) -> list[tuple[bytes, Row]]:
        """Return the rows of one commit whose key's last two bytes are in [first, last]."""
        ...

    def everything(self) -> Iterator[tuple[bytes, Row]]:
        """Yield all rows in key order; unlike the other reads, on any thread."""
        ...

    def due(
        self, before_ns: int, limit: int, after: tuple[int, bytes] | None = None
    ) -> list[tuple[int, bytes]]:
        """Return at most limit pairs (due_ns, key) with due_ns below before_ns, in their order.

        With after, a pair that an earlier call returned, only the pairs behind it.
        """
        ...

    def commit(self, commit: Commit) -> None:
        """Make commit durable, all or nothing.

        When this returns, the writes have reached stable storage. After an OSError that is unknown:
        read `head` to find out. Raise IntegrityError if seq is not the next one.
        """
        ...

    def outbox(self) -> list[tuple[int, bytes]]:
        """Return (seq, frame) for every frame not yet reported as drained, in order."""
        ...

    def sums(self) -> bytes:
        """Return the snapshot of sums that a commit last brought; empty before the first."""
        ...

    def records(self, after_seq: int) -> list[Record]:
        """Return the records after commit after_seq, in order, as far back as they are kept.

        The record of the commit that brought the snapshot of sums, and all later ones, are kept.
        """
        ...

    def changes(self, after_seq: int, limit: int) -> list[Change]:
        """Return the rows last changed after commit after_seq, by seq then key, at most limit.

        The stream is compacted: a row appears once, at its latest change. It is meant for backups,
        caches and replicas. It is not checked here: see `store.standing.accounts.Accounts.vouch`.
        Raise NotFound when after_seq is older than the log of commits: start over with `head` and a
        full `scan`.
        """
        ...

    def close(self) -> None:
        """Release the store's resources; finished commits stay."""
        ...
