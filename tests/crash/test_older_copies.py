"""A real server put back from an older copy: refused by the journal, or else by a witness."""

import shutil
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ironkeep.demo.witness_process import WitnessProcess, witness
from ironkeep.testing.server import ServerProcess
from ironkeep.tlog.note import VerifierKey
from tests.support.crash.crashed_server import LOG
from tests.support.crash.mixed_load import Wire


class Estate:
    """A server's directory with a secret in it, and an older copy of the directory."""

    def __init__(self, home: Path, more: str = "") -> None:
        self.home = home
        self.more = more
        self.copy = home / "copy"
        with self.serve() as server:
            (self.key,) = server.initialise()
            self.token = server.token
            server.api("POST", "sys/mounts/secret", {"type": "kv"})
            server.api("POST", "secret/a", {"password": "old"})
        shutil.copytree(self.data, self.copy)
        with self.serve() as server:
            assert self.unseal(server) is None
            server.token = self.token
            server.api("POST", "secret/a", {"password": "new"})

    @property
    def data(self) -> Path:
        return self.home / "data"

    @contextmanager
    def serve(self) -> Iterator[ServerProcess]:
        with ServerProcess.configured(self.home, more=self.more) as server:
            yield server

    def unseal(self, server: ServerProcess) -> str | None:
        """Unseal; return why it was refused, None when it was not."""
        wire = Wire(server.address)
        told = wire.send("PUT", "sys/unseal", {"key": self.key})
        sealed = wire.must("GET", "sys/seal-status")["sealed"]
        wire.close()
        assert sealed == (told.status != 200)
        return "; ".join(told.body["errors"]) if sealed else None

    def put_back(self, *names: str) -> None:
        """Replace parts of the directory by their older copies."""
        for name in names:
            path = self.data / name
            if path.is_dir():
                shutil.rmtree(path)
                shutil.copytree(self.copy / name, path)
            else:
                shutil.copy2(self.copy / name, path)

    def password(self) -> str:
        with self.serve() as server:
            assert self.unseal(server) is None
            server.token = self.token
            found: str = server.api("GET", "secret/a")["data"]["password"]
        return found


def test_an_older_database_stays_sealed(tmp_path: Path) -> None:
    estate = Estate(tmp_path)
    assert estate.password() == "new"
    newest = (estate.data / "ironkeep.db").read_bytes()
    estate.put_back("ironkeep.db")
    with estate.serve() as server:
        assert "older copy" in (estate.unseal(server) or "")
        server.token = estate.token
        with pytest.raises(urllib.error.HTTPError, match="503"):
            server.api("GET", "secret/a")
    (estate.data / "ironkeep.db").write_bytes(newest)
    assert estate.password() == "new"


def test_an_older_journal_does_not_start(tmp_path: Path) -> None:
    estate = Estate(tmp_path)
    estate.put_back("audit")
    with pytest.raises(RuntimeError, match="do not belong together"), estate.serve():
        pass


@contextmanager
def witnessed(tmp_path: Path) -> Iterator[tuple[str, WitnessProcess]]:
    """Make a server's log, and a witness of it; yield what configures it."""
    with ServerProcess.configured(tmp_path):
        pass
    key = VerifierKey.parse((tmp_path / "data" / LOG / "vkey").read_text().strip())
    (tmp_path / "tower").mkdir()
    with witness(tmp_path / "tower", [key]) as tower:
        words = f'address = "{tower.address}"\n  vkey = "{tower.key.format()}"'
        yield f'witness "tower" {{\n  {words}\n}}', tower


def test_both_from_an_older_copy_are_refused_by_what_a_witness_remembers(tmp_path: Path) -> None:
    with witnessed(tmp_path) as (block, tower):
        estate = Estate(tmp_path, block)
        estate.put_back("ironkeep.db", "audit")
        with pytest.raises(RuntimeError, match=r"a witness's head is at .* older copy"):
            estate.serve().__enter__()
        tower.kill()
        assert estate.password() == "old", "without its witness nothing tells that it is old"


def test_both_from_an_older_copy_without_a_witness_are_not_noticed(tmp_path: Path) -> None:
    """What the threat model says: this is what witnesses are for."""
    estate = Estate(tmp_path)
    estate.put_back("ironkeep.db", "audit")
    assert estate.password() == "old"
