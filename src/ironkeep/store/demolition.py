"""Deleting large folders and places, a bounded number of rows at a time.

    sys/demolition : place / folder     -> still to be deleted, due at once

A mount or a cubbyhole can have any number of records, and all requests share one thread. So the
code that deletes one first makes it unreachable and then calls `raze`: the request deletes the
first `STEP` rows, due turns the rest.
"""

from collections.abc import Callable
from typing import Final

from ironkeep.core.errors import NotFound, Sealed
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

PLACE: Final = "sys/demolition"
STEP: Final = 64
"""Rows deleted in one step, some 10 µs each, in the request and in each due turn."""
WAIT_NS: Final = 5_000_000_000
"""Time until a place that is still needed is looked at again."""


class Demolition:
    """Deletes folders of any place in bounded steps; a mount's place is named by its UUID.

    A place for which `needed` holds, because credentials that it lent are not revoked yet, is
    deleted once that is over. Before the rows of a whole place are deleted, `record` records what
    was there: each call does a bounded part, and returns whether more is left.
    """

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores
        self.needed: Callable[[Tx, str], bool] = lambda _tx, _place: False
        self.record: Callable[[Tx, str, int], bool] = lambda _tx, _place, _now_ns: False

    def raze(self, tx: Tx, place: str, folder: str, now_ns: int) -> None:
        """Delete all records in folder ("" is the whole place); due turns delete what is left."""
        if self.needed(tx, place) or self._step(tx, place, folder, now_ns):
            self._stores(tx, PLACE).put(f"{escape_part(place)}/{escape_part(folder)}", b"", now_ns)

    def doomed(self, tx: Tx) -> frozenset[str]:
        """Return the places with rows still to be deleted; their due records need no work."""
        names = self._stores(tx, PLACE).list()
        return frozenset(unescape_part(name.removesuffix("/")) for name in names)

    def due(self, tx: Tx, record: DueRecord, now_ns: int) -> bool:
        """Continue a due deletion by `STEP` rows; return whether more is left."""
        place, folder = map(unescape_part, record.path.split("/", 1))
        if self.needed(tx, place):
            self._stores(tx, PLACE).put(record.path, b"", now_ns + WAIT_NS)
            return False
        try:
            if self._step(tx, place, folder, now_ns):
                return True
        except Sealed:
            return False  # the place's segment is sealed: delete later, or with the whole segment
        except NotFound:
            pass  # the place's segment was destroyed with all its rows
        self._stores(tx, PLACE).delete(record.path)
        return False

    def _step(self, tx: Tx, place: str, folder: str, now_ns: int) -> bool:
        """Delete some rows, once it is on record what they were; return whether more is left."""
        if not folder and self.record(tx, place, now_ns):
            return True
        return self._stores(tx, place).clear(folder, STEP) == STEP
