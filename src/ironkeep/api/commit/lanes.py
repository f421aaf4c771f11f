"""Workers for effects: limited for each outside system, with some reserved for urgent work.

A hanging system holds a worker for as long as its deadlines allow. It may hold at most PER_SYSTEM
workers, and all hanging systems together at most ORDINARY. The others are reserved for urgent work
(a responder's first steps: ending sessions, locking accounts), which queues apart from all else.
"""

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ironkeep.core.errors import Unavailable
from ironkeep.plugin.effects.answer import Outside, Waiting

WORKERS: Final = 24
"""Threads; they mostly wait for sockets."""

ORDINARY: Final = 16
"""Workers that work which is not urgent may hold; the rest stay free for responders."""

PER_SYSTEM: Final = 4
"""Concurrent urgent operations for one system, and as many ordinary ones: more sessions could
overload it."""

MAX_QUEUED: Final = 64
"""Operations that wait for one system; past it, the answer is 503 at once, not a minute later."""

Done = Callable[[object], None]
Start = Callable[[ThreadPoolExecutor, Waiting, Done], None]
"""Runs the work of a Waiting in a pool and calls back on the loop.

Raises RuntimeError when no thread can be started.
"""


class _Lane:
    """The running and queued work for one system at one urgency."""

    def __init__(self) -> None:
        self.running = 0
        self.queued: Final[deque[tuple[Waiting, Done]]] = deque()


class Lanes:
    """Gives work to workers within the limits; call every method on the loop."""

    def __init__(self, start: Start) -> None:
        self.pool: Final = ThreadPoolExecutor(WORKERS, "effect")
        self._start: Final = start
        self._lanes: Final[dict[tuple[str, bool], _Lane]] = {}
        self._running: Final[Counter[bool]] = Counter()

    def submit(self, waiting: Waiting, done: Done) -> None:
        """Run waiting's work when its turn comes; done gets its result, or Unavailable."""
        where = _lane_of(waiting)
        lane = self._lanes.setdefault(where, _Lane())
        if len(lane.queued) >= MAX_QUEUED:
            done(Unavailable("too many operations wait for this system: try again shortly"))
            return
        lane.queued.append((waiting, done))
        self._go_on()

    def _go_on(self) -> None:
        """Start the work that may run now: urgent work first, then system by system."""
        for where in sorted(self._lanes, key=lambda each: not each[1]):
            lane = self._lanes[where]
            while lane.queued and self._has_room(where, lane):
                self._run(where, lane, *lane.queued.popleft())
            if not lane.queued and not lane.running:
                del self._lanes[where]

    def _has_room(self, where: tuple[str, bool], lane: _Lane) -> bool:
        urgent = where[1]
        limit = WORKERS if urgent else ORDINARY
        taken = self._running.total() if urgent else self._running[False]
        return taken < limit and lane.running < PER_SYSTEM

    def _run(self, where: tuple[str, bool], lane: _Lane, waiting: Waiting, done: Done) -> None:
        def finished(result: object) -> None:
            lane.running -= 1
            self._running[where[1]] -= 1
            # Move the lane to the end, so that other systems have their turn first.
            self._lanes[where] = self._lanes.pop(where, lane)
            self._go_on()
            done(result)

        lane.running += 1
        self._running[where[1]] += 1
        try:
            self._start(self.pool, waiting, finished)
        except RuntimeError:  # no thread could be started, or the pool was shut down
            lane.running -= 1
            self._running[where[1]] -= 1
            done(Unavailable("no worker could be started: try again shortly"))


def _lane_of(waiting: Waiting) -> tuple[str, bool]:
    work = waiting.work
    return (work.system, work.urgent) if isinstance(work, Outside) else ("", False)
