"""The inventory of real servers: stable, and every way back in shows in the diff."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.connectors.postgresql.catalogue import CLUSTER, DATABASE
from ironkeep.connectors.postgresql.redaction import Redaction
from ironkeep.connectors.postgresql.stock import attributes
from ironkeep.core.credential.inventory import Difference, Inventory, decode, diff, encode
from ironkeep.core.errors import UpstreamFailed
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer

PLANTED = "planted-canary-7f3a"

INTRUSIONS = {
    "a role": ("role", "CREATE ROLE backdoor", "DROP ROLE backdoor"),
    "a membership": (
        "membership",
        "CREATE ROLE backdoor; GRANT pg_execute_server_program TO backdoor",
        "DROP ROLE backdoor",
    ),
    "a password": ("password", f"CREATE ROLE backdoor PASSWORD '{PLANTED}'", "DROP ROLE backdoor"),
    "a setting of a role": (
        "role_setting",
        "CREATE ROLE backdoor; ALTER ROLE backdoor SET session_preload_libraries = 'evil'",
        "DROP ROLE backdoor",
    ),
    "a privilege on a parameter": (
        "parameter_acl",
        "CREATE ROLE backdoor; GRANT SET ON PARAMETER log_statement TO backdoor",
        "REVOKE ALL ON PARAMETER log_statement FROM backdoor; DROP ROLE backdoor",
    ),
    "a server setting": (
        "setting",
        "ALTER SYSTEM SET log_min_duration_statement = 77; SELECT pg_reload_conf()",
        "ALTER SYSTEM RESET log_min_duration_statement; SELECT pg_reload_conf()",
    ),
    "a replication slot": (
        "replication_slot",
        "SELECT pg_create_physical_replication_slot('backdoor')",
        "SELECT pg_drop_replication_slot('backdoor')",
    ),
}
"""What belongs to the cluster: source that must show it, how it is made, how it is undone."""

LOCAL_INTRUSIONS = {
    "a security definer function": (
        "function",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    ),
    "a function among the built-in ones": (
        "function",
        "CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ),
    "a built-in function replaced": (
        "builtin_functions",
        (
            "CREATE OR REPLACE FUNCTION pg_catalog.lpad(text, integer) RETURNS text"
            " LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT COST 1 RETURN 'mine'"
        ),
    ),
    "a trigger": (
        "trigger",
        (
            "CREATE TABLE public.t (n int); CREATE TRIGGER g BEFORE UPDATE ON public.t"
            " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
    ),
    "an event trigger": (
        "event_trigger",
        (
            "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
            "CREATE EVENT TRIGGER g ON ddl_command_end EXECUTE FUNCTION public.e()"
        ),
    ),
    "a rule": (
        "rule",
        "CREATE TABLE public.t (n int); CREATE RULE g AS ON INSERT TO public.t DO NOTHING",
    ),
    "a policy": (
        "policy",
        "CREATE TABLE public.t (n int); CREATE POLICY g ON public.t USING (true)",
    ),
    "a table privilege": (
        "relation",
        "CREATE TABLE public.t (n int); GRANT SELECT ON public.t TO PUBLIC",
    ),
    "a privilege on a system table": ("relation", "GRANT SELECT ON pg_authid TO PUBLIC"),
    "a column privilege": (
        "column",
        "CREATE TABLE public.t (n int); GRANT SELECT (n) ON public.t TO PUBLIC",
    ),
    "a schema privilege": ("schema", "GRANT CREATE ON SCHEMA public TO PUBLIC"),
    "a default privilege": (
        "default_acl",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
    ),
    "a language": ("language", "CREATE LANGUAGE g HANDLER plpgsql_call_handler"),
    "an extension": ("extension", "DROP EXTENSION plpgsql"),
    "a foreign data wrapper": ("foreign_data_wrapper", "CREATE FOREIGN DATA WRAPPER g"),
    "a foreign server": (
        "foreign_server",
        (
            "CREATE FOREIGN DATA WRAPPER g; CREATE SERVER s FOREIGN DATA WRAPPER g"
            " OPTIONS (host 'evil.example')"
        ),
    ),
    "a user mapping": (
        "user_mapping",
        (
            "CREATE FOREIGN DATA WRAPPER g; CREATE SERVER s FOREIGN DATA WRAPPER g;"
            f"CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (\"user\" 'x', password '{PLANTED}')"
        ),
    ),
    "a publication": ("publication", "CREATE PUBLICATION g FOR ALL TABLES"),
    "a subscription": (
        "subscription",
        (
            f"CREATE SUBSCRIPTION g CONNECTION 'host=evil.example password={PLANTED}' PUBLICATION p"
            " WITH (connect = false, slot_name = NONE)"
        ),
    ),
    "a privilege on a large object": (
        "large_object",
        "SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC",
    ),
    "a job of pg_cron": (
        "cron_job",
        (
            "CREATE SCHEMA cron; CREATE TABLE cron.job (jobid bigint, schedule text, command text,"
            " nodename text, nodeport int, database text, username text, active boolean);"
            "INSERT INTO cron.job VALUES (1, '* * * * *', 'SELECT 1', '', 0, 'd', 'u', true)"
        ),
    ),
}
"""What belongs to one database, and goes with it."""


def changed(found: Difference) -> set[str]:
    """Return the sources in which something came, went or changed."""
    items = [*found.added, *found.removed, *(each.after for each in found.changed)]
    return {each.source for each in items}


def taken(postgres: PostgresServer, connector: PostgreSQL) -> Inventory:
    inventory = connector.inventory(postgres.target())
    assert PLANTED.encode() not in encode(inventory)
    return inventory


def test_two_in_a_row_are_the_same_and_nothing_is_hidden_from_a_superuser(
    postgres: PostgresServer, connector: PostgreSQL, role: str, database: str
) -> None:
    first = taken(postgres, connector)
    with postgres.connect(role, "first"):
        second = taken(postgres, connector)
    assert encode(second) == encode(first)
    assert first.gaps == ()
    assert decode(encode(first)) == first
    assert 15 <= int(first.release.split(".")[0]) <= 18
    assert any(each.name.startswith(f"{database}: ") for each in first.items)


@contextmanager
def done(postgres: PostgresServer, make: str, undo: str) -> Iterator[None]:
    postgres.execute(*make.split("; "))
    try:
        yield
    finally:
        postgres.execute(*undo.split("; "))


@pytest.mark.parametrize("name", INTRUSIONS)
def test_a_way_back_into_the_cluster_is_seen(
    postgres: PostgresServer, connector: PostgreSQL, name: str
) -> None:
    source, make, undo = INTRUSIONS[name]
    before = taken(postgres, connector)
    with done(postgres, make, undo):
        found = diff(before, taken(postgres, connector))
    assert source in changed(found)
    assert diff(before, taken(postgres, connector)).empty


@pytest.mark.parametrize("name", LOCAL_INTRUSIONS)
def test_a_way_back_into_a_database_is_seen(
    postgres: PostgresServer, connector: PostgreSQL, database: str, name: str
) -> None:
    source, make = LOCAL_INTRUSIONS[name]
    before = taken(postgres, connector)
    postgres.execute(make, database=database)
    try:
        found = diff(before, taken(postgres, connector))
    finally:
        if source == "subscription":
            postgres.execute("DROP SUBSCRIPTION g", database=database)
    assert source in changed(found)
    assert found.gaps == ()


def test_rules_of_pg_hba_and_pg_ident_are_seen(
    postgres: PostgresServer, connector: PostgreSQL
) -> None:
    before = taken(postgres, connector)
    for file, line in (("pg_hba.conf", "host all all 0.0.0.0/0 trust"), ("pg_ident.conf", "m u r")):
        path = postgres.data / file
        text = path.read_text()
        path.write_text(f"{text}\n{line}\n")
        found = diff(before, taken(postgres, connector))
        path.write_text(text)
        assert changed(found) == {file[3:-5]}
        assert len(found.added) == 1


def test_every_source_is_tried_by_an_intrusion() -> None:
    tried = {entry[0] for entry in (*INTRUSIONS.values(), *LOCAL_INTRUSIONS.values())}
    elsewhere = {"hba", "ident", "database", "tablespace", "prepared_transaction"}
    assert {each.name for each in (*CLUSTER, *DATABASE)} == tried | elsewhere


def test_a_new_password_of_the_same_role_is_seen_and_its_verifier_is_not(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    before = taken(postgres, connector)
    connector.set_password(postgres.target(), role, Secret(b"second"), None)
    after = taken(postgres, connector)
    found = diff(before, after)
    assert [(each.before.source, each.before.name) for each in found.changed] == [
        ("password", role)
    ]
    verifier = postgres.execute(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'")[0][0]
    for part in verifier.split("$")[2].split(":"):
        assert part.encode() not in encode(after)


def test_what_an_ordinary_account_cannot_see_is_named(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    seen = connector.inventory(
        replace(postgres.target(), admin_username=role, admin_password=Secret(b"first"))
    )
    gaps = {gap.split(":")[0] for gap in seen.gaps}
    assert {"password", "setting", "hba", "ident", "subscription"} <= gaps
    assert any(each.source == "role" and each.name == role for each in seen.items)
    assert not diff(taken(postgres, connector), seen).empty


def test_databases_that_cannot_be_entered_are_named(
    postgres: PostgresServer, connector: PostgreSQL, database: str
) -> None:
    postgres.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    assert taken(postgres, connector).gaps == (f"database {database}: takes no connections",)
    postgres.execute(
        f"ALTER DATABASE {database} ALLOW_CONNECTIONS true",
        f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{database}'",
    )
    assert taken(postgres, connector).gaps == (
        f"database {database}: cannot log in to it, or it did not answer",
    )


def test_an_intruder_cannot_answer_in_place_of_the_catalogues(
    postgres: PostgresServer, connector: PostgreSQL
) -> None:
    """A table called pg_roles in a schema searched first would hide a role."""
    before = taken(postgres, connector)
    postgres.execute(
        "CREATE TABLE public.pg_roles AS SELECT * FROM pg_catalog.pg_roles LIMIT 0",
        "ALTER ROLE ALL SET search_path = public, pg_catalog",
        "CREATE ROLE hidden",
    )
    try:
        found = diff(before, taken(postgres, connector))
    finally:
        postgres.execute(
            "DROP ROLE hidden", "ALTER ROLE ALL RESET search_path", "DROP TABLE public.pg_roles"
        )
    assert "hidden" in {each.name for each in found.added}


def test_a_target_that_is_down_has_no_inventory(connector: PostgreSQL) -> None:
    with PostgresServer() as server:
        server.stop()
        with pytest.raises(UpstreamFailed):
            connector.inventory(server.target())


def test_values_are_text_and_nulls_are_left_out() -> None:
    shown = attributes(["a", "b", "c"], [True, None, 7], Redaction(None))
    assert shown == {"a": "true", "c": "7"}
