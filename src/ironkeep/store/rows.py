"""The interface between barrier and state: the rows that a request can see and change."""

from collections.abc import Iterator
from typing import Protocol

from ironkeep.core.ports import Row


class RowView(Protocol):
    """The rows as executed so far, including the request's own writes."""

    def get(self, key: bytes) -> Row | None:
        """Return the row at key, or None; the same object each time until the row changes."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows whose key starts with prefix, in key order."""
        ...

    def absent(self, key: bytes) -> None:
        """Note that no row is stored at key, which saves its first look-up."""
        ...

    def put(self, key: bytes, row: Row) -> None:
        """Write row at key."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove the row at key, if there is one."""
        ...
