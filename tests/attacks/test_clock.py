"""The machine's clock is moved under a real server, by libfaketime: nothing ends, nothing lives on.

libfaketime changes the wall clock only, as an administrator or a false time source does.
"""

import os
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from ironkeep.testing.server import ServerProcess

LIBRARY: Final = next(iter(Path("/usr/lib").glob("*-linux-gnu/faketime/libfaketimeMT.so.1")), None)
PATIENCE: Final = 30

pytestmark = pytest.mark.skipif(
    LIBRARY is None and "CI" not in os.environ, reason="libfaketime is not installed"
)


class Machine:
    """The clock of the servers that a test starts in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self._file: Final = folder / "offset"
        self.set("+0")
        self.keys: list[str] = []
        self.token = ""

    def set(self, offset: str) -> None:
        """Put the wall clock off by offset, such as +400d; servers that run see it at once."""
        draft = self.folder / "draft"
        draft.write_text(offset, encoding="utf-8")
        draft.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a server on this machine."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    @contextmanager
    def server(self) -> Iterator[ServerProcess]:
        """Start the server, initialised the first time and unsealed each time."""
        with ServerProcess.configured(self.folder) as server:
            if self.keys:
                server.api("PUT", "sys/unseal", {"key": self.keys[0]})
                server.token = self.token
            else:
                self.keys, self.token = server.initialise(), server.token
            yield server


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def issue(server: ServerProcess, ttl: str) -> str:
    made = server.api("POST", "auth/token/create", {"ttl": ttl, "policies": ["default"]})
    token: str = made["auth"]["client_token"]
    return token


def left(server: ServerProcess, token: str) -> int | None:
    """Return the seconds that a token has left, None when it has ended."""
    try:
        seconds: int = server.api("POST", "auth/token/lookup", {"token": token})["data"]["ttl"]
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.FORBIDDEN:
            raise
        return None
    return seconds


def steps(server: ServerProcess) -> list[dict[str, Any]]:
    found = server.api("GET", "sys/audit/log/search?kind=notice&limit=100")["data"]["entries"]
    return [each for each in found if str(each["op"]).startswith("clock-")]


def until(held: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not held():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_an_hour_ahead_and_back_in_a_running_server(machine: Machine) -> None:
    """S01: the time stood still for an hour; a token of 10 s never ended."""
    with machine.server() as server:
        short, long = issue(server, "8s"), issue(server, "2h")
        machine.set("+3600")
        until(lambda: len(steps(server)) == 1, "the step was not journalled")
        assert server.cli("operator", "clock").code == 2
        assert left(server, long) > 7_000  # type: ignore[operator]
        machine.set("+0")
        until(lambda: len(steps(server)) == 2, "the end of the step was not journalled")
        until(lambda: left(server, short) is None, "a token of 8 s has no end")
        assert left(server, long) > 7_000  # type: ignore[operator]
        assert server.cli("operator", "clock").code == 0
    said = (machine.folder / "server.err").read_text(encoding="utf-8")
    assert "the machine's clock is 1h0m0s ahead of" in said or "59m59s ahead of" in said
    assert "agrees with the vault's time again" in said


def test_400_days_ahead_destroy_nothing_until_somebody_says_so(machine: Machine) -> None:
    """S02 and S03: in a running server, at a start, and back again."""
    with machine.server() as server:
        held = issue(server, "100h")
        machine.set("+400d")
        until(lambda: len(steps(server)) == 1, "the step was not journalled")
        time.sleep(2)
        assert left(server, held) > 359_000  # type: ignore[operator]
    with machine.server() as server:
        assert left(server, held) > 359_000  # type: ignore[operator]
        assert server.cli("status", "-format=json").json()["problems"]
        shown = server.cli("operator", "clock", "-format=json").json()["data"]
        assert abs(shown["offset"] - 400 * 86_400) < 60
        assert server.cli("operator", "clock", f"-accept={shown['offset'] - 7_200}").code == 2
        assert server.cli("operator", "clock", f"-accept={shown['offset']}").code == 0
        assert left(server, held) is None
        late = issue(server, "8s")
    machine.set("+0")
    with machine.server() as server:
        seconds = left(server, late)
        assert seconds is None or seconds <= 8
        until(lambda: left(server, late) is None, "a token of 8 s has no end")
        assert left(server, held) is None
        assert "behind the vault's time" in server.api("GET", "sys/clock")["data"]["problem"]


@pytest.mark.parametrize("offset", ["-120", "-3600", "-1d"])
def test_a_start_with_the_clock_put_back(machine: Machine, offset: str) -> None:
    """S03: with yesterday's clock an expired token lived again. V04: reads were stamped early."""
    with machine.server() as server:
        dead = issue(server, "1s")
        until(lambda: left(server, dead) is None, "a token of 1 s has no end")
        before = server.api("GET", "sys/clock")["data"]["vault_time"]
    machine.set(offset)
    with machine.server() as server:
        assert left(server, dead) is None
        assert server.api("GET", "sys/clock")["data"]["vault_time"] > before
        (step,) = steps(server)
        assert int(step["audited"]["offset_ns"]) < -100 * 10**9
        found = server.api("GET", "sys/audit/log/search?limit=1000")["data"]["entries"]
        times = [each["time_ns"] for each in found]
        assert times == sorted(times)
