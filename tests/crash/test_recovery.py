"""A server that crashes again while it recovers from a crash: what was answered is still there.

Run as a program, this file lays out what a crash left, and starts on it; what it does is recorded:

    python test_recovery.py LEFT ROOT KEY
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.support.crash import strace
from tests.support.crash.crashed_server import Recording, broken, journalled, record
from tests.support.crash.crashfs import CrashImages, Image
from tests.support.crash.reopened import reopened

STEPS: Final = 30
CRASHES: Final = 2
MANY_CRASHES: Final = 12
IMAGES: Final = 30

pytestmark = pytest.mark.usefixtures("traced")


def main(left: Path, root: Path, key: str) -> None:
    lay_out(left, root)
    os.write(1, b"laid out\n")
    with reopened(root) as server:
        if server.house.seal.initialized:
            status, body = server.ask("PUT", "sys/unseal", {"key": key})
            assert status == 200, body
        server.flush()
        os.write(1, b"serving\n")
        server.house.journal.checkpoint()


def lay_out(left: Path, root: Path) -> None:
    """Copy a directory, all of it durable."""
    root.mkdir()
    for path in sorted(left.rglob("*")):
        to = root / path.relative_to(left)
        if path.is_dir():
            to.mkdir()
        else:
            to.write_bytes(path.read_bytes())
    for path in (root, *root.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


@pytest.fixture(scope="module")
def recording(memory: Path) -> Recording:
    return record(memory, STEPS)


def recovered(image: Image, folder: Path, recording: Recording) -> tuple[Recording, int]:
    """Start on image, recorded; return the recording, and the instant at which the start began."""
    left, root, output = folder / "left", folder / "data", folder / "calls"
    left.mkdir()
    image.write_to(left)
    start = strace.recorded(output)
    words = [__file__, str(left), str(root), recording.keys.share]
    run = [*start, sys.executable, *words]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trace = strace.parse(output, root)
    (begin,) = [mark.begin for mark in trace.marks if mark.data == b"laid out\n"]
    leaves, ends = journalled(trace, recording.leaves)
    told: dict[int, list[str]] = defaultdict(list)
    told[begin] = [receipt for mark in image.marks for receipt in recording.told[mark.begin]]
    return replace(recording, trace=trace, leaves=leaves, ends=ends, told=told), begin


@pytest.mark.parametrize("number", range(CRASHES))
def test_a_crash_while_recovering_loses_nothing(
    memory: Path, recording: Recording, number: int
) -> None:
    crash_again(memory, recording, number, CRASHES)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(MANY_CRASHES))
def test_a_crash_while_recovering_from_any_of_many_loses_nothing(
    memory: Path, recording: Recording, number: int
) -> None:
    crash_again(memory, recording, number, MANY_CRASHES)


def crash_again(memory: Path, recording: Recording, number: int, crashes: int) -> None:
    """Recover from one of so many crashes, and crash while recovering."""
    folder = memory / f"recovery-{number}"
    folder.mkdir()
    images = CrashImages(recording.trace, seed=11).images(crashes)
    (image,) = itertools.islice(images, number, number + 1)
    again, since = recovered(image, folder, recording)
    again_crashed = CrashImages(again.trace, seed=number).images(IMAGES, since=since)
    assert list(broken(again_crashed, folder, again)) == [], image.label
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
