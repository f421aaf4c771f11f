"""node-vault, unmodified: its commands, and its own schemas for their answers.

The package ships no tests of its own, so suite.js drives every command whose engine or method is
built here.
"""

import json
import shutil
import subprocess
from pathlib import Path

from ironkeep.testing.server import ServerProcess
from tests.compat.clients.outcome import Outcome, Suite

TITLE = "node-vault 0.12.0"
SCRIPT = Path(__file__).with_name("node") / "suite.js"
SECONDS = 900
"""For all commands, on a busy machine; an idle one needs some ten."""


def run(folder: Path, home: Path) -> Suite:
    """Run suite.js with the packages of folder against a development server."""
    node = shutil.which("node")
    if node is None or not (folder / "node" / "node_modules").is_dir():
        return Suite("node", TITLE, missing="node and npm are not on this machine")
    with ServerProcess.development(home) as server:
        environment = {**server.environment(), "NODE_PATH": str(folder / "node" / "node_modules")}
        done = subprocess.run(
            [node, str(SCRIPT)], env=environment, cwd=home, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"node-vault's suite did not run:\n{done.stdout}\n{done.stderr}")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Suite("node", TITLE, [Outcome(**each) for each in found])
