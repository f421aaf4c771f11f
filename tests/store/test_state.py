"""The rows as executed: whatever is merged, closed, committed or lost, it is as in a dictionary."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ironkeep.core.ports import Commit, Row
from ironkeep.store.names import KIND_AT
from ironkeep.store.state import CACHE_ROWS, State, Tx, Writes
from ironkeep.testing.memory import Fault, MemoryStorage

FOLDERS: Final = [bytes([1]) + bytes([number]) * (KIND_AT - 1) for number in range(3)]
KEYS: Final = [
    folder + bytes([kind, name]) for folder in FOLDERS for kind in (0, 1) for name in (3, 7)
]
PREFIXES: Final = [b"", b"\x01", *FOLDERS, FOLDERS[1] + b"\x01", FOLDERS[2] + b"\x09", b"\xff"]
ROWS = st.none() | st.integers(0, 9).map(lambda number: Row(bytes([number])))


class Model(RuleBasedStateMachine):
    """A State beside three dictionaries: what is durable, what is executed, what is mine."""

    def __init__(self) -> None:
        super().__init__()
        self.storage = MemoryStorage()
        self.state = State(self.storage)
        self.seq = 0
        self.durable: dict[bytes, Row] = {}
        self.executed: dict[bytes, Row] = {}
        self.mine: dict[bytes, Row] = {}
        self.tx = self.state.begin()
        self.watched: set[bytes] = set()
        self.closed: list[tuple[Writes, dict[bytes, Row]]] = []

    @rule(key=st.sampled_from(KEYS), row=ROWS)
    def write(self, key: bytes, row: Row | None) -> None:
        put(self.tx, key, row)
        note(self.mine, key, row)

    @rule(key=st.sampled_from(KEYS), row=ROWS, keep=st.booleans())
    def write_inside(self, key: bytes, row: Row | None, keep: bool) -> None:
        inner = self.tx.nested()
        put(inner, key, row)
        assert inner.get(key) == row
        if keep:
            inner.merge()
            note(self.mine, key, row)

    @rule()
    def merge(self) -> None:
        before, edition = self.state.stamp, self.state.edition
        written = set(self.tx.writes)
        self.tx.merge()
        assert (self.state.stamp != before) is bool(written)
        assert (self.state.edition != edition) is bool(written & self.watched)
        self.executed = dict(self.mine)

    @rule(key=st.sampled_from(KEYS))
    def watch(self, key: bytes) -> None:
        self.tx.watch([key])
        self.watched.add(key)

    @rule()
    def drop(self) -> None:
        self.tx, self.mine = self.state.begin(), dict(self.executed)

    @rule()
    def close(self) -> None:
        writes = self.state.close_batch()
        if writes is not None:
            self.closed.append((writes, dict(self.executed)))

    @precondition(lambda self: self.closed)
    @rule()
    def commit(self) -> None:
        writes, after = self.closed.pop(0)
        for key, new in writes.stored.items():
            assert (writes.before[key], new) == (self.durable.get(key), after.get(key))
        self.seq += 1
        self.storage.commit(Commit(self.seq, writes.stored, b"", b"", self.seq - 1))
        self.state.committed(writes)
        self.durable = after

    @precondition(lambda self: self.closed)
    @rule()
    def fail(self) -> None:
        writes, _ = self.closed.pop(0)
        self.storage.fail(Fault.NOT_PERSISTED)
        with pytest.raises(OSError, match="NOT_PERSISTED"):
            self.storage.commit(Commit(self.seq + 1, writes.stored, b"", b"", self.seq))
        self.state.reset()
        self.closed.clear()
        self.executed, self.mine = dict(self.durable), dict(self.durable)
        self.tx = self.state.begin()

    @invariant()
    def every_look_up_is_as_in_the_dictionary(self) -> None:
        for view, model in ((self.tx, self.mine), (self.state, self.executed)):
            for key in KEYS:
                assert view.get(key) == model.get(key)
            for prefix in PREFIXES:
                expected = [(key, model[key]) for key in sorted(model) if key.startswith(prefix)]
                assert list(view.scan(prefix)) == expected

    @invariant()
    def dirty_says_whether_something_is_not_durable(self) -> None:
        if not self.state.is_dirty():
            assert self.executed == self.durable


def put(tx: Tx, key: bytes, row: Row | None) -> None:
    if row is None:
        tx.delete(key)
    else:
        tx.put(key, row)


def note(model: dict[bytes, Row], key: bytes, row: Row | None) -> None:
    if row is None:
        model.pop(key, None)
    else:
        model[key] = row


TestModel = Model.TestCase


def test_own_writes_have_no_stamp() -> None:
    state = State(MemoryStorage())
    tx = state.begin()
    inner = tx.nested()
    assert tx.stamp() == inner.stamp() == state.stamp != 0
    inner.put(KEYS[0], Row(b"x"))
    assert (inner.stamp(), tx.stamp()) == (0, state.stamp)
    inner.merge()
    assert tx.stamp() == tx.nested().stamp() == 0


def test_own_writes_have_no_edition() -> None:
    state = State(MemoryStorage())
    tx = state.begin()
    inner = tx.nested()
    assert tx.edition() == inner.edition() == state.edition != 0
    inner.put(KEYS[0], Row(b"x"))
    assert (inner.edition(), tx.edition()) == (0, state.edition)
    inner.merge()
    assert tx.edition() == tx.nested().edition() == 0


def test_a_lost_commit_makes_a_new_edition() -> None:
    state = State(MemoryStorage())
    before = state.edition
    state.reset()
    assert state.edition != before


def test_a_full_watch_begins_again_with_a_new_edition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironkeep.store.state.MAX_WATCHED", 2)
    state = State(MemoryStorage())
    state.watch(KEYS[:2])
    before = state.edition
    state.watch(KEYS[2:3])
    assert state.edition != before, "what stood on the first two keys is looked up again"
    for key, changes in ((KEYS[0], False), (KEYS[2], True)):
        before = state.edition
        tx = state.begin()
        tx.put(key, Row(b"x"))
        tx.merge()
        assert (state.edition != before) is changes


def test_the_cache_is_bounded_and_forgets_nothing() -> None:
    storage = MemoryStorage()
    rows: dict[bytes, Row | None] = {number.to_bytes(4, "big"): Row(b"x") for number in range(200)}
    storage.commit(Commit(1, rows, b"", b"", 0))
    state = State(storage)
    reads = count_reads(storage)
    for number in range(CACHE_ROWS + 100):
        state.get(number.to_bytes(4, "big"))
    assert len(state._cache) <= CACHE_ROWS
    before = reads()
    assert state.get((0).to_bytes(4, "big")) == Row(b"x"), "read again, as it was pushed out"
    assert reads() == before + 1
    state.get((0).to_bytes(4, "big"))
    assert reads() == before + 1


def count_reads(storage: MemoryStorage) -> Callable[[], int]:
    count = 0
    get = storage.get

    def counted(key: bytes) -> Row | None:
        nonlocal count
        count += 1
        return get(key)

    storage.get = counted  # type: ignore[method-assign]
    return lambda: count


def test_what_is_known_to_be_absent_is_not_read() -> None:
    storage, key = Counted(), KEYS[0]
    state = State(storage)
    tx = state.begin().nested()
    tx.absent(key)
    assert tx.get(key) is None
    assert storage.read == []
    tx.put(key, Row(b"1"))
    tx.absent(key)
    assert tx.get(key) == Row(b"1")


def test_a_known_row_counts_more_than_a_note_of_its_absence() -> None:
    storage, key = Counted(), KEYS[0]
    storage.commit(Commit(1, {key: Row(b"1")}, b"", b"", 0))
    state = State(storage)
    assert state.get(key) == Row(b"1")
    state.absent(key)
    assert state.get(key) == Row(b"1")
    tx = state.begin()
    tx.put(KEYS[1], Row(b"2"))
    tx.merge()
    state.absent(KEYS[1])
    assert state.get(KEYS[1]) == Row(b"2")


class Counted(MemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[bytes] = []

    def get(self, key: bytes) -> Row | None:
        self.read.append(key)
        return super().get(key)
