"""History answers what was true at a time, and never changes what it said before."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.store.history import Interval
from ironkeep.store.reserved import HISTORY
from tests.support.services import Services


def test_a_value_holds_until_the_next() -> None:
    s = Services()
    s.history.record(s.tx, "policy", "a/b", b"one", 100)
    s.history.record(s.tx, "policy", "a/b", b"two", 200)
    s.history.record(s.tx, "policy", "a/b", b"", 300)
    at = [s.history.at(s.tx, "policy", "a/b", t) for t in (99, 100, 199, 200, 299, 300, 999)]
    assert at == [None, b"one", b"one", b"two", b"two", None, None]
    assert s.history.intervals(s.tx, "policy", "a/b") == [
        Interval(100, 200, b"one"),
        Interval(200, 300, b"two"),
    ]


def test_names_are_kept_apart_by_kind_and_survive_removal() -> None:
    s = Services()
    s.history.record(s.tx, "policy", "x", b"1", 1)
    s.history.record(s.tx, "policy", "x", b"", 2)
    s.history.record(s.tx, "policy", "a/%2F", b"1", 1)
    s.history.record(s.tx, "mount", "m", b"1", 1)
    assert s.history.names(s.tx, "policy") == ["a/%2F", "x"]
    assert s.history.names(s.tx, "mount") == ["m"]
    assert s.history.names(s.tx, "role") == []


def test_of_two_changes_at_once_the_later_stays() -> None:
    s = Services()
    s.history.record(s.tx, "k", "n", b"first", 5)
    s.history.record(s.tx, "k", "n", b"second", 5)
    assert s.history.intervals(s.tx, "k", "n") == [Interval(5, None, b"second")]


def test_a_record_of_another_version_is_refused() -> None:
    s = Services()
    s.history.record(s.tx, "k", "n", b"v", 5)
    s.store(s.tx, HISTORY).put("k/n/00000000000000000005", b"\x09v")
    with pytest.raises(IntegrityError):
        s.history.at(s.tx, "k", "n", 6)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from([b"", b"a", b"b"])), max_size=12),
    st.integers(0, 60),
)
def test_it_agrees_with_a_replay(changes: list[tuple[int, bytes]], when: int) -> None:
    s = Services()
    ordered = sorted(changes, key=lambda change: change[0])
    expected = b""
    for time_ns, value in ordered:
        s.history.record(s.tx, "k", "n", value, time_ns)
        if time_ns <= when:
            expected = value
    assert s.history.at(s.tx, "k", "n", when) == (expected or None)
    inside = [
        i
        for i in s.history.intervals(s.tx, "k", "n")
        if i.start_ns <= when and (i.end_ns is None or when < i.end_ns)
    ]
    assert [i.value for i in inside] == ([expected] if expected else [])
