import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """Images are many and synced often: they go to memory where there is such a folder."""
    folder = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=folder if folder.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def traced() -> None:
    """Skip where calls cannot be recorded; never in CI."""
    if shutil.which("strace") is None and "CI" not in os.environ:
        pytest.skip("strace is not installed")
