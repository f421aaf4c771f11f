"""A breach of a real PostgreSQL, and the way out of it: nothing here is believed, all is tried."""

from collections.abc import Iterator

import psycopg
import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.testing.parts import part, tables, text
from ironkeep.testing.postgres import PostgresServer
from tests.support.incident.incident_estate import Estate, Real, opened

APP = "database/static-creds/app version 2"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def estate(postgres: PostgresServer) -> Iterator[Estate]:
    postgres.execute("CREATE ROLE app LOGIN CREATEROLE PASSWORD 'imported password'")
    target = postgres.target()
    config = {
        "host": target.host,
        "port": target.port,
        "sslmode": "disable",
        "username": target.admin_username,
        "password": target.admin_password.reveal().decode(),
    }
    yield Estate(real=Real(PostgreSQL(SystemClock(), SystemEntropy()), config))
    postgres.execute("DROP OWNED BY app", "DROP ROLE app")


def refused(postgres: PostgresServer, username: str, password: str) -> bool:
    try:
        postgres.connect(username, password).close()
    except psycopg.OperationalError as error:
        return "authentication failed" in str(error)
    return False


def test_the_way_out_of_a_real_database(estate: Estate, postgres: PostgresServer) -> None:
    stolen = estate.read_password(estate.login("engineer"))
    session = postgres.connect("app", stolen)
    session.execute("SELECT 1")
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    session.execute("SELECT 1")
    assert [each["state"] for each in tables(estate.on(case, "rotate"), "rotated")] == ["revoked"]
    with pytest.raises(psycopg.Error):
        session.execute("SELECT 1")
    session.close()
    assert refused(postgres, "app", stolen)
    assert part(estate.on(case, "kill"), "sessions", 0, "remaining") == 0
    assert [each["state"] for each in tables(estate.on(case, "probe"), "probes")] == ["dead"]
    for one in tables(estate.on(case, "sweep"), "swept", 0, "differences"):
        # The verifier of the new password; nothing else changed.
        assert (one["what"], text(one, "item")[:16]) == ("changed", "key password app")
        assert one["own"]
    estate.state(case)
    verdict = estate.verdict(case)
    assert (verdict["outcome"], verdict["open_items"]) == ("PROVEN", [])
    assert verify_pack(estate.pack(case), estate.trust()).proven
    postgres.connect("app", estate.read_password(estate.login("colleague"))).close()


def test_what_an_intruder_added_is_found_and_blocks(
    estate: Estate, postgres: PostgresServer
) -> None:
    stolen = estate.read_password(estate.login("engineer"))
    with postgres.connect("app", stolen) as session:
        session.execute("CREATE ROLE maintenance LOGIN PASSWORD 'a way back in'")
    way_back = postgres.connect("maintenance", "a way back in")
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    estate.state(case)
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "DISPROVEN"
    failed = [each for each in tables(verdict, "open_items") if each["status"] == "failed"]
    assert [each["check"] for each in failed] == ["not explained"]
    assert "maintenance" in text(failed[0], "label")
    way_back.close()
    postgres.execute("DROP ROLE maintenance")
    swept = tables(estate.on(case, "sweep"), "swept", 0, "differences")
    assert "maintenance" not in str(swept)


def test_a_session_that_comes_back_is_a_later_use(estate: Estate, postgres: PostgresServer) -> None:
    """Somebody has the new password although nobody was given it: that is seen, and said."""
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate")
    postgres.execute("ALTER ROLE app PASSWORD 'set behind our back'")
    with postgres.connect("app", "set behind our back"):
        estate.on(case, "probe")
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "DISPROVEN"
    assert ("used later", APP) in opened(verdict)


def test_a_server_that_does_not_answer_leaves_it_open(
    estate: Estate, postgres: PostgresServer
) -> None:
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate")
    postgres.stop()
    try:
        assert [each["state"] for each in tables(estate.on(case, "probe"), "probes")] == ["unknown"]
    finally:
        postgres.start()
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert {("not answered", APP), ("not watched", APP)} <= opened(verdict)
    estate.vault.clock.advance(seconds=61)
    assert [each["state"] for each in tables(estate.on(case, "probe"), "probes")] == ["dead"]
