"""Records that mean something for a time and are then removed: what a mount keeps at `passing/…`.

    passing / ... -> the record, due when it means nothing any more

The tick removes them. Until it came round one may still be there: who reads one asks for its time.
"""

from typing import Final

from ironkeep.kernel.barrier import DueRecord
from ironkeep.kernel.effects import Steps, Turn, Work
from ironkeep.kernel.places import StoreOf

FOLDER: Final = "passing"
NOTHING: Final[tuple[Work, ...]] = ()
"""Outside the house there is nothing to do."""


class Passing:
    """Removes what has passed."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def remove(self, turn: Turn, record: DueRecord) -> Steps[None]:
        """Remove a record whose time has come; a driver of kernel/effects.py."""
        yield from NOTHING
        self._stores(turn.tx, record.place.mount).delete(record.path)
