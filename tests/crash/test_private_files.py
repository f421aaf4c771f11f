"""A device's key file is there, whole, once it was said to be, whenever the power fails.

Run as a program, this file creates one file and replaces it, and says each time that it has:

    python test_private_files.py ROOT
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ironkeep.agent import private_files
from tests.support.crash import strace
from tests.support.crash.crashfs import CrashImages

NAME: Final = "device.key"
CONTENTS: Final = (b"first", b"second, and longer", b"third")

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed"
)


def main(root: Path) -> None:
    private_files.create(root / NAME, CONTENTS[0])
    os.write(1, b"written\n")
    for content in CONTENTS[1:]:
        private_files.replace(root / NAME, content)
        os.write(1, b"written\n")


def test_a_key_file_that_was_written_is_there_after_a_crash(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    start = strace.recorded(tmp_path / "calls")
    subprocess.run([*start, sys.executable, __file__, str(root)], check=True, capture_output=True)
    trace = strace.parse(tmp_path / "calls", root)
    written = []
    for image in CrashImages(trace, seed=1).images(300):
        written.append(sum(mark.data == b"written\n" for mark in image.marks))
        possible = (None, *CONTENTS)[written[-1] : written[-1] + 2]
        assert image.files.get(NAME) in possible, image.label
    assert set(written) == set(range(len(CONTENTS) + 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
