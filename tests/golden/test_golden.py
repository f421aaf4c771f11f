"""What earlier releases left on the disk opens, verifies and keeps everything.

Each archive beside this file was made by tools/golden.py with the server of the commit it is named
after. They are never made again: a release that cannot open one has a defect.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ironkeep.adapters.sqlite.schema import MIGRATIONS
from ironkeep.testing.server import ServerProcess

HERE = Path(__file__).parent
ARCHIVES = sorted(HERE.glob("*.tar.xz"))
EVERY = pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.split(".")[0])


class Left:
    """A data directory that a release left, and what must be found in it."""

    def __init__(self, archive: Path, home: Path) -> None:
        with tarfile.open(archive) as tar:
            tar.extractall(home, filter="data")
        self.home = home
        self.data = home / "data"
        self.found: dict[str, Any] = json.loads((home / "golden.json").read_text())

    def unsealed(self, server: ServerProcess) -> ServerProcess:
        status = server.api("PUT", "sys/unseal", {"key": self.found["key"]})
        assert status["sealed"] is False
        server.token = self.found["root"]
        return server

    def require_whole(self, server: ServerProcess) -> None:
        """Check that everything is there that the release was given."""
        for number in range(1, self.found["secrets"]):
            path = f"secret/data/app/{number}"
            assert server.api("GET", path)["data"]["data"] == {"v": f"second {number}"}
            first = server.api("GET", f"{path}?version=1")["data"]["data"]
            assert first == {"v": f"first {number}"}
        names = server.api("GET", "secret/metadata/app?list=true")["data"]["keys"]
        assert len(names) == self.found["secrets"] - 1
        assert server.api("GET", "plain/one")["data"] == {"v": "plain value"}
        assert "secret/*" in server.api("GET", "sys/policies/acl/reader")["data"]["policy"]
        case = server.api("GET", f"incident/cases/{self.found['case']}/exposure")["data"]
        assert sorted(row["label"] for row in case["did_read"]) == self.found["did_read"] != []

    def require_judged(self, server: ServerProcess) -> None:
        """Check that its case is judged, and no better than what stands in the journal allows."""
        verdict = server.api("GET", f"incident/cases/{self.found['case']}/verdict")["data"]
        assert verdict["outcome"] == "NOT PROVEN"
        # Nothing was rotated, and nobody knows what was removed before this release.
        checks = {item["check"] for item in verdict["open_items"]}
        assert checks >= {"not revoked", "not known", "root not checked", "no residue"}

    def require_logins(self, server: ServerProcess) -> None:
        """Check that people and machines log in as before."""
        # The secret id that the release was given has ended: they live for ten minutes.
        fresh = server.api("POST", "auth/approle/role/web/secret-id", {})["data"]["secret_id"]
        given = {"role_id": self.found["role_id"], "secret_id": fresh}
        root, server.token = server.token, ""
        for path, data in (
            ("auth/userpass/login/ann", {"password": self.found["password"]}),
            ("auth/approle/login", given),
        ):
            server.token = server.api("POST", path, data)["auth"]["client_token"]
            assert server.api("GET", "secret/data/app/3")["data"]["data"] == {"v": "second 3"}
            server.token = ""
        server.token = root

    def verified(self) -> int:
        """Return the exit code of `ironkeep audit verify`."""
        words = ["audit", "verify", str(self.data / "audit"), f"-vkey={self.found['vkey']}"]
        done = subprocess.run(
            [sys.executable, "-m", "ironkeep", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.returncode

    def schema(self) -> int:
        with closing(sqlite3.connect(self.data / "ironkeep.db")) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
        return int(version)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@EVERY
def test_what_a_release_left_opens_verifies_and_keeps_everything(archive: Path, home: Path) -> None:
    left = Left(archive, home)
    left.verified()
    with ServerProcess.configured(home) as server:
        left.unsealed(server)
        left.require_whole(server)
        left.require_judged(server)
        left.require_logins(server)
        server.api("POST", "secret/data/new", {"data": {"v": "of this release"}})
    assert left.schema() == len(MIGRATIONS)
    left.verified()
    with ServerProcess.configured(home) as server:
        left.unsealed(server)
        left.require_whole(server)
        assert server.api("GET", "secret/data/new")["data"]["data"] == {"v": "of this release"}


@EVERY
@pytest.mark.parametrize("before", ["the unsealing", "the first commit"])
def test_a_kill_before_the_first_commit_of_this_release_loses_nothing(
    archive: Path, home: Path, before: str
) -> None:
    """The file has the new schema then; the rows are still accounted for by the old sum."""
    left = Left(archive, home)
    with ServerProcess.configured(home) as server:
        if before == "the first commit":
            left.unsealed(server)
        server.process.kill()
        server.process.wait()
    with ServerProcess.configured(home) as server:
        left.unsealed(server)
        left.require_whole(server)
    left.verified()


def test_the_releases_are_there() -> None:
    found = {path.name.split(".")[0] for path in ARCHIVES}
    assert found >= {"228ec9c", "00613dc", "e0bc862", "3ccb303"}
