"""The inventory of real servers: stable, and every way back in shows in the diff."""

import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from ironkeep.connectors.postgresql import PostgreSQL, catalogue, stock
from ironkeep.connectors.postgresql.catalogue import READ
from ironkeep.connectors.postgresql.catalogue.reviewed import REVIEWED
from ironkeep.connectors.postgresql.catalogue.source import Source
from ironkeep.connectors.postgresql.redaction import Redaction
from ironkeep.connectors.postgresql.stock import attributes
from ironkeep.core.credential.inventory import Difference, Inventory, decode, diff, encode
from ironkeep.core.errors import UpstreamFailed
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer
from tests.connectors.postgresql.intrusions import (
    CLUSTER,
    CODE,
    PLANTED,
    RELATIONS,
    SETUP,
    SHARING,
)

LOCAL = {"relations": RELATIONS, "code": CODE, "sharing": SHARING}


def changed(found: Difference) -> set[str]:
    """Return the sources in which something came, went or changed."""
    items = [*found.added, *found.removed, *(each.after for each in found.changed)]
    return {each.source for each in items}


def taken(postgres: PostgresServer, connector: PostgreSQL) -> Inventory:
    inventory = connector.inventory(replace(postgres.target(), digest_key=Secret(b"key")))
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


def do(postgres: PostgresServer, statements: Sequence[str], database: str = "postgres") -> None:
    """Run statements as a superuser who may alter the system's tables; wait for a reload."""
    loaded = postgres.execute("SELECT pg_conf_load_time()")
    postgres.execute("SET allow_system_table_mods = on", *statements, database=database)
    while statements[-1].startswith("SELECT pg_reload_conf") and loaded == postgres.execute(
        "SELECT pg_conf_load_time()"
    ):
        time.sleep(0.01)


def version(postgres: PostgresServer) -> int:
    return int(postgres.execute("SHOW server_version_num")[0][0]) // 10_000


def test_each_way_back_into_the_cluster_is_seen_and_nothing_else(
    postgres: PostgresServer, connector: PostgreSQL
) -> None:
    postgres.execute("CREATE ROLE plain")
    first = before = taken(postgres, connector)
    seen, expected = {}, {}
    try:
        for name, act in CLUSTER.items():
            if act.since > version(postgres):
                continue
            do(postgres, act.does.split("; "))
            found = diff(before, taken(postgres, connector))
            do(postgres, act.undo.split("; "))
            before = taken(postgres, connector)
            seen[name], expected[name] = changed(found), set(act.sources.split())
    finally:
        postgres.execute("DROP ROLE plain")
    assert seen == expected
    assert before.gaps == first.gaps


@pytest.mark.parametrize("kind", LOCAL)
def test_each_way_back_into_a_database_is_seen_and_nothing_else(
    postgres: PostgresServer, connector: PostgreSQL, database: str, kind: str
) -> None:
    postgres.execute(SETUP, database=database)
    before = taken(postgres, connector)
    seen, expected = {}, {}
    for name, act in LOCAL[kind].items():
        if act.since > version(postgres):
            continue
        do(postgres, [act.does], database)
        now = taken(postgres, connector)
        if act.undo:
            do(postgres, [act.undo], database)
        seen[name], expected[name] = changed(diff(before, now)), set(act.sources.split())
        before = taken(postgres, connector) if act.undo else now
    assert seen == expected
    assert before.gaps == ()


def test_every_catalogue_of_this_version_is_read_or_reviewed(postgres: PostgresServer) -> None:
    rows = postgres.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND oid < 16384"
        " AND relnamespace = 'pg_catalog'::regnamespace"
    )
    catalogues = {name for (name,) in rows}
    assert catalogues - READ == catalogues & set(REVIEWED)
    assert catalogues >= READ - {"pg_parameter_acl", "pg_publication_namespace"}
    assert not READ & set(REVIEWED)


def test_a_catalogue_of_a_later_version_is_a_gap(
    postgres: PostgresServer, connector: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "READ", READ - {"pg_cast"})
    assert taken(postgres, connector).gaps == (
        "catalogue pg_cast: this version of the connector does not read it",
    )


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
        assert changed(found) == {file[3:-5], "file"}
        assert len(found.added) == 1


def test_every_source_is_tried_by_an_intrusion() -> None:
    acts = [act for acts in (CLUSTER, *LOCAL.values()) for act in acts.values()]
    tried = {source for act in acts for source in act.sources.split()}
    elsewhere = {
        "hba", "ident", "background_worker", "data_file", "extension_files", "library_file",
    }  # fmt: skip
    assert {each.name for each in (*catalogue.CLUSTER, *catalogue.DATABASE)} == tried | elsewhere


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


def test_template0_that_was_opened_and_closed_again_is_seen(
    postgres: PostgresServer, connector: PostgreSQL
) -> None:
    before = taken(postgres, connector)
    for opened in ("true", "false"):
        postgres.execute(f"ALTER DATABASE template0 ALLOW_CONNECTIONS {opened}")
    found = diff(before, taken(postgres, connector))
    assert [(each.after.source, each.after.name) for each in found.changed] == [
        ("database", "template0")
    ]


@pytest.mark.parametrize("size", [70_000_000, 200_000_000])
def test_one_setting_of_any_length_hides_nothing_else(
    postgres: PostgresServer, connector: PostgreSQL, role: str, size: int
) -> None:
    """Any role may set it on itself; the inventory would be longer than all it may receive."""
    before = taken(postgres, connector)
    with postgres.connect(role, "first") as session:
        session.execute(
            f'DO $$BEGIN EXECUTE format(\'ALTER ROLE "{role}" SET application_name'
            f" = %L', repeat('x', {size})); END$$"
        )
    try:
        now = taken(postgres, connector)
    finally:
        postgres.execute(f'ALTER ROLE "{role}" RESET ALL')
    assert now.gaps == (
        f'role_setting: "{role}" in every database: it is too large to be looked at',
    )
    assert changed(diff(before, now)) == {"role_setting"}


def test_more_than_one_source_may_hold_is_a_gap_and_the_rest_is_read(
    postgres: PostgresServer,
    connector: PostgreSQL,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stock, "SOURCE_ITEMS", 500)
    postgres.execute("SELECT lo_create(0) FROM generate_series(1, 600)", database=database)
    postgres.execute("CREATE PUBLICATION late", database=database)
    found = taken(postgres, connector)
    assert found.gaps == (f"{database}: large_object: there are more than 500",)
    assert "late" in {each.name.removeprefix(f"{database}: ") for each in found.items}


def test_a_worker_that_is_not_postgresqls_own_is_seen(
    postgres: PostgresServer, connector: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(source: Source) -> Source:
        return msgspec.structs.replace(source, query=source.query.replace("'checkpointer',", ""))

    monkeypatch.setattr(stock, "CLUSTER", [without(each) for each in catalogue.CLUSTER])
    items = taken(postgres, connector).items
    assert [each.name for each in items if each.source == "background_worker"] == ["checkpointer"]


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
