"""A trace says what a program did to its files: the same bytes come out of it as are on disk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crash import strace
from tests.support.crash.crashfs import CrashImages, Names, Resize, Sync, Write

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed"
)

EVERYTHING = r"""
import os, sys, threading
root = sys.argv[1]
os.makedirs(root + "/a/b")
def new(name, flags=0):
    return os.open(f"{root}/{name}", os.O_CREAT | os.O_RDWR | flags, 0o600)
fd = new("plain \"name\" (1) <2>\n")
os.write(fd, b"one"); os.write(fd, b" two")
os.lseek(fd, 1, os.SEEK_SET); os.writev(fd, [b"N", b"E"])
fd = new("a/appended", os.O_APPEND)
os.write(fd, b"1"); os.write(fd, b"2"); os.lseek(fd, 0, os.SEEK_SET); os.write(fd, b"3")
fd = new("a/b/placed")
os.pwrite(fd, b"end", 7); os.pwritev(fd, [b"st", b"art"], 0)
os.pwritev(fd, [b"="], 6, os.RWF_DSYNC)
os.posix_fallocate(fd, 0, 20); os.fdatasync(fd)
os.ftruncate(fd, 18); os.fsync(fd)
os.rename(root + "/a/b/placed", root + "/a/moved")
os.write(fd, b"S")
gone = new("gone"); os.unlink(root + "/gone"); os.write(gone, b"never seen")
os.mkdir(root + "/empty"); os.mkdir(root + "/removed"); os.rmdir(root + "/removed")
with open(root + "/cut", "wb") as file: file.write(b"long text")
with open(root + "/cut", "wb") as file: file.write(b"short")
through = new("through", os.O_DSYNC); os.write(through, b"x")
folder = os.open(root, os.O_RDONLY); os.fsync(folder)
busy = new("busy")
threads = [
    threading.Thread(target=lambda n=n: [os.pwrite(busy, b"%d" % n, n * 50 + k) for k in range(50)])
    for n in range(4)
]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
os.write(1, b"done\n")
"""


def run(tmp_path: Path, program: str, *inject: str) -> Path:
    output = tmp_path / "calls"
    start = strace.recorded(output, inject=inject)
    (tmp_path / "root").mkdir()
    arguments = [*start, sys.executable, "-c", program, str(tmp_path / "root")]
    subprocess.run(arguments, check=False, capture_output=True)
    return output


@needs_strace
def test_the_last_image_that_lost_nothing_is_what_is_on_disk(tmp_path: Path) -> None:
    root = tmp_path / "root"
    trace = strace.parse(run(tmp_path, EVERYTHING), root)
    end = max(call.end for call in trace.calls)
    final = next(
        image
        for image in CrashImages(trace, 1).images(100, since=end, until=end)
        if image.label.endswith("NOTHING")
    )
    found = {str(file.relative_to(root)): file for file in root.rglob("*")}
    assert final.files == {
        name: file.read_bytes() for name, file in found.items() if file.is_file()
    }
    assert set(final.folders) == {name for name, file in found.items() if file.is_dir()}
    assert [mark.data for mark in trace.marks if mark.data == b"done\n"] == [b"done\n"]
    copy = tmp_path / "copy"
    copy.mkdir()
    final.write_to(copy)
    assert (copy / "a" / "moved").read_bytes() == b"Start\x00=end" + bytes(8)


@needs_strace
def test_syncs_are_told_with_what_they_cover(tmp_path: Path) -> None:
    trace = strace.parse(run(tmp_path, EVERYTHING), tmp_path / "root")
    assert trace.synced() == {"", "a/b/placed", "through"}
    assert all(call.begin < call.end for call in trace.calls)
    assert not any(isinstance(call, Sync) and call.failed for call in trace.calls)


@needs_strace
def test_an_injected_fault_is_told_as_a_failed_sync(tmp_path: Path) -> None:
    output = run(tmp_path, EVERYTHING, "fdatasync:error=EIO")
    (sync,) = [c for c in strace.parse(output, tmp_path / "root").calls if isinstance(c, Sync)]
    assert sync.failed


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def write_lines(tmp_path: Path, *lines: str) -> Path:
    output = tmp_path / "calls"
    output.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    return output


F = hexed("/r/f")
OPEN = f'7 openat(AT_FDCWD<{hexed("/")}>, "{F}", O_RDWR|O_CREAT, 0600) = 3<{F}>'


def test_calls_of_several_threads_are_put_together(tmp_path: Path) -> None:
    output = write_lines(
        tmp_path,
        OPEN,
        f'7 pwrite64(3<{F}>, "{hexed("ab")}", 2, 0 <unfinished ...>',
        f"8 fsync(3<{F}> <unfinished ...>",
        "7 <... pwrite64 resumed>) = 2",
        "8 <... fsync resumed>) = 0",
        f'9 pwrite64(3<{F}>, "{hexed("cd")}", 2, 2 <unfinished ...>',
        "9 +++ killed by SIGKILL +++",
    )
    trace = strace.parse(output, Path("/r"))
    assert trace.calls == (
        Names(0, 1, "", (("f", 0),)),
        Write(2, 7, 0, 0, b"ab", through=False),
        Sync(4, 9, 0, failed=False),
        Write(10, 1 << 62, 0, 2, b"cd", through=False),
    )


def test_a_short_write_is_as_long_as_the_kernel_said(tmp_path: Path) -> None:
    output = write_lines(tmp_path, OPEN, f'7 pwrite64(3<{F}>, "{hexed("abc")}", 3, 4) = 1')
    assert strace.parse(output, Path("/r")).calls[1] == Write(2, 3, 0, 4, b"a", through=False)


@pytest.mark.parametrize(
    "line",
    [
        f'7 rename("{hexed("f")}", "{hexed("g")}") = 0',
        f'7 link("{F}", "{hexed("/r/g")}") = 0',
        f'7 rename("{F}", "{hexed("/elsewhere")}") = 0',
        f"7 fallocate(3<{F}>, FALLOC_FL_PUNCH_HOLE, 0, 9) = 0",
        f"7 fsync(4<{hexed('/r/older')}>) = 0",
        f'7 unlink("{hexed("/r/older")}") = 0',
    ],
)
def test_what_a_trace_cannot_tell_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"relative|tell|mode|before"):
        strace.parse(write_lines(tmp_path, OPEN, line), Path("/r"))


@pytest.mark.parametrize(
    "line",
    [
        f'7 rename("{hexed("/s/f")}", "{hexed("/s/g")}") = 0',
        f'7 rename("{F}", "{hexed("/r/g")}") = -1 EACCES (Permission denied)',
        f'7 mkdir("{hexed("/r")}", 0700) = -1 EEXIST (File exists)',
        f"7 ftruncate(3<{F}>(deleted), 5) = 0",
        f"7 fsync(4<{hexed('/rival')}>) = 0",
        "7 +++ exited with 0 +++",
    ],
)
def test_what_happens_elsewhere_or_not_at_all_is_left_out(tmp_path: Path, line: str) -> None:
    assert len(strace.parse(write_lines(tmp_path, OPEN, line), Path("/r")).calls) == 1


def test_fallocate_grows_and_never_cuts(tmp_path: Path) -> None:
    output = write_lines(
        tmp_path,
        OPEN,
        f"7 fallocate(3<{F}>, 0, 10, 90) = 0",
        f"7 fallocate(3<{F}>, 0, 0, 50) = 0",
        f"7 ftruncate(3<{F}>, 7) = 0",
    )
    lengths = [c.length for c in strace.parse(output, Path("/r")).calls if isinstance(c, Resize)]
    assert lengths == [100, 100, 7]
