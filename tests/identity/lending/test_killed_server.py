"""A real server, killed at each step of a loan: the credential ends with its lease, and once."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.error import URLError

import pytest

from ironkeep.testing.server import ServerProcess
from tests.support.crash.reopened import reopened

PROGRAM: Final = ("-m", "tests.support.crash.lending_server")
WAIT_SECONDS: Final = 60
LENDING: Final = ("lent", "made")
REVOKING: Final = ("dropping", "dropped", "closed", "stored", "written")
TICK_SECONDS: Final = 1
REPEATED: Final = ("dropped", "closed")
"""Steps after which the system is asked again: the drop is not on record."""


class Trial:
    """One directory, over which servers are started and end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.share = self.token = ""
        (folder / "system").mkdir()

    @property
    def users(self) -> list[str]:
        """The users of the system outside."""
        return sorted(each.name for each in (self.folder / "system").iterdir())

    @property
    def drops(self) -> list[str]:
        """The names that the system was asked to drop."""
        drops = self.folder / "drops"
        return drops.read_text(encoding="ascii").split() if drops.exists() else []

    def kill_at(self, step: str) -> None:
        """Have the server killed when it comes to a step."""
        (self.folder / "kill-at").write_text(step, encoding="ascii")

    def begin(self, server: ServerProcess) -> None:
        """Make the keys and the mount."""
        (self.share,) = server.initialise()
        self.token = server.token
        server.api("POST", "sys/mounts/lend", {"type": "lender"})
        server.api("POST", "lend/settings", {})

    def go_on(self, server: ServerProcess) -> None:
        """Unseal a server that was started again."""
        server.api("PUT", "sys/unseal", {"key": self.share})
        server.token = self.token

    def await_end(self, server: ServerProcess) -> None:
        """Wait until a server was killed."""
        assert server.process.wait(timeout=WAIT_SECONDS) == -9
        assert not (self.folder / "kill-at").exists()

    def await_revoked(self, server: ServerProcess) -> None:
        """Wait until the journal has the end of a lease."""
        until = time.monotonic() + WAIT_SECONDS
        while not self.ends(server):
            assert time.monotonic() < until, "the lease was never revoked"
            time.sleep(0.05)

    def ends(self, server: ServerProcess) -> int:
        """Return how many revocations of leases the journal has."""
        found = server.api("GET", "sys/audit/log/search?op=revoke-lease&limit=100")
        outcomes = [entry.get("outcome", "ok") for entry in found["data"]["entries"]]
        assert set(outcomes) <= {"ok"}
        return len(outcomes)

    def leases(self) -> int:
        """Return how many leases are stored, those included that still have to be revoked."""
        with reopened(self.folder / "data") as server:
            server.ask("PUT", "sys/unseal", {"key": self.share})
            house = server.house
            return house.leases.count(house.state.begin())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", [*LENDING, *REVOKING])
def test_a_loan_that_was_cut_off_ends_revoked_once(tmp_path: Path, step: str) -> None:
    trial = Trial(tmp_path)
    kept, lease = list[str](), ""
    with ServerProcess.configured(tmp_path, program=PROGRAM) as server:
        trial.begin(server)
        if step in REVOKING:
            kept.append(server.api("GET", "lend/creds/kept")["data"]["user"])
            lease = server.api("GET", "lend/creds/app")["lease_id"]
        trial.kill_at(step)
        with suppress(URLError, ConnectionError):
            if step in REVOKING:
                server.api("PUT", "sys/leases/revoke", {"lease_id": lease})
            else:
                server.api("GET", "lend/creds/app")
        trial.await_end(server)
    with ServerProcess.configured(tmp_path, program=PROGRAM) as server:
        trial.go_on(server)
        if step in LENDING:
            # Nobody knows the lease; it would end at its expiry.
            assert len(trial.users) == (step == "made")
            server.api("PUT", "sys/leases/revoke-prefix/lend", {})
        trial.await_revoked(server)
        # What is due again at once would be revoked again now.
        time.sleep(2 * TICK_SECONDS)
        assert trial.ends(server) == 1
    assert trial.users == kept
    assert len(trial.drops) == (2 if step in REPEATED else 1)
    assert len(set(trial.drops)) == 1
    assert trial.leases() == len(kept)
