"""Real PostgreSQL servers, one of each version at hand, started once and shared by the tests."""

from collections.abc import Iterator
from itertools import count

import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.testing.postgres import PostgresServer, debian_binaries

_BINARIES = {"wheel": None, **{f"debian-{path.parent.name}": path for path in debian_binaries()}}
_NUMBERS = count(1)


@pytest.fixture(scope="session", params=_BINARIES)
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with PostgresServer(binaries=_BINARIES[request.param]) as server:
        yield server


@pytest.fixture
def connector() -> PostgreSQL:
    return PostgreSQL(SystemClock(), SystemEntropy())


@pytest.fixture
def role(postgres: PostgresServer) -> str:
    """A login role of this test's own, whose password is "first"."""
    name = f"app {next(_NUMBERS)}"
    postgres.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'first'")
    return name


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """A database of this test's own."""
    name = f"estate{next(_NUMBERS)}"
    postgres.execute(f"CREATE DATABASE {name}")
    yield name
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
