"""The tables of a SQLite store, and the migrations of older files.

    row     the stored rows; seq is the commit that last wrote a row
    tomb    removed keys, for the change stream
    outbox  journal frames that may not have reached the journal yet
    head    one row: the last commit's number and state, and the last removal dropped from tomb

The file's `user_version` is the schema's number; its `application_id` marks it as Ironkeep's.
"""

import sqlite3
from pathlib import Path
from typing import Final

from ironkeep.core.errors import IntegrityError, Unavailable

APPLICATION_ID: Final = 0x49524B50
"""ASCII "IRKP", for file(1) and to refuse another program's database."""

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
)
"""Statements from schema n to n + 1, one transaction for each step; released ones never change."""


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
    """Bring the file to the current schema; a crash leaves it at an intermediate schema."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def require_head(connection: sqlite3.Connection) -> None:
    """Raise IntegrityError unless there is exactly one head row, as in every schema."""
    (heads,) = connection.execute("SELECT count(*) FROM head").fetchone()
    if heads != 1:
        raise IntegrityError("the database lost its head row: restore a backup")
