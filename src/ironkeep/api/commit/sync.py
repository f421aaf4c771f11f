"""The meeting point of the loop and the writer thread for one batch."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

from ironkeep.api.commit.quorum import Send
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.store.ledger import Batch

Outcome = tuple[Answer | Waiting, Send]
"""The result of an executed request, which is withheld until its batch is durable."""

PATIENCE_SECONDS: Final = 0.001
"""Time for which the loop blocks for a batch of reads, which a good disk syncs in 0.1 ms.

While it blocks, the writer has the interpreter lock to itself, and the answers leave before more
requests are executed. A slow or hanging disk costs the loop no more than this.
"""

WORKING: Final = 0.25
"""The share of processor time from which the writer thread computes: a large commit, for one."""


class Watch:
    """A watch on the writer thread: how long it lasts, and the CPU time of the thread since."""

    __slots__ = ("_clock", "_cpu", "_now", "_start")

    def __init__(self, now: Callable[[], float], clock: int | None) -> None:
        """Begin; now gives the seconds of a monotonic clock, clock is of the thread's CPU time."""
        self._now: Final = now
        self._clock: Final = clock
        self._start: Final = now()
        self._cpu: Final = self._used()

    def waits(self) -> bool:
        """Return whether the thread has mostly waited since."""
        elapsed = self._now() - self._start
        return self._used() - self._cpu < elapsed * WORKING

    def _used(self) -> float:
        return 0.0 if self._clock is None else time.clock_gettime(self._clock)


def cpu_clock_of_this_thread() -> int:
    """Return the clock of the calling thread's CPU time, for other threads to read."""
    return time.pthread_getcpuclockid(threading.get_ident())


class Sync:
    """One batch on its way to the disk: the loop blocks for it briefly, or is called back."""

    __slots__ = (
        "_done",
        "_loop",
        "_turn",
        "_waited",
        "batch",
        "begun",
        "ended",
        "error",
        "outcomes",
    )

    def __init__(
        self,
        batch: Batch,
        loop: asyncio.AbstractEventLoop,
        outcomes: list[Outcome],
        *,
        alone: bool = True,
    ) -> None:
        """Take a batch with its answers; `alone` if the writer has no other batch."""
        self.batch: Final = batch
        self.outcomes = outcomes
        self.error: BaseException | None = None
        self.begun = False
        self.ended = False
        self._loop: Final = loop
        self._turn: Final = threading.Lock()
        # A commit takes longer: the loop executes the next batch meanwhile.
        self._waited = alone and batch.commit is None
        self._done: Final = threading.Lock()
        self._done.acquire()

    def wait(self) -> bool:
        """Block the loop for PATIENCE_SECONDS; return False if the loop is called back instead."""
        if not self._waited:
            return False
        if self._done.acquire(timeout=PATIENCE_SECONDS):
            return True
        with self._turn:
            self._waited = False
            return self._done.acquire(blocking=False)

    def hangs(self, watch: Watch) -> bool:
        """Return whether the writer thread has waited for the disk while watched."""
        return self.begun and not self.ended and watch.waits()

    def finish(self, callback: Callable[["Sync"], None], error: BaseException | None) -> None:
        """Report the outcome of the batch, on the writer thread."""
        self.error = error
        self.ended = True
        with self._turn:
            if self._waited:
                self._done.release()
            else:
                self._loop.call_soon_threadsafe(callback, self)
