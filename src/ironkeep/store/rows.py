"""What a request sees of the stored rows, and may change: the seam between barrier and state."""

from collections.abc import Iterator
from typing import Protocol

from ironkeep.core.ports import Row


class View(Protocol):
    """The rows as executed so far, this request's own writes included."""

    def get(self, key: bytes) -> Row | None:
        """Return the row at key, or None. The same row object until the row changes."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows whose key starts with prefix, in key order."""
        ...

    def put(self, key: bytes, row: Row) -> None:
        """Write row at key."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove the row at key; removing an absent row is fine."""
        ...
