"""Effective times: the order of a log decides, whatever its entries state."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.evidence.order import JITTER_NS, ordered, ran_back
from ironkeep.core.evidence.reach import FOREVER

SECOND = 10**9
LATE = 10**6 * SECOND


def entries(*seconds: float) -> list[tuple[int, Entry]]:
    return [
        (index, Entry("request", round(each * SECOND), path=str(index)))
        for index, each in enumerate(seconds, start=7)
    ]


def times(*seconds: float, until: int = LATE) -> list[float]:
    return [entry.time_ns / SECOND for _, entry in ordered(entries(*seconds), until)]


def test_an_entry_behind_the_ones_before_it_is_as_late_as_they_are() -> None:
    assert times(100, 200, 150, 190, 250) == [100, 200, 200, 200, 250]


def test_steps_below_any_tolerance_do_not_add_up() -> None:
    assert times(1000, 998.5, 997, 995.5, 900) == [1000, 998.5, 1000, 1000, 1000]


def test_jitter_is_left_as_stated_so_that_older_packs_keep_their_verdict() -> None:
    assert times(100, 99.999, 98.5, 101) == [100, 99.999, 98.5, 101]
    assert list(ran_back(entries(100, 99.999, 98.5, 101))) == []


def test_a_time_of_the_future_pushes_nothing_past_the_verdict() -> None:
    assert times(100, 5000, 150, until=300 * SECOND) == [100, 5000, 300]


def test_only_time_is_changed_and_only_where_it_ran_back() -> None:
    given_ = entries(10, 20, 5)
    found = list(ordered(given_, LATE))
    assert found[:2] == given_[:2]
    assert found[2][0] == 9
    assert found[2][1].path == "9"


@pytest.mark.parametrize("time_ns", [-1, FOREVER])
def test_a_time_out_of_range_is_refused(time_ns: int) -> None:
    with pytest.raises(IntegrityError, match="entry 3: its time is out of range"):
        list(ordered([(3, Entry("notice", time_ns))], LATE))


def test_a_step_back_is_named_once_with_its_size() -> None:
    assert list(ran_back(entries(100, 10, 11, 12, 9))) == [(8, 90 * SECOND), (11, 3 * SECOND)]


@given(st.lists(st.integers(0, 10**6), max_size=60))
def test_effective_times_rise_but_for_jitter(stated: list[int]) -> None:
    given_ = entries(*stated)
    found = [entry.time_ns for _, entry in ordered(given_, LATE)]
    latest = 0
    for one, (_, entry) in zip(found, given_, strict=True):
        assert one >= entry.time_ns
        assert one + JITTER_NS >= latest
        latest = max(latest, one)
