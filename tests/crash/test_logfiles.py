"""What each operation on a log's directory promises of a crash holds on a real file system's calls.

Run as a program, this file carries out OPERATIONS and says after each that it returned:

    python test_logfiles.py ROOT new|left

The folder is a new one, or as a killed process left it; then the kernel has no write-through.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ironkeep.adapters.log import files as logfiles
from ironkeep.adapters.log.files import DirectoryLogFiles
from tests.support.crash import strace
from tests.support.crash.crashfs import CrashImages, Image, Trace

LOG: Final = "deep/er/log"
LEFT: Final = "left"
"""A file that a killed process left in the log's folder."""

Operation = tuple[str, str, tuple[object, ...]]

OPERATIONS: Final[tuple[Operation, ...]] = (
    ("allocate", "wal/taken", (3_000,)),
    ("write_through", "wal/taken", (100, b"h" * 1_500)),
    ("rename", "wal/taken", ("wal/1",)),
    ("write_through", "wal/1", (1_600, b"f" * 9_000)),
    ("replace", "signed", (b"one" * 700,)),
    ("replace", "signed", (b"two" * 900,)),
    ("write", "hash/L0", (0, b"0" * 2_000)),
    ("mark", "initialised", ()),
    ("sync", "hash/L0", ()),
    ("write", "hash/L0", (1_000, b"1" * 2_000)),
    ("sync", "hash/L0", ()),
    ("replace", "tile/entries/x001/234", (b"leaves" * 300,)),
    ("truncate", "wal/1", (700,)),
    ("allocate", "wal/2", (5_000,)),
    ("remove", "wal/1", ()),
    ("allocate", "wal/2", (1_000,)),
    ("remove", "signed", ()),
)
ATOMIC: Final = frozenset({"replace", "rename", "truncate", "remove", "mark"})

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed"
)


def main(root: Path, folder: str) -> None:
    log = root / LOG
    if folder == "left":
        leave(log)
        logfiles._DSYNC = 0  # type: ignore[misc]
    files = DirectoryLogFiles(log)
    os.write(1, b"returned\n")
    for name, file, rest in OPERATIONS:
        getattr(files, name)(log / file if name == "mark" else file, *rest)
        os.write(1, b"returned\n")


def leave(log: Path) -> None:
    """Make the folder, and a file in it, as one that is killed before it syncs their names."""
    log.parent.mkdir(parents=True)
    for folder in (log.parent.parent, log.parent.parent.parent):
        sync(folder)
    log.mkdir()
    (log / LEFT).write_bytes(LEFT.encode())
    sync(log / LEFT)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def states(files: dict[str, bytes]) -> list[dict[str, bytes]]:
    """Return the files as each operation leaves them, the first entry before any."""
    found = [files]
    for name, file, rest in OPERATIONS:
        files = dict(files)
        match name, rest:
            case "replace", (bytes(data),):
                files[file] = data
            case "allocate", (int(length),):
                files[file] = bytes(length)
            case "truncate", (int(length),):
                files[file] = files[file][:length]
            case "rename", (str(new),):
                files[new] = files.pop(file)
            case "mark", ():
                files[file] = b""
            case "remove", ():
                del files[file]
            case (("write" | "write_through"), (int(at), bytes(data))):
                old = files.get(file, b"").ljust(at, b"\0")
                files[file] = old[:at] + data + old[at + len(data) :]
            case _:
                assert name == "sync"
        found.append(files)
    return found


def loose(done: int) -> set[str]:
    """Return the files of which a crash after done operations may leave anything."""
    unsynced = set()
    for name, file, _ in OPERATIONS[:done]:
        if name == "write":
            unsynced.add(file)
        elif name == "sync":
            unsynced.discard(file)
    under_way = {file for name, file, _ in OPERATIONS[done : done + 1] if name not in ATOMIC}
    return unsynced | under_way


def complaint(image: Image, folder: str) -> str:
    """Return what is wrong with an image; empty when every promise is kept."""
    returned = sum(mark.data == b"returned\n" for mark in image.marks)
    if not returned:
        return ""
    done = returned - 1
    known = states({LEFT: LEFT.encode()} if folder == "left" else {})
    before, after = known[done], known[min(done + 1, len(OPERATIONS))]
    found = {
        name.removeprefix(f"{LOG}/"): data
        for name, data in image.files.items()
        if not name.endswith((".new", "/lock"))
    }
    if LOG not in image.folders:
        return "the folder is lost"
    for name in {*before, *after, *found} - loose(done):
        if found.get(name) not in {before.get(name), after.get(name)}:
            return f"after {done} operations {name} is not what it was made"
    return ""


def broken(trace: Trace, folder: str, count: int) -> Iterator[str]:
    for image in CrashImages(trace, seed=1).images(count):
        if said := complaint(image, folder):
            yield f"{image.label}: {said}"


@pytest.mark.parametrize("folder", ["new", "left"])
def test_what_an_operation_promised_is_there_after_a_crash(tmp_path: Path, folder: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    start = strace.recorded(tmp_path / "calls")
    run = [*start, sys.executable, __file__, str(root), folder]
    subprocess.run(run, check=True, capture_output=True)
    trace = strace.parse(tmp_path / "calls", root)
    assert sum(mark.data == b"returned\n" for mark in trace.marks) == len(OPERATIONS) + 1
    assert list(broken(trace, folder, 2_000)) == [], "a promise is broken"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
