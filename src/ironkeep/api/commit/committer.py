"""Holds each answer until the batch that contains its journal entry is durable.

The loop thread executes requests; one long-lived writer thread makes batches durable. The next
batch is whatever was executed while the last one synced, so batches form without a timer. It is
closed as soon as the database has the last one, and is ready when the journal has it too: at most
two batches are on their way, and the writer need not wait for the loop. Every wait is bounded: on a
hanging disk by STALL_SECONDS, on unreachable witnesses by QUORUM_SECONDS (quorum.py).
The client then learns what is known about its request.

A failure that may pass (a full disk, no free descriptor, no memory, a revoked permission) does not
end the server: no request of the batch is answered with its result, no more requests are executed,
and `try_again` checks every second whether the failure is over. Only a journal that may have lost
a write, and bytes that do not verify, are final. A batch that was closed before the one ahead of it
failed is never begun.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from ironkeep.api.commit.quorum import Send, UnsignedAnswers
from ironkeep.api.commit.slow_work import HASHERS, SlowWork
from ironkeep.api.commit.sync import Outcome, Sync, Watch, cpu_clock_of_this_thread
from ironkeep.api.commit.trouble import lost, reason_of
from ironkeep.api.stretches import Stretches, clock
from ironkeep.core.errors import Unavailable
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.store.ledger import Ledger

MAX_WAITING: Final = 8_192
"""Requests that may wait for one sync; past it, new ones are refused before they are executed."""
STALL_SECONDS: Final = 5.0
"""Past this a sync that waits for the disk is stalled: clients that wait for it get 503, and new
requests are refused."""
CLOSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Owner:
    """Callbacks to the server: a failure that needs a restart, a defect, and transient trouble.

    `trouble` is called with the cause when nothing can be made durable for now, and with None when
    that is over; by default it is ignored.
    """

    failed: Callable[[BaseException], None]
    defect: Callable[[Exception], None]
    trouble: Callable[[BaseException | None], None] = lambda _error: None


class Committer:
    """Joins the loop, the ledger and the writer thread."""

    def __init__(
        self,
        ledger: Ledger,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        hashers: int = HASHERS,
        stretches: Stretches | None = None,
    ) -> None:
        self._ledger: Final = ledger
        self.loop: Final = loop
        self._owner: Final = owner
        self._waiting: list[Outcome] = []
        self._flying: Final[deque[Sync]] = deque()
        self._is_due = False
        self._failure: BaseException | None = None
        self._refusing: BaseException | None = None
        self._stalled = False
        self._alarm: asyncio.TimerHandle | None = None
        self._unsigned: Final = UnsignedAnswers(loop, self._deliver)
        self._idle: asyncio.Future[None] | None = None
        self.await_quorum = False
        self._queue: Final[queue.SimpleQueue[Sync | None]] = queue.SimpleQueue()
        self._trouble: BaseException | None = None
        self._parked: list[tuple[Waiting, Send, object]] = []
        self.stretches: Final = stretches or Stretches()
        self._slow_work: Final = SlowWork(loop, hashers, self.stretches)
        self._writer_clock: int | None = None
        self._thread: Final = threading.Thread(target=self._write, name="writer", daemon=True)
        self._thread.start()

    def require_room(self) -> None:
        """Raise Unavailable when a request must not be executed now."""
        if self._trouble is not None:
            raise Unavailable(reason_of(self._trouble))
        if self._stalled:
            raise Unavailable("the journal does not reach the disk: check the disk, then try again")
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("too many requests wait for the journal: try again shortly")

    def submit(self, outcome: Answer | Waiting, send: Send) -> None:
        """Send an answer when it may leave, or start the work of a Waiting."""
        if outcome.receipt is None:
            if isinstance(outcome, Waiting):
                self._start(outcome, send)
                self.nudge()
                return
            # A request without an entry may still have changed a counter in the open batch.
            if not self._ledger.has_open_batch():
                self._deliver(outcome, send)
                return
        self._waiting.append((outcome, send))
        self.nudge()

    def nudge(self) -> None:
        """Make sure that the open batch is on its way to the disk."""
        if not self._is_due and not self._flying:
            self._is_due = True
            self.loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Flush, unless that was done since this call was scheduled."""
        if self._is_due:
            self._flush()

    def _flush(self) -> None:
        """Give the open batch to the writer, or release the answers if there is no batch."""
        self._is_due = False
        outcomes, self._waiting = self._waiting, []
        start = clock()
        try:
            batch = self._ledger.close()
        except Exception as error:  # noqa: BLE001 - after any failure no answer may leave
            self._break(error, outcomes)
            self._rest()
            return
        if batch is None:
            self._release(outcomes)
            self._rest()
            return
        self.stretches.took("closing a batch", start)
        sync = Sync(batch, self.loop, outcomes, alone=not self._flying)
        self._flying.append(sync)
        self._queue.put(sync)
        if sync.wait():
            self._done(sync)
            if self._waiting:
                self.nudge()
            else:
                self._rest()
        elif sync is self._flying[0]:
            self._watch(sync)

    def _write(self) -> None:
        """Persist batches in order, on the writer thread; after a failure, none until `_break`."""
        self._writer_clock = cpu_clock_of_this_thread()
        while (sync := self._queue.get()) is not None:
            sync.begun = True
            error = self._refusing
            if error is None:
                try:
                    self._ledger.persist(sync.batch, partial(self._stored, sync))
                except Exception as failure:  # noqa: BLE001 - after any failure no answer may leave
                    error = self._refusing = failure
            try:
                sync.finish(self._called_back, error)
            except RuntimeError:  # the loop is closed: no client is left
                return

    def _stored(self, sync: Sync) -> None:
        """Have the next batch closed while the writer is still busy with this one."""
        if self._waiting:
            with suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(self._close_next, sync)

    def _close_next(self, sync: Sync) -> None:
        """Close the batch that follows sync, if answers wait for it and sync is still the last."""
        if self._waiting and list(self._flying) == [sync] and self._failure is None:
            self._flush()

    def _called_back(self, sync: Sync) -> None:
        self._done(sync)
        if self._waiting and not self._flying:
            self._flush()
        else:
            self._rest()

    def _done(self, sync: Sync) -> None:
        """Answer the requests of the oldest batch, which is durable or has failed."""
        self._flying.popleft()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._stalled:
            self._stalled = False
            self._owner.trouble(None)
        error, start = self._failure or sync.error, clock()
        if error is None:
            try:
                self._ledger.settle(sync.batch)
            except Exception as failure:  # noqa: BLE001 - the journal contradicts the batch
                error = failure
        if error is None:
            self._release(sync.outcomes)
        else:
            self._break(error, sync.outcomes)
        if self._flying:
            self._watch(self._flying[0])
        self.stretches.took("answering a batch", start)

    def _break(self, error: BaseException, outcomes: list[Outcome]) -> None:
        """Withhold the answers of a failed batch, and recover once the writer has no other one.

        Until then the writer refuses what it was given, and no batch is closed.
        """
        self._failure = self._refusing = error
        self._waiting = outcomes + self._waiting
        if not self._flying:
            self._failure = self._refusing = None
            self._fail(error)

    def _rest(self) -> None:
        """Get ready for the next batch; write an open batch even if no answer waits for it."""
        if self._flying:
            return
        if self._ledger.has_open_batch():
            self.nudge()
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _watch(self, sync: Sync) -> None:
        watch = Watch(self.loop.time, self._writer_clock)
        self._alarm = self.loop.call_later(STALL_SECONDS, self._stall, sync, watch)

    def _stall(self, sync: Sync, watch: Watch) -> None:
        """Answer the clients that wait for a hanging sync; their requests may still take effect.

        A batch that is done, was not begun, or is being computed does not wait for the disk: the
        loop, this process or the machine was busy. Then the clients wait on.
        """
        self._alarm = None
        if not sync.hangs(watch):
            self._watch(sync)
            return
        self._stalled = True
        self._owner.trouble(TimeoutError(f"a write has not ended for {STALL_SECONDS:.0f} seconds"))
        self._lose()

    def _release(self, outcomes: list[Outcome]) -> None:
        for outcome, send in outcomes:
            if isinstance(outcome, Waiting):
                self._start(outcome, send)
            elif outcome.quorum and self.await_quorum:
                self._unsigned.hold(outcome, send)
            else:
                self._deliver(outcome, send)

    def _deliver(self, answer: Answer | None, send: Send) -> None:
        """Send one answer; a failure to send must not keep other answers back."""
        try:
            send(answer)
        except Exception as error:  # noqa: BLE001 - see above
            self._owner.defect(error)

    def cosigned(self, size: int) -> None:
        """Release the waiting answers with entries below size, up to which the log is cosigned."""
        self._unsigned.release(size)

    @property
    def trouble(self) -> str:
        """The reason why nothing can be made durable for now; "" if there is none."""
        return "" if self._trouble is None else reason_of(self._trouble)

    def try_again(self) -> None:
        """Check whether the trouble is over and resume if so; call about once a second."""
        if self._trouble is None or self._is_due or self._flying:
            return
        self._recover(self._trouble)
        if not self.trouble:
            self._owner.trouble(None)
            parked, self._parked = self._parked, []
            for waiting, send, result in parked:
                self._resume(waiting, send, result)

    def _fail(self, error: BaseException) -> None:
        """Recover, and lose the failed batch and all requests executed after it."""
        if isinstance(error, OSError | MemoryError):
            self._recover(error)
            if self._trouble is not None:
                self._owner.trouble(self._trouble)
        else:
            self._owner.failed(error)
        self._lose(lost(error))

    def _recover(self, error: BaseException) -> None:
        """Bring journal and database into step; keep a transient failure, report a final one."""
        try:
            self._ledger.recover()
        except (OSError, MemoryError) as again:
            if self._ledger.failure is None:
                self._trouble = again
                return
            error = again
        except Exception as fatal:  # noqa: BLE001 - any other failure to recover is fatal
            error = self._ledger.failure or fatal
        else:
            self._trouble = None
            return
        self._trouble = None
        self._owner.failed(self._ledger.failure or error)

    def _lose(self, answer: Answer | None = None) -> None:
        """Send all waiting clients the given answer; None says that the outcome is unknown."""
        lost = [outcome for sync in self._flying for outcome in sync.outcomes] + self._waiting
        self._waiting = []
        for sync in self._flying:
            sync.outcomes = []
        for _, send in lost:
            self._deliver(answer, send)

    def _start(self, waiting: Waiting, send: Send) -> None:
        self._slow_work.start(waiting, partial(self._resume, waiting, send))

    def _resume(self, waiting: Waiting, send: Send, result: object) -> None:
        if self._trouble is not None:
            # The outside system may have changed, and that must be recorded: wait for the disk.
            self._parked.append((waiting, send, result))
            return
        try:
            outcome = waiting.finish(result)
        except Exception as error:  # noqa: BLE001 - the client is told the outcome is unknown
            self._owner.defect(error)
            self._deliver(None, send)
            return
        if waiting.hashing and isinstance(outcome, Answer):
            right = outcome.error is None
            self._slow_work.learn(waiting, right=right)
        self.submit(outcome, send)

    async def drain(self) -> None:
        """Wait until all executed requests are durable and answered, or have failed."""
        while self._is_due or self._flying or self._ledger.has_open_batch():
            self._idle = self.loop.create_future()
            self.nudge()
            await self._idle

    def close(self) -> None:
        """Let the writer finish its queue and stop; call after the last answer."""
        self._queue.put(None)
        self._thread.join(CLOSE_SECONDS)
        self._slow_work.close()
