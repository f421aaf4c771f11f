"""The guard against a storage that changes behind it, with commits under way."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Commit, Row
from ironkeep.store.standing import guard as module
from ironkeep.store.standing.buckets import BUCKETS
from ironkeep.store.standing.guard import Guard, Mismatch
from ironkeep.store.state import State, Writes
from tests.store.standing.test_accounts import Shop

KEYS = [b"\x01%d" % n + bytes([0, n % 4]) for n in range(12)]


class Watched(Shop):
    """A shop whose state is guarded; commits are closed, durable and settled one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(self.storage)
        self.found: list[Mismatch] = []
        self.guard = Guard(self.storage, self.accounts, self.found.append)
        self.state.trust(self.guard)
        self.closed: list[tuple[Writes, Commit]] = []
        self.seq = 0

    def write(self, writes: dict[bytes, Row | None]) -> None:
        tx = self.state.begin()
        for key, row in writes.items():
            if row is None:
                tx.delete(key)
            else:
                tx.put(key, row)
        tx.merge()

    def close(self) -> None:
        writes = self.state.close_batch()
        if writes is None:
            return
        self.seq += 1
        sums = self.accounts.add(self.seq, writes)
        state = self.accounts.state(bytes(32))
        commit = Commit(self.seq, writes.stored, state, b"f", self.seq - 1, sums)
        self.closed.append((writes, commit))

    def persist(self) -> None:
        for _, commit in self.closed:
            if commit.seq == self.storage.head().seq + 1:
                self.storage.commit(commit)
                return

    def settle(self) -> None:
        if self.closed and self.closed[0][1].seq <= self.storage.head().seq:
            writes, _ = self.closed.pop(0)
            self.guard.settled(self.accounts.settled().elements)
            self.state.committed(writes)

    def commit(self, writes: dict[bytes, Row | None]) -> None:
        self.write(writes)
        self.close()
        self.persist()
        self.settle()

    def forget_cache(self) -> None:
        self.state._cache.clear()


class GuardMachine(RuleBasedStateMachine):
    """However commits and reads interleave, an untouched storage never raises the alarm."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Watched()
        self.model: dict[bytes, Row] = {}

    @rule(
        writes=st.dictionaries(
            st.sampled_from(KEYS), st.none() | st.builds(Row, st.binary(max_size=2)), min_size=1
        )
    )
    def write(self, writes: dict[bytes, Row | None]) -> None:
        self.shop.write(writes)
        for key, row in writes.items():
            self.model.pop(key, None)
            if row is not None:
                self.model[key] = row

    @rule()
    def close(self) -> None:
        self.shop.close()

    @rule()
    def persist(self) -> None:
        self.shop.persist()

    @rule()
    def settle(self) -> None:
        self.shop.settle()

    @rule()
    def forget(self) -> None:
        self.shop.forget_cache()

    @rule(drop=st.booleans())
    def turn(self, drop: bool) -> None:
        if drop:
            self.shop.guard._held.clear()
            self.shop.guard.rows = 0
        self.shop.guard.checked = 0
        self.shop.guard.turn(1)

    @rule(key=st.sampled_from(KEYS))
    def get(self, key: bytes) -> None:
        assert self.shop.state.get(key) == self.model.get(key)

    @rule()
    def scan(self) -> None:
        assert dict(self.shop.state.scan(b"\x01")) == self.model

    @invariant()
    def all_is_well(self) -> None:
        assert self.shop.found == []
        held = self.shop.guard._held
        assert self.shop.guard.rows == sum(len(prints) // 16 for prints in held.values())


GuardMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestGuardMachine = GuardMachine.TestCase


@pytest.fixture
def shop() -> Watched:
    shop = Watched()
    shop.commit({key: Row(b"old") for key in KEYS})
    shop.commit({key: Row(b"new") for key in KEYS[:6]})
    shop.forget_cache()
    return shop


ATTACKS: dict[str, tuple[int, Row | None]] = {
    "put back": (0, Row(b"old")),
    "changed": (7, Row(b"other")),
    "emptied": (7, Row(b"")),
    "removed": (7, None),
    "given a due time": (7, Row(b"old", 1)),
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_touched_row_is_refused(shop: Watched, name: str, known: bool) -> None:
    position, row = ATTACKS[name]
    if known:
        assert dict(shop.state.scan(b"")).keys() == set(KEYS)
        shop.forget_cache()
    shop.storage.tamper(KEYS[position], row)
    with pytest.raises(IntegrityError, match="outside Ironkeep"):
        shop.state.get(KEYS[position])
    with pytest.raises(IntegrityError):
        shop.state.get(KEYS[position])
    (mismatch,) = shop.found
    assert KEYS[position].hex() in str(mismatch)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "removed"])
def test_a_scanned_row_is_refused(shop: Watched, name: str) -> None:
    position, row = ATTACKS[name]
    list(shop.guard.check_all(1))
    shop.storage.tamper(KEYS[position], row)
    with pytest.raises(IntegrityError, match=KEYS[position].hex()):
        list(shop.state.scan(b"\x01"))


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("known", [False, True])
def test_a_pass_finds_what_nobody_touches(shop: Watched, name: str, known: bool) -> None:
    if known:
        list(shop.guard.check_all(1))
    position, row = ATTACKS[name]
    shop.storage.tamper(KEYS[position], row)
    with pytest.raises(IntegrityError):
        list(shop.guard.check_all(2))
    assert len(shop.found) == 1


def test_an_added_row_is_never_served_and_a_pass_finds_it(shop: Watched) -> None:
    added = b"\x01added" + KEYS[0][-2:]
    list(shop.guard.check_all(1))
    shop.storage.tamper(added, Row(b"planted"))
    assert shop.state.get(added) is None
    with pytest.raises(IntegrityError, match="was added"):
        list(shop.state.scan(b"\x01add"))


def test_a_row_added_to_an_empty_bucket_is_found(shop: Watched) -> None:
    added = b"\x01added\x77\x77"
    shop.storage.tamper(added, Row(b"planted"))
    assert shop.state.get(added) is None
    with pytest.raises(IntegrityError):
        list(shop.guard.check_all(1))


def test_a_write_over_a_changed_row_is_refused_whole(shop: Watched) -> None:
    shop.storage.tamper(KEYS[1], Row(b"other"))
    tx = shop.state.begin()
    tx.put(b"\x01fresh\x00\x09", Row(b"1"))
    tx.put(KEYS[1], Row(b"2"))
    with pytest.raises(IntegrityError):
        tx.merge()
    assert not shop.state.has_open_batch()


class Counted(Watched):
    """Counts the rows and buckets that the guard reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[bytes, bytes]] = []
        inner = self.storage.tails

        def tails(first: bytes, last: bytes) -> list[tuple[bytes, Row]]:
            self.reads.append((first, last))
            return inner(first, last)

        self.storage.tails = tails  # type: ignore[method-assign]


def test_a_bucket_is_read_once() -> None:
    shop = Counted()
    shop.commit({key: Row(b"1") for key in KEYS})
    shop.forget_cache()
    for key in KEYS * 3:
        assert shop.state.get(key) == Row(b"1")
        shop.forget_cache()
    assert len(shop.reads) == 4


def test_a_row_alone_and_a_row_known_to_be_missing_need_no_bucket() -> None:
    shop = Counted()
    shop.commit({b"\x01alone\x50\x50": Row(b"1")})
    shop.forget_cache()
    assert shop.state.get(b"\x01alone\x50\x50") == Row(b"1")
    assert shop.state.get(b"\x01missing\x50\x50") is None
    assert shop.state.get(b"\x01missing\x60\x60") is None
    assert shop.reads == []


def test_fingerprints_are_bounded_and_buckets_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 6)
    shop = Counted()
    shop.commit({key: Row(b"1") for key in KEYS})
    for key in KEYS:
        shop.forget_cache()
        shop.state.get(key)
        assert shop.guard.rows <= 6
    first = len(shop.reads)
    shop.forget_cache()
    shop.state.get(KEYS[0])
    assert len(shop.reads) == first + 1


def turn_fails(shop: Watched) -> bool:
    try:
        shop.guard.turn(1)
    except IntegrityError:
        return True
    return False


def test_a_long_scan_leaves_buckets_to_the_next_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCAN_ROWS", 4)
    shop = Counted()
    keys = [b"\x01%04d" % n + bytes([n % 64, 1]) for n in range(256)]
    shop.commit({key: Row(b"1") for key in keys})
    shop.forget_cache()
    assert len(list(shop.state.scan(b"\x01"))) == 256
    assert len(shop.reads) == 1, "a scan reads only its share"
    assert shop.guard.urgent
    shop.storage.tamper(keys[5], Row(b"2"))
    assert [number for number in range(63) if turn_fails(shop)]


def test_turns_are_small_and_a_pass_ends() -> None:
    shop = Counted()
    chance = random.Random(1)
    rows = {b"\x01" + chance.randbytes(33): Row(bytes(40)) for _ in range(20_000)}
    shop.commit(dict(rows))
    shop.guard._held.clear()
    shop.guard.rows = 0
    sizes = []
    while not shop.guard.passes:
        first = shop.guard.checked
        shop.guard.turn(77)
        width = (shop.guard.checked or BUCKETS) - first
        assert width <= module.MAX_WIDTH
        sizes.append(width * 20_000 // BUCKETS)
    assert max(sizes) < 2 * module.TURN_COST
    assert (shop.guard.checked, shop.guard.ended_ns) == (0, 77)
    assert shop.guard.rows == 20_000


@pytest.mark.parametrize("method", ["get", "tails", "scan"])
def test_a_row_that_cannot_be_read_is_a_mismatch(method: str) -> None:
    """Gains: a row of another type stops the check of all rows behind it, and nothing is said."""
    shop = Watched()
    shop.commit({key: Row(b"1") for key in KEYS})
    shop.forget_cache()

    def refuse(*_arguments: bytes) -> None:
        raise IntegrityError("a value that no commit wrote")

    def scan(_prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        yield KEYS[0], Row(b"1")
        refuse()

    setattr(shop.storage, method, scan if method == "scan" else refuse)
    reads: dict[str, Callable[[], object]] = {
        "get": lambda: shop.state.get(KEYS[0]),
        "tails": lambda: list(shop.guard.check_all(0)),
        "scan": lambda: list(shop.state.scan(KEYS[0][:1])),
    }
    with pytest.raises(IntegrityError, match="cannot be read"):
        reads[method]()
    assert len(shop.found) == 1
    assert "no commit wrote" in str(shop.found[0])
