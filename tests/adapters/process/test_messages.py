"""Operator messages reach standard error and a file, and never stop the work that says them."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ironkeep.adapters.process import messages as log
from ironkeep.core.errors import InvalidRequest
from ironkeep.testing.server import environment

_SAYS_ITS_PID: Final = """
import asyncio, os
from pathlib import Path
from ironkeep.adapters.process import messages as log, signals

async def main():
    stop = asyncio.Event()
    log.write_to(Path("messages"))
    signals.watch(stop.set, lambda: log.say("reloaded"))
    print(os.getpid(), flush=True)
    await stop.wait()
    log.say("done")

asyncio.run(main())
"""


@pytest.fixture
def messages(tmp_path: Path) -> Iterator[Path]:
    """A log file that the lines of this process go to."""
    path = tmp_path / "messages"
    log.write_to(path)
    yield path
    log.write_to(None)


def test_each_line_is_in_the_file_and_on_standard_error(
    messages: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log.say("one\nforged line")
    log.say("two")
    assert messages.read_text() == capfd.readouterr().err
    first, second = messages.read_text().splitlines()
    assert first.endswith(r" one\nforged line")
    assert second.endswith(" two")
    assert stat.S_IMODE(messages.stat().st_mode) & 0o137 == 0


def test_a_file_that_was_moved_is_left_when_it_is_opened_anew(messages: Path) -> None:
    log.say("before")
    moved = messages.rename(messages.with_suffix(".1"))
    log.say("to the old one")
    log.reopen()
    log.say("after")
    assert [line.split(maxsplit=1)[1] for line in moved.read_text().splitlines()] == [
        "before",
        "to the old one",
    ]
    assert messages.read_text().endswith(" after\n")
    assert len(messages.read_text().splitlines()) == 1


def test_a_file_that_cannot_be_opened_anew_is_kept_and_said(messages: Path) -> None:
    moved = messages.rename(messages.with_suffix(".1"))
    messages.mkdir()
    log.reopen()
    log.say("still here")
    first, second = moved.read_text().splitlines()
    assert f"the old log file is kept: cannot write to the log file {messages}" in first
    assert second.endswith(" still here")


@pytest.mark.parametrize("kind", ["fifo", "folder", "gone"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "messages"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path /= "messages"
    with pytest.raises(InvalidRequest, match=f"the log file {path}"):
        log.write_to(path)


def test_lines_that_nobody_can_take_stop_nobody(tmp_path: Path) -> None:
    """Standard error whose reader is gone, and a file for which the disk has no room."""
    ends = (
        "import resource, signal\n"
        "from pathlib import Path\n"
        "from ironkeep.adapters.process import messages as log\n"
        "log.write_to(Path('messages'))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "log.say('unheard')\n"
        "print('goes on')\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", ends], cwd=tmp_path, env=environment(tmp_path),
        stdout=subprocess.PIPE, stderr=writing, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stdout) == (0, "goes on\n")


@pytest.mark.timeout(180)
def test_a_hang_up_opens_the_file_anew_before_anything_is_said(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SAYS_ITS_PID], cwd=tmp_path, env=environment(tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        path = tmp_path / "messages"
        path.rename(tmp_path / "messages.1")
        os.kill(pid, signal.SIGHUP)
        while not path.exists() or "reloaded" not in path.read_text():
            assert process.poll() is None
        os.kill(pid, signal.SIGTERM)
        assert process.wait(120) == 0
    words = [line.split(maxsplit=1)[1] for line in path.read_text().splitlines()]
    assert words == ["SIGHUP: reloading", "reloaded", "SIGTERM: stopping", "done"]
    assert (tmp_path / "messages.1").read_text() == ""
