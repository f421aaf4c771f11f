"""hvac, unmodified, does with a real server all that it knows of connections and static roles."""

from pathlib import Path

import hvac
import psycopg
import pytest

from ironkeep.testing.postgres import PostgresServer
from ironkeep.testing.server import ServerProcess


def test_hvac_configures_rotates_reads_and_removes(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    postgres.execute(
        "CREATE ROLE hvac_admin LOGIN SUPERUSER PASSWORD 'hvac-admin'",
        "CREATE ROLE hvac_app LOGIN PASSWORD 'hvac-app'",
    )
    with ServerProcess.configured(tmp_path) as server:
        server.initialise()
        client = hvac.Client(url=server.address, token=server.token)
        client.sys.enable_secrets_engine("database")
        database = client.secrets.database
        database.configure(
            "main",
            "postgresql-database-plugin",
            allowed_roles=["hvac_app"],
            connection_url="postgresql://{{username}}:{{password}}@127.0.0.1:"
            f"{postgres.port}/postgres?sslmode=disable",
            username="hvac_admin",
            password="hvac-admin",
        )
        assert database.list_connections()["data"] == {"keys": ["main"]}
        assert database.read_connection("main")["data"]["allowed_roles"] == ["hvac_app"]
        assert database.rotate_root_credentials("main").status_code == 204
        assert database.reset_connection("main").status_code == 204
        database.create_static_role("hvac_app", "main", "hvac_app", [], rotation_period="86400")
        assert database.list_static_roles()["data"] == {"keys": ["hvac_app"]}
        assert database.read_static_role("hvac_app")["data"]["rotation_period"] == 86400
        first = database.get_static_credentials("hvac_app")["data"]["password"]
        assert database.rotate_static_role_credentials("hvac_app").status_code == 204
        second = database.get_static_credentials("hvac_app")["data"]["password"]
        postgres.connect("hvac_app", second).close()
        for dead in (first, "hvac-app"):
            with pytest.raises(psycopg.OperationalError):
                postgres.connect("hvac_app", dead)
        assert database.delete_static_role("hvac_app").status_code == 204
        assert database.delete_connection("main").status_code == 204
        with pytest.raises(hvac.exceptions.InvalidPath):
            database.read_connection("main")
