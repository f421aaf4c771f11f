"""The tutorial's commands work, in their order, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from ironkeep.testing.server import ServerProcess

PAGE: Final = (Path(__file__).parents[1] / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
ADDRESS: Final = "http://127.0.0.1:8200"
OFFLINE: Final = "ironkeep verify"
"""From the block that begins with this on, the commands run after the server has stopped."""


def blocks(language: str) -> list[str]:
    """Return the page's fenced blocks of one language."""
    return [text for named, text in BLOCKS if named == language]


def run(script: str, folder: Path) -> str:
    """Run a script in a shell that stops at the first failure; return what it prints."""
    environment = {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr)
    return done.stdout + done.stderr


def test_it_installs_and_starts_a_development_server() -> None:
    """These blocks are compared and not run: they need a network and a fixed port."""
    install, start = blocks("console")
    assert "pip install .\n" in install
    assert start == "$ ironkeep server -dev -dev-root-token-id=root\n"


def test_its_commands_work_in_order(tmp_path: Path) -> None:
    script = blocks("sh")
    first_offline = next(at for at, text in enumerate(script) if text.startswith(OFFLINE))
    with ServerProcess.development(tmp_path) as server:
        online = "".join(script[:first_offline])
        assert ADDRESS in online
        said = run(online.replace(ADDRESS, server.address), tmp_path)
    checked = run("".join(script[first_offline:]), tmp_path)
    assert "the stolen session is refused" in said
    assert said.count("exit code 3") == 2
    assert re.findall(r"exit code (\d)", checked) == ["3", "6", "5"]
    for block in blocks("text"):
        assert block.strip("\n") in said + checked
