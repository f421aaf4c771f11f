"""Limits on guesses: whoever may compare values with secrets could use the answers to guess them.

    budget / submitter   -> the times of a submitter's recent documents
    hits / submitter     -> the times of comparisons that told one of a secret out of reach
    tried / login        -> the times at which exposed passwords were tried for a login

A row has the times within its span alone.
"""

from typing import Final

import msgspec

from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.call import Call
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

HOUR_NS: Final = 3_600 * SECOND_NS
DAY_NS: Final = 24 * HOUR_NS

MAX_HITS: Final = 3
"""Secrets out of one person's reach that comparisons may confirm to that person in a day; after
that another person has to compare."""


class Spent(msgspec.Struct, frozen=True):
    """The times of recent guesses."""

    times_ns: tuple[int, ...]


_SPENT: Final = Codec(Spent)


class Guesses:
    """The guesses on record in the incident engine's storage, as of a time."""

    def __init__(self, store: Store, now_ns: int) -> None:
        self._store: Final = store
        self._now_ns: Final = now_ns

    def recent(self, path: str, within_ns: int) -> tuple[int, ...]:
        """Return the times of those within a span, in order."""
        raw = self._store.get(path)
        times = () if raw is None else _SPENT.decode(raw).times_ns
        return tuple(each for each in times if each > self._now_ns - within_ns)

    def count(self, path: str, within_ns: int) -> None:
        """Add one at the present time."""
        times = (*self.recent(path, within_ns), self._now_ns)
        self._store.put(path, _SPENT.encode(Spent(times)))


def guessers(call: Call) -> tuple[str, ...]:
    """Return the people behind the token; tokens without a person share one entry."""
    return call.actor().payers or ("nobody",)
