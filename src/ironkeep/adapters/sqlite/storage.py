"""Rows in one SQLite file, with a write-ahead log; every commit is synced before it returns.

There are three connections, each with one owner: the writer thread calls `commit`, the loop thread
calls all methods that read, and a worker calls `checkpoint`. A reader never waits for the writer
and sees finished commits only. Only `checkpoint` empties the WAL, so no commit pays for it.

A failed commit leaves nothing behind, not even bytes that a later start could take for a finished
commit. Until that is ensured, `commit` and `head` fail.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from ironkeep.adapters.closed_folder import require_closed
from ironkeep.adapters.sqlite.files import make_file, make_folder, require_whole, sync, take_lock
from ironkeep.adapters.sqlite.schema import migrate, require_head, require_ours
from ironkeep.core.errors import IntegrityError, NotFound, Unavailable
from ironkeep.core.ports import Change, Commit, Row, StoreHead

MAX_TOMBS: Final = 262_144
"""Removals kept for the change stream, some 20 MB; a reader further behind starts with a scan."""
SCAN_START: Final = 8
"""Rows in the first page of a folder's scan: most callers only test whether it is empty."""
SCAN_PAGE: Final = 256
"""Rows that `scan` reads at a time: an open read transaction would block checkpoints."""
RESTART_PAGES: Final = 4_096
"""Pages in the WAL (16 MiB) past which `checkpoint` blocks the writer to start the WAL over."""
PASSES: Final = 3
"""Passive rounds before the writer is blocked: each leaves only the pages added during it."""
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

_PUT: Final = (
    "INSERT INTO row (key, value, due, seq) VALUES (?, ?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET value = excluded.value, due = excluded.due, seq = excluded.seq"
)
_BURY: Final = "INSERT INTO tomb (key, seq) SELECT key, ? FROM row WHERE key = ?"
_DUE: Final = "SELECT due, key FROM row WHERE due < ? ORDER BY due, key LIMIT ?"
_DUE_AFTER: Final = (
    "SELECT due, key FROM row WHERE (due, key) > (?, ?) AND due < ? ORDER BY due, key LIMIT ?"
)
_SCAN: Final = "SELECT key, value, due FROM row WHERE key >= ? ORDER BY key LIMIT ?"
_SCAN_TO: Final = "SELECT key, value, due FROM row WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_CHANGES: Final = (
    "SELECT seq, key, value, due FROM row WHERE seq > ?1"
    " UNION ALL SELECT seq, key, NULL, NULL FROM tomb WHERE seq > ?1"
    " ORDER BY seq, key LIMIT ?2"
)


class SqliteStorage:
    """Storage in the SQLite file at path, which is created if missing; see `core.ports.Storage`.

    Raise Unavailable when another process has it open or a newer Ironkeep made it, IntegrityError
    when it is damaged, partly missing, or not an Ironkeep database. The attribute `lost` is true if
    the file was created although a database had been there before. max_tombs bounds the removals
    kept for `changes`.
    """

    def __init__(self, path: Path, *, max_tombs: int = MAX_TOMBS) -> None:
        self._path: Final = path
        self._max_tombs: Final = max_tombs
        self._checkpointing: Final = threading.Lock()
        self._unwritable = False
        self._unrepaired = False
        with ExitStack() as stack:
            make_folder(path.parent)
            require_closed(path.parent)
            # A killed process may have made the folder without syncing its name.
            sync(path.parent.parent)
            locked_before = path.with_name(path.name + ".lock").exists()
            stack.callback(os.close, take_lock(path))
            self.lost: Final = locked_before and not path.exists()
            require_whole(path)
            make_file(path)
            try:
                self._reader: Final = stack.enter_context(closing(_connect(path)))
                require_ours(self._reader, path)
                self._writer = _connect(path)
                stack.callback(self._close_writer)
                _require_wal(self._writer, path)
                migrate(self._writer)
                require_head(self._writer)
                # SQLite syncs its files' names too, but ignores a failure.
                sync(path.parent)
                self._tombs = _count_tombs(self._writer)
                self._reader.execute("PRAGMA query_only = ON")
            except sqlite3.Error as error:
                _raise(error)
            self._open: Final = stack.pop_all()

    def head(self) -> StoreHead:
        """Return the number and state of the last finished commit."""
        self._require_sound()
        ((seq, state),) = self._read("SELECT seq, state FROM head")
        if not isinstance(seq, int) or not isinstance(state, bytes):
            raise IntegrityError("the database's head is damaged: restore a backup")
        return StoreHead(seq, state)

    def get(self, key: bytes) -> Row | None:
        """Return the row at key, or None."""
        found = self._read("SELECT value, due FROM row WHERE key = ?", key)
        return _row(*found[0]) if found else None

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows whose key starts with prefix, in key order.

        All rows of a page are of one commit; the next page may be of a later one.
        """
        start, end, size = prefix, _after(prefix), SCAN_START if prefix else SCAN_PAGE
        while True:
            if end is None:
                page = self._read(_SCAN, start, size)
            else:
                page = self._read(_SCAN_TO, start, end, size)
            for key, value, due in page:
                yield key, _row(value, due)
            if len(page) < size:
                return
            start, size = page[-1][0] + b"\x00", SCAN_PAGE

    def due(
        self, before_ns: int, limit: int, after: tuple[int, bytes] | None = None
    ) -> list[tuple[int, bytes]]:
        """Return at most limit pairs (due_ns, key) due before before_ns and behind after."""
        if after is None:
            return self._read(_DUE, before_ns, limit)
        return self._read(_DUE_AFTER, *after, before_ns, limit)

    def outbox(self) -> list[tuple[int, bytes]]:
        """Return (seq, frame) of every frame not yet reported as drained, in order."""
        self._require_sound()
        return self._read("SELECT seq, frame FROM outbox ORDER BY seq")

    def changes(self, after_seq: int, limit: int) -> list[Change]:
        """Return the rows last changed after commit after_seq, by seq then key, at most limit.

        The limit may cut a commit in two: a caller that gets `limit` rows continues from the commit
        before the last row's. Raise NotFound when removals since after_seq have been dropped: start
        over with `head` and a full `scan`. With after_seq 0 dropped removals do not matter, because
        the caller has seen no rows.
        """
        ((dropped,),) = self._read("SELECT dropped_seq FROM head")
        if 0 < after_seq < dropped:
            raise NotFound(f"changes are kept from commit {dropped} on: begin with a full scan")
        return [
            Change(seq, key, None if value is None else _row(value, due))
            for seq, key, value, due in self._read(_CHANGES, after_seq, limit)
        ]

    def commit(self, commit: Commit) -> None:
        """Make commit durable, all or nothing; see `core.ports.Storage.commit`.

        After an OSError nothing of commit is stored, or `head` raises too and a restart decides.
        """
        self._require_sound()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._require_next(commit.seq)
            tombs = self._apply(commit)
        except (sqlite3.Error, MemoryError) as error:
            self._reopen_writer()
            _raise(error)
        except BaseException:
            self._writer.execute("ROLLBACK")
            raise
        try:
            self._writer.execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            # On a full disk a write failed, so the WAL lacks the frame that would complete the
            # commit. No repair is needed then, and there may be no room for one.
            self._unrepaired = _code(error) != sqlite3.SQLITE_FULL
            self._reopen_writer()
            self._repair()
            _raise(error)
        self._tombs = tombs

    def _require_next(self, seq: int) -> None:
        (head,) = self._writer.execute("SELECT seq FROM head").fetchone()
        if seq != head + 1:
            raise IntegrityError(
                f"commit {seq} does not follow commit {head}: another process wrote to the database"
            )

    def _apply(self, commit: Commit) -> int:
        """Execute commit in the open transaction; return the number of tombs after it."""
        run, many, seq = self._writer.execute, self._writer.executemany, commit.seq
        puts, gone = [], []
        for key, row in commit.writes.items():
            if row is None:
                gone.append((key,))
            else:
                puts.append((key, row.value, row.due_ns, seq))
        many(_PUT, puts)
        back = many("DELETE FROM tomb WHERE key = ?", [put[:1] for put in puts]).rowcount
        many(_BURY, [(seq, *key) for key in gone])
        buried = many("DELETE FROM row WHERE key = ?", gone).rowcount
        run("UPDATE head SET seq = ?, state = ?", (seq, commit.state))
        run("DELETE FROM outbox WHERE seq <= ?", (commit.drained_seq,))
        run("INSERT INTO outbox (seq, frame) VALUES (?, ?)", (seq, commit.frame))
        return self._drop_tombs(self._tombs - max(back, 0) + max(buried, 0))

    def _drop_tombs(self, tombs: int) -> int:
        """Drop the oldest tombs past the bound, at most as many as this commit added."""
        excess = tombs - self._max_tombs
        if excess <= 0:
            return tombs
        oldest = self._writer.execute(
            "SELECT key, seq FROM tomb ORDER BY seq, key LIMIT ?", (excess,)
        ).fetchall()
        self._writer.executemany("DELETE FROM tomb WHERE key = ? AND seq = ?", oldest)
        self._writer.execute("UPDATE head SET dropped_seq = ?", oldest[-1][1:])
        return self._max_tombs

    def _close_writer(self) -> None:
        self._writer.close()

    def _reopen_writer(self) -> None:
        """Replace the writer's connection, which ends its transaction in any state."""
        try:
            with suppress(sqlite3.Error):
                self._writer.close()
            self._writer = _connect(self._path)
            self._tombs = _count_tombs(self._writer)
        except (sqlite3.Error, MemoryError):
            self._unwritable = True
        else:
            self._unwritable = False

    def _repair(self) -> None:
        """Make sure that a commit whose sync failed does not reappear.

        Its frames may be complete in the WAL, and a start after a crash would take them for a
        commit, although this process has reported it as failed. So the frames before them are moved
        to the database file, and the WAL is truncated durably.
        """
        if not self._unrepaired or self._unwritable:
            return
        try:
            (busy, _, _) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            sync(self._path.with_name(self._path.name + "-wal"))
        except (sqlite3.Error, MemoryError, OSError):
            busy = True
        self._unrepaired = bool(busy)

    def checkpoint(self) -> None:
        """Move the WAL's pages to the database file; call from a worker, about once a second.

        Commits continue meanwhile. Only when the WAL has grown past RESTART_PAGES does a commit
        wait, while the last pages are moved, so that the WAL starts over. An OSError loses nothing.
        """
        with self._checkpointing:
            try:
                with closing(_connect(self._path)) as own:
                    for _ in range(PASSES):
                        (_, pages, _) = own.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                        if pages <= RESTART_PAGES:
                            return
                    own.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            except (sqlite3.Error, MemoryError) as error:
                _raise(error)

    def close(self) -> None:
        """Close the connections, which empties the WAL, and release the lock."""
        with self._checkpointing:
            self._open.close()

    def _require_sound(self) -> None:
        """Complete the repair after a failed commit; raise OSError while that is impossible.

        Commits are blocked until then: after a failed one the caller first reads the head.
        """
        if self._unwritable:
            self._reopen_writer()
        self._repair()
        if self._unwritable or self._unrepaired:
            raise OSError(
                errno.EIO, "the database cannot be reopened after a failed commit", self._path
            )

    def _read(self, sql: str, *parameters: bytes | int) -> list[Any]:
        """Run a query to its end, so that no read transaction stays open."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except (sqlite3.Error, MemoryError) as error:
            _raise(error)


def _connect(path: Path) -> sqlite3.Connection:
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


def _require_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise Unavailable(
            f"{path} is on a file system without shared memory, such as a network mount: use a "
            "local disk"
        )


def _count_tombs(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM tomb").fetchone()
    return int(count)


def _after(prefix: bytes) -> bytes | None:
    """Return the smallest key above all keys that start with prefix; None without an upper end."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def _row(value: object, due: object) -> Row:
    """Return the row of two columns; a damaged or manipulated file may have wrong types."""
    if isinstance(value, bytes) and (due is None or isinstance(due, int)):
        return Row(value, due)
    raise IntegrityError("the database holds a value that no commit wrote: restore a backup")


def _raise(error: sqlite3.Error | MemoryError) -> NoReturn:
    """Raise the error of the port that corresponds to SQLite's error."""
    if isinstance(error, MemoryError):
        raise OSError(errno.ENOMEM, "out of memory for the database") from error
    code = _code(error)
    if code in _DAMAGED:
        raise IntegrityError(f"the database is damaged ({error}): restore a backup") from error
    raise OSError(_NUMBERS.get(code, errno.EIO), f"the database: {error}") from error


def _code(error: sqlite3.Error | MemoryError) -> int:
    """Return SQLite's primary result code; 0 for an error of the Python module itself."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
