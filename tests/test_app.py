"""The composition root: signals, the clock's work, and what stops the server or must not."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ironkeep import timer
from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.app import Server
from ironkeep.config.settings import Config, Listener
from ironkeep.core.errors import IntegrityError
from ironkeep.journal.verify import verify_log
from ironkeep.kernel.tick import tick
from ironkeep.tlog.note import VerifierKey


@pytest.fixture(autouse=True)
def _fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer, "TICK_SECONDS", 0.001)


def make_server(path: Path) -> Server:
    return Server(Config(listeners=(Listener("127.0.0.1", 0),), path=path))


def stop(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


def serve(server: Server, prepare: Callable[[Server], None]) -> None:
    """Serve, after prepare has changed what the clock's work meets."""
    server.serve(lambda started, _addresses: prepare(started))


class Counted:
    """Fails so often, then goes on; stops the server some calls later."""

    def __init__(self, inner: Callable[..., Any], error: Exception, failures: int) -> None:
        self.inner = inner
        self.error = error
        self.failures = failures
        self.calls = 0

    def __call__(self, *args: Any, **rest: Any) -> Any:
        self.calls += 1
        if self.calls == self.failures + 3:
            stop()
        if self.calls <= self.failures:
            raise self.error
        return self.inner(*args, **rest)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_all_that_was_recorded_is_signed(tmp_path: Path, number: int) -> None:
    server = make_server(tmp_path)

    def prepare(started: Server) -> None:
        started.house.note("notice", "last words", {})
        asyncio.get_running_loop().call_soon(stop, number)

    serve(server, prepare)
    (folder,) = (path.parent for path in tmp_path.rglob("vkey"))
    key = VerifierKey.parse((folder / "vkey").read_text().strip())
    verified = verify_log(DirectoryLogFiles(folder, readonly=True), key)
    assert verified.size == verified.checkpoint.size == server.journal.next_index


def test_a_defect_in_the_clocks_work_does_not_stop_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(tmp_path)
    ticks = Counted(tick, ZeroDivisionError("secret text"), 2)
    monkeypatch.setattr(timer, "tick", ticks)
    serve(server, lambda _: None)
    said = capsys.readouterr().err
    assert ticks.calls >= 5
    assert said.count("defect in request -: ZeroDivisionError") == 2
    assert "secret text" not in said
    assert not server.house.failure


@pytest.mark.parametrize("error", [OSError(5, "no more"), ZeroDivisionError("x")])
def test_a_journal_that_cannot_be_signed_seals_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    server = make_server(tmp_path)

    def fails() -> bytes | None:
        raise error

    monkeypatch.setattr(server.journal, "checkpoint", fails)
    monkeypatch.setattr(timer, "tick", Counted(tick, error, 0))
    serve(server, lambda _: None)
    assert server.house.failure.startswith("the journal or the database failed")
    assert capsys.readouterr().err.count("sealed: ") == 1


def test_a_fork_that_a_witness_proves_seals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(tmp_path)
    cosign = Counted(server.witnesses.cosign, IntegrityError("a fork"), 1)
    monkeypatch.setattr(server.witnesses, "cosign", cosign)
    monkeypatch.setattr(timer, "tick", Counted(tick, cosign.error, 0))
    serve(server, lambda _: None)
    assert "a fork" in server.house.failure
    assert "sealed: IntegrityError: a fork" in capsys.readouterr().err


def test_what_a_witness_sends_does_not_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(tmp_path)
    cosign = Counted(server.witnesses.cosign, ValueError("odd bytes"), 2)
    monkeypatch.setattr(server.witnesses, "cosign", cosign)
    serve(server, lambda _: None)
    assert cosign.calls >= 5
    assert not server.house.failure
    assert capsys.readouterr().err.count("defect in request -: ValueError") == 2
