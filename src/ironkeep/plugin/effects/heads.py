"""Requests that wait until the log has a newer signed head, on the loop and without a thread."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_WAITERS: Final = 256
"""Requests that wait at once; the next one is answered without waiting."""


class Heads:
    """Tells those who wait that a head was signed; used on the loop thread only."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._closed = False

    def wait(self, resume: Callable[[], None]) -> bool:
        """Call resume at the next head; return False if there is no room, or no further head."""
        if self._closed or len(self._waiting) >= MAX_WAITERS:
            return False
        self._waiting.append(resume)
        return True

    def signed(self) -> None:
        """Resume all that wait."""
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()

    def close(self) -> None:
        """Resume all that wait, now and from now on: the server stops."""
        self._closed = True
        self.signed()


@dataclass(frozen=True, slots=True)
class NextHead:
    """Work of a Suspend that is done when a head is signed, or after some seconds."""

    heads: Heads
    seconds: int

    def __call__(self) -> None:
        """Return at once, where there is no loop to wait on."""
