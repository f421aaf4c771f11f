"""The order of a log's entries decides what came first; this gives each entry a time that fits it.

A clock that ran back, in logs of earlier releases, stamped later entries with earlier times. The
*effective* time of an entry is then the latest time of the entries before it: what was logged after
the first entry of a window belongs to the window.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.evidence.reach import FOREVER

JITTER_NS: Final = 2 * 10**9
"""Difference that is no step: an entry states when its request began, which may be a little before
the entries that its handler made."""


class Order:
    """The effective times of a log's entries, which must be taken in their order."""

    def __init__(self) -> None:
        self.latest_ns = 0

    def take(self, time_ns: int) -> int:
        """Return the effective time of the next entry, which states time_ns."""
        if time_ns + JITTER_NS < self.latest_ns:
            return self.latest_ns
        self.latest_ns = max(self.latest_ns, time_ns)
        return time_ns


def not_later(
    entries: tuple[tuple[int, Entry], ...], until_ns: int
) -> tuple[tuple[int, Entry], ...]:
    """Return the entries up to the last one that is not later than until_ns.

    An entry with a future time is kept if another one follows it that is not later: a forged time
    must not hide an entry.
    """
    times = [entry.time_ns <= until_ns for _, entry in entries]
    count = len(times) - times[::-1].index(True) if True in times else 0
    return entries[:count]


def ordered(entries: Iterable[tuple[int, Entry]], until_ns: int) -> Iterator[tuple[int, Entry]]:
    """Yield entries with their effective times, none of which is pushed past until_ns.

    Raise IntegrityError for a time out of range.
    """
    order = Order()
    for index, entry in entries:
        if not 0 <= entry.time_ns < FOREVER:
            raise IntegrityError(f"entry {index}: its time is out of range")
        time_ns = order.take(entry.time_ns)
        if time_ns != entry.time_ns:
            pushed = max(entry.time_ns, min(time_ns, until_ns))
            yield index, msgspec.structs.replace(entry, time_ns=pushed)
        else:
            yield index, entry


def ran_back(entries: Iterable[tuple[int, Entry]]) -> Iterator[tuple[int, int]]:
    """Yield (index, nanoseconds) where an entry is over JITTER_NS earlier than the one before."""
    before_ns = 0
    for index, entry in entries:
        if entry.time_ns + JITTER_NS < before_ns:
            yield index, before_ns - entry.time_ns
        before_ns = entry.time_ns
