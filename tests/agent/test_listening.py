"""Who may connect to the agent: this user at its socket, and loopback alone."""

import os
import socket
from pathlib import Path

import pytest

from ironkeep.agent.listening import bind_loopback, bind_socket, is_ours
from ironkeep.agent.proxy import is_loopback
from ironkeep.core.errors import InvalidRequest, Unavailable


def test_the_kernel_is_asked_whose_a_connection_is() -> None:
    ours, other = socket.socketpair()
    with ours, other:
        assert is_ours(ours)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_ours(tmp_path: Path) -> None:
    """The mode of the socket was changed by hand, and another user connects."""
    with bind_socket(tmp_path / "agent.sock") as listener:
        tmp_path.chmod(0o755)
        (tmp_path / "agent.sock").chmod(0o666)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.chdir(tmp_path)
                os.setuid(65_534)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect("agent.sock")
                code = 0
            finally:
                os._exit(code)
        listener.settimeout(10)
        connection, _ = listener.accept()
        with connection:
            assert not is_ours(connection)
        assert os.waitpid(child, 0)[1] == 0


def test_a_socket_is_private_and_replaces_one_that_was_left(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    bind_socket(path).close()
    with bind_socket(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(Unavailable, match="already"):
            bind_socket(path)


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    path.write_text("somebody's")
    with pytest.raises(InvalidRequest, match="not a socket"):
        bind_socket(path)
    assert path.read_text() == "somebody's"


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:1", "8100", "example.com:1", "127.0.0.1:", "127.0.0.1:65536", ":1", "[::]:1"],
)
def test_it_listens_on_loopback_alone(address: str) -> None:
    with pytest.raises(InvalidRequest, match="only this machine"):
        bind_loopback(address)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("127.0.0.1:8100", True),
        ("localhost", True),
        ("[::1]:8100", True),
        ("127.9.9.9:1", True),
        ("", False),
        ("localhost.evil.example:1", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1:1:2", False),
        ("10.0.0.1:8100", False),
        ("localhost:x", False),
    ],
)
def test_a_host_is_loopback_by_its_own_name(host: str, *, wanted: bool) -> None:
    assert is_loopback(host) is wanted
