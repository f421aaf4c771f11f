"""Work in turns of the loop: one step in each pass, so that requests are served in between.

Callers take turns (turns.py): however much work one of them has started, another's step comes soon.
Past `MAX_STEPS`, one that waits is refused.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from ironkeep.api.commit.turns import Turns
from ironkeep.api.stretches import Stretches, cpu_clock
from ironkeep.core.errors import TooManyRequests
from ironkeep.plugin.effects.answer import Waiting

MAX_STEPS: Final = 1_024
"""Requests in turns at once; each holds some of its result in memory."""

Resume = Callable[[object], None]


class LoopTurns:
    """Resumes suspended requests on the loop, one in each pass."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stretches: Stretches) -> None:
        self._loop: Final = loop
        self._stretches: Final = stretches
        self._steps: Final[Turns[Resume]] = Turns(MAX_STEPS)
        self._running = False

    def submit(self, waiting: Waiting, resume: Resume) -> None:
        """Call resume in a later pass of the loop, when its turn comes."""
        gone = self._steps.put(resume, waiting.caller, waiting.name)
        if gone is not None:
            self._loop.call_soon(gone, TooManyRequests("too many large requests: try again later"))
        if not self._running:
            self._running = True
            self._loop.call_soon(self._pass)

    def _pass(self) -> None:
        resume = self._steps.take()
        if resume is None:
            self._running = False
            return
        self._loop.call_soon(self._pass)
        start = cpu_clock()
        resume(None)
        self._stretches.used("a request's turn", start)
