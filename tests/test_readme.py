"""The README's own commands work, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ironkeep.testing.server import ServerProcess

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def words(block: str) -> list[str]:
    """Return the block's commands, without comments."""
    lines = [line.partition("  #")[0].strip() for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_two_commands_set_everything_up() -> None:
    assert words(BLOCKS[0]) == ["make demo", "make check"]


def test_make_demo_and_make_run_are_what_the_command_does() -> None:
    """The recipes are one command each, and those have tests of their own."""
    for target, command in (
        ("demo", ".venv/bin/ironkeep demo"),
        ("run", ".venv/bin/ironkeep server -dev -dev-root-token-id=root"),
    ):
        done = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip().splitlines()[-1] == command


def test_the_first_steps_work_as_written(tmp_path: Path) -> None:
    """Run the last block in a shell, against a development server at another address."""
    script = "\n".join(words(BLOCKS[2]))
    assert "VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=root" in script
    with ServerProcess.development(tmp_path) as server:
        there = script.replace("http://127.0.0.1:8200", server.address)
        there = there.replace("$PWD/.venv/bin", str(Path(sys.executable).parent))
        done = subprocess.run(
            ["bash", "-euc", there],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert "swordfish" in done.stdout
    assert "secret/data/app/db" in done.stdout


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_command_is_short_enough_to_read(block: str) -> None:
    assert all(len(line) <= 100 for line in block.splitlines())
