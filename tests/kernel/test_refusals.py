"""Strangers' refusals: a bounded number whole, all of them counted."""

from hypothesis import given, strategies as st

from ironkeep.core.event import Entry
from ironkeep.kernel.refusals import MAX_ADDRESSES, NAMED, WHOLE_A_SECOND, Refusals

SECOND = 1_000_000_000


def refused(at_ns: int, remote: str = "192.0.2.1:5000", code: str = "permission_denied") -> Entry:
    return Entry(kind="request", time_ns=at_ns, remote=remote, outcome=code)


def admitted(refusals: Refusals, entries: list[Entry]) -> int:
    return sum(refusals.admit(entry) for entry in entries)


def test_each_second_has_its_own_allowance() -> None:
    refusals = Refusals()
    for second in range(3):
        many = [refused(second * SECOND + number) for number in range(WHOLE_A_SECOND + 1)]
        assert admitted(refusals, many) == WHOLE_A_SECOND
    (counted,) = refusals.flush(4 * SECOND)
    assert counted.audited["count"] == 3
    assert list(refusals.flush(5 * SECOND)) == []


def test_at_the_limit_nothing_is_left_to_count() -> None:
    refusals = Refusals()
    assert admitted(refusals, [refused(0)] * WHOLE_A_SECOND) == WHOLE_A_SECOND
    assert list(refusals.flush(SECOND)) == []


def test_the_busiest_are_named_and_outcomes_told_apart() -> None:
    refusals = Refusals()
    admitted(refusals, [refused(0)] * WHOLE_A_SECOND)
    for number in range(NAMED + 3):
        for _ in range(number + 1):
            refusals.admit(refused(1, f"[2001:db8::{number}]:99", "not_found"))
    refusals.admit(refused(1))
    (counted,) = refusals.flush(SECOND)
    assert (counted.kind, counted.outcome) == ("refused", "refused")
    assert counted.audited["addresses"] == NAMED + 4
    busiest = counted.audited["busiest"]
    assert isinstance(busiest, list)
    assert len(busiest) == NAMED
    assert busiest[0] == f"2001:db8::{NAMED + 2} {NAMED + 3}"
    assert counted.audited["outcomes"] == ["not_found 66", "permission_denied 1"]


def test_addresses_beyond_a_number_are_only_counted() -> None:
    refusals = Refusals()
    admitted(refusals, [refused(0)] * WHOLE_A_SECOND)
    for number in range(MAX_ADDRESSES + 500):
        refusals.admit(refused(1, f"a{number}:1"))
    (counted,) = refusals.flush(SECOND)
    assert counted.audited["count"] == MAX_ADDRESSES + 500
    assert counted.audited["addresses"] == MAX_ADDRESSES + 1
    assert "others 500" in (counted.audited["busiest"] or [])  # type: ignore[operator]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300)), max_size=8))
def test_none_is_lost(bursts: list[tuple[int, int]]) -> None:
    refusals = Refusals()
    now, whole, flushed = 0, 0, 0
    for seconds, count in bursts:
        now += seconds * SECOND
        whole += admitted(refusals, [refused(now)] * count)
        flushed += sum(int(str(entry.audited["count"])) for entry in refusals.flush(now))
    assert whole + flushed == sum(count for _, count in bursts)
