"""Operations in turns: claims, limits, pauses after failures, and what a request keeps of them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ironkeep.core.errors import Conflict, IronkeepError, TooManyRequests, UpstreamFailed
from ironkeep.core.event import Entry
from ironkeep.core.ids import MountUuid
from ironkeep.core.units import SECOND_NS
from ironkeep.journal.journal import Receipt
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.plugin.effects.effects import (
    GROUP_AT_ONCE,
    MAX_AT_ONCE,
    MAX_PAUSE_NS,
    MAX_URGENT,
    Effects,
    Steps,
    Turn,
    key_of,
)
from ironkeep.store.barrier import DueRecord
from tests.support.services import Services

PLACE = "mount-uuid"


class Bench:
    """Effects over memory, a driver that does as told, and what was journalled."""

    def __init__(self) -> None:
        self.services = Services()
        self.entries: list[Entry] = []
        self.defects: list[Exception] = []
        self.driven: list[str] = []
        self.raises: Exception | None = None
        self.done: Callable[[Turn, DueRecord], None] = self.take_off
        self.effects = Effects(
            self.services.store,
            self.services.state.begin,
            self.append,
            self.services.clock.now_ns,
            lambda _request, error: self.defects.append(error),
        )
        self.effects.register("jobs", self.drive)

    def append(self, entry: Entry) -> Receipt:
        self.entries.append(entry)
        return Receipt(len(self.entries), b"", "")

    def drive(self, turn: Turn, record: DueRecord) -> Steps[None]:
        with self.effects.claimed(key_of(record.place.mount, record.path)):
            self.driven.append(record.path)
            turn, result = yield lambda: self.raises or "done"
            assert result == "done"
            self.done(turn, record)

    def take_off(self, turn: Turn, record: DueRecord) -> None:
        self.services.store(turn.tx, PLACE).put(record.path, record.body)

    def put(self, path: str, due_ns: int | None = None) -> None:
        due_ns = self.services.now if due_ns is None else due_ns
        self.services.store(self.services.tx, PLACE).put(path, b"", due_ns)
        self.services.next_request()

    def due_of(self, path: str) -> int | None:
        row = self.services.store(self.services.state.begin(), PLACE).row(path)
        assert row is not None
        return row.due_ns

    def tick(self, seconds: float = 1) -> list[Waiting]:
        self.services.clock.advance(seconds=seconds)
        self.services.next_request()
        records = self.services.due(PLACE)
        started = self.effects.tick(self.services.tx, records, self.services.now)
        self.services.next_request()
        return started

    def finish(self, waiting: Waiting) -> Answer:
        outcome: Answer | Waiting = waiting
        while isinstance(outcome, Waiting):
            result: Any = outcome.work()
            outcome = outcome.finish(result)
        return outcome


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_due_is_driven_once_it_is_and_no_more_when_it_is_done(bench: Bench) -> None:
    bench.put("jobs/one", bench.services.now + 5 * SECOND_NS)
    assert bench.tick(5) == []
    (waiting,) = bench.tick(1)
    assert waiting.receipt is not None, "it waits until its intent is durable"
    bench.finish(waiting)
    assert bench.tick() == []
    assert bench.driven == ["jobs/one"]


def test_a_record_that_is_nobodys_is_left_alone(bench: Bench) -> None:
    bench.put("other/one")
    assert bench.tick() == []
    assert bench.due_of("other/one") == bench.services.now - SECOND_NS


def test_what_is_under_way_is_not_begun_again(bench: Bench) -> None:
    bench.put("jobs/one")
    (waiting,) = bench.tick()
    assert bench.tick() == []
    bench.finish(waiting)
    assert bench.driven == ["jobs/one"]


def test_a_claim_ends_with_an_operation_that_is_given_up(bench: Bench) -> None:
    bench.put("jobs/one")
    waiting = bench.tick()
    assert bench.effects.busy == {f"{PLACE}/jobs/one"}
    del waiting
    assert bench.effects.busy == frozenset()
    (again,) = bench.tick()
    bench.finish(again)


def test_a_claimed_key_is_refused_and_free_after_any_end(bench: Bench) -> None:
    with bench.effects.claimed("key"):
        with pytest.raises(Conflict), bench.effects.claimed("key"):
            pass
        with pytest.raises(ValueError), bench.effects.claimed("other"):  # noqa: PT011
            raise ValueError
    with bench.effects.claimed("key"), bench.effects.claimed("other"):
        pass


def test_claims_are_limited(bench: Bench) -> None:
    claims = [bench.effects.claimed(f"key {number}") for number in range(MAX_AT_ONCE)]
    for claim in claims:
        claim.__enter__()
    with pytest.raises(TooManyRequests), bench.effects.claimed("one more"):
        pass
    bench.put("jobs/one")
    assert bench.tick() == []
    claims[0].__exit__(None, None, None)
    (waiting,) = bench.tick(5)
    bench.finish(waiting)


def test_time_drives_few_at_once_and_puts_the_rest_off_in_order(bench: Bench) -> None:
    paths = [f"jobs/{number:02d}" for number in range(GROUP_AT_ONCE * 3)]
    for number, path in enumerate(paths):
        bench.put(path, bench.services.now + number)
    started = bench.tick()
    assert len(started) == GROUP_AT_ONCE
    dues = [bench.due_of(path) or 0 for path in paths[GROUP_AT_ONCE:]]
    assert dues == sorted(set(dues)), "a restart would find them in their order"
    assert bench.effects.late == len(paths) - GROUP_AT_ONCE
    for _ in range(3):
        for waiting in started:
            bench.finish(waiting)
        started = bench.tick()
    assert bench.driven == paths
    assert bench.effects.late == 0


def test_the_one_that_waited_longest_goes_first_for_ever(bench: Bench) -> None:
    """Sixty jobs that are due again as soon as they are done, and room for four a second."""

    def again(turn: Turn, record: DueRecord) -> None:
        bench.services.store(turn.tx, PLACE).put(record.path, b"", turn.now_ns + SECOND_NS)

    bench.done = again
    for number in range(60):
        bench.put(f"jobs/{number:02d}")
    for _ in range(150):
        for waiting in bench.tick():
            bench.finish(waiting)
    times = Counter(bench.driven)
    assert len(times) == 60
    assert max(times.values()) - min(times.values()) <= 1


def test_a_system_that_hangs_holds_up_nobody_elses_turn(bench: Bench) -> None:
    bench.effects.register("jobs", bench.drive, lambda _tx, row: (row.path[:6], row.due_ns))
    for number in range(20):
        bench.put(f"jobs/a{number:02d}", 1 + number)
    hung = bench.tick()
    assert len(hung) == GROUP_AT_ONCE
    bench.put("jobs/b")
    started = bench.tick()
    assert bench.driven[-1] == "jobs/b"
    for waiting in (*hung, *started):
        bench.finish(waiting)


def test_what_was_changed_while_it_waited_is_left_alone(bench: Bench) -> None:
    for number in range(GROUP_AT_ONCE + 2):
        bench.put(f"jobs/{number:02d}", bench.services.now + number)
    started = bench.tick()
    bench.put(f"jobs/{GROUP_AT_ONCE:02d}", bench.services.now + 3600 * SECOND_NS)
    for waiting in started:
        bench.finish(waiting)
    bench.tick()
    assert bench.driven[GROUP_AT_ONCE:] == [f"jobs/{GROUP_AT_ONCE + 1:02d}"]


def test_a_responder_waits_for_no_claim_of_others(bench: Bench) -> None:
    claims = [bench.effects.claimed(f"key {number}") for number in range(MAX_AT_ONCE)]
    for claim in claims:
        claim.__enter__()
    with bench.effects.claimed("key 0", urgent=True):
        pass
    more = [bench.effects.claimed(f"urgent {number}", urgent=True) for number in range(MAX_URGENT)]
    for claim in more:
        claim.__enter__()
    with pytest.raises(TooManyRequests), bench.effects.claimed("last", urgent=True):
        pass


@pytest.mark.parametrize(
    ("error", "defects"), [(UpstreamFailed("away"), 0), (RuntimeError("a bug"), 1)]
)
def test_a_failure_is_tried_again_after_a_pause_that_doubles(
    bench: Bench, error: Exception, defects: int
) -> None:
    bench.put("jobs/one")
    bench.raises = error
    pauses = []
    for _ in range(20):
        (waiting,) = bench.tick(2 * MAX_PAUSE_NS / SECOND_NS)
        bench.finish(waiting)
        pauses.append((bench.due_of("jobs/one") or 0) - bench.services.now)
        assert bench.tick(0) == []
    assert pauses[:4] == [2 * SECOND_NS, 4 * SECOND_NS, 8 * SECOND_NS, 16 * SECOND_NS]
    assert pauses[-1] == MAX_PAUSE_NS
    assert len(bench.defects) == 20 * defects
    failed = [entry for entry in bench.entries if entry.op == "failed"]
    assert failed[-1].audited == {"attempts": 20}
    assert failed[-1].outcome == (error.code if isinstance(error, IronkeepError) else "internal")
    bench.raises = None
    (waiting,) = bench.tick(3601)
    bench.finish(waiting)
    bench.put("jobs/one")
    bench.raises = error
    (waiting,) = bench.tick()
    bench.finish(waiting)
    assert (bench.due_of("jobs/one") or 0) - bench.services.now == 2 * SECOND_NS


def test_a_failure_makes_nothing_due_that_was_not(bench: Bench) -> None:
    def settled_and_then_refused(turn: Turn, record: DueRecord) -> None:
        bench.take_off(turn, record)
        raise Conflict("somebody else was faster")

    bench.done = settled_and_then_refused
    bench.put("jobs/one")
    (waiting,) = bench.tick()
    bench.finish(waiting)
    assert bench.due_of("jobs/one") is None, "what an operation stored stays when it then fails"


def test_a_record_removed_while_it_was_worked_on_stays_removed(bench: Bench) -> None:
    bench.put("jobs/one")
    bench.raises = UpstreamFailed("away")
    (waiting,) = bench.tick()
    bench.services.store(bench.services.tx, PLACE).delete("jobs/one")
    bench.services.next_request()
    bench.finish(waiting)
    assert bench.services.store(bench.services.tx, PLACE).row("jobs/one") is None


def test_an_outcome_is_journalled_with_what_it_is_about(bench: Bench) -> None:
    turn = Turn(bench.services.tx, 7)
    bench.effects.note(turn, "probe", MountUuid("mount"), "path", {"state": "dead"})
    (entry,) = bench.entries
    assert entry == Entry(
        kind="effect", time_ns=7, op="probe", mount="mount", path="path", audited={"state": "dead"}
    )
