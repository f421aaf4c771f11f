"""A view over a dictionary, which a test may tamper with."""

from collections.abc import Iterator

from ironkeep.core.ports import Row


class DictView:
    def __init__(self, rows: dict[bytes, Row]) -> None:
        self.rows = rows

    def get(self, key: bytes) -> Row | None:
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        return iter([(key, self.rows[key]) for key in sorted(self.rows) if key.startswith(prefix)])

    def absent(self, key: bytes) -> None:
        assert key not in self.rows

    def put(self, key: bytes, row: Row) -> None:
        self.rows[key] = row

    def delete(self, key: bytes) -> None:
        self.rows.pop(key, None)
