"""The watchdog of the loop: names the longest stretches during which nothing else was served.

A stretch is one step on the loop: a request's execution, one turn of suspended or due work, the
closing or settling of a batch. Turns are timed by the CPU time of the loop's thread. That clock is
too expensive for every request and batch: these are timed by the wall clock, and a busy machine
lengthens them. Names are route patterns and parts of the server, never paths.
"""

from collections.abc import Callable
from time import perf_counter_ns, thread_time_ns
from typing import Final

NOTED_NS: Final = 1_000_000
"""Shorter stretches are not kept: most requests take a tenth of it."""
LONG_NS: Final = 50_000_000
"""A longer stretch is logged: every other client waited as long."""
QUIET_NS: Final = 60_000_000_000
"""The time after a logged stretch until another one of the same name is logged."""
MAX_NAMES: Final = 512

clock: Final = perf_counter_ns
cpu_clock: Final = thread_time_ns


class Stretches:
    """The longest stretch of each name."""

    def __init__(self, say: Callable[[str], None] = lambda _text: None) -> None:
        self._say: Final = say
        self._longest: Final[dict[str, int]] = {}
        self._said: Final[dict[str, int]] = {}

    def took(self, name: str | Callable[[], str], start_ns: int) -> None:
        """Note the stretch from start_ns, as read from `clock`, until now, if it is long."""
        end_ns = clock()
        if end_ns - start_ns >= NOTED_NS:
            self._note(name if isinstance(name, str) else name(), end_ns - start_ns, end_ns)

    def used(self, name: str, start_ns: int) -> None:
        """Note the CPU time since start_ns, as read from `cpu_clock`, if it is long."""
        used_ns = cpu_clock() - start_ns
        if used_ns >= NOTED_NS:
            self._note(f"{name} (CPU)", used_ns, clock())

    def _note(self, name: str, took_ns: int, end_ns: int) -> None:
        if name not in self._longest and len(self._longest) >= MAX_NAMES:
            return
        self._longest[name] = max(took_ns, self._longest.get(name, 0))
        said_ns = self._said.get(name)
        if took_ns >= LONG_NS and (said_ns is None or end_ns - said_ns >= QUIET_NS):
            self._said[name] = end_ns
            self._say(f"the loop was busy for {took_ns / 1e6:.0f} ms with one step: {name}")

    def longest(self, count: int) -> list[tuple[str, int]]:
        """Return the names with the longest stretches in nanoseconds, the longest first."""
        return sorted(self._longest.items(), key=lambda item: -item[1])[:count]
