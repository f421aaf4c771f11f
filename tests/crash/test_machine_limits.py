"""A real server on a machine that is short of something, and the signals that operators send.

What is short comes back in the end, and then the vault goes on: it was never sealed.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from ironkeep.adapters.process.machine import MIN_FILES, cgroup_limit
from ironkeep.testing.server import ServerProcess, environment

SECONDS: Final = 60.0
"""On a busy machine, until a server has noticed."""

TICK_SECONDS: Final = 1.0

LIMITED: Final = (
    "import resource, sys; resource.setrlimit(resource.{name}, ({limit}, {limit})); "
    "from ironkeep.cli.main import main; sys.exit(main())"
)
"""Ironkeep's own command, under a limit that it cannot raise."""


def limited(name: str, limit: int) -> tuple[str, str]:
    return "-c", LIMITED.format(name=name, limit=limit)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def asked(server: ServerProcess, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"{server.address}/v1/{path}", timeout=SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def said(server: ServerProcess) -> str:
    return (server.home / "server.err").read_text()


def is_unsealed(server: ServerProcess) -> bool:
    return asked(server, "sys/health")[0] == 200


def answers(server: ServerProcess) -> bool:
    try:
        return is_unsealed(server)
    except (OSError, ValueError):
        return False


@contextmanager
def small_files(server: ServerProcess) -> Iterator[None]:
    """Let the server make no file larger than 4 KiB for a while: as good as a full disk."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4_096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


SIGNALS: Final = (
    "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO",
    "SIGPWR", "SIGSTKFLT", "SIGXCPU", "SIGRTMIN", "SIGRTMAX", "SIGWINCH", "SIGCHLD", "SIGURG",
    "SIGXFSZ",
)  # fmt: skip


@pytest.mark.timeout(180)
def test_no_signal_that_operators_send_ends_a_server_unsaid(tmp_path: Path) -> None:
    silent = {"SIGPIPE", "SIGWINCH", "SIGCHLD", "SIGURG", "SIGXFSZ"}
    with ServerProcess.configured(tmp_path) as server:
        server.initialise()
        for name in SIGNALS:
            os.kill(server.pid, getattr(signal, name))
        plain = {*SIGNALS} - silent - {"SIGRTMIN", "SIGRTMAX"}
        last = f"SIGRTMIN+{signal.SIGRTMAX - signal.SIGRTMIN}"
        words = [f"{name}: " for name in (*plain, "SIGRTMIN+0", last)]
        until(lambda: all(each in said(server) for each in words))
        assert is_unsealed(server)
    assert server.process.returncode == 0
    assert "SIGTERM: stopping" in said(server)


HELD: Final = """
import os, signal
from ironkeep.adapters.process import signals
signals.hold()
for number in set(signal.Signals) | set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1)):
    if number not in {*signals.STOPS, *CRASHES}:
        os.kill(os.getpid(), number)
print("here")
"""


def test_no_signal_but_a_stop_ends_a_process_that_is_starting() -> None:
    crashes = "SIGKILL SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGSEGV SIGBUS SIGFPE SIGILL SIGABRT SIGTRAP"
    names = ", ".join(f"signal.{name}" for name in (*crashes.split(), "SIGSYS"))
    program = HELD.replace("CRASHES", f"({names})")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "here\n")


@pytest.mark.timeout(180)
def test_a_full_disk_that_is_freed_is_a_working_server_again(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path) as server:
        server.initialise()
        server.api("POST", "sys/mounts/kv", {"type": "kv"})
        with small_files(server):
            with pytest.raises(urllib.error.HTTPError) as refused:
                server.api("POST", "kv/a", {"v": "x" * 100_000})
            with refused.value as error:
                assert error.code == 503
            until(lambda: asked(server, "sys/health")[0] == 503)
            status, health = asked(server, "sys/health")
            assert not health["sealed"]
            assert "nothing can be written for now" in health["failure"]
            status, body = asked(server, "sys/seal-status")
            assert status == 200
            assert body["failure"] == health["failure"]
            done = server.cli("status")
            assert done.code == 2
            assert "nothing can be written for now" in done.out
        until(lambda: is_unsealed(server))
        server.api("POST", "kv/a", {"v": "y"})
        assert server.api("GET", "kv/a")["data"] == {"v": "y"}
    assert server.process.returncode == 0


@pytest.mark.timeout(180)
def test_a_server_that_is_stopped_on_a_full_disk_says_what_is_not_written(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path) as server:
        server.initialise()
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))
        until(lambda: asked(server, "sys/health")[0] == 503)
    assert server.process.returncode == 5
    assert "are not known to be written" in said(server)


@pytest.mark.timeout(180)
def test_idle_connections_past_the_limit_on_files_cost_connections_alone(tmp_path: Path) -> None:
    limit = 2 * MIN_FILES
    with ServerProcess.configured(tmp_path, program=limited("RLIMIT_NOFILE", limit)) as server:
        assert f"may open {limit} files" in said(server)
        server.initialise()
        host, _, port = server.address.rpartition("//")[2].rpartition(":")
        with ExitStack() as stack:
            for _ in range(2 * limit):
                stack.enter_context(socket.create_connection((host, int(port)), SECONDS))
            # Files are opened to sign the journal: it is not sealed for want of descriptors.
            threading.Event().wait(2 * TICK_SECONDS)
        # Its connections are gone, and are noticed to be.
        until(lambda: answers(server))
        assert is_unsealed(server)
    assert server.process.returncode == 0
    assert "sealed: " not in said(server)


@pytest.mark.parametrize(
    ("name", "limit", "words"),
    [("RLIMIT_NOFILE", MIN_FILES - 1, "may open"), ("RLIMIT_DATA", 150 << 20, "to check one")],
)
def test_a_machine_that_is_too_small_is_refused_at_the_start(
    tmp_path: Path, name: str, limit: int, words: str
) -> None:
    command = [sys.executable, *limited(name, limit), "server", "-dev"]
    address = "-dev-listen-address=127.0.0.1:0"
    done = subprocess.run(
        [*command, address], env=environment(tmp_path), capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert words in done.stderr


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/a/b\n", {"a/memory.max": "1000\n", "a/b/memory.max": "max\n"}, 1000),
        ("0::/a/b\n", {"memory.max": "500", "a/memory.max": "1000", "a/b/memory.max": "800"}, 500),
        ("0::/not/shown\n", {"memory.max": "700\n"}, 700),
        ("4:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": "300\n"}, 300),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("0::/../../etc\n", {"memory.max": "max\n"}, None),
        ("nonsense\n", {}, None),
    ],
)
def test_the_lowest_limit_of_all_groups_holds(
    tmp_path: Path, membership: str, files: dict[str, str], limit: int | None
) -> None:
    for name, content in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(content)
    (tmp_path / "cgroup").write_text(membership)
    assert cgroup_limit(tmp_path / "cgroup", tmp_path / "fs") == limit
