"""A real server over SQLite and a real journal, killed at each step of rotations on PostgreSQL.

Whatever the step: after a restart the vault goes on by itself, and ends with one password that
works, which is the one that it serves.
"""

import http.client
import time
import urllib.error
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from ironkeep.testing.postgres import SUPERUSER, PostgresServer
from ironkeep.testing.server import ServerProcess

SCRIPT: Final = str(Path(__file__).with_name("killed_server.py"))
SETTLE_SECONDS: Final = 240
"""The clock looks once a second; a busy machine takes longer for a rotation."""

STEPS: Final = {False: 11, True: 13}
"""Of a rotation by the administrator, and by the account itself: a test must reach them all."""


class Trial:
    """One vault, its server started anew after each kill."""

    def __init__(self, folder: Path, postgres: PostgresServer, *, self_managed: bool) -> None:
        self.folder = folder
        self.postgres = postgres
        self.self_managed = self_managed
        self.countdown = folder / "countdown"
        self.keys: list[str] = []
        self.token = ""

    def serve(self) -> Any:
        return ServerProcess.configured(self.folder, program=(SCRIPT, str(self.countdown)))

    def prepare(self, server: ServerProcess) -> None:
        self.keys = server.initialise()
        self.token = server.token
        server.api("POST", "sys/mounts/database", {"type": "database"})
        config = {
            "plugin_name": "postgresql-database-plugin",
            "host": self.postgres.host,
            "port": self.postgres.port,
            "sslmode": "disable",
            "username": SUPERUSER,
            "password": self.postgres.password.reveal().decode(),
            "allowed_roles": "*",
        }
        server.api("POST", "database/config/main", config)

    def add(self, server: ServerProcess, name: str) -> None:
        self.postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'first'")
        role = {
            "db_name": "main",
            "username": name,
            "password": "first",
            "skip_import_rotation": True,
            "self_managed": self.self_managed,
        }
        server.api("POST", f"database/static-roles/{name}", role)

    def rotate(self, server: ServerProcess, name: str, at: int) -> bool:
        """Rotate, to be killed at a step; return whether it was."""
        self.countdown.write_text(str(at))
        try:
            server.api("POST", f"database/rotate-role/{name}")
        except (http.client.HTTPException, urllib.error.URLError, ConnectionError):
            assert server.process.wait(SETTLE_SECONDS) == -9
            self.countdown.unlink()
            return True
        self.countdown.unlink()
        return False

    def open(self, server: ServerProcess) -> None:
        server.token = self.token
        server.api("PUT", "sys/unseal", {"key": self.keys[0]})

    def settle(self, server: ServerProcess, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            state: dict[str, Any] = server.api("GET", f"database/static-roles/{name}")["data"]
            if state["state"] == "idle":
                return state
            assert time.monotonic() < deadline, f"the rotation of {name} did not end: {state}"

    def assert_sound(self, server: ServerProcess, name: str) -> None:
        versions = self.settle(server, name)["versions"]
        current = [each["version"] for each in versions if each["stage"] == "current"]
        alive = [
            each["version"]
            for each in versions
            if server.api("POST", f"database/probe/{name}", each)["data"]["state"] == "alive"
        ]
        assert alive == current
        assert len(alive) == 1
        served = server.api("GET", f"database/static-creds/{name}")["data"]["password"]
        with self.postgres.connect(name, served) as session:
            assert session.execute("SELECT current_user").fetchall() == [(name,)]
        if served != "first":
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                self.postgres.connect(name, "first")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "self_managed", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["self", "admin"]
)
def test_killed_at_each_step_it_ends_with_one_working_credential(
    tmp_path: Path, postgres: PostgresServer, self_managed: bool
) -> None:
    trial = Trial(tmp_path, postgres, self_managed=self_managed)
    who = "own" if self_managed else "kept"
    with trial.serve() as server:
        trial.prepare(server)
    for at in count():
        name = f"{who}{at}"
        with trial.serve() as server:
            trial.open(server)
            if at:
                trial.assert_sound(server, f"{who}{at - 1}")
            trial.add(server, name)
            if not trial.rotate(server, name, at):
                trial.assert_sound(server, name)
                break
    assert at == STEPS[self_managed]
