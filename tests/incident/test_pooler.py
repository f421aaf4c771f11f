"""A thief whom a real PgBouncer let in before the rotation keeps the case open."""

from collections.abc import Iterator

import psycopg
import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.testing.parts import part, tables, text
from ironkeep.testing.postgres import SUPERUSER, PostgresServer
from tests.support import pooler
from tests.support.incident.incident_estate import Estate, Real, opened

APP = "database/static-creds/app version 2"

pytestmark = pytest.mark.skipif(not pooler.is_installed(), reason="PgBouncer is not installed")


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        server.execute("CREATE ROLE app LOGIN PASSWORD 'imported password'")
        yield server


@pytest.fixture
def port(postgres: PostgresServer) -> Iterator[int]:
    with pooler.pooling(postgres) as listening:
        yield listening


def administered(postgres: PostgresServer, hosts: str, pooled: str | None) -> Estate:
    config = {
        "host": hosts,
        "sslmode": "disable",
        "username": SUPERUSER,
        "password": postgres.password.reveal().decode(),
    }
    return Estate(real=Real(PostgreSQL(SystemClock(), SystemEntropy()), config), pooled=pooled)


def let_in(port: int, password: str) -> psycopg.Connection:
    """Log in as `app` through the pooler."""
    client = psycopg.connect(
        host="127.0.0.1",
        port=port,
        user="app",
        password=password,
        dbname="postgres",
        autocommit=True,
        prepare_threshold=None,
    )
    assert client.execute("SELECT 1").fetchone() == (1,)
    return client


def test_a_client_of_a_pooler_that_nobody_declared_keeps_the_case_open(
    postgres: PostgresServer, port: int
) -> None:
    estate = administered(postgres, f"127.0.0.1:{postgres.port}", None)
    thief = let_in(port, estate.read_password(estate.login("engineer")))
    case = estate.open_case("person:engineer", start="4s")
    estate.evict(case)
    estate.state(case)
    found = opened(estate.verdict(case))
    assert found == {("poolers not known", f"system postgresql/127.0.0.1:{postgres.port}")}
    assert not verify_pack(estate.pack(case), estate.trust()).proven
    thief.close()


def test_a_client_of_a_declared_pooler_is_counted_until_it_is_disconnected(
    postgres: PostgresServer, port: int
) -> None:
    estate = administered(postgres, f"127.0.0.1:{postgres.port}", f"127.0.0.1:{port}")
    thief = let_in(port, estate.read_password(estate.login("engineer")))
    case = estate.open_case("person:engineer", start="4s")
    estate.on(case, "contain")
    estate.on(case, "rotate")
    (counted,) = tables(estate.on(case, "kill"), "sessions")
    assert counted["remaining"] == 1
    assert f"the pooler 127.0.0.1:{port}" in text(counted, "detail")
    assert ("sessions remain", APP) in opened(estate.verdict(case))
    thief.close()
    # Clients that are logging in are not listed there, until the longest login has passed.
    for _ in range(2):
        assert part(estate.on(case, "kill"), "sessions", 0, "remaining") == 0
        estate.vault.clock.advance(seconds=61)
    estate.on(case, "probe")
    estate.on(case, "sweep")
    estate.state(case)
    assert estate.verdict(case)["open_items"] == []


def test_a_pooler_among_the_hosts_is_no_proof(postgres: PostgresServer, port: int) -> None:
    """It logs a role in with the verifier that it took at the server, so nothing is said of it."""
    hosts = f"127.0.0.1:{postgres.port},127.0.0.1:{port}"
    estate = administered(postgres, hosts, "none")
    thief = let_in(port, estate.read_password(estate.login("engineer")))
    case = estate.open_case("person:engineer", start="4s")
    estate.on(case, "contain")
    estate.on(case, "rotate")
    estate.state(case)
    checks = {check for check, label in opened(estate.verdict(case)) if label == APP}
    assert checks & {"not revoked", "sessions not ended"}
    thief.close()
