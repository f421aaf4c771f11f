"""Inside the process: questions take turns, one step each; the index grows when none is asked.

    reading thread     receives messages; ends the process when the server is gone
    main thread        one step of each question in turn
    building thread    builds the index, one step at a time while no question runs

The two share no object: a question finds entries through blocks of the index that are whole.
"""

import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ironkeep.adapters.log.follower import Follower
from ironkeep.adapters.questions.channel import Channel
from ironkeep.core.errors import InvalidRequest, IronkeepError, Unavailable
from ironkeep.journal.questions import Context, Job, Steps

BUSY_SECONDS: Final = 1.0
"""Time that the index waits for questions to end: then it grows by one step between theirs."""

Build = Callable[[], Iterator[bytes | None]]
"""Brings the index up to the log's size; each step may yield a leaf for the log."""

_END: Final = object()


class Serving:
    """Answers questions until the server is gone."""

    def __init__(
        self,
        channel: Channel,
        jobs: Mapping[str, Job],
        context: Context,
        logs: Sequence[Follower],
        build: Build,
    ) -> None:
        self._channel: Final = channel
        self._jobs: Final = jobs
        self._context: Final = context
        self._logs: Final = logs
        self._build: Final = build
        self._inbox: Final[queue.SimpleQueue[tuple[Any, ...]]] = queue.SimpleQueue()
        self._running: Final[dict[int, Steps]] = {}
        self._quiet: Final = threading.Event()
        self._grown: Final = threading.Event()

    def run(self) -> None:
        """Serve; never returns, because the reading thread ends the process."""
        threading.Thread(target=self._read, name="read", daemon=True).start()
        threading.Thread(target=self._grow, name="build", daemon=True).start()
        self._grown.set()
        self._channel.send("ready")
        while True:
            if not self._running:
                self._quiet.set()
            self._take()
            for number in list(self._running):
                self._advance(number)

    def _read(self) -> None:
        while (message := self._channel.receive()) is not None:
            if message[0] == "ask":
                self._quiet.clear()
                self._learn(message[4])
                self._inbox.put(("ask", *message[1:4]))
            elif message[0] == "cancel":
                self._inbox.put(("cancel", message[1]))
            else:
                self._learn(message[1])
                self._grown.set()
        # The server has ended, or it was sealed: nothing is left to do, and the keys must go.
        os._exit(0)

    def _learn(self, size: int) -> None:
        for each in self._logs:
            each.grow(size)

    def _take(self) -> None:
        """Take the messages that have come; wait for one if no question is running."""
        while not self._running or not self._inbox.empty():
            kind, number, *rest = self._inbox.get()
            if kind == "ask":
                self._begin(number, *rest)
            elif self._running.pop(number, None) is not None:
                self._fail(number, Unavailable("the question was cancelled"))

    def _begin(self, number: int, name: str, about: Mapping[str, Any]) -> None:
        job = self._jobs.get(name)
        if job is None:
            self._fail(number, InvalidRequest(f"there is no question {name!r}"))
        else:
            self._running[number] = job(self._context, about)

    def _advance(self, number: int) -> None:
        """Carry out one step of a question, and send its answer if that was the last."""
        try:
            next(self._running[number])
        except StopIteration as end:
            del self._running[number]
            try:
                self._channel.send("answer", number, end.value)
            except IronkeepError as error:
                self._fail(number, error)
        except Exception as error:  # noqa: BLE001 - one question must not end the others
            del self._running[number]
            self._fail(number, error)

    def _fail(self, number: int, error: Exception) -> None:
        if isinstance(error, IronkeepError):
            self._channel.send("error", number, error.code, str(error))
        elif isinstance(error, OSError | MemoryError):
            text = getattr(error, "strerror", None) or "there is no memory for it"
            self._channel.send("error", number, Unavailable.code, f"the log is unreadable: {text}")
        else:
            self._channel.send("defect", number, place_of(error))

    def _grow(self) -> None:
        """Bring the index up to date whenever the log has grown."""
        while True:
            self._grown.wait()
            self._grown.clear()
            try:
                self._grow_once()
            except Exception as error:  # noqa: BLE001 - questions work without the index
                self._channel.send("defect", 0, place_of(error))
                return

    def _grow_once(self) -> None:
        steps: Iterator[object] = self._build()
        while True:
            self._quiet.wait(BUSY_SECONDS)
            leaf = next(steps, _END)
            if leaf is _END:
                return
            if leaf is not None:
                self._channel.send("leaf", leaf)


def place_of(error: BaseException) -> str:
    """Return the class of an error and the file and line of each frame, without any values."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in reversed(frames))
    return f"{type(error).__name__} at {places}"
