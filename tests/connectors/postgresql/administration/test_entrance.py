"""The administrator gets in, and as itself, whatever the owner of the database has done to it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.credential.connector import Probe, Target, Unreachable
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer

SECOND = Secret(b"second")

# What an owner can do to a database, as owner of it; {} is its name.
BLOCKS = [
    "ALTER DATABASE {} SET local_preload_libraries = 'nosuch'",
    "ALTER DATABASE {} SET default_transaction_read_only = on",
    "ALTER DATABASE {} SET statement_timeout = '1ms'",
    "ALTER DATABASE {} SET lock_timeout = '1ms'",
    "ALTER DATABASE {} SET idle_session_timeout = '1ms'",
    "ALTER DATABASE {} SET search_path = public",
    "ALTER DATABASE {} SET standard_conforming_strings = off",
    "ALTER DATABASE {} SET client_encoding = 'SQL_ASCII'",
    "REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
    "ALTER DATABASE {} CONNECTION LIMIT 0",
    "ALTER DATABASE {} ALLOW_CONNECTIONS false",
    "ALTER DATABASE {0} RENAME TO {0}_renamed",
]


@pytest.fixture
def owned(postgres: PostgresServer, role: str) -> Iterator[str]:
    """A database that belongs to the role."""
    name = f"owned_{role.removeprefix('app ')}"
    postgres.execute(f'CREATE DATABASE {name} OWNER "{role}"')
    yield name
    for each in (name, f"{name}_renamed"):
        postgres.execute(f"DROP DATABASE IF EXISTS {each} WITH (FORCE)")


@pytest.fixture
def modest(postgres: PostgresServer, role: str) -> Iterator[Target]:
    """The server as an account with the documented privileges administers it."""
    (version,) = postgres.execute("SHOW server_version_num")[0]
    how = "ADMIN OPTION" if int(version) < 160000 else "ADMIN TRUE, INHERIT FALSE, SET FALSE"
    postgres.execute(
        "CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper'",
        "GRANT pg_signal_backend, pg_read_all_stats, pg_read_all_settings TO keeper",
        f'GRANT "{role}" TO keeper WITH {how}',
    )
    yield replace(postgres.target(), admin_username="keeper", admin_password=Secret(b"keeper"))
    postgres.execute("DROP OWNED BY keeper", "DROP ROLE keeper")


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("admin", ["superuser", "modest"])
def test_the_owner_of_the_configured_database_stops_nothing(
    postgres: PostgresServer,
    connector: PostgreSQL,
    role: str,
    owned: str,
    modest: Target,
    admin: str,
    block: str,
) -> None:
    target = replace(modest if admin == "modest" else postgres.target(), database=owned)
    stolen = [postgres.connect(role, "first", owned), postgres.connect(role, "first")]
    if "RENAME" in block:
        stolen.pop(0).close()
    postgres.execute(f'GRANT CREATE ON DATABASE postgres TO "{role}"')
    with postgres.connect(role, "first") as owner:
        owner.execute(f'SET ROLE "{role}"'.encode())
        if "RENAME" in block:
            postgres.execute(f'ALTER ROLE "{role}" CREATEDB')
        owner.execute(block.format(owned).encode())
    connector.set_password(target, role, SECOND, None)
    connector.lock(target, role)
    assert connector.kill_sessions(target, role) == len(stolen)
    assert connector.sessions(target, role) == ()
    connector.unlock(target, role)
    assert connector.logins(target).under_way == 0
    assert connector.probe(replace(target, database="postgres"), role, SECOND).state is Probe.ALIVE
    assert connector.inventory(target).items
    for session in stolen:
        session.close()


def test_a_setting_does_not_make_the_administrator_act_as_another_account(
    postgres: PostgresServer, connector: PostgreSQL, role: str, owned: str
) -> None:
    """As the role, it would see no sessions of others, and could change nobody."""
    postgres.execute(f"ALTER DATABASE {owned} SET role = '{role}'")
    target = replace(postgres.target(), database=owned)
    postgres.execute("CREATE ROLE victim LOGIN PASSWORD 'first'")
    try:
        with postgres.connect("victim", "first"):
            assert connector.kill_sessions(target, "victim") == 1
        connector.set_password(target, "victim", SECOND, None)
    finally:
        postgres.execute("DROP ROLE victim")


def test_a_wrong_password_is_not_tried_at_other_databases(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    before = postgres.log().count("password authentication failed")
    wrong = replace(postgres.target(), admin_password=Secret(b"wrong"))
    with pytest.raises(Unreachable):
        connector.lock(wrong, role)
    assert postgres.log().count("password authentication failed") == before + 1


def test_the_owner_of_the_configured_database_is_named(
    postgres: PostgresServer, connector: PostgreSQL, role: str, owned: str
) -> None:
    assert connector.cautions(postgres.target()) == ()
    (words,) = connector.cautions(replace(postgres.target(), database=owned))
    assert role in words
    assert "postgres" in words


def test_an_administrator_that_sees_too_little_is_told(
    postgres: PostgresServer, connector: PostgreSQL, role: str, modest: Target
) -> None:
    assert connector.cautions(modest) == ()
    postgres.execute("REVOKE pg_read_all_stats FROM keeper")
    (words,) = connector.cautions(modest)
    assert "pg_read_all_stats" in words
    # The count of ended sessions is true nevertheless, and so are their names.
    with postgres.connect(role, "first"), postgres.connect(role, "first"):
        names = [each.name.split()[0] for each in connector.sessions(modest, role)]
        assert len(set(names)) == 2
        assert all(name.isdigit() for name in names)
        assert connector.kill_sessions(modest, role) == 2
