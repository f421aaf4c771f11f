"""Threads for work that must not block the loop; all are started before the first request.

A machine short of memory or processes may refuse a thread that is started on demand, and its work
would wait for ever. Here the server does not start instead. An exception of a job is its result
and never ends the thread.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

from ironkeep.api.commit.turns import Turns
from ironkeep.core.errors import Unavailable

STACK_BYTES: Final = 1 << 20
"""Bytes of a worker's stack: under a limit on address space the default of 8 MiB counts in full."""


class Job:
    """Work with its callbacks: `done` gets the result on the worker, `drop` if it never begins."""

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
    """A fixed number of threads that take jobs from a fair queue (`Turns`)."""

    def __init__(
        self,
        name: str,
        count: int,
        limit: int | None = None,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Start count threads, each of which calls begin first; raise Unavailable if one fails."""
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
                "the limit on processes (ulimit -u, TasksMax) or on memory"
            ) from None
        finally:
            threading.stack_size(before)

    def submit(self, job: Job, address: str = "", name: str = "") -> Job | None:
        """Queue job; return the job that gives way for it, possibly job itself."""
        with self._ready:
            if self._closed:
                return job
            gone = self._turns.put(job, address, name)
            if gone is not job:
                self._ready.notify()
        return gone

    def learn(self, address: str, name: str, *, right: bool) -> None:
        """Remember whether a job succeeded; see Turns.learn."""
        with self._ready:
            self._turns.learn(address, name, right=right)

    def close(self) -> None:
        """Begin no more jobs; running jobs end by themselves, and waiting ones never begin."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _run(self) -> None:
        self._begin()
        while (job := self._next()) is not None:
            try:
                result: Any = job.work()
            except Exception as error:  # noqa: BLE001 - passed to the handler as the result
                result = error
            job.done(result)
            # Do not keep this job, which holds a password, until the next one comes.
            del job, result

    def _next(self) -> Job | None:
        with self._ready:
            while not self._closed:
                job = self._turns.take()
                if job is not None:
                    return job
                self._ready.wait()
        return None
