"""One development server for all transcripts, and a way to run commands against it."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironkeep.cli.main import call
from ironkeep.cli.output.terminal import Terminal
from ironkeep.testing.server import Done, ServerProcess
from tests.support.commands import Run


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A development server."""
    with ServerProcess.development(tmp_path_factory.mktemp("dev")) as server:
        yield server


@pytest.fixture
def run(dev: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, as root on the development server, HOME being tmp_path."""
    return runner(dev, tmp_path, monkeypatch)


def runner(server: ServerProcess, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs commands against server in this process."""
    for name, value in server.environment().items():
        if name.startswith("VAULT_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)

    def run(*words: str, given: str = "") -> Done:
        out, err = io.StringIO(), io.StringIO()
        code = call(words, Terminal(io.BytesIO(given.encode()), out, err))
        return Done(code, out.getvalue(), err.getvalue())

    return run
