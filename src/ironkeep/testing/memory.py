"""The ports in memory: time that stands still, randomness that repeats, storage that fails."""

import bisect
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Change, Commit, Record, Row, StoreHead, pack_keys, unpack_keys

START_NS: Final = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z, where a FakeClock stands unless told otherwise."""


class FakeClock:
    """A machine's two clocks (core.ports.MachineClocks), which move when told to."""

    def __init__(self, now_ns: int = START_NS) -> None:
        self._now_ns = now_ns
        self._steady_ns = 0

    def now_ns(self) -> int:
        """Return the instant at which the wall clock stands."""
        return self._now_ns

    wall_ns = now_ns

    def steady_ns(self) -> int:
        """Return the nanoseconds by which the clock was advanced so far."""
        return self._steady_ns

    def advance(self, *, seconds: float = 0, ns: int = 0) -> None:
        """Let time pass on both clocks; backwards is refused, as the port forbids it."""
        passed = round(seconds * 1_000_000_000) + ns
        if passed < 0:
            raise ValueError("a clock never runs backwards")
        self._now_ns += passed
        self._steady_ns += passed

    def step(self, seconds: float) -> None:
        """Set the wall clock, forwards or backwards, as an administrator can."""
        self._now_ns += round(seconds * 1_000_000_000)


class SeededEntropy:
    """Bytes that look random and follow from the seed alone: SHAKE-256 over seed and counter."""

    def __init__(self, seed: int = 0) -> None:
        self._seed: Final = seed.to_bytes(8, "big")
        self._calls = 0

    def token(self, size: int) -> bytes:
        """Return the next size bytes."""
        self._calls += 1
        return hashlib.shake_256(self._seed + self._calls.to_bytes(8, "big")).digest(size)


class Fault(Enum):
    """The state of the store after a commit that raises OSError."""

    NOT_PERSISTED = auto()
    PERSISTED_ANYWAY = auto()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole store at one instant, as an attacker would copy it."""

    head: StoreHead
    rows: dict[bytes, tuple[int, Row]]
    records: list[Record]
    sums: bytes
    outbox: dict[int, bytes]


class MemoryStorage:
    """Storage in dictionaries, with faults; see `core.ports.Storage`. Keeps every record."""

    def __init__(self) -> None:
        self._head = StoreHead(0, b"")
        self._rows: dict[bytes, tuple[int, Row]] = {}
        self._keys: list[bytes] = []
        self._tails: dict[bytes, set[bytes]] = {}
        self._records: list[Record] = []
        self._sums = b""
        self._outbox: dict[int, bytes] = {}
        self._faults: dict[int, Fault] = {}
        self._lock: Final = threading.Lock()

    def head(self) -> StoreHead:
        """Return the head."""
        with self._lock:
            return self._head

    def get(self, key: bytes) -> Row | None:
        """Return the row at key, or None."""
        with self._lock:
            found = self._rows.get(key)
            return None if found is None else found[1]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows whose key starts with prefix, in key order, all of one commit."""
        with self._lock:
            found = []
            for at in range(bisect.bisect_left(self._keys, prefix), len(self._keys)):
                key = self._keys[at]
                if not key.startswith(prefix):
                    break
                found.append((key, self._rows[key][1]))
        yield from found

    def tails(self, first: bytes, last: bytes) -> list[tuple[bytes, Row]]:
        """Return the rows of one commit whose key's last two bytes are in [first, last]."""
        with self._lock:
            if first == last:
                found = self._tails.get(first, set())
            else:
                found = {key for key in self._keys if first <= key[-2:] <= last}
            return [(key, self._rows[key][1]) for key in sorted(found)]

    def everything(self) -> Iterator[tuple[bytes, Row]]:
        """Yield all rows in key order, on any thread."""
        return self.scan(b"")

    def due(
        self, before_ns: int, limit: int, after: tuple[int, bytes] | None = None
    ) -> list[tuple[int, bytes]]:
        """Return at most limit pairs (due_ns, key) due before before_ns and behind after."""
        with self._lock:
            ripe = sorted(
                (row.due_ns, key)
                for key, (_, row) in self._rows.items()
                if row.due_ns is not None and row.due_ns < before_ns
            )
        return ripe[0 if after is None else bisect.bisect_right(ripe, after) :][:limit]

    def outbox(self) -> list[tuple[int, bytes]]:
        """Return (seq, frame) of every frame not yet reported as drained, in order."""
        with self._lock:
            return sorted(self._outbox.items())

    def sums(self) -> bytes:
        """Return the snapshot of sums that a commit last brought."""
        return self._sums

    def records(self, after_seq: int) -> list[Record]:
        """Return the records after commit after_seq, in order."""
        with self._lock:
            return [record for record in self._records if record.seq > after_seq]

    def changes(self, after_seq: int, limit: int) -> list[Change]:
        """Return the rows last changed after commit after_seq, by seq then key, at most limit."""
        latest = {key: one.seq for one in self.records(after_seq) for key in unpack_keys(one.keys)}
        ordered = sorted((seq, key) for key, seq in latest.items())[:limit]
        return [Change(seq, key, self.get(key)) for seq, key in ordered]

    def commit(self, commit: Commit) -> None:
        """Apply commit, unless `fail` says otherwise."""
        with self._lock:
            if commit.seq != self._head.seq + 1:
                raise IntegrityError(f"commit {commit.seq} does not follow commit {self._head.seq}")
            fault = self._next_fault()
            if fault is not Fault.NOT_PERSISTED:
                self._apply(commit)
            if fault is not None:
                raise OSError(f"commit {commit.seq} was made to fail: {fault.name}")

    def close(self) -> None:
        """Do nothing: the same object is used again as the store after a restart."""

    def fail(self, fault: Fault, *, after: int = 0) -> None:
        """Make the commit fail that follows `after` further ones."""
        self._faults[after] = fault

    def tamper(self, key: bytes, row: Row | None) -> None:
        """Change, add or remove a row behind the kernel's back; the head stays as it was."""
        with self._lock:
            self._put(self._head.seq, key, row)

    def snapshot(self) -> Snapshot:
        """Copy the whole store."""
        with self._lock:
            return Snapshot(
                self._head, dict(self._rows), list(self._records), self._sums, dict(self._outbox)
            )

    def restore(self, snapshot: Snapshot) -> None:
        """Put a copy in the store's place, as a rollback attack does."""
        with self._lock:
            self._head = snapshot.head
            self._rows, self._keys, self._tails = {}, [], {}
            for key, (seq, row) in snapshot.rows.items():
                self._put(seq, key, row)
            self._records, self._sums = list(snapshot.records), snapshot.sums
            self._outbox = dict(snapshot.outbox)

    def _next_fault(self) -> Fault | None:
        fault = self._faults.pop(0, None)
        self._faults = {after - 1: later for after, later in self._faults.items()}
        return fault

    def _apply(self, commit: Commit) -> None:
        for key, row in commit.writes.items():
            self._put(commit.seq, key, row)
        self._outbox = {
            seq: frame for seq, frame in self._outbox.items() if seq > commit.drained_seq
        }
        self._outbox[commit.seq] = commit.frame
        self._records.append(Record(commit.seq, pack_keys(commit.writes), commit.state))
        if commit.sums is not None:
            self._sums = commit.sums
        self._head = StoreHead(commit.seq, commit.state)

    def _put(self, seq: int, key: bytes, row: Row | None) -> None:
        there = key in self._rows
        if row is not None:
            self._rows[key] = (seq, row)
            if not there:
                bisect.insort(self._keys, key)
                self._tails.setdefault(key[-2:], set()).add(key)
        elif there:
            del self._rows[key]
            del self._keys[bisect.bisect_left(self._keys, key)]
            self._tails[key[-2:]].discard(key)
