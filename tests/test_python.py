"""A Python that cannot work is refused in one sentence, before anything is installed."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
CHECK: Final = ROOT / "tools" / "check_python.py"
PRETENDING: Final = """
import platform, runpy, sys, sysconfig
{}
runpy.run_path({!r}, run_name="__main__")
"""


def checked(pretence: str) -> tuple[int, str]:
    """Return the exit status and the words of the check in a Python that pretends."""
    code = PRETENDING.format(pretence, str(CHECK))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("version", [(3, 11), (3, 13), (3, 15)])
def test_what_the_dependencies_serve_is_taken(version: tuple[int, int]) -> None:
    assert checked(f"sys.version_info = {(*version, 0)}") == (0, "")


@pytest.mark.parametrize(
    "pretence",
    [
        "sys.version_info = (3, 10, 13)",
        "sys.version_info = (3, 16, 0)",
        "sys.version_info = (2, 7, 18)",
        "platform.python_implementation = lambda: 'PyPy'",
        "sysconfig.get_config_var = lambda name: 1",
        "sys.modules['ensurepip'] = None",
    ],
)
def test_what_cannot_work_is_refused_in_one_line(pretence: str) -> None:
    status, words = checked(pretence)
    assert status == 1
    assert words.count("\n") == 1
    assert sys.executable in words


def test_make_asks_before_it_installs(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\necho "asked: $*" >> "$(dirname "$0")/asked"\nexit 1\n')
    python.chmod(0o755)
    command = ["make", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}", "demo"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert (tmp_path / "asked").read_text() == "asked: tools/check_python.py\n"
    assert not (tmp_path / "venv").exists()


def test_the_readme_names_the_versions_that_are_taken() -> None:
    text = CHECK.read_text()
    newest = text.split("NEWEST = (3, ")[1].split(")")[0]
    assert f"Python 3.11 to 3.{newest}" in (ROOT / "README.md").read_text()
