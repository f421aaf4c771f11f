"""Answers wait here until the batch that holds their entry is durable.

The loop thread executes; one long-lived writer thread makes batches durable. The next batch is
whatever was executed while the last one synced, so batches form by themselves and no timer delays
anybody.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ironkeep.core.errors import IronkeepError, Unavailable
from ironkeep.kernel.answer import Answer, Waiting
from ironkeep.kernel.ledger import Batch, Ledger

Send = Callable[[Answer | None], None]
"""Called with the answer once it may leave; with None when its fate is unknown."""

MAX_WAITING: Final = 8_192
"""Requests that may wait for one sync; past it new ones are refused before they are executed."""
STALL_NS: Final = 5_000_000_000
"""While a sync takes longer than this, new requests are refused with 503 and not queued."""
WORKERS: Final = 8
"""Threads for argon2."""
EFFECTS: Final = 8
"""Threads for connectors' calls: apart, so that targets that do not answer delay no login."""


class Committer:
    """Joins the loop, the ledger and the writer thread."""

    def __init__(
        self,
        ledger: Ledger,
        loop: asyncio.AbstractEventLoop,
        now_ns: Callable[[], int],
        on_failed: Callable[[BaseException], None],
    ) -> None:
        self._ledger: Final = ledger
        self._loop: Final = loop
        self._now_ns: Final = now_ns
        self._on_failed: Final = on_failed
        self._waiting: list[tuple[Answer | Waiting, Send]] = []
        self._flying: list[tuple[Answer | Waiting, Send]] = []
        self._busy = False
        self._since_ns = 0
        self._unsigned: list[tuple[int, Answer, Send]] = []
        self.await_quorum = False
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._pool: Final = ThreadPoolExecutor(WORKERS, "work")
        self._effects: Final = ThreadPoolExecutor(EFFECTS, "effect")
        self._thread: Final = threading.Thread(target=self._write, name="writer", daemon=True)
        self._thread.start()

    def require_room(self) -> None:
        """Raise Unavailable when a request should not even be executed now."""
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("too many requests wait for the journal: try again shortly")
        if self._busy and self._since_ns and self._now_ns() - self._since_ns > STALL_NS:
            raise Unavailable("the journal does not reach the disk: check the disk, then try again")

    def submit(self, outcome: Answer | Waiting, send: Send) -> None:
        """Send outcome's answer when it may leave; start its work when it waits for some."""
        if isinstance(outcome, Waiting) and outcome.receipt is None:
            self._start(outcome, send)
            self.nudge()
            return
        if isinstance(outcome, Answer) and outcome.receipt is None:
            send(outcome)
            return
        self._waiting.append((outcome, send))
        self.nudge()

    def nudge(self) -> None:
        """Make sure that what was executed is on its way to the disk."""
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        batch = self._ledger.close()
        self._flying, self._waiting = self._waiting, []
        if batch is None:
            self._release()
            self._busy = False
            return
        self._since_ns = self._now_ns()
        self._queue.put(batch)

    def _write(self) -> None:
        """Persist batches in order, on the writer thread."""
        while (batch := self._queue.get()) is not None:
            error: BaseException | None = None
            try:
                self._ledger.persist(batch)
            except Exception as failure:  # noqa: BLE001 - whatever it is, no answer may leave
                error = failure
            try:
                self._loop.call_soon_threadsafe(self._done, batch, error)
            except RuntimeError:
                return

    def _done(self, batch: Batch, error: BaseException | None) -> None:
        self._since_ns = 0
        if error is not None:
            self._fail(error)
        else:
            self._ledger.settle(batch)
            self._release()
        if self._waiting:
            self._flush()
        else:
            self._busy = False
            self._loop.call_soon(self._flush_leftovers)

    def _flush_leftovers(self) -> None:
        if not self._busy and self._ledger.has_open_batch():
            self.nudge()

    def _release(self) -> None:
        flying, self._flying = self._flying, []
        for outcome, send in flying:
            if isinstance(outcome, Waiting):
                self._start(outcome, send)
            elif outcome.quorum and self.await_quorum and outcome.receipt is not None:
                self._unsigned.append((outcome.receipt.index, outcome, send))
            else:
                send(outcome)

    def cosigned(self, size: int) -> None:
        """Release the answers that waited for the witnesses: the log is cosigned up to size."""
        ready = [item for item in self._unsigned if item[0] < size]
        self._unsigned = [item for item in self._unsigned if item[0] >= size]
        for _, answer, send in ready:
            send(answer)

    def _fail(self, error: BaseException) -> None:
        """Withhold every answer of the batch and of what was executed on top of it."""
        lost = [*self._flying, *self._waiting]
        self._flying, self._waiting = [], []
        try:
            if not isinstance(error, OSError):
                raise error
            self._ledger.recover()
        except (IronkeepError, OSError, RuntimeError) as fatal:
            self._on_failed(fatal)
        for _, send in lost:
            send(None)

    def _start(self, waiting: Waiting, send: Send) -> None:
        pool = self._pool if waiting.receipt is None else self._effects
        future = self._loop.run_in_executor(pool, _outcome_of, waiting)
        future.add_done_callback(lambda done: self._resume(waiting, done, send))

    def _resume(self, waiting: Waiting, done: "asyncio.Future[object]", send: Send) -> None:
        if done.cancelled():
            send(None)
            return
        self.submit(waiting.finish(done.result()), send)

    def close(self) -> None:
        """Let the writer finish what it has and stop; call after the last answer."""
        self._queue.put(None)
        self._thread.join(timeout=10)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._effects.shutdown(wait=False, cancel_futures=True)


def _outcome_of(waiting: Waiting) -> object:
    """Run the work on a worker; an exception is a result, the handler decides what it means."""
    try:
        return waiting.work()
    except Exception as error:  # noqa: BLE001 - handed to the handler as its result
        return error
