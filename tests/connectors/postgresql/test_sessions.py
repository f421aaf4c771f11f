"""Ending sessions on real servers, and naming what outlives them."""

import os
import signal

import psycopg
import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.credential.connector import Ambiguous
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer

SECOND = Secret(b"second")


def test_sessions_outlive_the_password_until_they_are_killed(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    target = postgres.target()
    open_sessions = [postgres.connect(role, "first") for _ in range(3)]
    connector.set_password(target, role, SECOND, None)
    connector.lock(target, role)
    assert open_sessions[0].execute("SELECT 1").fetchone() == (1,)
    assert len(connector.sessions(target, role)) == 3
    assert connector.kill_sessions(target, role) == 3
    assert connector.sessions(target, role) == ()
    assert connector.kill_sessions(target, role) == 0
    for session in open_sessions:
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        session.close()


def test_the_sessions_of_a_dropped_role_are_found_and_killed(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    target = postgres.target()
    session = postgres.connect(role, "first")
    bystander = postgres.connect()
    postgres.execute(f'DROP ROLE "{role}"')
    assert {each.source for each in connector.sessions(target, role)} == {"session"}
    assert connector.kill_sessions(target, role) >= 1
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    session.close()
    assert bystander.execute("SELECT 1").fetchone() == (1,)
    bystander.close()


def test_what_outlives_a_killed_session_is_listed(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    target = postgres.target()
    postgres.execute(f'ALTER ROLE "{role}" REPLICATION')
    with postgres.connect(role, "first") as session:
        session.execute("BEGIN")
        session.execute("SELECT txid_current()")
        session.execute("PREPARE TRANSACTION 'left behind'")
    try:
        connector.kill_sessions(target, role)
        left = connector.sessions(target, role)
        assert [(each.source, each.name) for each in left] == [
            ("prepared_transaction", "left behind")
        ]
    finally:
        postgres.execute("ROLLBACK PREPARED 'left behind'")


def test_a_session_that_does_not_end_is_not_called_gone(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    with postgres.connect(role, "first") as session:
        os.kill(session.info.backend_pid, signal.SIGSTOP)
        try:
            with pytest.raises(Ambiguous, match="lock the role"):
                connector.kill_sessions(postgres.target(), role)
        finally:
            os.kill(session.info.backend_pid, signal.SIGCONT)
    assert connector.kill_sessions(postgres.target(), role) <= 1
    assert connector.sessions(postgres.target(), role) == ()
