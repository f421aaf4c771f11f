"""The hash files hold what `grow` was given, whenever the power fails after it returned.

Run as a program, this file grows a tree by leaves, and says each time that it has:

    python test_hashes.py ROOT
"""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.journal.tree import HashTree
from ironkeep.tlog.merkle import Frontier
from tests.support.crash import strace
from tests.support.crash.crashfs import CrashImages

SIZES: Final = (1, 3, 200, 256, 700)
LEAVES: Final = [sha256(b"%d" % number).digest() for number in range(SIZES[-1])]

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed"
)


def main(root: Path) -> None:
    tree = HashTree(DirectoryLogFiles(root), Frontier())
    saved = 0
    for size in SIZES:
        tree.add(LEAVES[saved:size])
        saved, _ = tree.save()
        os.write(1, b"grown\n")


def test_hashes_are_there_after_a_crash(tmp_path: Path) -> None:
    root = tmp_path / "root"
    start = strace.recorded(tmp_path / "calls")
    subprocess.run([*start, sys.executable, __file__, str(root)], check=True, capture_output=True)
    trace = strace.parse(tmp_path / "calls", root)
    grown = []
    for image in CrashImages(trace, seed=1).images(500):
        grown.append(sum(mark.data == b"grown\n" for mark in image.marks))
        if grown[-1]:
            expected = b"".join(LEAVES[: SIZES[grown[-1] - 1]])
            held = image.files.get("hash/L0", b"")[: len(expected)]
            assert held == expected, f"a promise is broken: {image.label}"
    assert set(grown) == set(range(len(SIZES) + 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
