"""A thief inside a real PostgreSQL tries to stay; each attack is played to its end as a case."""

from collections.abc import Iterator

import psycopg
import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.testing.parts import text
from ironkeep.testing.postgres import PostgresServer
from tests.connectors.postgresql.half_login import begun
from tests.support.incident.incident_estate import Estate, Real, opened

APP = "database/static-creds/app version 2"
IMPORTED = "imported password"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as postgres:
        yield postgres


@pytest.fixture
def postgres(server: PostgresServer) -> Iterator[PostgresServer]:
    """A server whose account `app` owns a database and a table, as an application's often does."""
    server.execute(
        f"CREATE ROLE app LOGIN PASSWORD '{IMPORTED}'",
        "CREATE DATABASE orders OWNER app",
        "CREATE TABLE invoices (n int, note text)",
        "ALTER TABLE invoices OWNER TO app",
    )
    yield server
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'",
        "DROP DATABASE orders WITH (FORCE)",
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
        "DROP OWNED BY app",
        "DROP ROLE app",
    )


@pytest.fixture
def estate(postgres: PostgresServer) -> Estate:
    return administered(postgres)


def administered(postgres: PostgresServer, database: str = "postgres") -> Estate:
    """Return an estate with `app` as a role of this server, administered in a database."""
    target = postgres.target()
    config = {
        "host": target.host,
        "port": target.port,
        "sslmode": "disable",
        "database": database,
        "username": target.admin_username,
        "password": target.admin_password.reveal().decode(),
    }
    return Estate(real=Real(PostgreSQL(SystemClock(), SystemEntropy()), config))


def worked(estate: Estate) -> tuple[str, dict[str, object]]:
    """Do everything that a case asks for; return its number and the verdict."""
    case = estate.open_case("person:engineer", start="4s")
    estate.evict(case)
    estate.state(case)
    return case, estate.verdict(case)


def not_explained(verdict: dict[str, object]) -> list[str]:
    """Return the names of the differences of which a verdict says that nobody explained them."""
    assert {check for check, _ in opened(verdict)} == {"not explained"}
    return sorted(label.partition("#")[2].partition(" {")[0] for _, label in opened(verdict))


def is_served(estate: Estate, postgres: PostgresServer) -> bool:
    """Return whether the server takes the password that the vault gives out now."""
    postgres.connect("app", estate.read_password(estate.login("colleague"))).close()
    return True


def assert_ended(*sessions: psycopg.Connection) -> None:
    for session in sessions:
        with pytest.raises(psycopg.Error):
            session.execute("SELECT 1")
        session.close()


def test_a_login_begun_before_the_rotation_is_not_finished_after_the_proof(
    estate: Estate, postgres: PostgresServer
) -> None:
    stolen = estate.read_password(estate.login("engineer"))
    with begun(postgres, "app", stolen) as half:
        case, verdict = worked(estate)
        assert (verdict["outcome"], verdict["open_items"]) == ("PROVEN", [])
        assert verify_pack(estate.pack(case), estate.trust()).proven
        try:
            assert half.finish() is None
        except ConnectionError:
            """The server hung up, too."""
    assert postgres.execute("SELECT 1 FROM pg_stat_activity WHERE usename = 'app'") == []


def test_a_column_default_that_would_open_pg_hba_conf_is_named(
    estate: Estate, postgres: PostgresServer
) -> None:
    """An ordinary owner of a table leaves it for the administrator's next INSERT."""
    stolen = estate.read_password(estate.login("engineer"))
    with postgres.connect("app", stolen) as session:
        session.execute("SELECT lo_from_bytea(4711, 'host all all 127.0.0.1/32 trust')")
        session.execute(
            "ALTER TABLE invoices ALTER note SET DEFAULT lo_export(4711, 'pg_hba.conf')::text"
        )
    case, verdict = worked(estate)
    assert verdict["outcome"] == "NOT PROVEN"
    assert not_explained(verdict) == [
        "grant large_object postgres: 4711",
        "hook column_default postgres: for public.invoices.note",
    ]
    assert not verify_pack(estate.pack(case), estate.trust()).proven


def test_an_account_that_takes_all_its_connections_stops_nothing(
    postgres: PostgresServer,
) -> None:
    postgres.execute("ALTER ROLE app CONNECTION LIMIT 2")
    estate = administered(postgres)
    stolen = estate.read_password(estate.login("engineer"))
    held = [postgres.connect("app", stolen) for _ in range(2)]
    _, verdict = worked(estate)
    assert_ended(*held)
    assert verdict["outcome"] == "PROVEN"
    assert is_served(estate, postgres)


def test_an_account_that_lets_none_of_its_sessions_start_stops_nothing(
    estate: Estate, postgres: PostgresServer
) -> None:
    """Any role may set this for itself: its right password is then followed by an error."""
    stolen = estate.read_password(estate.login("engineer"))
    held = postgres.connect("app", stolen)
    held.execute("ALTER ROLE app SET local_preload_libraries = 'nosuch'")
    _, verdict = worked(estate)
    assert_ended(held)
    assert estate.get("database/static-roles/app")["state"] == "idle"
    assert not_explained(verdict) == ["hook role_setting app in every database"]
    postgres.execute("ALTER ROLE app RESET ALL")
    assert is_served(estate, postgres)


@pytest.mark.parametrize(
    ("closing", "named"),
    [
        ("ALTER DATABASE orders SET local_preload_libraries = 'nosuch'", "role_setting"),
        ("ALTER DATABASE orders SET default_transaction_read_only = on", "role_setting"),
        ("REVOKE CONNECT ON DATABASE orders FROM PUBLIC", "database"),
    ],
)
def test_the_owner_of_the_database_in_the_connection_is_evicted(
    postgres: PostgresServer, closing: str, named: str
) -> None:
    estate = administered(postgres, "orders")
    stolen = estate.read_password(estate.login("engineer"))
    held = postgres.connect("app", stolen, "orders")
    held.execute(closing)
    _, verdict = worked(estate)
    assert_ended(held)
    assert [label.split()[1] for label in not_explained(verdict)] == [named]
    assert is_served(estate, postgres)


def test_a_superuser_planted_after_the_sweep_is_found_before_the_next_proof(
    estate: Estate, postgres: PostgresServer
) -> None:
    estate.read_password(estate.login("engineer"))
    case, verdict = worked(estate)
    assert verdict["outcome"] == "PROVEN"
    postgres.execute("CREATE ROLE planted LOGIN SUPERUSER PASSWORD 'a way back in'")
    planted = postgres.connect("planted", "a way back in")
    try:
        estate.vault.clock.advance(seconds=30 * 86400)
        again = {name: estate.login(name) for name in ("responder", "auditor")}
        vars(estate).update(again)
        estate.on(case, "probe")
        estate.state(case)
        system = f"system postgresql/127.0.0.1:{postgres.port}"
        assert opened(estate.verdict(case)) == {("sweep too old", system)}
        estate.on(case, "sweep")
        found = opened(estate.verdict(case))
        assert {check for check, _ in found} == {"not explained"}
        assert all("planted" in label for _, label in found)
    finally:
        planted.close()
        postgres.execute("DROP ROLE planted")


def test_a_role_that_is_locked_is_rotated_when_its_period_comes(
    estate: Estate, postgres: PostgresServer
) -> None:
    estate.must("database/static-roles/app", {"rotation_period": "60s"})
    estate.must("database/lock/app")
    before = estate.get("database/static-creds/app")["version"]
    for _ in range(3):
        estate.vault.tick(61)
    role = estate.get("database/static-roles/app")
    assert (role["state"], role["reason"]) == ("idle", "")
    assert estate.get("database/static-creds/app")["version"] != before
    estate.must("database/unlock/app")
    assert is_served(estate, postgres)


def test_a_role_stored_as_md5_is_rotated_without_presenting_what_was_never_sent(
    estate: Estate, postgres: PostgresServer
) -> None:
    postgres.execute(
        "SET password_encryption = 'md5'", "CREATE ROLE older LOGIN PASSWORD 'stored as MD5'"
    )
    try:
        estate.must("database/static-roles/older", {"db_name": "orders", "username": "older"})
        assert estate.get("database/static-roles/older")["state"] == "idle"
        served = text(estate.get("database/static-creds/older"), "password")
        postgres.connect("older", served).close()
        assert 'authentication failed for user "older"' not in postgres.log()
    finally:
        postgres.execute("DROP ROLE older")
