"""A real server with the lending engine, which kills itself at one step of a loan.

python -m tests.support.crash.lending_server server -config=…

The system outside is a folder with a file for each user, `system`, and a line in `drops` for each
attempt to drop one. The file `kill-at` names the step at which the process ends, once:

    lent      the lease is durable, and there is no user yet
    made      there is a user, and nobody was answered
    dropping  a due lease is being revoked: the user is about to be dropped
    dropped   the user was dropped, and nothing of that is written
    closed    the end of the lease is about to be written
    stored    it is in the database, but not in the journal
    written   it is in both, and nothing followed
"""

import os
import signal
import sys
from pathlib import Path
from typing import Final

from ironkeep import app
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.cli.main import main
from ironkeep.core.ports import Commit
from ironkeep.journal.frame import Frame
from ironkeep.journal.journal import Journal
from tests.support.lender import Lender, System

HOME: Final = Path(os.environ["HOME"])
KILL_AT: Final = HOME / "kill-at"


def reached(step: str) -> None:
    """End the process without a word if this is the step at which it is to be killed."""
    if KILL_AT.exists() and KILL_AT.read_text(encoding="ascii") == step:
        KILL_AT.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


class Folder(System):
    """The system, whose users outlive this process."""

    ending = False
    """Whether a user was dropped, so that the next commit is the end of its lease."""
    stored = False
    """Whether that commit is in the database."""

    def make(self, name: str) -> None:
        """Make a user."""
        reached("lent")
        (HOME / "system" / name).touch()
        reached("made")

    def drop(self, name: str) -> None:
        """Drop a user; one that is gone is success."""
        reached("dropping")
        with (HOME / "drops").open("a", encoding="ascii") as drops:
            drops.write(f"{name}\n")
        (HOME / "system" / name).unlink(missing_ok=True)
        reached("dropped")
        self.ending = True


def ending(system: Folder) -> None:
    """Have the end of a lease stop before and after it is stored, and after it is journalled."""
    stored, write = SqliteStorage.commit, Journal.write

    def stopped_commit(self: SqliteStorage, commit: Commit) -> None:
        if system.ending:
            reached("closed")
        stored(self, commit)
        if system.ending:
            system.stored = True
            reached("stored")

    def stopped_write(self: Journal, frame: Frame) -> None:
        write(self, frame)
        if system.stored:
            reached("written")

    SqliteStorage.commit = stopped_commit  # type: ignore[method-assign]
    Journal.write = stopped_write  # type: ignore[method-assign]


if __name__ == "__main__":
    outside = Folder()
    app.PLUGINS = {**app.PLUGINS, "lender": Lender(outside)}  # type: ignore[misc]
    ending(outside)
    sys.exit(main())
