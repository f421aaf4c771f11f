"""A real server that ends itself with SIGKILL at the step whose number a file holds.

    python killed_server.py FILE server -config=…

A step is a call to PostgreSQL or a commit; the end comes right after it, when nobody here knows yet
that it happened. The file is counted down; without it nothing happens.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from ironkeep import app
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.cli.main import main
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.ports import Commit

COUNTDOWN: Final = Path(sys.argv.pop(1))


def step() -> None:
    try:
        left = int(COUNTDOWN.read_text())
    except FileNotFoundError:
        return
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    COUNTDOWN.write_text(str(left - 1))


class KilledPostgreSQL(PostgreSQL):
    def set_password(self, *arguments: Any) -> None:
        super().set_password(*arguments)
        step()

    def probe(self, *arguments: Any) -> Any:
        found = super().probe(*arguments)
        step()
        return found

    def kill_sessions(self, *arguments: Any) -> Any:
        found = super().kill_sessions(*arguments)
        step()
        return found


class KilledStorage(SqliteStorage):
    def commit(self, commit: Commit) -> None:
        super().commit(commit)
        step()


if __name__ == "__main__":
    app.PostgreSQL = KilledPostgreSQL  # type: ignore[attr-defined]
    app.SqliteStorage = KilledStorage  # type: ignore[attr-defined]
    sys.exit(main())
