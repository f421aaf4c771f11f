"""Threads for what must not hold up the loop; all of them exist from the start.

A thread that is started when it is needed is refused by a machine that is short of memory or of
processes, and then the work waits for ever. So they are made before the first request, or the
server does not start. What an item's work raises is its result; nothing that it raises ends a
thread.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

from ironkeep.api.commit.turns import Turns
from ironkeep.core.errors import Unavailable

STACK_BYTES: Final = 1 << 20
"""Of a worker's stack: the default of 8 MiB each counts whole where address space is limited."""


class Job:
    """Work, and what to call, on the worker, with its result; `drop` when it is never begun."""

    __slots__ = ("done", "drop", "work")

    def __init__(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        drop: Callable[[], None],
    ) -> None:
        self.work: Final = work
        self.done: Final = done
        self.drop: Final = drop


class Workers:
    """A fixed number of threads that take jobs from a queue of turns."""

    def __init__(
        self,
        name: str,
        count: int,
        limit: int | None = None,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Start count threads, each of which calls begin first; raise Unavailable for no room."""
        self._turns: Final[Turns[Job]] = Turns(limit)
        self._ready: Final = threading.Condition()
        self._closed = False
        self._begin: Final = begin
        before = threading.stack_size(STACK_BYTES)
        try:
            for number in range(count):
                threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True).start()
        except (RuntimeError, MemoryError):
            self.close()
            raise Unavailable(
                f"the machine does not let this process start {count} threads for {name}: raise "
                "its limit on processes (ulimit -u, TasksMax) or on memory"
            ) from None
        finally:
            threading.stack_size(before)

    def submit(self, job: Job, address: str = "", name: str = "") -> Job | None:
        """Let job wait for its turn; return the job that has to give way, perhaps this one."""
        with self._ready:
            if self._closed:
                return job
            gone = self._turns.put(job, address, name)
            if gone is not job:
                self._ready.notify()
        return gone

    def learn(self, address: str, name: str, *, right: bool) -> None:
        """Remember what came of a job: see Turns."""
        with self._ready:
            self._turns.learn(address, name, right=right)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself, and what waits never begins."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _run(self) -> None:
        self._begin()
        while (job := self._next()) is not None:
            try:
                result: Any = job.work()
            except Exception as error:  # noqa: BLE001 - its handler decides what it means
                result = error
            job.done(result)
            # The next job may be long in coming, and this one holds a password.
            del job, result

    def _next(self) -> Job | None:
        with self._ready:
            while not self._closed:
                job = self._turns.take()
                if job is not None:
                    return job
                self._ready.wait()
        return None
