"""After any crash the store stands at a commit, and nothing that was acknowledged is missing.

The store under test is rows in SQLite, then each commit's number in a log of the test's own, then
an answer: the order that the whole server keeps. Run as a program, this file is that store:

    python test_sqlite.py ROOT COMMITS [left]

`left` says that the store's folder is there as a killed process leaves it, its name not synced.
Commit n sets, for each k of KEYS, row k to n when k divides n, and removes row k - 1 then. A commit
that fails is tried again if the store says that it is not there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.core.errors import IronkeepError
from ironkeep.core.ports import Commit, Row, Storage
from tests.support.crash import strace
from tests.support.crash.crashfs import CrashImages, Image, Sync, Trace

KEYS = (1, 2, 3, 5, 7, 12, 19)
RECORD = 12


def row(seq: int) -> Row:
    """Return commit seq's row: of many sizes, some past a page."""
    return Row(b"%d" % seq * (1 + seq * 37 % 1_500), seq * 10)


def writes(seq: int) -> dict[bytes, Row | None]:
    changed: dict[bytes, Row | None] = {}
    for key in KEYS:
        if seq % key == 0:
            changed[b"row %d" % (key - 1)] = None
            changed[b"row %d" % key] = row(seq)
    return changed


def commit(seq: int, tries: int) -> Commit:
    return Commit(seq, writes(seq), b"%d" % tries, b"frame %d" % seq, seq - 1)


def expected(seq: int) -> dict[bytes, Row]:
    """Return the rows as commit seq leaves them."""
    rows: dict[bytes, Row] = {}
    for number in range(1, seq + 1):
        for key, value in writes(number).items():
            rows.pop(key, None)
            if value is not None:
                rows[key] = value
    return dict(sorted(rows.items()))


class Log:
    """Numbers with their checksum, each synced when `append` returns."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if new:
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def append(self, seq: int) -> None:
        record = seq.to_bytes(8, "big")
        os.pwrite(self.fd, record + zlib.crc32(record).to_bytes(4, "big"), (seq - 1) * RECORD)
        os.fdatasync(self.fd)


def length(data: bytes) -> int:
    """Return how many whole records the log's bytes begin with."""
    count = 0
    while True:
        record = data[count * RECORD : (count + 1) * RECORD]
        number, check = record[:8], record[8:]
        if number != (count + 1).to_bytes(8, "big"):
            return count
        if check != zlib.crc32(number).to_bytes(4, "big"):
            return count
        count += 1


def commit_until_there(storage: Storage, seq: int) -> None:
    """Commit seq; while the store says that it failed and is not there, tell and try again."""
    tries = 1
    while storage.head().seq < seq:
        try:
            storage.commit(commit(seq, tries))
        except OSError:
            if storage.head().seq < seq:
                os.write(1, b"failed %d\n" % seq)
        tries += 1


def main(root: Path, commits: int, *, left: bool) -> None:
    path = root / "deep" / "vault" / "data" / "rows.db"
    if left:
        path.parent.parent.mkdir(parents=True)
        for folder in (path.parent.parent.parent, root):
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        path.parent.mkdir()
    storage = SqliteStorage(path)
    log = Log(root / "log")
    for seq in range(1, commits + 1):
        commit_until_there(storage, seq)
        log.append(seq)
        os.write(1, b"ack %d\n" % seq)
        if seq % 7 == 0:
            storage.checkpoint()
        if seq % 25 == 0:
            storage.close()
            storage = SqliteStorage(path)


class Broken(Exception):
    """The image breaks a promise."""


def require(kept: bool, promise: str) -> None:
    if not kept:
        raise Broken(promise)


def check(image: Image, root: Path) -> None:
    """Start on image and raise Broken, or what the start raises, unless every promise is kept."""
    image.write_to(root)
    said = b"".join(mark.data for mark in image.marks).split(b"\n")
    acknowledged = sum(line.startswith(b"ack") for line in said)
    logged = length((root / "log").read_bytes()) if "log" in image.files else 0
    storage = SqliteStorage(root / "deep" / "vault" / "data" / "rows.db")
    try:
        head = storage.head()
        require(acknowledged <= logged, "an acknowledged entry is lost")
        require(logged <= head.seq <= logged + 1, "rows and log are out of step")
        require(dict(storage.scan(b"")) == expected(head.seq), "the rows are not those of a commit")
        frames = [(head.seq, b"frame %d" % head.seq)] if head.seq else []
        require(storage.outbox() == frames, "the outbox is not that of the commit")
        failed = sum(line == b"failed %d" % head.seq for line in said)
        require(failed == 0 or int(head.state) > failed, "a commit reported as failed came back")
        storage.commit(commit(head.seq + 1, 1))
        ((verdict,),) = storage._writer.execute("PRAGMA integrity_check").fetchall()
        require(verdict == "ok", verdict)
    finally:
        storage.close()


def broken(images: Iterator[Image], folder: Path) -> Iterator[str]:
    """Yield what is wrong with each image that breaks a promise."""
    for image in images:
        root = folder / "image"
        root.mkdir()
        try:
            check(image, root)
        except (Broken, IronkeepError, OSError) as failure:
            yield f"{image.label}: {failure!r}"
        shutil.rmtree(root)


def record(
    folder: Path, commits: int, *inject: str, left: tuple[str, ...] = ()
) -> tuple[Trace, str]:
    """Run the store for a number of commits; return its trace and what it said on stderr."""
    root = folder / "root"
    root.mkdir()
    output = folder / "calls"
    start = strace.recorded(output, inject=inject)
    run = [*start, sys.executable, __file__, str(root), str(commits), *left]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    trace = strace.parse(output, root)
    acknowledged = sum(mark.data.startswith(b"ack") for mark in trace.marks)
    assert acknowledged == commits or result.returncode, result.stderr
    return trace, result.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    """Images are many and synced often: they go to memory where there is such a folder."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed"
)
OFTEN = pytest.mark.parametrize(
    "images", [600, pytest.param(5_000, marks=pytest.mark.slow)], ids=["some", "many"]
)


@needs_strace
@OFTEN
def test_no_crash_loses_what_was_acknowledged(folder: Path, images: int) -> None:
    trace, _ = record(folder, 120)
    assert list(broken(CrashImages(trace, seed=1).images(images), folder)) == []


@needs_strace
@OFTEN
def test_no_crash_while_starting_leaves_a_store_that_does_not_start(
    folder: Path, images: int
) -> None:
    trace, _ = record(folder, 2)
    assert list(broken(CrashImages(trace, seed=2).images(images), folder)) == []


@needs_strace
def test_a_folder_that_a_killed_process_left_is_as_durable(folder: Path) -> None:
    trace, _ = record(folder, 2, left=("left",))
    assert list(broken(CrashImages(trace, seed=5).images(300), folder)) == []


@needs_strace
@pytest.mark.parametrize(
    ("path", "commits"),
    [
        ("", 2),
        ("deep", 2),
        ("deep/vault", 2),
        ("deep/vault/data", 2),
        ("deep/vault/data/rows.db", 30),
        ("deep/vault/data/rows.db-wal", 30),
        ("log", 30),
    ],
)
def test_without_one_of_its_syncs_a_crash_breaks_a_promise(
    folder: Path, path: str, commits: int
) -> None:
    trace, _ = record(folder, commits)
    assert path in trace.synced()
    careless = trace.without_syncs(lambda synced: synced == path)
    assert any(broken(CrashImages(careless, seed=3).images(2_000), folder))


@needs_strace
@pytest.mark.parametrize(("call", "commits"), [(5, 1), (6, 1), (7, 1), (8, 1), (9, 1), (11, 3)])
def test_a_commit_whose_sync_failed_does_not_come_back(
    folder: Path, call: int, commits: int
) -> None:
    """The calls are those of the last steps of the start, and those of the first few commits."""
    trace, said = record(folder, commits, f"fdatasync:error=EIO:when={call}")
    (failed,) = [sync for sync in trace.calls if isinstance(sync, Sync) and sync.failed]
    images = CrashImages(trace, seed=call)
    assert list(broken(images.images(200, since=failed.begin), folder)) == [], said
    for mark in (mark for mark in trace.marks if mark.data.startswith(b"failed")):
        at_the_answer = images.images(50, since=mark.begin, until=mark.begin)
        assert list(broken(at_the_answer, folder)) == [], said


@needs_strace
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", [51, 60, 75])
def test_a_commit_whose_write_failed_does_not_come_back(
    folder: Path, error: str, call: int
) -> None:
    trace, said = record(folder, 9, f"pwrite64:error={error}:when={call}")
    (failed,) = [mark for mark in trace.marks if mark.data.startswith(b"failed")]
    images = CrashImages(trace, seed=call).images(200, since=failed.begin)
    assert list(broken(images, folder)) == [], said


@needs_strace
def test_a_disk_that_is_full_for_a_while_stops_nothing(folder: Path) -> None:
    trace, said = record(folder, 9, "pwrite64:error=ENOSPC:when=50..80")
    failures = [mark.begin for mark in trace.marks if mark.data.startswith(b"failed")]
    assert len(failures) > 20
    assert sum(mark.data.startswith(b"ack") for mark in trace.marks) == 9, said
    images = CrashImages(trace, seed=4).images(200, since=failures[0])
    assert list(broken(images, folder)) == []


@needs_strace
def test_a_disk_that_syncs_no_more_stops_the_store(folder: Path) -> None:
    trace, said = record(folder, 9, "fdatasync:error=EIO:when=10+")
    assert "the database cannot be reopened after a failed commit" in said
    assert list(broken(CrashImages(trace, seed=8).images(200), folder)) == []


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), left=sys.argv[3:] == ["left"])
