"""Whose turn it is: nobody waits longer because somebody else sends more."""

import threading

import pytest

from ironkeep.api.commit import turns
from ironkeep.api.commit.turns import Turns
from ironkeep.api.commit.workers import Job, Workers
from ironkeep.core.errors import Unavailable


def position(waiting: Turns[str], item: str) -> int:
    """Return how many are taken before item."""
    for count in range(len(waiting)):
        if waiting.take() == item:
            return count
    raise AssertionError(item)


FEW = 4
"""A turn by each key, and the one that is under way."""
FLOODS = {
    "one address, many names": [("a", f"name{number}") for number in range(60)],
    "many addresses, one name": [(f"a{number}", "ann") for number in range(60)],
    "one address, one name": [("a", "ann")] * 60,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_an_honest_login_from_elsewhere_waits_for_a_turn_or_two(
    flood: list[tuple[str, str]],
) -> None:
    waiting: Turns[str] = Turns()
    for address, name in flood:
        waiting.put("flood", address, name)
    waiting.put("honest", "home", "carol")
    assert position(waiting, "honest") <= FEW


def test_an_honest_login_waits_for_one_round_at_most_when_nothing_tells_it_apart() -> None:
    waiting: Turns[str] = Turns()
    for number in range(60):
        for _ in range(5):
            waiting.put("flood", f"a{number}", f"name{number}")
    waiting.put("honest", "home", "carol")
    assert position(waiting, "honest") <= 180, "a round by each of three keys"


def test_where_nothing_was_wrong_does_not_stand_behind_a_flood_from_everywhere() -> None:
    waiting: Turns[str] = Turns()
    for number in range(60):
        waiting.learn(f"a{number}", "ann", right=False)
        for _ in range(5):
            waiting.put("flood", f"a{number}", f"name{number}")
    waiting.put("honest", "home", "carol")
    assert position(waiting, "honest") <= FEW


def test_what_waits_of_an_address_goes_back_when_it_is_wrong() -> None:
    waiting: Turns[str] = Turns()
    for number in range(60):
        waiting.put("flood", "a", f"name{number}")
    waiting.learn("a", "name0", right=False)
    waiting.put("honest", "home", "carol")
    assert position(waiting, "honest") <= FEW
    left = len(waiting)
    assert [waiting.take() for _ in range(left)] == ["flood"] * left


def test_what_was_right_before_does_not_stand_behind_strangers_of_its_own_address() -> None:
    waiting: Turns[str] = Turns()
    waiting.learn("nat", "ann", right=True)
    for number in range(60):
        waiting.put("flood", "nat", f"name{number}")
    waiting.put("honest", "nat", "ann")
    assert position(waiting, "honest") <= 1
    waiting.learn("nat", "ann", right=False)
    for number in range(60):
        waiting.put("flood", "nat", f"name{number}")
    waiting.put("wrong", "nat", "ann")
    assert position(waiting, "wrong") > 30


def test_those_that_are_known_take_no_more_than_every_other_turn() -> None:
    waiting: Turns[str] = Turns()
    waiting.learn("in", "eve", right=True)
    for _ in range(60):
        waiting.put("eve", "in", "eve")
    waiting.put("honest", "home", "carol")
    assert position(waiting, "honest") <= 2 * FEW


def test_no_more_pairs_are_remembered_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_KNOWN", 3)
    waiting: Turns[str] = Turns()
    for number in range(9):
        waiting.learn("a", str(number), right=True)
        waiting.learn(str(number), "a", right=False)
    assert (len(waiting._known), len(waiting._wrong)) == (3, 3)


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_full_queue_makes_room_for_a_shorter_line(flood: list[tuple[str, str]]) -> None:
    waiting: Turns[str] = Turns(60)
    for number, (address, name) in enumerate(flood):
        assert waiting.put(f"flood{number}", address, name) is None
    assert waiting.put("late", *flood[0]) in {"late", "flood59"}
    assert str(waiting.put("honest", "home", "carol")).startswith("flood")
    assert len(waiting) == 60
    assert position(waiting, "honest") <= FEW


def test_equals_do_not_push_each_other_out() -> None:
    waiting: Turns[str] = Turns(4)
    for number in range(4):
        waiting.put("old", f"a{number}", f"n{number}")
    assert waiting.put("new", "home", "carol") == "new"


def test_all_that_waits_is_taken_once() -> None:
    waiting: Turns[int] = Turns()
    for number in range(300):
        waiting.put(number, f"a{number % 7}", f"n{number % 11}")
        if number % 5 == 0:
            waiting.learn(f"a{number % 7}", f"n{number % 11}", right=number % 10 == 0)
    taken = [waiting.take() for _ in range(300)]
    assert sorted(each for each in taken if each is not None) == list(range(300))
    assert waiting.take() is None
    assert len(waiting) == 0


def test_a_machine_without_room_for_the_threads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(Unavailable, match="does not let this process start 2 threads"):
        Workers("password", 2)


def test_memory_that_is_refused_is_the_result_and_the_worker_goes_on() -> None:
    results: list[object] = []
    done = threading.Event()

    def refused() -> object:
        raise MemoryError

    def last(result: object) -> None:
        results.append(result)
        done.set()

    workers = Workers("password", 1)
    workers.submit(Job(refused, results.append, done.set))
    workers.submit(Job(int, last, done.set))
    assert done.wait(30)
    workers.close()
    assert isinstance(results[0], MemoryError)
    assert results[1:] == [0]
