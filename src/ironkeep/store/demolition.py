"""Destroying what may be large, a bounded number of rows at a time.

    sys/demolition : place / folder     -> still to be destroyed, due at once

A mount or a cubbyhole holds as many records as its users liked to write, and all requests share one
thread. So whoever destroys one first makes it unreachable, then hands it in here: the first
`AT_ONCE` rows go with the request, the rest with the ticks.
"""

from collections.abc import Iterable
from typing import Final

from ironkeep.core.errors import NotFound, Sealed
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import StoreOf, segment, unsegment
from ironkeep.store.state import Tx

PLACE: Final = "sys/demolition"
AT_ONCE: Final = 128
"""Rows that go with the request: one may end hundreds of tokens, each with a cubbyhole."""
STEP: Final = 1_024
"""Rows that go with one tick: some 10 ms."""


class Demolition:
    """Destroys folders of the house's places; a mount's place is named by its UUID."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def raze(self, tx: Tx, place: str, folder: str, now_ns: int) -> None:
        """Destroy all that is in folder, "" for the whole place; the tick takes what is much."""
        if self._stores(tx, place).clear(folder, AT_ONCE) == AT_ONCE:
            self._stores(tx, PLACE).put(f"{segment(place)}/{segment(folder)}", b"", now_ns)

    def doomed(self, tx: Tx) -> frozenset[str]:
        """Return the places in which something is still to be destroyed: no work is due there."""
        names = self._stores(tx, PLACE).list()
        return frozenset(unsegment(name.removesuffix("/")) for name in names)

    def tick(self, tx: Tx, records: Iterable[DueRecord], _now_ns: int) -> None:
        """Go on with what is due, up to `STEP` rows in all."""
        budget = STEP
        for record in records:
            place, _, folder = record.path.partition("/")
            try:
                gone = self._stores(tx, unsegment(place)).clear(unsegment(folder), budget)
            except Sealed:  # of a segment: it goes when that is open, or with the segment
                continue
            except NotFound:  # the segment is destroyed, and all its rows with it
                gone = 0
            budget -= gone
            if budget == 0:
                return
            self._stores(tx, PLACE).delete(record.path)
