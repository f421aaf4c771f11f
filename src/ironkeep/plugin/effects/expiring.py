"""Records that mean something for a time and are then removed: what a mount keeps at `passing/…`.

    passing / ... -> the record, due when it means nothing any more

The tick removes them. Until it came round one may still be there: who reads one asks for its time.
"""

from typing import Final

from ironkeep.plugin.effects.effects import Steps, Turn, Work
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import StoreOf

FOLDER: Final = "passing"
NOTHING: Final[tuple[Work, ...]] = ()
"""Outside the house there is nothing to do."""


class Passing:
    """Removes what has passed."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def remove(self, turn: Turn, record: DueRecord) -> Steps[None]:
        """Remove a record whose time has come; a driver of plugin/effects/effects.py."""
        yield from NOTHING
        self._stores(turn.tx, record.place.mount).delete(record.path)
