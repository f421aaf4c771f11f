"""The files around an SQLite database: its lock, its folder, and a check for missing files."""

import fcntl
import os
from pathlib import Path
from typing import Final

from ironkeep.core.errors import IntegrityError, Unavailable

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


def take_lock(path: Path) -> int:
    """Lock `path`.lock against other processes; return the descriptor that holds the lock."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, _FILE_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Unavailable(f"{path} is open in another process: stop that one first") from None
    return lock


def require_whole(path: Path) -> None:
    """Raise IntegrityError when the database is gone and its WAL is not.

    SQLite would apply the old WAL to a new database.
    """
    for suffix in ("-wal", "-journal"):
        rest = path.with_name(path.name + suffix)
        if rest.exists() and rest.stat().st_size and not path.exists():
            raise IntegrityError(
                f"{path} is missing, but {rest} exists: restore both from the same backup"
            )


def make_file(path: Path) -> None:
    """Create the file if it is missing, with mode 0600, which SQLite's other files inherit.

    Its name is durable when this returns, before SQLite writes a journal beside it: after a crash
    during the first start, a journal alone would look like a lost database. The name is synced even
    if the file exists, because a killed process may have created it without syncing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _FILE_MODE)
    try:
        os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)
    sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make folder and its missing parents, each durable in its parent."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file's content or a folder's names durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
