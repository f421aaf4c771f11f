"""Deleting large folders and places, a bounded number of rows at a time.

    sys/demolition : place / folder     -> still to be deleted, due at once

A mount or a cubbyhole can have any number of records, and all requests share one thread. So the
code that deletes one first makes it unreachable and then calls `raze`: the request deletes the
first `AT_ONCE` rows, later ticks the rest.
"""

from collections.abc import Iterable
from typing import Final

from ironkeep.core.errors import NotFound, Sealed
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

PLACE: Final = "sys/demolition"
AT_ONCE: Final = 128
"""Rows deleted in the request: it may revoke hundreds of tokens, each with a cubbyhole."""
STEP: Final = 1_024
"""Rows deleted in one tick: some 10 ms."""


class Demolition:
    """Deletes folders of any place in bounded steps; a mount's place is named by its UUID."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def raze(self, tx: Tx, place: str, folder: str, now_ns: int) -> None:
        """Delete all records in folder ("" is the whole place); ticks delete what is left."""
        if self._stores(tx, place).clear(folder, AT_ONCE) == AT_ONCE:
            self._stores(tx, PLACE).put(f"{escape_part(place)}/{escape_part(folder)}", b"", now_ns)

    def doomed(self, tx: Tx) -> frozenset[str]:
        """Return the places with rows still to be deleted; their due records need no work."""
        names = self._stores(tx, PLACE).list()
        return frozenset(unescape_part(name.removesuffix("/")) for name in names)

    def tick(self, tx: Tx, records: Iterable[DueRecord], _now_ns: int) -> None:
        """Continue the due deletions, up to `STEP` rows in all."""
        budget = STEP
        for record in records:
            place, _, folder = record.path.partition("/")
            try:
                gone = self._stores(tx, unescape_part(place)).clear(unescape_part(folder), budget)
            except Sealed:
                continue  # the place's segment is sealed: delete later, or with the whole segment
            except NotFound:  # the place's segment was destroyed with all its rows
                gone = 0
            budget -= gone
            if budget == 0:
                return
            self._stores(tx, PLACE).delete(record.path)
