"""Workers for effects: a system that hangs holds few of them, and never a responder's."""

from concurrent.futures import ThreadPoolExecutor

from ironkeep.api.commit.lanes import MAX_QUEUED, ORDINARY, PER_SYSTEM, WORKERS, Done, Lanes
from ironkeep.core.errors import Unavailable
from ironkeep.plugin.effects.answer import Answer, Outside, Waiting


class Bench:
    """Lanes whose work ends when the test says so, and what ran."""

    def __init__(self) -> None:
        self.lanes = Lanes(self.begin)
        self.running: list[tuple[str, Done]] = []
        self.ended: list[object] = []
        self.broken = False

    def begin(self, _pool: ThreadPoolExecutor, waiting: Waiting, done: Done) -> None:
        if self.broken:
            raise RuntimeError
        work = waiting.work
        self.running.append((work.system if isinstance(work, Outside) else "", done))

    def submit(self, system: str, count: int = 1, *, urgent: bool = False) -> None:
        for _ in range(count):
            work = Outside(lambda: None, system, urgent)
            self.lanes.submit(Waiting(work, lambda _: Answer(None)), self.ended.append)

    def at(self, system: str) -> int:
        return sum(name == system for name, _ in self.running)

    def finish(self, system: str) -> None:
        found = next(each for each in self.running if each[0] == system)
        self.running.remove(found)
        found[1](system)


def test_a_hung_system_leaves_the_others_their_workers() -> None:
    bench = Bench()
    bench.submit("hung", 40)
    assert bench.at("hung") == PER_SYSTEM
    bench.submit("other")
    assert bench.at("other") == 1


def test_responders_find_a_worker_whatever_hangs() -> None:
    bench = Bench()
    for number in range(20):
        bench.submit(f"hung {number}", 10)
    assert len(bench.running) == ORDINARY
    bench.submit("other", urgent=True)
    assert bench.at("other") == 1
    bench.submit("hung 0", urgent=True)
    assert bench.at("hung 0") == PER_SYSTEM + 1
    bench.submit("hung 0", 20, urgent=True)
    assert len(bench.running) <= WORKERS
    bench.submit("another", urgent=True)
    assert bench.at("another") == 1


def test_everything_runs_in_the_end_and_in_its_order() -> None:
    bench = Bench()
    for number in range(10):
        bench.submit(f"system {number}", PER_SYSTEM * 3)
    order = []
    while bench.running:
        order.append(bench.running[0][0])
        bench.finish(bench.running[0][0])
    assert len(order) == len(bench.ended) == 10 * PER_SYSTEM * 3
    # None is served twice over before another had a turn.
    assert {*order[: ORDINARY * 3]} == {f"system {number}" for number in range(10)}


def test_a_line_has_an_end() -> None:
    bench = Bench()
    bench.submit("hung", PER_SYSTEM + MAX_QUEUED)
    assert bench.ended == []
    bench.submit("hung")
    assert [type(each) for each in bench.ended] == [Unavailable]
    bench.submit("other")
    assert bench.at("other") == 1


def test_without_a_thread_it_is_refused_and_later_ones_run() -> None:
    bench = Bench()
    bench.broken = True
    bench.submit("one", PER_SYSTEM + 1)
    assert [type(each) for each in bench.ended] == [Unavailable] * (PER_SYSTEM + 1)
    bench.broken = False
    bench.submit("one", PER_SYSTEM)
    assert bench.at("one") == PER_SYSTEM
