"""Answers that are durable, and wait until a quorum of witnesses has cosigned their entries.

Each waits at most QUORUM_SECONDS. After that the client learns that its request took effect but is
not cosigned. All methods are called on the loop.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import Unavailable
from ironkeep.plugin.effects.answer import Answer

Send = Callable[[Answer | None], None]
"""Called once: with the answer when it may leave, or with None when the outcome is unknown."""

QUORUM_SECONDS: Final = 10.0
"""How long an answer waits for witnesses; a healthy one is asked every second."""
MAX_QUORUM: Final = 1_024
"""Answers that wait for witnesses; past it, an answer leaves at once as UNSIGNED."""

UNSIGNED: Final = (
    b'{"errors":["this was done and is in the journal, but no quorum of witnesses has signed it '
    b'yet: see that the witnesses can be reached"]}'
)


@dataclass(slots=True)
class _Unsigned:
    """An answer that waits for witnesses, at most until loop time `until`."""

    answer: Answer
    send: Send
    until: float


class UnsignedAnswers:
    """Holds answers until the log is cosigned beyond their entries, or their time is over."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Answer, Send], None]
    ) -> None:
        self._loop: Final = loop
        self._deliver: Final = deliver
        self._held: list[_Unsigned] = []

    def hold(self, answer: Answer, send: Send) -> None:
        """Let a durable answer wait; it leaves at once, as unsigned, if MAX_QUORUM wait already."""
        if len(self._held) >= MAX_QUORUM:
            self._deliver(_unsigned(answer), send)
            return
        until = self._loop.time() + QUORUM_SECONDS
        self._held.append(_Unsigned(answer, send, until))
        self._loop.call_at(until, self._expire)

    def release(self, size: int) -> None:
        """Release the waiting answers with entries below size, up to which the log is cosigned."""
        waiting, self._held = self._held, []
        for item in waiting:
            receipt = item.answer.receipt
            if receipt is None or receipt.index < size:
                self._deliver(item.answer, item.send)
            else:
                self._held.append(item)

    def _expire(self) -> None:
        """Answer the clients that waited too long: the request took effect without cosignatures."""
        now = self._loop.time()
        late = [item for item in self._held if item.until <= now]
        self._held = [item for item in self._held if item.until > now]
        for item in late:
            self._deliver(_unsigned(item.answer), item.send)


def _unsigned(answer: Answer) -> Answer:
    return Answer(answer.receipt, UNSIGNED, Unavailable)
