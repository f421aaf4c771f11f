"""The due queue finds every due row, each kind in its turn, the earliest first."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.units import SECOND_NS
from ironkeep.store import due
from ironkeep.store.due import DueQueue
from ironkeep.store.names import KIND_AT

NOW = 1_000 * SECOND_NS


def key(kind: str, number: int) -> bytes:
    """Return a key in the folder of a kind."""
    return kind.encode().ljust(KIND_AT, b".") + number.to_bytes(4, "big")


class Rows:
    """Due rows as the storage returns them, and the count of what was read."""

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self.read = 0
        self.opened = 0
        self.asleep: set[bytes] = set()

    def due(
        self, before_ns: int, limit: int, after: tuple[int, bytes] | None
    ) -> list[tuple[int, bytes]]:
        ripe = sorted((at, name) for name, at in self.rows.items() if at < before_ns)
        found = [pair for pair in ripe if after is None or pair > after][:limit]
        self.read += len(found)
        return found

    def kind_of(self, name: bytes) -> str | None:
        self.opened += 1
        return None if name in self.asleep else name[:KIND_AT].rstrip(b".").decode()

    def queue(self) -> DueQueue:
        return DueQueue(self.due, self.kind_of)

    def fill(self, kind: str, count: int, at: int = 0) -> None:
        for number in range(count):
            self.rows[key(kind, number)] = at + number


def free(_kind: str) -> bool:
    return False


def looked(queue: DueQueue, now_ns: int = NOW) -> None:
    queue.look(now_ns)
    while queue.looking:
        queue.read()


def drained(rows: Rows, queue: DueQueue, now_ns: int = NOW) -> list[tuple[str, bytes]]:
    """Take and remove rows until no more can be taken."""
    found: list[tuple[str, bytes]] = []
    while True:
        if queue.unseen:
            queue.look(now_ns)
        if queue.looking:
            queue.read()
        taken = queue.take(free)
        if taken is None:
            if queue.looking or queue.unseen:
                continue
            return found
        found.append(taken)
        del rows.rows[taken[1]]


def test_a_backlog_of_one_kind_lets_the_others_take_turns() -> None:
    rows = Rows()
    rows.fill("tokens", 1_000)
    rows.fill("leases", 3, at=NOW - 10)
    queue = rows.queue()
    looked(queue)
    kinds = [taken[0] for _ in range(6) if (taken := queue.take(free))]
    assert kinds == ["tokens", "leases"] * 3


def test_each_kind_goes_earliest_first() -> None:
    rows = Rows()
    rows.rows = {key("a", 1): 30, key("a", 2): 10, key("a", 3): 20}
    queue = rows.queue()
    looked(queue)
    assert [taken[1] for taken in drained(rows, queue)] == [key("a", n) for n in (2, 3, 1)]


def test_a_kind_that_is_held_up_keeps_its_rows() -> None:
    rows = Rows()
    rows.fill("leases", 2)
    rows.fill("tokens", 1)
    queue = rows.queue()
    looked(queue)
    held = "leases".__eq__
    assert queue.take(held) == ("tokens", key("tokens", 0))
    assert queue.take(held) is None
    assert not queue.has_work(held)
    assert queue.has_work(free)
    assert queue.take(free) == ("leases", key("leases", 0))


def test_unfinished_work_goes_behind_the_others_of_its_kind() -> None:
    rows = Rows()
    rows.fill("a", 2)
    queue = rows.queue()
    looked(queue)
    assert queue.take(free) == ("a", key("a", 0))
    queue.put_back("a", key("a", 0))
    assert [queue.take(free), queue.take(free)] == [("a", key("a", 1)), ("a", key("a", 0))]


def test_one_row_of_a_folder_is_opened_to_tell_its_kind() -> None:
    rows = Rows()
    rows.fill("tokens", 500)
    looked(rows.queue())
    assert rows.opened == 1


def test_a_backlog_past_the_room_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "HELD", 50)
    monkeypatch.setattr(due, "PAGE", 16)
    rows = Rows()
    rows.fill("tokens", 500)
    rows.fill("leases", 3, at=NOW - 10)
    queue = rows.queue()
    looked(queue)
    found = drained(rows, queue)
    assert len(found) == len(set(found)) == 503
    assert [taken[0] for taken in found[:6]] == ["tokens", "leases"] * 3


def test_rows_that_cannot_be_opened_are_read_once_a_minute() -> None:
    rows = Rows()
    rows.fill("asleep", 300)
    rows.asleep = set(rows.rows)
    queue = rows.queue()
    for second in range(60):
        looked(queue, NOW + second * SECOND_NS)
    assert rows.read == 300
    looked(queue, NOW + 61 * SECOND_NS)
    assert rows.read == 600
    rows.asleep = set()
    queue.look_at_all()
    looked(queue, NOW + 62 * SECOND_NS)
    assert len(drained(rows, queue)) == 300


def test_a_row_that_becomes_visible_late_is_found() -> None:
    rows = Rows()
    queue = rows.queue()
    looked(queue)
    rows.rows[key("late", 1)] = NOW - 5 * SECOND_NS
    looked(queue, NOW + SECOND_NS)
    assert queue.take(free) == ("late", key("late", 1))


def test_a_row_that_fails_rests_ever_longer_and_is_never_given_up() -> None:
    queue, name, now, rests = Rows().queue(), key("a", 1), NOW, []
    for _ in range(30):
        queue.failed(name, now)
        start = now
        while queue.rests(name, now):
            now += SECOND_NS
        rests.append((now - start) // SECOND_NS)
    assert rests == sorted(rests)
    assert (rests[0], rests[-1]) == (2, 3_600)
    queue.went_well(name)
    assert not queue.rests(name, now)


@given(
    st.dictionaries(
        st.builds(key, st.sampled_from(["a", "b", "c"]), st.integers(0, 99)),
        st.integers(0, NOW + 10),
        max_size=60,
    ),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_every_due_row_is_taken_once(rows: dict[bytes, int], page: int, held: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(due, "PAGE", page)
        patch.setattr(due, "HELD", held)
        stored = Rows()
        stored.rows = dict(rows)
        queue = stored.queue()
        looked(queue)
        found = drained(stored, queue)
    assert sorted(name for _, name in found) == sorted(n for n, at in rows.items() if at < NOW)
