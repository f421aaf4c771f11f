"""Expiring records: those under a mount's `passing/` folder, which the tick removes when due.

    passing / ... -> the record; its due time is its expiry

An expired record remains until the next tick, so readers must check its time themselves.
"""

from typing import Final

from ironkeep.plugin.effects.effects import Steps, Turn, Work
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import StoreOf

FOLDER: Final = "passing"
NOTHING: Final[tuple[Work, ...]] = ()
"""The work of an operation that does nothing on other systems."""


class ExpiringRecords:
    """Removes expired records."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def remove(self, turn: Turn, record: DueRecord) -> Steps[None]:
        """Remove a due record; a driver of plugin/effects/effects.py."""
        yield from NOTHING
        self._stores(turn.tx, record.place.mount).delete(record.path)
