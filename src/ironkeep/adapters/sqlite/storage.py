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
from typing import Any, Final

from ironkeep.adapters.closed_folder import require_closed
from ironkeep.adapters.sqlite.connection import code_of, connect, raise_as_port, require_wal
from ironkeep.adapters.sqlite.files import make_file, make_folder, require_whole, sync, take_lock
from ironkeep.adapters.sqlite.schema import TAIL, migrate, require_head, require_ours
from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.ports import Change, Commit, Record, Row, StoreHead, pack_keys, unpack_keys

MAX_KEPT: Final = 262_144
"""Keys kept in the log of commits, some 40 MB; a reader further behind starts with a scan."""
SCAN_START: Final = 8
"""Rows in the first page of a folder's scan: most callers only test whether it is empty."""
SCAN_PAGE: Final = 256
"""Rows that `scan` reads at a time: an open read transaction would block checkpoints."""
RESTART_PAGES: Final = 4_096
"""Pages in the WAL (16 MiB) past which `checkpoint` blocks the writer to start the WAL over."""
PASSES: Final = 3
"""Passive rounds before the writer is blocked: each leaves only the pages added during it."""

_PUT: Final = (
    "INSERT INTO row (key, value, due, seq) VALUES (?, ?, ?, ?) ON CONFLICT (key)"
    " DO UPDATE SET value = excluded.value, due = excluded.due, seq = excluded.seq"
)
_DUE: Final = "SELECT due, key FROM row WHERE due < ? ORDER BY due, key LIMIT ?"
_DUE_AFTER: Final = (
    "SELECT due, key FROM row WHERE (due, key) > (?, ?) AND due < ? ORDER BY due, key LIMIT ?"
)
_LOG: Final = "INSERT INTO commits (seq, upto, keys, state, frame) VALUES (?, ?, ?, ?, ?)"
_DRAINED: Final = "UPDATE commits SET frame = NULL WHERE seq > ? AND seq <= ?"
_SCAN: Final = "SELECT key, value, due FROM row WHERE key >= ? ORDER BY key LIMIT ?"
_SCAN_TO: Final = "SELECT key, value, due FROM row WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_TAILS: Final = f"""SELECT key, value, due, due IS NULL OR EXISTS (
        SELECT 1 FROM row AS other INDEXED BY row_due
        WHERE other.due = row.due AND other.key = row.key AND other.due IS NOT NULL
    ) FROM row WHERE {TAIL} BETWEEN ? AND ?"""  # noqa: S608
_UPTO: Final = "SELECT upto FROM commits ORDER BY seq DESC LIMIT 1"
_HEAD: Final = "SELECT seq, state FROM commits ORDER BY seq DESC LIMIT 1"


class SqliteStorage:
    """Storage in the SQLite file at path, which is created if missing; see `core.ports.Storage`.

    Raise Unavailable when another process has it open or a newer Ironkeep made it, IntegrityError
    when it is damaged, partly missing, or not an Ironkeep database. The attribute `lost` is true if
    the file was created although a database had been there before. max_kept bounds the keys kept
    for `changes`.
    """

    def __init__(self, path: Path, *, max_kept: int = MAX_KEPT) -> None:
        self._path: Final = path
        self._max_kept: Final = max_kept
        self._checkpointing: Final = threading.Lock()
        self._unwritable = False
        self._unrepaired = False
        self._upto = self._drained = 0
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
                self._reader: Final = stack.enter_context(closing(connect(path)))
                require_ours(self._reader, path)
                self._writer = connect(path)
                stack.callback(self._close_writer)
                require_wal(self._writer, path)
                migrate(self._writer)
                require_head(self._writer)
                # SQLite syncs its files' names too, but ignores a failure.
                sync(path.parent)
                self._resume()
                self._reader.execute("PRAGMA query_only = ON")
            except sqlite3.Error as error:
                raise_as_port(error)
            self._open: Final = stack.pop_all()

    def head(self) -> StoreHead:
        """Return the number and state of the last finished commit."""
        self._require_sound()
        found = self._read(_HEAD)
        if not found:
            return StoreHead(0, b"")
        ((seq, state),) = found
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

    def tails(self, first: bytes, last: bytes) -> list[tuple[bytes, Row]]:
        """Return the rows of one commit whose key's last two bytes are in [first, last].

        Raise IntegrityError also if one with a due time is not in the index that `due` reads.
        """
        rows = self._read(_TAILS, first, last)
        for key, _, _, indexed in rows:
            if not indexed:
                raise IntegrityError(
                    f"the database's index of due rows lacks row {key.hex()}: restore a backup"
                )
        return [(key, _row(value, due)) for key, value, due, _ in rows]

    def everything(self) -> Iterator[tuple[bytes, Row]]:
        """Yield all rows in key order, read over a connection of its own, on any thread."""
        start = b""
        try:
            with closing(connect(self._path)) as own:
                while page := own.execute(_SCAN, (start, SCAN_PAGE)).fetchall():
                    for key, value, due in page:
                        yield key, _row(value, due)
                    start = page[-1][0] + b"\x00"
        except (sqlite3.Error, MemoryError) as error:
            raise_as_port(error)

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
        sql = "SELECT seq, frame FROM commits WHERE seq > ? AND frame IS NOT NULL ORDER BY seq"
        return self._read(sql, self._drained)

    def sums(self) -> bytes:
        """Return the snapshot of sums that a commit last brought; empty before the first."""
        found = self._read("SELECT state FROM sums")
        return found[0][0] if found else b""

    def records(self, after_seq: int) -> list[Record]:
        """Return the records after commit after_seq, in order, as far back as they are kept."""
        sql = "SELECT seq, keys, state FROM commits WHERE seq > ? ORDER BY seq"
        return [Record(*record) for record in self._read(sql, after_seq)]

    def changes(self, after_seq: int, limit: int) -> list[Change]:
        """Return the rows last changed after commit after_seq, by seq then key, at most limit.

        The limit may cut a commit in two: a caller that gets `limit` rows continues from the commit
        before the last row's. Raise NotFound when the log of commits no longer reaches back to
        after_seq: start over with `head` and a full `scan`.
        """
        ((first,),) = self._read("SELECT min(seq) FROM commits")
        if first is not None and after_seq + 1 < first:
            raise NotFound(f"changes are kept from commit {first} on: begin with a full scan")
        latest = {key: one.seq for one in self.records(after_seq) for key in unpack_keys(one.keys)}
        ordered = sorted((seq, key) for key, seq in latest.items())[:limit]
        return [Change(seq, key, self.get(key)) for seq, key in ordered]

    def commit(self, commit: Commit) -> None:
        """Make commit durable, all or nothing; see `core.ports.Storage.commit`.

        After an OSError nothing of commit is stored, or `head` raises too and a restart decides.
        """
        self._require_sound()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._require_next(commit.seq)
            upto = self._apply(commit)
        except (sqlite3.Error, MemoryError) as error:
            self._reopen_writer()
            raise_as_port(error)
        except BaseException:
            self._writer.execute("ROLLBACK")
            raise
        try:
            self._writer.execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            # On a full disk a write failed, so the WAL lacks the frame that would complete the
            # commit. No repair is needed then, and there may be no room for one.
            self._unrepaired = code_of(error) != sqlite3.SQLITE_FULL
            self._reopen_writer()
            self._repair()
            raise_as_port(error)
        self._upto, self._drained = upto, max(self._drained, commit.drained_seq)

    def _require_next(self, seq: int) -> None:
        found = self._writer.execute(_HEAD).fetchone()
        head = found[0] if found else 0
        if seq != head + 1:
            raise IntegrityError(
                f"commit {seq} does not follow commit {head}: another process wrote to the database"
            )

    def _apply(self, commit: Commit) -> int:
        """Execute commit in the open transaction; return the number of keys logged after it."""
        run, many, seq = self._writer.execute, self._writer.executemany, commit.seq
        puts, gone = [], []
        for key, row in commit.writes.items():
            if row is None:
                gone.append((key,))
            else:
                puts.append((key, row.value, row.due_ns, seq))
        many(_PUT, puts)
        if gone:
            many("DELETE FROM row WHERE key = ?", gone)
        upto = self._upto + len(commit.writes)
        if commit.drained_seq > self._drained:
            run(_DRAINED, (self._drained, commit.drained_seq))
        run(_LOG, (seq, upto, pack_keys(commit.writes), commit.state, commit.frame))
        if commit.sums is not None:
            run("INSERT OR REPLACE INTO sums VALUES (1, ?)", (commit.sums,))
            self._prune(seq, upto - self._max_kept)
        return upto

    def _prune(self, seq: int, upto: int) -> None:
        """Delete the records of old commits, with `upto` keys in all, but not that of seq itself.

        Called only with a new snapshot of sums, which no longer needs the older records.
        """
        run = self._writer.execute
        ((low,),) = run("SELECT min(seq) FROM commits").fetchall()
        high = seq
        while low < high:
            middle = (low + high) // 2
            found = run("SELECT upto FROM commits WHERE seq = ?", (middle,)).fetchone()
            if found is None or found[0] <= upto:
                low = middle + 1
            else:
                high = middle
        run("DELETE FROM commits WHERE seq < ?", (low,))

    def _resume(self) -> None:
        """Find the number of keys logged so far, and the last commit whose frame is drained."""
        run = self._writer.execute
        self._upto = (run(_UPTO).fetchone() or (0,))[0]
        drained = "SELECT seq FROM commits WHERE frame IS NULL ORDER BY seq DESC LIMIT 1"
        self._drained = (run(drained).fetchone() or (0,))[0]

    def _close_writer(self) -> None:
        self._writer.close()

    def _reopen_writer(self) -> None:
        """Replace the writer's connection, which ends its transaction in any state."""
        try:
            with suppress(sqlite3.Error):
                self._writer.close()
            self._writer = connect(self._path)
            self._resume()
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
                with closing(connect(self._path)) as own:
                    for _ in range(PASSES):
                        (_, pages, _) = own.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                        if pages <= RESTART_PAGES:
                            return
                    own.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            except (sqlite3.Error, MemoryError) as error:
                raise_as_port(error)

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
            raise_as_port(error)


def _after(prefix: bytes) -> bytes | None:
    """Return the smallest key above all keys that start with prefix; None without an upper end."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def _row(value: object, due: object) -> Row:
    """Return the row of two columns; a damaged or manipulated file may have wrong types."""
    if isinstance(value, bytes) and (due is None or isinstance(due, int)):
        return Row(value, due)
    raise IntegrityError("the database holds a value that no commit wrote: restore a backup")
