"""The scan that says what an index must answer."""

from collections.abc import Iterator

import pytest

from ironkeep.core.event import Entry
from ironkeep.core.evidence.node import NodeId
from ironkeep.index import finder
from ironkeep.index.finder import Held, Scan
from ironkeep.index.terms import Term, actor, kind, terms_of

ENTRIES = [
    (1, Entry("request", 10, entity="a")),
    (2, Entry("tick", 30)),
    (4, Entry("request", 20, entity="a", device="d")),
    (5, Entry("request", 40, entity="b")),
]
A = actor(NodeId("person:a"))


def test_a_scan_finds_the_entries_with_any_of_the_terms() -> None:
    """Each entry comes once and in order, however many of the terms it has."""
    scan = Scan(ENTRIES, 6)
    found = scan.find([A, actor(NodeId("device:d")), kind("tick")], 0, 100)
    assert [index for index, _ in found] == [1, 2, 4]
    assert [index for index, _ in scan.find([A], 2, 5)] == [4]
    assert not list(scan.find([], 0, 6))


def test_a_position_is_found_by_the_running_maximum_of_the_times() -> None:
    """The clock of entry 4 was put back; no window begins there because of that."""
    scan = Scan(ENTRIES, 6)
    assert [scan.position_at(time) for time in (0, 10, 11, 25, 30, 31, 41)] == [1, 1, 2, 2, 2, 5, 6]


@pytest.mark.parametrize(("first", "last"), [(0, 100), (2, 5), (4, 4)])
def test_held_entries_are_found_as_by_the_scan(first: int, last: int) -> None:
    held, scan = Held(ENTRIES, 6), Scan(ENTRIES, 6)
    for terms in ([A, actor(NodeId("device:d")), kind("tick")], [A, A], [kind("tick")], []):
        assert list(held.find(terms, first, last)) == list(scan.find(terms, first, last))


def test_the_terms_of_held_entries_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of thousands of orphans, each made by the last, is followed a question at a time."""
    looked_at = []

    def counted(entry: Entry) -> Iterator[Term]:
        looked_at.append(entry)
        return terms_of(entry)

    monkeypatch.setattr(finder, "terms_of", counted)
    held = Held(ENTRIES, 6)
    for _ in range(3):
        assert [index for index, _ in held.find([A], 0, 6)] == [1, 4]
    assert len(looked_at) == len(ENTRIES)
