"""Rows in one SQLite file: write-ahead log, every commit synced before it returns.

Three connections, each with one owner. The writer thread calls `commit`; one other thread, the
loop's, calls everything that reads; a worker calls `checkpoint`. A reader never waits for the
writer and sees finished commits only. `checkpoint` alone empties the WAL: no commit pays for it.

A commit that fails leaves nothing behind, not even bytes that a later start could take for a
finished one; until that can be had, commits and the head fail.
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
"""Removals kept for the change stream, some 20 MB; who falls further behind starts from a scan."""
SCAN_START: Final = 8
"""Rows in the first page of a folder's scan: most only ask whether it is empty."""
SCAN_PAGE: Final = 256
"""Rows that `scan` reads at a time: a read transaction left open would hold up checkpoints."""
RESTART_PAGES: Final = 4_096
"""Pages in the WAL (16 MiB) past which `checkpoint` has the writer wait until it can start over."""
PASSES: Final = 3
"""Rounds of a checkpoint before the writer waits: each leaves only what was added during it."""
BUSY_SECONDS: Final = 5.0
"""How long a commit waits for a checkpoint that starts the WAL over; milliseconds are normal."""
CACHE_KIB: Final = 16_384
"""Page cache of each connection."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE: Final = 0xFF
_NUMBERS: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    # No descriptor, or no right to the file: SQLite does not say which.
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}
"""Results of SQLite that have a better number than EIO."""

_PUT: Final = (
    "INSERT INTO row (key, value, due, seq) VALUES (?, ?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET value = excluded.value, due = excluded.due, seq = excluded.seq"
)
_BURY: Final = "INSERT INTO tomb (key, seq) SELECT key, ? FROM row WHERE key = ?"
_SCAN: Final = "SELECT key, value, due FROM row WHERE key >= ? ORDER BY key LIMIT ?"
_SCAN_TO: Final = "SELECT key, value, due FROM row WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_CHANGES: Final = (
    "SELECT seq, key, value, due FROM row WHERE seq > ?1"
    " UNION ALL SELECT seq, key, NULL, NULL FROM tomb WHERE seq > ?1"
    " ORDER BY seq, key LIMIT ?2"
)


class SqliteStorage:
    """Storage in the SQLite file at path, made if it is not there; see `core.ports.Storage`.

    Raise Unavailable when another process has it open or a newer Ironkeep made it, IntegrityError
    when it is damaged, in part gone, or is something else. `lost`: a database was here before, and
    is not. max_tombs bounds the removals kept for `changes`.
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
            # A process that was killed may have made the folder and not synced its name.
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
                # SQLite syncs its files' names too, but goes on when that fails.
                sync(path.parent)
                self._tombs = _count_tombs(self._writer)
                self._reader.execute("PRAGMA query_only = ON")
            except sqlite3.Error as error:
                _raise(error)
            self._open: Final = stack.pop_all()

    def head(self) -> StoreHead:
        """Return the last finished commit's number and state."""
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

        Every page of rows is of one commit; the next page may be of a later one.
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

    def due(self, before_ns: int, limit: int) -> list[bytes]:
        """Return at most limit keys due before before_ns, the earliest first, then by key."""
        sql = "SELECT key FROM row WHERE due < ? ORDER BY due, key LIMIT ?"
        return [key for (key,) in self._read(sql, before_ns, limit)]

    def outbox(self) -> list[tuple[int, bytes]]:
        """Return (seq, frame) of every frame not yet reported as drained, in order."""
        self._require_sound()
        return self._read("SELECT seq, frame FROM outbox ORDER BY seq")

    def changes(self, after_seq: int, limit: int) -> list[Change]:
        """Return the rows last changed after commit after_seq, by seq then key, at most limit.

        The limit may cut a commit in two: who gets as many as asked for asks again from before the
        last one's. Raise NotFound when removals since then have been dropped: begin again with
        `head` and a full `scan`. From 0 on none is missed: who has seen nothing, needs no removal.
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

        After an OSError nothing of commit is there, or `head` raises too and a restart will tell.
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
            # A full disk failed a write, so that the last frame, which would count, is not there;
            # and there may be no room to repair in.
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
        """Carry out commit in the open transaction; return how many tombs there are then."""
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
        """Drop the oldest tombs past the bound: no more than this commit added."""
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
        """Drop the writer's connection, and with it the transaction, whatever state it is in."""
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
        """Make sure that a commit whose sync failed does not come back.

        Its frames may lie complete in the WAL, and a start after a crash would take them for a
        commit, although this process has said otherwise since. So what is before them goes to the
        database file, and the WAL is cut to nothing, durably.
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
        """Move what the WAL holds to the database file; for a worker thread, each second or so.

        Commits go on meanwhile. Only when the WAL has grown past RESTART_PAGES does one wait, while
        the last pages are moved, so that the WAL starts over. An OSError loses nothing.
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
        """Close the connections, which empties the WAL, and let go of the file."""
        with self._checkpointing:
            self._open.close()

    def _require_sound(self) -> None:
        """Finish what a failed commit left undone; raise OSError while that cannot be had.

        No commit runs meanwhile: after a failed one the caller asks for the head first.
        """
        if self._unwritable:
            self._reopen_writer()
        self._repair()
        if self._unwritable or self._unrepaired:
            raise OSError(
                errno.EIO, "the database cannot be opened again after a failed commit", self._path
            )

    def _read(self, sql: str, *parameters: bytes | int) -> list[Any]:
        """Run a query to its end, so that no read transaction stays open."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except (sqlite3.Error, MemoryError) as error:
            _raise(error)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a connection that syncs every commit and leaves checkpoints to `checkpoint`.

    Threads: the module's connections are used by one thread at a time, not always by their maker.
    """
    # A file that is gone is not made anew: `_make_file` does that, once.
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
        # A destroyed segment's wraps must be gone from the file, and not only from the tables.
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _require_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise Unavailable(f"{path} is on a file system without shared memory: use a local disk")


def _count_tombs(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM tomb").fetchone()
    return int(count)


def _after(prefix: bytes) -> bytes | None:
    """Return the smallest key above every key that starts with prefix; None when there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def _row(value: object, due: object) -> Row:
    """Return the row of two columns, whose types a damaged or doctored file may have wrong."""
    if isinstance(value, bytes) and (due is None or isinstance(due, int)):
        return Row(value, due)
    raise IntegrityError("the database holds a value that no commit wrote: restore a backup")


def _raise(error: sqlite3.Error | MemoryError) -> NoReturn:
    """Raise error in the port's terms."""
    if isinstance(error, MemoryError):
        raise OSError(errno.ENOMEM, "no memory for the database") from error
    code = _code(error)
    if code in _DAMAGED:
        raise IntegrityError(f"the database is damaged ({error}): restore a backup") from error
    raise OSError(_NUMBERS.get(code, errno.EIO), f"the database: {error}") from error


def _code(error: sqlite3.Error | MemoryError) -> int:
    """Return SQLite's primary result code; 0 for an error of the module's own."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
