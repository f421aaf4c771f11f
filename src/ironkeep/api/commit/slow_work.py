"""The work of requests that must not run on the loop, and the threads for it.

    password hashing       Workers: as many threads as the caller finds memory for
    other slow work        Workers: WORKERS threads
    questions              Workers: ASKERS threads, which wait for another process
    waiting for a head     no thread: the loop resumes them
    effects (connectors)   Lanes: separate, so that systems that do not answer delay no login
    work in turns          LoopTurns: on the loop itself, one step in each pass

Past MAX_WORK waiting requests, one of those for the same kind of worker gets 429 (turns.py).
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final

from ironkeep.api.commit.lanes import Lanes
from ironkeep.api.commit.loop_turns import LoopTurns
from ironkeep.api.commit.workers import Job, Workers
from ironkeep.api.stretches import Stretches
from ironkeep.core.errors import TooManyRequests, Unavailable
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.effects.heads import NextHead
from ironkeep.plugin.effects.pauses import next_turn
from ironkeep.plugin.effects.questions import Question

Resume = Callable[[object], None]
"""Called once on the loop with the result of the work; an exception is a result too."""

HASHERS: Final = 1
"""Threads for argon2 when the caller has not computed how many fit into the machine's memory."""
WORKERS: Final = 8
"""Threads for other slow work, such as fetching or searching documents."""
ASKERS: Final = 8
"""Questions to the journal that are answered at once, by turns: a short one does not wait for long
ones."""
WORK_NICE: Final = 10
"""Nice value of the threads for passwords (Linux sets it per thread): a tenth of the loop's weight.

The others compute in Python: one that the machine does not let run would keep the interpreter from
the loop."""
MAX_WORK: Final = 128
"""Requests that wait for one kind of thread. A login takes 0.1 s of a core or two, so the last one
waits some ten seconds; turns are fair."""


class SlowWork:
    """Runs the work of a `Waiting` on threads, and gives its result back to the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hashers: int = HASHERS,
        stretches: Stretches | None = None,
    ) -> None:
        self._loop: Final = loop
        self._turns: Final = LoopTurns(loop, stretches or Stretches())
        self._hashers: Final = Workers("password", hashers, MAX_WORK, _give_way)
        self._others: Final = Workers("work", WORKERS, MAX_WORK)
        self._askers: Final = Workers("question", ASKERS, MAX_WORK)
        self._effects: Final = Lanes(self._begin)

    def start(self, waiting: Waiting, resume: Resume) -> None:
        """Run the work of waiting on its threads; call resume in a later turn of the loop."""
        if waiting.work is next_turn:
            self._turns.submit(waiting, resume)
            return
        if waiting.receipt is not None:
            self._effects.submit(waiting, partial(self._later, resume))
            return
        if isinstance(waiting.work, NextHead):
            self._await_head(waiting.work, resume)
            return
        pool, of = self._others, "logins and other slow requests"
        if waiting.hashing:
            pool = self._hashers
        elif isinstance(waiting.work, Question):
            pool, of = self._askers, "questions to the journal"
        call = self._loop.call_soon_threadsafe

        def done(result: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: no client is left
                call(resume, result)

        def crowded() -> None:
            error = TooManyRequests(f"too many {of} wait: try again later")
            self._loop.call_soon(resume, error)

        job = Job(waiting.work, done, crowded)
        gone = pool.submit(job, waiting.caller, waiting.name)
        if gone is not None:
            gone.drop()

    def _await_head(self, work: NextHead, resume: Resume) -> None:
        """Resume at the next head, or when the time is over, whichever comes first."""
        due: list[asyncio.TimerHandle] = []

        def once() -> None:
            if due:
                due.pop().cancel()
                self._loop.call_soon(resume, None)

        due.append(self._loop.call_later(work.seconds, once))
        if not work.heads.wait(once):
            once()

    def _begin(
        self, pool: ThreadPoolExecutor, waiting: Waiting, done: Callable[[object], None]
    ) -> None:
        """Run an effect in pool; call done with its result on the loop."""
        future = self._loop.run_in_executor(pool, _outcome_of, waiting)

        def ended(it: "asyncio.Future[object]") -> None:
            done(Unavailable("the server is stopping") if it.cancelled() else it.result())

        future.add_done_callback(ended)

    def _later(self, resume: Resume, result: object) -> None:
        # Lanes.submit may call this at once; a separate turn of the loop avoids re-entering it.
        self._loop.call_soon(resume, result)

    def learn(self, waiting: Waiting, *, right: bool) -> None:
        """Record whether the password of a login was right, for the order of later turns."""
        self._hashers.learn(waiting.caller, waiting.name, right=right)

    def close(self) -> None:
        """Begin no more work; threads end after the work that they have begun."""
        self._hashers.close()
        self._others.close()
        self._askers.close()
        self._effects.pool.shutdown(wait=False, cancel_futures=True)


def _give_way() -> None:
    """Lower the priority of this thread, and of the threads that argon2 starts from it.

    Unauthenticated clients can request logins: at the normal priority some forty a second would
    slow all other requests.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WORK_NICE)


def _outcome_of(waiting: Waiting) -> object:
    """Run the work on a worker; an exception is a result, which the handler interprets."""
    try:
        return waiting.work()
    except Exception as error:  # noqa: BLE001 - passed to the handler as the result
        return error
