"""Logins under way on real servers: they are found at any step, ended by a superuser, counted."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.credential.connector import Probe, Target
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer
from tests.connectors.postgresql.half_login import begun

SECOND = Secret(b"second")


@pytest.fixture
def modest(postgres: PostgresServer) -> Iterator[Target]:
    """The server as an account administers it that is no superuser."""
    postgres.execute("CREATE ROLE modest LOGIN CREATEROLE PASSWORD 'modest'")
    postgres.execute("GRANT pg_signal_backend, pg_read_all_stats TO modest")
    yield replace(postgres.target(), admin_username="modest", admin_password=Secret(b"modest"))
    postgres.execute("DROP ROLE modest")


def test_a_login_begun_with_the_old_password_does_not_outlast_the_count(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    with begun(postgres, role, "first") as half:
        connector.set_password(postgres.target(), role, SECOND, None)
        found = connector.logins(postgres.target())
        assert found.under_way == 0
        assert not found.pooled
        assert connector.kill_sessions(postgres.target(), role) == 0
        ended = half.finish()
    assert ended is None or ended.state is not Probe.ALIVE


def test_without_that_it_would_finish(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    """The server checks the password against the verifier that it has read."""
    with begun(postgres, role, "first") as half:
        connector.set_password(postgres.target(), role, SECOND, None)
        assert connector.kill_sessions(postgres.target(), role) == 0
        ended = half.finish()
        assert ended is not None
        assert ended.state is Probe.ALIVE


def test_what_cannot_be_ended_is_counted_until_it_has_ended(
    postgres: PostgresServer, connector: PostgreSQL, role: str, modest: Target
) -> None:
    with begun(postgres, role, "first") as half:
        assert connector.logins(modest).under_way == 1
        half.finish()
    assert connector.logins(modest).under_way == 0
    assert connector.logins(modest).longest_seconds == 60


def test_a_session_that_its_client_keeps_hidden_is_found(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    """post_auth_delay, which any client may set, hides a session that is let in already."""
    ended: list[bool] = []

    def client() -> None:
        try:
            with psycopg.connect(
                host=postgres.host,
                port=postgres.port,
                user=role,
                password="first",
                dbname="postgres",
                options="-c post_auth_delay=6",
            ) as session:
                session.execute("SELECT 1")
                ended.append(False)
        except psycopg.OperationalError:
            ended.append(True)

    hidden = threading.Thread(target=client)
    hidden.start()
    while not _waiting(postgres):
        """The client connects."""
    assert connector.sessions(postgres.target(), role) == ()
    assert connector.logins(postgres.target()).under_way == 0
    hidden.join()
    assert ended == [True]


def _waiting(postgres: PostgresServer) -> int:
    """Return how many processes have a transaction and no account."""
    rows = postgres.execute(
        "SELECT l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'virtualxid' AND a.usesysid IS NULL"
    )
    return len(rows)


def test_a_session_that_is_open_is_no_login_under_way(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    with postgres.connect(role, "first") as session:
        session.execute("BEGIN")
        assert connector.logins(postgres.target()).under_way == 0
        assert session.execute("SELECT 1").fetchone() == (1,)
