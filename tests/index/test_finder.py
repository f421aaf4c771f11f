"""The scan that says what an index must answer."""

from ironkeep.core.event import Entry
from ironkeep.core.evidence.node import NodeId
from ironkeep.index.finder import Scan
from ironkeep.index.terms import actor, kind

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
