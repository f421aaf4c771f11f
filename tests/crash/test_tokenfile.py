"""The token file is the old one or the new one, whole, whenever the power fails.

Run as a program, this file stores TOKENS one after another, and says each time that it has:

    python test_tokenfile.py ROOT
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ironkeep.cli.client import tokenfile
from ironkeep.core.secret import Secret
from tests.support.crash import strace
from tests.support.crash.crashfs import CrashImages

TOKENS: Final = (b"hvs.first", b"hvs.second-and-longer", b"hvs.third")

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed"
)


def main(root: Path) -> None:
    for token in TOKENS:
        tokenfile.store(root, Secret(token))
        os.write(1, b"stored\n")


def test_a_token_that_was_stored_is_there_after_a_crash(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    start = strace.recorded(tmp_path / "calls")
    subprocess.run([*start, sys.executable, __file__, str(root)], check=True, capture_output=True)
    trace = strace.parse(tmp_path / "calls", root)
    stored = []
    for image in CrashImages(trace, seed=1).images(300):
        stored.append(sum(mark.data == b"stored\n" for mark in image.marks))
        possible = (None, *TOKENS)[stored[-1] : stored[-1] + 2]
        assert image.files.get(tokenfile.NAME) in possible, image.label
    assert set(stored) == set(range(len(TOKENS) + 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
