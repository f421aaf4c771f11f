"""Connections to a SQLite file, and its errors as those of the port."""

import errno
import sqlite3
from pathlib import Path
from typing import Final, NoReturn

from ironkeep.core.errors import IntegrityError, Unavailable

BUSY_SECONDS: Final = 5.0
"""Time that a commit waits for a checkpoint that starts the WAL over; milliseconds are normal."""
CACHE_KIB: Final = 16_384
"""Size of the page cache of each connection."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE: Final = 0xFF
_NUMBERS: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    # No descriptor left, or no permission: SQLite does not say which.
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}
"""SQLite results that have a more exact errno than EIO."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that syncs every commit and leaves checkpoints to `checkpoint`.

    One thread uses a connection at a time, which need not be the thread that opened it.
    """
    # mode=rw: never create a missing file; `make_file` does that once, at the start.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_SECONDS,
    )
    # A value that no commit wrote must be refused as that, not as a failing disk.
    connection.text_factory = _text
    for pragma in (
        "synchronous = FULL",
        "wal_autocheckpoint = 0",
        f"cache_size = -{CACHE_KIB}",
        "cell_size_check = ON",
        "trusted_schema = OFF",
        # A destroyed segment's wraps must be erased from the file, not only from the tables.
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def require_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Switch the file to a write-ahead log; raise Unavailable where that is impossible."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise Unavailable(
            f"{path} is on a file system without shared memory, such as a network mount: use a "
            "local disk"
        )


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def raise_as_port(error: sqlite3.Error | MemoryError) -> NoReturn:
    """Raise the error of the port that corresponds to SQLite's error."""
    if isinstance(error, MemoryError):
        raise OSError(errno.ENOMEM, "out of memory for the database") from error
    code = code_of(error)
    if code in _DAMAGED:
        raise IntegrityError(f"the database is damaged ({error}): restore a backup") from error
    raise OSError(_NUMBERS.get(code, errno.EIO), f"the database: {error}") from error


def code_of(error: sqlite3.Error | MemoryError) -> int:
    """Return SQLite's primary result code; 0 for an error of the Python module itself."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
