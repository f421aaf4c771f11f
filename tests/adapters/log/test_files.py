"""A log's directory: one contract for disk and memory, and what only a real disk does."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ironkeep.adapters.log.files import DirectoryLogFiles, log_directory, newest_origin
from ironkeep.core.errors import Unavailable
from ironkeep.core.logport import LogFiles
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles


@pytest.fixture(params=["directory", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LogFiles]:
    """Return what opens the same files each time it is called."""
    disk = LogDisk()
    if request.param == "memory":
        return lambda: MemoryLogFiles(disk)
    return lambda: DirectoryLogFiles(tmp_path / "audit" / "log")


@pytest.fixture
def files(reopen: Callable[[], LogFiles]) -> LogFiles:
    return reopen()


def read_all(files: LogFiles, name: str) -> bytes:
    return files.read(name, 0, 1 << 20)


def test_a_file_holds_what_it_was_replaced_with(files: LogFiles) -> None:
    for data in (b"one", b"", b"longer than one"):
        files.replace("tile/entries/x001/234", data)
        assert read_all(files, "tile/entries/x001/234") == data
        assert files.size("tile/entries/x001/234") == len(data)


def test_reading_stops_at_the_end(files: LogFiles) -> None:
    files.replace("a", b"0123456789")
    assert files.read("a", 3, 4) == b"3456"
    assert files.read("a", 8, 4) == b"89"
    assert files.read("a", 10, 4) == b""
    assert files.read("a", 3, 0) == b""


def test_an_allocated_file_is_zeros_and_is_written_in_place(files: LogFiles) -> None:
    length = (1 << 20) + 5
    files.allocate("wal/s", length)
    assert files.read("wal/s", 0, length + 1) == bytes(length)
    files.write_through("wal/s", 7, b"abc")
    files.write_through("wal/s", 8, b"xyz")
    assert files.read("wal/s", 5, 8) == b"\0\0axyz\0\0"
    assert files.size("wal/s") == length
    files.allocate("wal/s", 4)
    assert read_all(files, "wal/s") == bytes(4)


def test_writing_goes_on_under_a_new_name(files: LogFiles) -> None:
    files.allocate("wal/taken", 8)
    files.write_through("wal/taken", 0, b"h")
    files.replace("wal/1", b"the old one")
    files.rename("wal/taken", "wal/1")
    files.write_through("wal/1", 1, b"i")
    assert read_all(files, "wal/1") == b"hi" + bytes(6)
    files.require_linked("wal/1")
    assert files.names("wal") == ["1"]


def test_hash_files_grow_and_are_synced(files: LogFiles) -> None:
    files.write("hash/L0", 0, b"aaaa")
    files.sync("hash/L0")
    files.write("hash/L0", 4, b"bbbb")
    files.write("hash/L0", 2, b"cc")
    files.sync("hash/L0")
    assert read_all(files, "hash/L0") == b"aaccbbbb"


def test_cutting_and_removing(files: LogFiles) -> None:
    files.replace("wal/1", b"0123456789")
    files.truncate("wal/1", 4)
    assert read_all(files, "wal/1") == b"0123"
    files.remove("wal/1")
    files.remove("wal/1")
    files.remove("never/was")
    with pytest.raises(FileNotFoundError):
        files.read("wal/1", 0, 1)
    with pytest.raises(FileNotFoundError):
        files.size("wal/1")


def test_names_are_those_of_files_in_one_folder(files: LogFiles) -> None:
    assert files.names("wal") == []
    for name in ("wal/b", "wal/a", "wal/deeper/c", "top"):
        files.replace(name, b"")
    assert files.names("wal") == ["a", "b"]
    assert [name for name in files.names("") if name != "lock"] == ["top"]


def test_a_second_writer_is_refused_until_the_first_lets_go(
    reopen: Callable[[], LogFiles],
) -> None:
    first = reopen()
    first.replace("a", b"1")
    with pytest.raises(Unavailable, match="another process"):
        reopen()
    first.close()
    assert read_all(reopen(), "a") == b"1"


def test_modes_keep_others_out(tmp_path: Path) -> None:
    root = tmp_path / "audit" / "log"
    files = DirectoryLogFiles(root)
    files.replace("signing-key", b"secret")
    files.allocate("wal/1", 8)
    files.write("hash/L0", 0, b"x")
    for path in root.rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert not list(root.rglob("*.new"))


def test_a_reader_takes_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    writer = DirectoryLogFiles(tmp_path)
    writer.replace("a", b"1")
    reader = DirectoryLogFiles(tmp_path, readonly=True)
    assert read_all(reader, "a") == b"1"
    with pytest.raises(OSError, match="Bad file descriptor"):
        reader.write_through("a", 0, b"2")
    assert read_all(reader, "a") == b"1"
    with pytest.raises(FileNotFoundError):
        DirectoryLogFiles(tmp_path / "none", readonly=True).size("a")


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"x")
    files = DirectoryLogFiles(tmp_path / "log")
    (tmp_path / "log" / "a").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        files.write_through("a", 0, b"y")
    assert target.read_bytes() == b"x"


@pytest.mark.parametrize("change", ["deleted", "replaced", "moved"])
def test_a_file_that_is_no_longer_at_its_name_is_noticed(tmp_path: Path, change: str) -> None:
    files = DirectoryLogFiles(tmp_path)
    files.allocate("wal/1", 8)
    files.write_through("wal/1", 0, b"x")
    files.require_linked("wal/1")
    path = tmp_path / "wal" / "1"
    if change == "deleted":
        path.unlink()
    else:
        path.rename(tmp_path / "elsewhere")
    if change == "replaced":
        path.write_bytes(bytes(8))
    with pytest.raises(FileNotFoundError):
        files.require_linked("wal/1")


def test_without_the_kernel_s_flag_a_write_is_synced_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DirectoryLogFiles(tmp_path)
    files.allocate("a", 16)
    synced = count_syncs(monkeypatch)

    def refuse(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "no such flag")

    monkeypatch.setattr(os, "pwritev", refuse)
    files.write_through("a", 2, b"abc")
    assert files.read("a", 0, 6) == b"\0\0abc\0"
    assert len(synced) == 1


def test_what_the_kernel_did_not_take_is_written_after_and_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DirectoryLogFiles(tmp_path)
    files.allocate("a", 16)
    synced = count_syncs(monkeypatch)
    whole = os.pwritev

    def take_two(fd: int, buffers: list[bytes], at: int, flags: int) -> int:
        return whole(fd, [buffers[0][:2]], at, flags)

    monkeypatch.setattr(os, "pwritev", take_two)
    files.write_through("a", 1, b"abcdef")
    assert files.read("a", 0, 8) == b"\0abcdef\0"
    assert len(synced) == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_write_that_fails_is_not_tried_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    files = DirectoryLogFiles(tmp_path)
    files.allocate("a", 16)
    synced = count_syncs(monkeypatch)

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwritev", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        files.write_through("a", 0, b"abc")
    assert files.read("a", 0, 3) == bytes(3)
    assert synced == []


def count_syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every fdatasync."""
    synced: list[int] = []
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        real(fd)
        synced.append(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return synced


def test_a_replacement_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DirectoryLogFiles(tmp_path)
    files.replace("signed", b"old")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        files.replace("signed", b"new")
    assert (tmp_path / "signed").read_bytes() == b"old"


def test_no_file_stays_open_after_closing(tmp_path: Path) -> None:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    files = DirectoryLogFiles(tmp_path)
    files.allocate("wal/1", 8)
    files.write_through("wal/1", 0, b"x")
    files.write("hash/L0", 0, b"x")
    files.sync("hash/L0")
    files.rename("wal/1", "wal/2")
    files.remove("wal/2")
    files.close()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_the_newest_epoch_of_a_log_is_found_by_its_origin(tmp_path: Path) -> None:
    assert newest_origin(tmp_path / "audit", "v.example/audit/a") == "v.example/audit/a/0"
    for origin in ("v.example/audit/a/9", "v.example/audit/a/10", "v.example/audit/b/77"):
        files = DirectoryLogFiles(log_directory(tmp_path / "audit", origin))
        files.replace("origin", f"{origin}\n".encode())
    (tmp_path / "audit" / "lost+found").mkdir()
    for name, content in {
        "copy": b"v.example/audit/a/11\n",
        log_directory(tmp_path, "v.example/audit/a/012").name: b"v.example/audit/a/012\n",
        log_directory(tmp_path, "v.example/audit/a/").name: b"v.example/audit/a/\n",
        log_directory(tmp_path, "v.example/audit/a/x").name: b"v.example/audit/a/x\n",
        "damaged": b"\xff" * 5_000,
    }.items():
        (tmp_path / "audit" / name).mkdir()
        (tmp_path / "audit" / name / "origin").write_bytes(content)
    assert newest_origin(tmp_path / "audit", "v.example/audit/a") == "v.example/audit/a/10"
    assert newest_origin(tmp_path / "audit", "v.example/audit/b") == "v.example/audit/b/77"
