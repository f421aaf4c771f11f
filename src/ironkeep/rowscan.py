"""The check of all stored rows in the background of a running server.

A turn of about a millisecond checks a few buckets (store/standing/guard.py), then the loop is left
alone for REST times as long, so other work keeps over nine tenths of it. The first pass begins with
the unsealing, the next ones an hour after the one before began.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from time import thread_time
from typing import Final

from ironkeep.api.commit.committer import Committer
from ironkeep.core.errors import IronkeepError
from ironkeep.kernel.house import House, Search
from ironkeep.store.standing.guard import Guard

REST: Final = 16
"""The time left to other work after a turn, in lengths of that turn."""
LEAST_REST: Final = 0.01
PASS_NS: Final = 3_600 * 1_000_000_000
LOOK_SECONDS: Final = 0.5
"""How often to look whether the vault was unsealed, or whether a pass is due."""


class RowScan:
    """Checks all rows of one server, pass after pass."""

    def __init__(self, house: House) -> None:
        self._house: Final = house
        self._guard: Guard | None = None
        self._began_ns = 0

    async def run(self, committer: Committer, stop: asyncio.Event) -> None:
        """Check rows until stop is set."""
        while not stop.is_set():
            rest = self.step(committer)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), rest)

    def step(self, committer: Committer) -> float:
        """Do one turn if it is time; return the seconds until the next step."""
        guard = self._house.ledger.guard
        if guard is None or self._house.barrier is None or committer.trouble:
            return LOOK_SECONDS
        now = self._house.clock.now_ns()
        if guard is not self._guard or (guard.begins_pass and now >= self._began_ns + PASS_NS):
            self._guard, self._began_ns = guard, now
        elif guard.begins_pass and not guard.urgent:
            return LOOK_SECONDS
        before = thread_time()
        try:
            guard.turn(now)
        except IronkeepError:
            committer.nudge()  # the vault is sealed now, and the entry that says so must be written
        except (OSError, MemoryError):
            return LOOK_SECONDS
        return max(LEAST_REST, (thread_time() - before) * REST)


def name_rows(say: Callable[[str], None], reason: str, search: Search | None) -> None:
    """Log that the vault was sealed, and name the rows that are wrong once they are found."""
    say(f"sealed: {reason}")
    if search is not None:
        threading.Thread(
            target=_search, args=(say, reason, search), name="rows", daemon=True
        ).start()


def _search(say: Callable[[str], None], reason: str, search: Search) -> None:
    try:
        named = search()
    except (IronkeepError, OSError) as error:
        say(f"the rows that differ from the journal could not be named: {error}")
        return
    if not named:
        # An index of the database can be wrong while every row is right; a row can be put right.
        say(f"now the content of every row is as the journal has it. What differed: {reason}")
    for phrase in named:
        say(phrase)
