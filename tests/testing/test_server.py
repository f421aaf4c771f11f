"""The server fixture: it says why a server does not start, and leaves no process."""

from pathlib import Path

import pytest

from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import make_tls


def test_a_server_that_does_not_start_is_told_with_its_words(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="unknown key 'nonsense'"),
        ServerProcess.configured(tmp_path, more="nonsense = 1"),
    ):
        pass


def test_a_server_with_tls_answers_and_ends(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path, tls=make_tls(tmp_path)) as server:
        assert server.address.startswith("https://127.0.0.1:")
        server.initialise(3, 2)
        assert server.api("GET", "auth/token/lookup-self")["data"]["id"] == server.token
    assert server.process.returncode == 0
    assert not Path(f"/proc/{server.process.pid}").exists()
