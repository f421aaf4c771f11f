"""The database engine on a real PostgreSQL: Vault's wire form, and what is ours."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy
from ironkeep.auth.token import TokenMethod
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.credential.connector import Unreachable
from ironkeep.core.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    UpstreamFailed,
)
from ironkeep.credentials.baselines import ID_LENGTH, MAX_BASELINES, MAX_WORDS
from ironkeep.engines.cubbyhole import Cubbyhole
from ironkeep.engines.database import ROUTES, Database
from ironkeep.engines.kv import Kv
from ironkeep.engines.system import System
from ironkeep.plugin.route import Plugin
from ironkeep.testing.parts import array, part, tables, text
from ironkeep.testing.postgres import SUPERUSER, PostgresServer
from ironkeep.testing.vault import Reply, Vault

PLUGINS: Final[dict[str, Plugin]] = {
    plugin.type: plugin for plugin in (System(), Kv(), Cubbyhole(), TokenMethod(), Database())
}


def url(server: PostgresServer) -> str:
    return f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{server.port}/postgres?sslmode=disable"


def config(server: PostgresServer, **changes: Any) -> dict[str, Any]:
    return {
        "plugin_name": "postgresql-database-plugin",
        "connection_url": url(server),
        "username": "keeper",
        "password": "keeper-password",
        "allowed_roles": "app,other",
        **changes,
    }


@pytest.fixture
def vault(postgres: PostgresServer) -> Iterator[Vault]:
    """A vault with the connection `main`, and the roles keeper and app at the database."""
    postgres.execute(
        "CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'keeper-password'",
        "CREATE ROLE app LOGIN PASSWORD 'first'",
    )
    made = Vault.started(
        PLUGINS, connectors={"postgresql": PostgreSQL(SystemClock(), SystemEntropy())}
    )
    made.write("sys/mounts/database", {"type": "database"})
    assert made.write("database/config/main", config(postgres)).error is None
    yield made
    assert made.defects == []
    postgres.execute("DROP ROLE IF EXISTS keeper, app, intruder, other")


def role(vault: Vault, name: str = "app", **fields: Any) -> Reply:
    return vault.write(
        f"database/static-roles/{name}", {"db_name": "main", "username": name, **fields}
    )


def test_a_connection_is_shown_without_its_password(vault: Vault, postgres: PostgresServer) -> None:
    shown = vault.read("database/config/main")
    assert "keeper-password" not in str(shown.body)
    data = shown.data
    assert data["plugin_name"] == "postgresql-database-plugin"
    assert data["connection_details"] == {"connection_url": url(postgres), "username": "keeper"}
    assert data["allowed_roles"] == ["app", "other"]
    assert data["system"] == f"system:postgresql/127.0.0.1:{postgres.port}"
    assert vault.list("database/config/").data == {"keys": ["main"]}
    assert vault.read("database/config/none").error is NotFound


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plugin_name": "mysql-database-plugin"}, "plugin_name must be one of"),
        ({"password": "wrong"}, "error verifying connection: the server refused the password"),
        ({"password": None}, "needs connection_url"),
        ({"username": "x" * 64}, "63 bytes"),
        ({"connection_url": ""}, "needs connection_url"),
        ({"host": "db"}, "not both"),
        ({"host": "d b", "connection_url": None}, "host:port"),
        ({"host": "db", "port": 0, "connection_url": None}, "host:port"),
        ({"root_rotation_statements": "ALTER"}, "root_rotation_statements"),
        ({"password_policy": "short"}, "password_policy"),
    ],
)
def test_a_connection_that_cannot_be_is_refused(
    vault: Vault, postgres: PostgresServer, changes: dict[str, Any], words: str
) -> None:
    given = config(postgres, **changes)
    reply = vault.write("database/config/new", {k: v for k, v in given.items() if v is not None})
    assert reply.error is not None
    assert words in reply.errors[0] or "no password" in reply.errors[0]
    assert vault.read("database/config/new").error is NotFound


def test_a_connection_may_be_kept_untried_and_then_says_that_it_has_no_baseline(
    vault: Vault, postgres: PostgresServer
) -> None:
    given = config(postgres, connection_url=None, host="127.0.0.1", port=1, verify_connection=False)
    given["sslmode"] = "disable"
    reply = vault.write("database/config/later", {k: v for k, v in given.items() if v is not None})
    assert "no baseline was taken" in reply.body["warnings"][0]
    assert vault.write("database/reset/later").error is UpstreamFailed
    assert vault.read("database/diff/later").error is NotFound
    assert vault.write("database/baseline/later").error is Unreachable
    assert vault.write("database/reset/main").error is None


def test_a_kept_password_is_not_shown_to_another_host(
    vault: Vault, postgres: PostgresServer
) -> None:
    moved = {"host": "attacker.example"}
    reply = vault.write("database/config/main", moved)
    assert reply.error is InvalidRequest
    assert "give the password again" in reply.errors[0]
    downgraded = {"connection_url": url(postgres).replace("disable", "verify-full")}
    assert vault.write("database/config/main", downgraded).error is InvalidRequest
    for change in ({"username": "app"}, {"plugin_name": "mysql-database-plugin"}):
        assert vault.write("database/config/main", change).error is InvalidRequest
    for same in ({"plugin_name": ""}, {"plugin_name": "postgresql-database-plugin"}):
        assert vault.write("database/config/main", same).error is None
    assert (
        part(vault.read("database/config/main").data, "connection_details", "username") == "keeper"
    )


def test_settings_change_and_the_rest_stays(vault: Vault) -> None:
    assert vault.write("database/config/main", {"allowed_roles": "*"}).error is None
    data = vault.read("database/config/main").data
    assert data["allowed_roles"] == ["*"]
    assert data["baselines"] == [1]


def test_a_static_role_is_taken_in_served_and_rotated(
    vault: Vault, postgres: PostgresServer
) -> None:
    assert role(vault, rotation_period="24h").error is None
    with pytest.raises(psycopg.OperationalError):
        postgres.connect("app", "first")
    first = vault.read("database/static-creds/app").data
    assert (first["username"], first["rotation_period"], first["ttl"]) == ("app", 86400, 86400)
    assert first["last_vault_rotation"] == "2026-01-01T00:00:00Z"
    session = postgres.connect("app", text(first, "password"))
    vault.clock.advance(seconds=61)
    assert vault.write("database/rotate-role/app").body is None
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    session.close()
    second = vault.read("database/static-creds/app").data
    assert (second["version"], second["ttl"]) == (2, 86400)
    postgres.connect("app", text(second, "password")).close()
    shown = vault.read("database/static-roles/app")
    assert text(second, "password") not in str(shown.body)
    assert [(each["stage"], each["refused"]) for each in tables(shown.data, "versions")] == [
        ("previous", True),
        ("current", False),
    ]
    assert vault.list("database/static-roles/").data == {"keys": ["app"]}


def test_a_read_is_recorded_with_the_version_that_left(vault: Vault) -> None:
    role(vault, password="first", skip_import_rotation=True)
    vault.read("database/static-creds/app")
    entries = [entry for _, entry in vault.house.audit_reader().entries() if entry.released]
    (released,) = entries[-1].released
    uuid = part(vault.read("sys/mounts").data, "database/", "uuid")
    assert (released.mount, released.path, released.version, released.fields) == (
        uuid,
        "static-creds/app",
        1,
        ("password",),
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"db_name": "none"}, "no connection"),
        ({"username": "keeper"}, "rotate-root"),
        ({"username": ""}, "63 bytes"),
        ({"rotation_period": 59}, "at least 60 seconds"),
        ({"rotation_statements": "ALTER"}, "rotation_statements"),
        ({"rotation_schedule": "* * * * *"}, "rotation_schedule"),
        ({"credential_type": "rsa_private_key"}, "credential_type"),
        ({"self_managed": True}, "present password"),
        ({"skip_import_rotation": True}, "present password"),
        ({"password": "x" * 1025}, "1024 bytes"),
        ({"password": ""}, "1024 bytes"),
    ],
)
def test_a_role_that_cannot_be_is_refused(vault: Vault, fields: dict[str, Any], words: str) -> None:
    reply = role(vault, **fields)
    assert reply.error is InvalidRequest
    assert words in reply.errors[0]
    assert vault.read("database/static-roles/app").error is NotFound


def test_statements_of_a_client_of_vault_are_read_back(vault: Vault) -> None:
    statement = "ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}';"
    assert role(vault, rotation_statements=[statement]).error is None
    read = vault.read("database/static-roles/app").data
    assert read["rotation_statements"] == [statement]
    assert role(vault, rotation_period="1h").error is None
    assert vault.read("database/static-roles/app").data["rotation_statements"] == [statement]
    assert role(vault, rotation_statements="").error is None
    assert vault.read("database/static-roles/app").data["rotation_statements"] == []


def test_a_role_has_to_be_allowed(vault: Vault) -> None:
    reply = role(vault, "stranger")
    assert reply.errors == ['"stranger" is not an allowed role']


def test_of_a_role_only_the_period_changes(vault: Vault) -> None:
    role(vault)
    for change in ({"username": "other"}, {"db_name": "other"}, {"password": "mine"}):
        assert vault.write("database/static-roles/app", change).error is InvalidRequest
    assert vault.write("database/static-roles/app", {"rotation_period": "2h"}).error is None
    assert vault.read("database/static-roles/app").data["rotation_period"] == 7200


def test_a_connection_in_use_stays(vault: Vault) -> None:
    role(vault)
    assert vault.delete("database/config/main").error is Conflict
    assert vault.delete("database/static-roles/app").error is None
    assert vault.delete("database/config/main").error is None
    assert vault.delete("database/config/main").error is None
    assert vault.read("database/config/main").error is NotFound
    assert vault.write("database/rotate-root/main").error is NotFound


def test_root_is_rotated_to_what_nobody_else_knows_and_goes_on_working(
    vault: Vault, postgres: PostgresServer
) -> None:
    assert vault.write("database/rotate-root/main").error is None
    with pytest.raises(psycopg.OperationalError):
        postgres.connect("keeper", "keeper-password")
    assert role(vault).error is None
    postgres.connect("app", text(vault.read("database/static-creds/app").data, "password")).close()


def test_an_attackers_new_password_is_found_and_overcome(
    vault: Vault, postgres: PostgresServer
) -> None:
    role(vault, password="first", self_managed=True)
    postgres.execute("ALTER ROLE app PASSWORD 'stolen'")
    vault.clock.advance(seconds=61)
    reply = vault.write("database/rotate-role/app")
    assert reply.error is UpstreamFailed
    assert reply.errors[0].startswith("LOST:")
    assert vault.read("database/static-creds/app").error is UpstreamFailed
    vault.clock.advance(seconds=61)
    assert vault.write("database/break-glass/app").error is None
    with pytest.raises(psycopg.OperationalError):
        postgres.connect("app", "stolen")
    postgres.connect("app", text(vault.read("database/static-creds/app").data, "password")).close()


def test_an_open_session_of_an_attacker_is_seen_and_ended(
    vault: Vault, postgres: PostgresServer
) -> None:
    role(vault, password="first", skip_import_rotation=True)
    attacker = postgres.connect("app", "first")
    (seen,) = tables(vault.read("database/sessions/app").data, "sessions")
    assert part(seen, "attributes", "client_address") == "127.0.0.1"
    assert vault.write("database/lock/app").error is None
    ended = vault.write("database/kill/app").data
    assert (ended["ended"], ended["remaining"]) == (1, 0)
    with pytest.raises(psycopg.OperationalError):
        attacker.execute("SELECT 1")
    attacker.close()
    probed = vault.write("database/probe/app", {"version": 1}).data
    assert (probed["state"], part(probed, "answers", 0, "code")) == ("alive", "28000")
    vault.write("database/unlock/app")
    assert vault.write("database/probe/app").data["state"] == "alive"


def test_a_second_account_is_an_addition_until_somebody_answers_for_it(
    vault: Vault, postgres: PostgresServer
) -> None:
    assert vault.read("database/diff/main").data["unexplained"] == 0
    postgres.execute("CREATE ROLE intruder LOGIN SUPERUSER")
    found = vault.read("database/diff/main").data
    assert [(each["kind"], each["name"]) for each in tables(found, "added")] == [
        ("principal", "intruder")
    ]
    (added,) = tables(found, "added")
    assert (len(text(added, "id")), added["explained"], found["unexplained"]) == (
        ID_LENGTH,
        None,
        1,
    )
    answer = {"item": added["id"], "owner": "ops", "reason": "the new backup job", "ttl": "1h"}
    assert vault.write("database/explain/main", answer).error is None
    found = vault.read("database/diff/main").data
    assert part(found, "added", 0, "explained", "owner") == "ops"
    assert found["unexplained"] == 0
    postgres.execute("ALTER ROLE intruder CREATEDB")
    found = vault.read("database/diff/main").data
    assert found["unexplained"] == 1, "an explanation holds for what was explained, no more"
    postgres.execute("ALTER ROLE intruder NOCREATEDB")
    vault.clock.advance(seconds=3601)
    assert vault.read("database/diff/main").data["unexplained"] == 1, "and it expires"
    postgres.execute("DROP ROLE intruder")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"item": "principal role nobody"}, NotFound),
        ({"owner": " "}, InvalidRequest),
        ({"reason": "x" * (MAX_WORDS + 1)}, InvalidRequest),
        ({"reason": "two\nlines"}, InvalidRequest),
        ({"ttl": 0}, InvalidRequest),
    ],
)
def test_an_explanation_that_says_nothing_is_refused(
    vault: Vault, postgres: PostgresServer, changes: dict[str, Any], error: type[Exception]
) -> None:
    postgres.execute("CREATE ROLE intruder LOGIN")
    (added,) = tables(vault.read("database/diff/main").data, "added")
    answer = {"item": added["item"], "owner": "ops", "reason": "backups", **changes}
    assert vault.write("database/explain/main", answer).error is error
    assert (
        vault.write(
            "database/explain/main",
            {**answer, "item": added["item"], "owner": "ops", "reason": "x" * MAX_WORDS, "ttl": 1},
        ).error
        is None
    )


def test_a_later_baseline_does_not_hide_what_the_first_one_shows(
    vault: Vault, postgres: PostgresServer
) -> None:
    first = vault.read("database/baseline/main").data
    postgres.execute("CREATE ROLE intruder LOGIN SUPERUSER")
    second = vault.write("database/baseline/main").data
    assert (first["number"], second["number"]) == (1, 2)
    assert vault.read("database/diff/main").data["added"] == []
    assert len(array(vault.read("database/diff/main", data={"baseline": 1}).data, "added")) == 1
    noted = [
        entry.audited["digest"]
        for _, entry in vault.house.audit_reader().entries()
        if (entry.kind, entry.op) == ("effect", "baseline")
    ]
    assert noted == [first["digest"], second["digest"]]


def test_baselines_are_limited_and_none_is_pushed_out(vault: Vault) -> None:
    for _ in range(MAX_BASELINES - 1):
        assert vault.write("database/baseline/main").error is None
    assert vault.write("database/baseline/main").error is InvalidRequest
    assert vault.read("database/baseline/main", data={"baseline": 1}).error is None


def test_an_inventory_is_everything_and_is_not_the_baseline_itself(vault: Vault) -> None:
    taken = vault.read("database/inventory/main").data
    assert taken["digest"] == vault.read("database/baseline/main").data["digest"]
    assert ("principal", "keeper") in {
        (each["kind"], each["name"]) for each in tables(taken, "items")
    }
    assert "keeper-password" not in str(taken)


def test_what_is_not_there_is_not_found(vault: Vault) -> None:
    for verb, path in (
        ("read", "sessions/none"), ("write", "kill/none"), ("write", "probe/none"),
        ("write", "lock/none"), ("write", "unlock/none"), ("write", "rotate-role/none"),
        ("write", "break-glass/none"), ("read", "inventory/none"), ("read", "diff/none"),
        ("write", "baseline/none"), ("read", "baseline/none"), ("write", "reset/none"),
        ("read", "static-roles/none"), ("write", "rotate-root/none"),
    ):  # fmt: skip
        assert getattr(vault, verb)(f"database/{path}").error is NotFound, path
    assert vault.list("database/static-roles/").error is NotFound


def test_dangerous_routes_take_sudo(vault: Vault) -> None:
    rules = {"policy": 'path "database/*" { capabilities = ["create", "read", "update"] }'}
    vault.write("sys/policies/acl/plain", rules)
    token = vault.write("auth/token/create", {"policies": ["plain"]}).token
    for path in ("break-glass/app", "baseline/main", "explain/main"):
        assert vault.write(f"database/{path}", {}, token=token).error is PermissionDenied
    assert vault.write("database/probe/app", {}, token=token).error is NotFound


def test_every_route_has_help_and_only_one_releases_a_secret() -> None:
    assert all(route.help for route in ROUTES)
    assert [route.pattern for route in ROUTES if route.releases] == ["static-creds/{name}"]


def test_a_password_is_nowhere_at_rest(vault: Vault, postgres: PostgresServer) -> None:
    role(vault)
    password = text(vault.read("database/static-creds/app").data, "password").encode()
    rows = b"".join(key + row.value for key, row in vault.storage.scan(b""))
    frames = b"".join(frame for _, frame in vault.storage.outbox())
    for needle in (password, b"keeper-password", b"static-creds", b"keeper"):
        assert needle not in rows + frames
    assert password.decode() not in postgres.log()
    assert SUPERUSER.encode() not in rows
