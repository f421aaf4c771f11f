"""A physical standby of a private PostgreSQL server."""

import os
import pwd
import subprocess
import time
from typing import Any, Final

from ironkeep.testing.postgres import SUPERUSER, UNPRIVILEGED, PostgresServer, default_binaries

_TRIES: Final = 600


class Standby(PostgresServer):
    """Follows `primary`, whose superuser and password it has; replay can be paused."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__()
        self._primary: Final = primary
        self.password = primary.password

    def pause(self) -> None:
        """Stop replaying, so that changes of the primary are not seen."""
        self.execute("SELECT pg_wal_replay_pause()")
        # The call only requests it: what is being replayed is replayed to its end.
        for _ in range(_TRIES):
            if self.execute("SELECT pg_get_wal_replay_pause_state()")[0][0] == "paused":
                return
            time.sleep(0.05)
        raise AssertionError("the standby does not pause")

    def resume(self) -> None:
        """Replay what came meanwhile."""
        self.execute("SELECT pg_wal_replay_resume()")

    def _create(self) -> None:
        """Copy the primary, as the user that the server will run as."""
        self._binaries = self._primary._binaries or default_binaries()
        identity: dict[str, Any] = {"cwd": "/"}
        (self._directory / "log").touch(mode=0o600)
        if os.geteuid() == 0:
            account = pwd.getpwnam(UNPRIVILEGED)
            for path in (self._directory, self._directory / "log"):
                os.chown(path, account.pw_uid, account.pw_gid)
            identity |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        command = [
            str(self._binaries / "pg_basebackup"), "-D", str(self.data), "-R", "-X", "stream",
            "-c", "fast", "-h", self.host, "-p", str(self._primary.port), "-U", SUPERUSER,
        ]  # fmt: skip
        password = {"PGPASSWORD": self.password.reveal().decode()}
        environment = {**os.environ, **password}
        subprocess.run(command, check=True, capture_output=True, env=environment, **identity)
