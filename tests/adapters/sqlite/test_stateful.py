"""Any sequence of commits, failures and restarts leaves a storage equal to a dictionary."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Change, Commit, Row, Storage, StoreHead
from ironkeep.testing.memory import Fault, MemoryStorage

KEYS = st.lists(st.sampled_from(b"\x00\x01a\xfe\xff"), max_size=3).map(bytes)
ROWS = st.builds(Row, st.binary(max_size=40), st.none() | st.integers(-5, 50))
WRITES = st.dictionaries(KEYS, st.none() | ROWS, max_size=8)
BIG = Row(bytes(60_000))


class StorageMachine(RuleBasedStateMachine):
    """Drives a storage and a model of it: dictionaries of what each commit was to leave."""

    storage: Storage

    def __init__(self) -> None:
        super().__init__()
        self.head = StoreHead(0, b"")
        self.rows: dict[bytes, tuple[int, Row | None]] = {}
        self.outbox: dict[int, bytes] = {}

    def next(self, writes: dict[bytes, Row | None], state: bytes, lag: int) -> Commit:
        seq = self.head.seq + 1
        return Commit(seq, writes, state, b"frame %d" % seq, max(0, seq - 1 - lag))

    def expect(self, commit: Commit) -> None:
        for key, row in commit.writes.items():
            self.rows[key] = (commit.seq, row)
        kept = {seq: frame for seq, frame in self.outbox.items() if seq > commit.drained_seq}
        self.outbox = {**kept, commit.seq: commit.frame}
        self.head = StoreHead(commit.seq, commit.state)

    def live(self, key: bytes) -> Row | None:
        return self.rows.get(key, (0, None))[1]

    @rule(writes=WRITES, state=st.binary(max_size=8), lag=st.integers(0, 3))
    def commit(self, writes: dict[bytes, Row | None], state: bytes, lag: int) -> None:
        commit = self.next(writes, state, lag)
        self.storage.commit(commit)
        self.expect(commit)

    @rule(writes=WRITES, skew=st.integers(-3, 3).filter(bool))
    def commit_out_of_turn(self, writes: dict[bytes, Row | None], skew: int) -> None:
        seq = self.head.seq + 1 + skew
        with pytest.raises(IntegrityError):
            self.storage.commit(Commit(seq, writes, b"never", b"never", seq))

    @invariant()
    def equals_the_model(self) -> None:
        storage = self.storage
        rows = {key: row for key, (_, row) in sorted(self.rows.items()) if row is not None}
        assert storage.head() == self.head
        assert dict(storage.scan(b"")) == rows
        assert list(dict(storage.scan(b""))) == list(rows)
        assert storage.outbox() == sorted(self.outbox.items())

    @rule(prefix=KEYS)
    def scan(self, prefix: bytes) -> None:
        rows = {key: self.live(key) for key in sorted(self.rows) if key.startswith(prefix)}
        assert list(self.storage.scan(prefix)) == [item for item in rows.items() if item[1]]
        assert self.storage.get(prefix) == self.live(prefix)

    @rule(before=st.integers(-6, 51), limit=st.integers(0, 5))
    def due(self, before: int, limit: int) -> None:
        ripe = sorted(
            (row.due_ns, key)
            for key, (_, row) in self.rows.items()
            if row is not None and row.due_ns is not None and row.due_ns < before
        )
        assert self.storage.due(before, limit) == ripe[:limit]
        if ripe:
            assert self.storage.due(before, limit, ripe[0]) == ripe[1:][:limit]

    @rule(lag=st.integers(0, 5), limit=st.integers(0, 20))
    def changes(self, lag: int, limit: int) -> None:
        after = max(0, self.head.seq - lag)
        later = sorted((seq, key) for key, (seq, _) in self.rows.items() if seq > after)
        expected = [Change(seq, key, self.live(key)) for seq, key in later[:limit]]
        assert self.storage.changes(after, limit) == expected


class MemoryMachine(StorageMachine):
    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryStorage()
        self.storage = self.memory

    @rule(writes=WRITES, fault=st.sampled_from(Fault))
    def failing_commit(self, writes: dict[bytes, Row | None], fault: Fault) -> None:
        self.memory.fail(fault)
        commit = self.next(writes, b"failed", 0)
        with pytest.raises(OSError, match=fault.name):
            self.storage.commit(commit)
        if fault is Fault.PERSISTED_ANYWAY:
            self.expect(commit)

    @rule(writes=WRITES)
    def rolled_back(self, writes: dict[bytes, Row | None]) -> None:
        copy = self.memory.snapshot()
        self.storage.commit(self.next(writes, b"lost", 0))
        self.memory.restore(copy)


class SqliteMachine(StorageMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ironkeep-"))
        self.sqlite = self.storage = SqliteStorage(self.folder / "rows.db")

    @precondition(lambda self: self.head.seq > 0)
    @rule()
    def restart(self) -> None:
        self.storage.close()
        self.sqlite = self.storage = SqliteStorage(self.folder / "rows.db")

    @rule(writes=WRITES)
    def full_disk(self, writes: dict[bytes, Row | None]) -> None:
        writer = self.sqlite._writer
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OSError, match="full"):
            self.storage.commit(self.next({**writes, b"big": BIG}, b"failed", 0))

    @rule()
    def checkpoint(self) -> None:
        self.sqlite.checkpoint()

    def teardown(self) -> None:
        self.storage.close()
        shutil.rmtree(self.folder)


MemoryMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
SqliteMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestMemoryMachine = MemoryMachine.TestCase
TestSqliteMachine = SqliteMachine.TestCase
