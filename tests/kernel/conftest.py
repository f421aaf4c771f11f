"""A view over a dictionary, which a test may tamper with, and entropy that repeats."""

from collections.abc import Callable, Iterator

import pytest

from ironkeep.core.ports import Entropy, Row
from ironkeep.store.rows import View
from ironkeep.testing.memory import SeededEntropy


class DictView:
    def __init__(self, rows: dict[bytes, Row]) -> None:
        self.rows = rows

    def get(self, key: bytes) -> Row | None:
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        return iter([(key, self.rows[key]) for key in sorted(self.rows) if key.startswith(prefix)])

    def put(self, key: bytes, row: Row) -> None:
        self.rows[key] = row

    def delete(self, key: bytes) -> None:
        self.rows.pop(key, None)


@pytest.fixture(scope="session")
def entropy() -> Entropy:
    return SeededEntropy()


@pytest.fixture(scope="session")
def view_over() -> Callable[[dict[bytes, Row]], View]:
    return DictView


@pytest.fixture
def rows() -> dict[bytes, Row]:
    return {}


@pytest.fixture
def view(rows: dict[bytes, Row]) -> View:
    return DictView(rows)
