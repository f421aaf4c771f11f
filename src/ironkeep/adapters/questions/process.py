"""The server's side of the process that answers questions: starts, feeds, watches and ends it.

The process is started when it is first needed: by a question, or by a run of leaves to index. It
has the reading keys in its memory, so it ends when the vault is sealed. When it dies, the questions
that it was working on are asked once more of the next one, because they change nothing.
"""

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ironkeep.adapters.process import messages as log
from ironkeep.adapters.questions.channel import Channel
from ironkeep.adapters.questions.serving import place_of
from ironkeep.core.errors import IronkeepError, Sealed, Unavailable
from ironkeep.plugin.effects.questions import Question
from ironkeep.seal.reading_key import ReadingKeys

LIMIT_SECONDS: Final = 60.0
"""Time for one question: clients and proxies wait little longer."""
LONG_SECONDS: Final = {"pack": 300.0, "view": 300.0, "brief": 300.0}
"""The same for a question whose answer a person waits for: it may be on 100,000 secrets."""
GRACE_SECONDS: Final = 5.0
"""Time to end at the next step; a process that does not is killed."""
LOOK_SECONDS: Final = 0.25
"""Between two looks whether the client of a question is still there."""
POLL_SECONDS: Final = 1.0
"""Between two looks at the log's size."""
TRIES: Final = 2
"""Processes that a question is asked of, if the first one dies."""
FAILURES: Final = 3
"""Starts that fail in a row, until questions are refused at once."""
MAX_PAUSE: Final = 60.0
"""Longest pause between two starts; the first is one second, and each one doubles it."""
EARLY_SECONDS: Final = 5.0
"""A process that ends earlier has failed to start."""

_PACKAGE: Final = Path(__file__).parents[3]
_MAIN: Final = "import sys; from ironkeep.worker import main; main(int(sys.argv[1]))"


class _Slot:
    """A question that waits for its answer."""

    def __init__(self, question: Question) -> None:
        self.question: Final = question
        self.ended: Final = threading.Event()
        self.value: Any = None
        self.error: Exception | None = None
        self.child: _Child | None = None
        self.tries = 0

    def end(self, value: Any = None, error: Exception | None = None) -> None:
        self.value, self.error = value, error
        self.ended.set()


class _Child:
    """One process, and the channel to it."""

    def __init__(self, descriptors: tuple[socket.socket, socket.socket]) -> None:
        own, other = descriptors
        self.started: Final = time.monotonic()
        self.is_ready = False
        self.is_unwanted = False
        self.socket: Final = own
        self.channel: Final = Channel(own)
        # The import path is the server's own; nothing else of its environment is needed.
        paths = [str(_PACKAGE), os.environ.get("PYTHONPATH", "")]
        try:
            self.process: Final = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-s", "-c", _MAIN, str(other.fileno())],
                env={"PYTHONPATH": os.pathsep.join(filter(None, paths))},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
                # A signal of the terminal is for the server, which then ends this process.
                process_group=0,
            )
        except BaseException:
            own.close()
            raise
        finally:
            other.close()

    def kill(self) -> None:
        """End it at once."""
        self.is_unwanted = True
        with suppress(OSError):
            self.process.kill()


class WorkerProcess:
    """Answers questions by a process of their own; `answer` is called on worker threads."""

    def __init__(
        self,
        audit: Path,
        mirror: Path | None,
        origin: str,
        size: Callable[[], int],
        run: int,
        on_leaf: Callable[[bytes], None],
    ) -> None:
        """`size` returns the durable leaves of the log named origin, under the audit directory.

        The process is started at the latest when there are `run` leaves. `on_leaf` gets each index
        leaf, on a thread of this class.
        """
        self._place: Final = str(audit.absolute()), str(mirror.absolute()) if mirror else "", origin
        self._size: Final = size
        self._run: Final = run
        self._on_leaf: Final = on_leaf
        self._changed: Final = threading.Condition()
        self._slots: Final[dict[int, _Slot]] = {}
        self._keys: bytes | None = None
        self._child: _Child | None = None
        self._closed = False
        self._failures = 0
        self._retry_at = 0.0
        self._thread: Final = threading.Thread(target=self._keep, name="questions", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The id of the process; None if there is none."""
        child = self._child
        return None if child is None else child.process.pid

    def open(self, keys: ReadingKeys) -> None:
        """Answer questions from now on, with these keys."""
        with self._changed:
            self._keys = keys.packed()
            self._failures, self._retry_at = 0, 0.0
            self._changed.notify_all()

    def seal(self) -> None:
        """Drop the keys and end the process; questions that wait fail. Does not block."""
        with self._changed:
            self._keys = None
            child = self._child
            slots = list(self._slots.values())
            self._slots.clear()
        if child is not None:
            child.kill()
        for slot in slots:
            slot.end(error=Sealed("Vault is sealed"))

    def close(self) -> None:
        """End the process for good, and wait until it is gone."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.seal()
        self._thread.join(GRACE_SECONDS)

    def answer(self, question: Question) -> Any:
        """Return the answer; raise the question's error, Sealed, or Unavailable with the cause."""
        slot = _Slot(question)
        with self._changed:
            if self._keys is None:
                raise Sealed("Vault is sealed")
            if self._failures >= FAILURES and time.monotonic() < self._retry_at:
                raise Unavailable(
                    f"the process that answers questions failed {self._failures} times in a row: "
                    "see the server's log, and ask again in a minute"
                )
            self._slots[question.number] = slot
            self._changed.notify_all()
        try:
            self._hand_out()
            self._await(slot)
        finally:
            with self._changed:
                self._slots.pop(question.number, None)
        if slot.error is not None:
            raise slot.error
        return slot.value

    def _await(self, slot: _Slot) -> None:
        """Wait for the end of a question; cancel it if nobody wants it, or it takes too long."""
        limit = LONG_SECONDS.get(slot.question.name, LIMIT_SECONDS)
        deadline = time.monotonic() + limit
        while not slot.ended.wait(LOOK_SECONDS):
            try:
                slot.question.require_wanted()
            except Unavailable:
                self._cancel(slot)
                raise
            if time.monotonic() > deadline:
                self._cancel(slot)
                if not slot.ended.wait(GRACE_SECONDS):
                    self._end_stuck(slot)
                raise Unavailable(
                    f"the question took longer than {limit:.0f} seconds: narrow it, for "
                    "example by -since"
                )

    def _cancel(self, slot: _Slot) -> None:
        child = slot.child
        if child is not None:
            with suppress(OSError):
                child.channel.send("cancel", slot.question.number)

    def _end_stuck(self, slot: _Slot) -> None:
        """Kill the process that does not come to the end of a step."""
        child = slot.child
        if child is not None and child is self._child:
            log.say("a question did not end when it was cancelled: its process was killed")
            child.kill()

    def _hand_out(self) -> None:
        """Send the questions that no process has yet to the one that is ready."""
        with self._changed:
            child = self._child
            if child is None or not child.is_ready:
                return
            fresh = [each for each in self._slots.values() if each.child is None]
            for slot in fresh:
                slot.child = child
                slot.tries += 1
        for slot in fresh:
            question = slot.question
            try:
                child.channel.send(
                    "ask", question.number, question.name, question.about, self._size()
                )
            except OSError:
                return  # it has died: the keeping thread asks another one
            except IronkeepError as error:
                slot.end(error=error)

    def _keep(self) -> None:
        """Keep a process while one is needed; on a thread of its own."""
        while (keys := self._needed()) is not None:
            try:
                child = _Child(socket.socketpair())
            except OSError as error:
                self._failed(f"cannot be started: {error.strerror}")
                continue
            try:
                self._follow(child, keys)
            except Exception as error:  # noqa: BLE001 - without this thread nothing is answered
                log.say(f"defect in the questions' thread: {place_of(error)}")
            finally:
                self._bury(child)

    def _needed(self) -> bytes | None:
        """Wait until a process is needed; return the keys for it, None when all is over."""
        with self._changed:
            while not self._closed:
                due = time.monotonic() >= self._retry_at
                if self._keys is not None and due and (self._slots or self._size() >= self._run):
                    return self._keys
                self._changed.wait(POLL_SECONDS)
        return None

    def _follow(self, child: _Child, keys: bytes) -> None:
        """Open a process, and take its messages until it ends."""
        with self._changed:
            if self._keys is not keys:
                return
            self._child = child
        told = self._size()
        readable = select.poll()
        readable.register(child.socket, select.POLLIN)
        with suppress(OSError):
            child.channel.send("open", *self._place, keys, told)
        while True:
            if child.is_ready and self._size() // self._run > told // self._run:
                told = self._size()
                with suppress(OSError):
                    child.channel.send("size", told)
            if not readable.poll(POLL_SECONDS * 1_000):
                continue
            message = child.channel.receive()
            if message is None:
                return
            self._take(child, *message)

    def _take(self, child: _Child, kind: str, *rest: Any) -> None:
        """Act on a message of the process."""
        if kind == "ready":
            child.is_ready = True
            self._failures = 0
            self._hand_out()
        elif kind == "leaf":
            self._on_leaf(rest[0])
        else:
            slot = self._slots.get(rest[0])
            if kind == "answer" and slot is not None:
                slot.end(rest[1])
            elif kind == "error" and slot is not None:
                slot.end(error=_ERRORS.get(rest[1], Unavailable)(rest[2]))
            elif kind == "defect":
                log.say(f"defect in the process that answers questions: {rest[1]}")
                if slot is not None:
                    slot.end(error=Unavailable("a defect kept the question from being answered"))

    def _bury(self, child: _Child) -> None:
        """Reap a process that has ended, or is to end; its questions are for the next one."""
        wanted = not child.is_unwanted
        if child.process.poll() is None:
            child.process.kill()
        child.channel.close()
        code = child.process.wait()
        if wanted and not self._closed and self._keys is not None:
            early = time.monotonic() - child.started < EARLY_SECONDS
            self._failed(f"ended with code {code}", early=early)
        with self._changed:
            if self._child is child:
                self._child = None
            for slot in self._slots.values():
                if slot.child is child:
                    slot.child = None
                    if slot.tries >= TRIES:
                        slot.end(error=Unavailable(_DIED))

    def _failed(self, how: str, *, early: bool = True) -> None:
        """Report the end of a process; pause before the next one if it ended early."""
        with self._changed:
            self._failures = self._failures + 1 if early else 0
            pause = min(MAX_PAUSE, 2.0 ** (self._failures - 1)) if early else 0.0
            self._retry_at = time.monotonic() + pause
            if self._failures >= FAILURES:
                for slot in self._slots.values():
                    slot.end(error=Unavailable(_DIED))
        again = f"in {pause:.0f} s" if pause else "at once"
        log.say(f"the process that answers questions {how}: the next one is started {again}")


_DIED: Final = "the process that answers questions ended: see the server's log, and ask again"


def _classes(of: type[IronkeepError]) -> Mapping[str, type[IronkeepError]]:
    """Return the error classes by code."""
    found = {of.code: of}
    for each in of.__subclasses__():
        found |= _classes(each)
    return found


_ERRORS: Final = _classes(IronkeepError)
