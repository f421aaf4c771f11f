"""What is particular to SQLite: files, schemas, other processes, a full or damaged disk."""

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ironkeep.adapters.sqlite import storage as sqlite
from ironkeep.adapters.sqlite.schema import APPLICATION_ID, MIGRATIONS
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.core.errors import IntegrityError, NotFound, Unavailable
from ironkeep.core.ports import Change, Commit, Row, StoreHead
from tests.support.contracts import commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault" / "data" / "rows.db"


@pytest.fixture
def storage(path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage(path)
    yield storage
    storage.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_folders_are_for_their_owner_only(path: Path, storage: SqliteStorage) -> None:
    commit(storage, {b"a": Row(b"1")})
    files = {file.name: mode(file) for file in path.parent.iterdir()}
    names = ["rows.db", "rows.db-shm", "rows.db-wal", "rows.db.lock"]
    assert files == dict.fromkeys(names, 0o600)
    assert {mode(path.parent), mode(path.parent.parent)} == {0o700}


def test_a_file_readable_by_others_is_closed_to_them(path: Path) -> None:
    SqliteStorage(path).close()
    path.chmod(0o644)
    SqliteStorage(path).close()
    assert mode(path) == 0o600


def test_the_file_says_whose_it_is(path: Path, storage: SqliteStorage) -> None:
    commit(storage, {})
    storage.close()
    header = path.read_bytes()[:100]
    assert header[68:72] == APPLICATION_ID.to_bytes(4, "big") == b"IRKP"
    assert header[60:64] == len(MIGRATIONS).to_bytes(4, "big")


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    SqliteStorage(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(Unavailable, match="made by a newer ironkeep"):
        SqliteStorage(path)
    assert path.read_bytes() == before


def test_a_foreign_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match="not an Ironkeep database"):
        SqliteStorage(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 84]
)
def test_garbage_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        SqliteStorage(path)


def test_an_interrupted_first_start_is_taken_up(path: Path) -> None:
    """A crash may leave an empty file, or one that is in WAL mode but has no tables yet."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
    storage = SqliteStorage(path)
    assert storage.head() == StoreHead(0, b"")
    storage.close()


OPEN_AND_REPORT = """
import sys
from pathlib import Path
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.core.errors import Unavailable
try:
    SqliteStorage(Path(sys.argv[1])).close()
except Unavailable as refusal:
    print(refusal)
"""


def test_a_second_process_is_refused(path: Path, storage: SqliteStorage) -> None:
    def attempt() -> str:
        arguments = [sys.executable, "-c", OPEN_AND_REPORT, str(path)]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout

    with pytest.raises(Unavailable, match="open in another process"):
        SqliteStorage(path)
    assert "open in another process" in attempt()
    storage.close()
    assert attempt() == ""


def test_a_refused_opening_leaves_the_file_free(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(IntegrityError):
        SqliteStorage(path)
    path.unlink()
    SqliteStorage(path).close()


def test_a_full_disk_fails_the_commit_and_nothing_else(storage: SqliteStorage) -> None:
    commit(storage, {b"a": Row(b"1"), b"b": Row(b"1")})
    (pages,) = storage._writer.execute("PRAGMA page_count").fetchone()
    storage._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OSError, match="full") as failure:
        commit(storage, {b"a": Row(bytes(100_000)), b"b": None})
    assert failure.value.errno == errno.ENOSPC
    assert storage.head() == StoreHead(1, b"1")
    assert list(storage.scan(b"")) == [(b"a", Row(b"1")), (b"b", Row(b"1"))]
    assert commit(storage, {b"a": Row(bytes(100_000))}) == 2


def test_a_row_that_cannot_be_stored_leaves_the_store_usable(storage: SqliteStorage) -> None:
    with pytest.raises(OverflowError):
        commit(storage, {b"a": Row(b"1"), b"b": Row(b"1", 2**63)})
    assert commit(storage, {b"b": Row(b"2")}) == 1
    assert list(storage.scan(b"")) == [(b"b", Row(b"2"))]


def test_a_damaged_page_is_an_integrity_error(path: Path) -> None:
    storage = SqliteStorage(path)
    rows = {number.to_bytes(2, "big"): Row(b"v" * 400) for number in range(1_000)}
    commit(storage, rows)
    storage.close()
    half = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(half)
        file.write(os.urandom(half))
    storage = SqliteStorage(path)
    with pytest.raises(IntegrityError, match="restore a backup"):
        list(storage.scan(b""))
    with pytest.raises(IntegrityError, match="restore a backup"):
        commit(storage, rows)
    storage.close()


def test_checkpoints_empty_the_wal_while_commits_go_on(
    path: Path, storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The WAL's file never shrinks, so that it does not grow says that it started over."""
    monkeypatch.setattr(sqlite, "RESTART_PAGES", 10)
    wal = path.with_name("rows.db-wal")
    sizes = set()
    for number in range(40):
        commit(storage, {b"a%d" % (number % 3): Row(os.urandom(30_000))}, drained_seq=number)
        storage.checkpoint()
        sizes.add(wal.stat().st_size)
    assert max(sizes) < 300_000
    assert path.stat().st_size > 90_000
    assert storage.head().seq == 40


def test_a_checkpoint_is_not_held_up_by_an_abandoned_scan(
    path: Path, storage: SqliteStorage
) -> None:
    commit(storage, {number.to_bytes(2, "big"): Row(b"1") for number in range(1_000)})
    scan = storage.scan(b"")
    next(scan)
    commit(storage, {b"a": Row(b"2")})
    with closing(sqlite3.connect(path)) as other:
        busy, pages, moved = other.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    assert (busy, moved) == (0, pages)


def with_sums(storage: SqliteStorage, writes: dict[bytes, Row | None]) -> None:
    seq = storage.head().seq + 1
    storage.commit(Commit(seq, writes, b"%d" % seq, b"f", seq - 1, b"sums"))


def test_the_log_is_kept_up_to_the_bound(path: Path) -> None:
    storage = SqliteStorage(path, max_kept=3)
    commit(storage, {b"%d" % number: Row(b"") for number in range(6)})
    commit(storage, {b"0": None, b"1": None})
    commit(storage, {b"2": None})
    assert [one.seq for one in storage.records(0)] == [1, 2, 3], "no sums have come since"
    with_sums(storage, {b"3": None})
    assert [one.seq for one in storage.records(0)] == [2, 3, 4], "the last three keys are there"
    kept = [Change(3, b"2", None), Change(4, b"3", None)]
    assert storage.changes(2, 9) == kept
    assert [change.key for change in storage.changes(1, 9)] == [b"0", b"1", b"2", b"3"]
    with pytest.raises(NotFound, match="from commit 2 on: begin with a full scan"):
        storage.changes(0, 9)
    storage.close()
    storage = SqliteStorage(path, max_kept=3)
    with_sums(storage, {b"%d" % number: Row(b"") for number in range(9)})
    assert [one.seq for one in storage.records(0)] == [5], "the newest sums stay, however large"
    storage.close()


def schema_1(path: Path, frames: dict[int, bytes], seq: int = 2) -> None:
    """Make a file as the first release left it, with these frames in its outbox."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.execute("INSERT INTO row VALUES (x'6161', x'31', NULL, 1), (x'6262', x'32', 7, 2)")
        old.execute("INSERT INTO tomb VALUES (x'6363', 2)")
        old.executemany("INSERT INTO outbox VALUES (?, ?)", frames.items())
        old.execute("UPDATE head SET seq = ?, state = x'0102'", (seq,))
        old.execute("PRAGMA user_version = 1")
        old.commit()


def test_schema_1_becomes_the_current_one(path: Path) -> None:
    schema_1(path, {2: b"frame"})
    storage = SqliteStorage(path)
    assert storage.head() == StoreHead(2, b"\x01\x02")
    assert storage.outbox() == [(2, b"frame")]
    rows = [(b"aa", Row(b"1")), (b"bb", Row(b"2", 7))]
    assert list(storage.scan(b"")) == rows
    assert storage.tails(b"bb", b"bb") == rows[1:]
    with pytest.raises(NotFound):
        storage.changes(0, 9)
    assert commit(storage, {b"aa": None}, drained_seq=2) == 3
    assert storage.changes(2, 9) == [Change(3, b"aa", None)]
    assert storage.outbox() == [(3, b"f")]
    storage.close()


def test_schema_2_becomes_one_that_its_releases_refuse(path: Path) -> None:
    """They knew the tables, and not the fields of the records: they would fail on every case."""
    storage = SqliteStorage(path)
    commit(storage, {b"aa": Row(b"1", 7)})
    storage.close()
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA user_version = 2")
    storage = SqliteStorage(path)
    assert list(storage.scan(b"")) == [(b"aa", Row(b"1", 7))]
    storage.close()
    with closing(sqlite3.connect(path)) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (3,)


@pytest.mark.parametrize("frames", [{}, {1: b"older"}, {1: b"older", 2: b"frame"}, {3: b"newer"}])
def test_schema_1_with_another_outbox_is_refused_and_kept(
    path: Path, frames: dict[int, bytes]
) -> None:
    schema_1(path, frames)
    with pytest.raises(IntegrityError, match="the outbox holds frames of the commits"):
        SqliteStorage(path)
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        assert dict(old.execute("SELECT seq, frame FROM outbox")) == frames


@pytest.mark.parametrize("done", range(len(MIGRATIONS[1])))
def test_a_migration_that_breaks_off_leaves_schema_1_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    schema_1(path, {2: b"frame"})
    broken = (*MIGRATIONS[1][:done], "SELECT missing FROM nowhere")
    monkeypatch.setattr("ironkeep.adapters.sqlite.schema.MIGRATIONS", (MIGRATIONS[0], broken))
    with pytest.raises(IntegrityError, match="schema number"):
        SqliteStorage(path)
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        tables = {name for (name,) in old.execute("SELECT name FROM sqlite_master")}
        assert {"row", "tomb", "outbox", "head", "row_seq"} <= tables
    monkeypatch.undo()
    storage = SqliteStorage(path)
    assert storage.outbox() == [(2, b"frame")]
    storage.close()


def test_the_buckets_are_found_by_their_index(storage: SqliteStorage) -> None:
    plan = storage._reader.execute(f"EXPLAIN QUERY PLAN {sqlite._TAILS}", (b"", b"")).fetchall()
    assert "USING INDEX row_tail" in plan[0][3]


@pytest.mark.parametrize("change", ["value = 'text'", "value = 1", "due = 'soon'", "due = 1.5"])
def test_a_value_of_another_type_is_an_integrity_error(path: Path, change: str) -> None:
    storage = SqliteStorage(path)
    commit(storage, {b"a": Row(b"1", 1)})
    storage.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"UPDATE row SET {change}")
        other.commit()
    storage = SqliteStorage(path)
    for read in (lambda: storage.get(b"a"), lambda: list(storage.scan(b"a"))):
        with pytest.raises(IntegrityError):
            read()
    with pytest.raises(IntegrityError):
        storage.changes(0, 1)
    storage.close()


def test_a_head_of_another_type_is_an_integrity_error(path: Path) -> None:
    storage = SqliteStorage(path)
    commit(storage, {})
    storage.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE commits SET state = 'text'")
        other.commit()
    storage = SqliteStorage(path)
    with pytest.raises(IntegrityError, match="head"):
        storage.head()
    storage.close()


def test_a_lost_head_row_is_an_integrity_error(path: Path) -> None:
    storage = SqliteStorage(path)
    commit(storage, {b"a": Row(b"1")})
    storage.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM commits")
        other.commit()
    with pytest.raises(IntegrityError, match="head row"):
        SqliteStorage(path)


@pytest.mark.parametrize("number", [n for n, statements in enumerate(MIGRATIONS) if statements])
def test_a_schema_number_that_was_put_back_is_named(path: Path, number: int) -> None:
    SqliteStorage(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {number}")
    with pytest.raises(IntegrityError, match="schema number does not fit"):
        SqliteStorage(path)


def test_a_due_row_that_its_index_lacks_is_found(path: Path, storage: SqliteStorage) -> None:
    """Gains: leases are never revoked, although every row is as it was committed."""
    commit(storage, {b"aa": Row(b"1", 7), b"bb": Row(b"2"), b"cc": Row(b"3", 9)})
    assert len(storage.tails(b"aa", b"cc")) == 3
    declared = "CREATE INDEX row_due ON row (due, key) WHERE due"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("DROP INDEX row_due")
        other.execute(f"{declared} > 8")
        other.execute(
            "UPDATE sqlite_master SET sql = ? WHERE name = 'row_due'", (f"{declared} IS NOT NULL",)
        )
        (version,) = other.execute("PRAGMA schema_version").fetchone()
        other.execute(f"PRAGMA schema_version = {version + 1}")
        other.commit()
    assert storage.due(100, 10) == [(9, b"cc")], "the index as it is now"
    assert len(storage.tails(b"bb", b"cc")) == 2
    with pytest.raises(IntegrityError, match="index of due rows lacks row 6161"):
        storage.tails(b"aa", b"aa")


@pytest.mark.parametrize("value", ["'text'", "CAST(x'ff' AS TEXT)", "5", "1.5"])
def test_a_value_of_another_type_is_no_failure_of_the_disk(
    path: Path, storage: SqliteStorage, value: str
) -> None:
    commit(storage, {b"aa": Row(b"1")})
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"UPDATE row SET value = {value}")
        other.commit()
    for read in (
        lambda: storage.get(b"aa"),
        lambda: list(storage.scan(b"a")),
        lambda: storage.tails(b"aa", b"aa"),
    ):
        with pytest.raises(IntegrityError, match="no commit wrote"):
            read()
