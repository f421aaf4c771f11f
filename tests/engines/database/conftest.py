"""One real PostgreSQL server, shared by the tests of the database engine."""

from collections.abc import Iterator

import pytest

from ironkeep.testing.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server
