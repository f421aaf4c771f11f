"""The memory ports fail, repeat and roll back exactly as asked."""

import pytest

from ironkeep.core.ports import Commit, Row, StoreHead
from ironkeep.testing.memory import START_NS, FakeClock, Fault, MemoryStorage, SeededEntropy
from tests.support.contracts import commit


def test_the_clock_moves_only_when_told() -> None:
    clock = FakeClock()
    assert [clock.now_ns(), clock.now_ns()] == [START_NS, START_NS]
    clock.advance(seconds=1.5)
    clock.advance(ns=1)
    assert clock.now_ns() == START_NS + 1_500_000_001
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(ns=-1)


def test_entropy_follows_from_the_seed() -> None:
    first, again, other = SeededEntropy(1), SeededEntropy(1), SeededEntropy(2)
    drawn = [first.token(16), first.token(16)]
    assert drawn == [again.token(16), again.token(16)]
    assert len({*drawn, other.token(16)}) == 3
    assert len(first.token(1_000)) == 1_000


@pytest.mark.parametrize(("fault", "seq"), [(Fault.NOT_PERSISTED, 2), (Fault.PERSISTED_ANYWAY, 3)])
def test_the_chosen_commit_fails_as_chosen(fault: Fault, seq: int) -> None:
    storage = MemoryStorage()
    storage.fail(fault, after=2)
    commit(storage, {b"a": Row(b"1")})
    commit(storage, {b"a": Row(b"2")})
    with pytest.raises(OSError, match=fault.name):
        storage.commit(Commit(3, {b"a": Row(b"3")}, b"3", b"f", 0))
    assert storage.head() == StoreHead(seq, b"%d" % seq)
    assert storage.get(b"a") == Row(b"%d" % seq)
    assert commit(storage, {}) == seq + 1


def test_a_restored_copy_is_the_store_as_it_was() -> None:
    storage = MemoryStorage()
    commit(storage, {b"a": Row(b"1"), b"b": Row(b"1")})
    copy = storage.snapshot()
    commit(storage, {b"a": None, b"c": Row(b"2")}, drained_seq=1)
    newer = storage.snapshot()
    storage.restore(copy)
    assert storage.snapshot() == copy != newer
    assert list(storage.scan(b"")) == [(b"a", Row(b"1")), (b"b", Row(b"1"))]
    assert storage.outbox() == [(1, b"f")]


def test_tampering_leaves_the_head_alone() -> None:
    storage = MemoryStorage()
    commit(storage, {b"a": Row(b"1"), b"b": Row(b"1")})
    storage.tamper(b"a", Row(b"2"))
    storage.tamper(b"b", None)
    storage.tamper(b"c", Row(b"3"))
    storage.tamper(b"absent", None)
    assert list(storage.scan(b"")) == [(b"a", Row(b"2")), (b"c", Row(b"3"))]
    assert storage.head() == StoreHead(1, b"1")
