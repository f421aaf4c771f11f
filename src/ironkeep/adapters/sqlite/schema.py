"""The tables of a SQLite store, and the migrations of older files.

    row     the stored rows; seq, the commit that last wrote a row, is there for people who read it
    commits one row for each commit, the last one is the head: its state, the keys that it changed,
            the number of keys in all commits up to it, and its journal frame until it is drained
    sums    one row: the snapshot of the sums by bucket (store/standing/), from time to time

A bucket of rows is found by the last two bytes of their keys, which `row_tail` indexes. A commit of
n rows takes n operations on `row`, one on `row_tail` for each key that is new or removed, and two
on `commits`.

The file's `user_version` is the schema's number; its `application_id` marks it as Ironkeep's.
"""

import sqlite3
from pathlib import Path
from typing import Final

from ironkeep.core.errors import IntegrityError, Unavailable

APPLICATION_ID: Final = 0x49524B50
"""ASCII "IRKP", for file(1) and to refuse another program's database."""

LOST_HEAD: Final = "the database lost its head row: restore a backup"

_WRONG_SCHEMA: Final = (
    "the database's schema number does not fit its tables: it was changed outside Ironkeep; keep a "
    "copy for evidence and restore a backup"
)

TAIL: Final = "substr(key, -2)"
"""The expression that `row_tail` indexes; a query that spells it otherwise reads all rows."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE row (
            key BLOB PRIMARY KEY, value BLOB NOT NULL, due INTEGER, seq INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX row_due ON row (due, key) WHERE due IS NOT NULL",
        "CREATE INDEX row_seq ON row (seq, key)",
        "CREATE TABLE tomb (key BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX tomb_seq ON tomb (seq, key)",
        "CREATE TABLE outbox (seq INTEGER PRIMARY KEY, frame BLOB NOT NULL)",
        """CREATE TABLE head (
            one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, state BLOB NOT NULL,
            dropped_seq INTEGER NOT NULL
        )""",
        "INSERT INTO head VALUES (1, 0, x'', 0)",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
    (
        """CREATE TABLE commits (
            seq INTEGER PRIMARY KEY, upto INTEGER NOT NULL, keys BLOB NOT NULL,
            state BLOB NOT NULL, frame BLOB
        )""",
        "CREATE TABLE sums (one INTEGER PRIMARY KEY CHECK (one = 1), state BLOB NOT NULL)",
        """INSERT INTO commits SELECT seq, 0, x'', state, (SELECT frame FROM outbox
            WHERE outbox.seq = head.seq) FROM head WHERE seq > 0""",
        "DROP INDEX row_seq",
        f"CREATE INDEX row_tail ON row ({TAIL})",
        "DROP TABLE tomb",
        "DROP TABLE outbox",
        "DROP TABLE head",
    ),
    # Rows and entries of this schema have fields that releases of schema 2 cannot read: they would
    # serve secrets and fail on every case.
    (),
)
"""Statements from schema n to n + 1, one transaction for each step; released ones never change.

A step without statements keeps earlier releases from opening rows that they cannot read.
"""


_COMMITS: Final = 2
"""The schema that has one row for each commit."""


def require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless the file is new or has a known schema; change nothing.

    Raise IntegrityError for another program's file, Unavailable for one of a newer Ironkeep.
    """
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID and (owner, version, tables) != (0, 0, 0):
        raise IntegrityError(f"{path} is not an Ironkeep database: give another path")
    if version > len(MIGRATIONS):
        raise Unavailable(
            f"{path} was made by a newer ironkeep (schema {version}, this one knows up to"
            f" {len(MIGRATIONS)}): install that version or a later one"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the current schema; a crash leaves it at an intermediate schema.

    Raise IntegrityError if its tables are not those of the schema that it names.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    try:
        for number, statements in enumerate(MIGRATIONS[version:], version + 1):
            connection.execute("BEGIN IMMEDIATE")
            if number == _COMMITS and version == _COMMITS - 1:
                _require_first_head(connection)
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            raise IntegrityError(f"{_WRONG_SCHEMA} ({error})") from error
        raise


def _require_first_head(connection: sqlite3.Connection) -> None:
    """Raise IntegrityError unless schema 1 has one head, whose frame is the whole outbox."""
    heads = connection.execute("SELECT seq FROM head").fetchall()
    frames = connection.execute("SELECT seq FROM outbox ORDER BY seq").fetchall()
    if len(heads) != 1:
        raise IntegrityError(LOST_HEAD)
    if frames != [head for head in heads if head != (0,)]:
        raise IntegrityError(
            f"the outbox holds frames of the commits {[seq for (seq,) in frames]} instead of the "
            "last one alone: it was changed outside Ironkeep. Restore a backup"
        )


def require_head(connection: sqlite3.Connection) -> None:
    """Raise IntegrityError if there are rows, but no commit that could have written them."""
    (lost,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM row) AND NOT EXISTS (SELECT 1 FROM commits)"
    ).fetchone()
    if lost:
        raise IntegrityError(LOST_HEAD)
