"""The clock never runs backwards, whoever asks; entropy does not repeat."""

import os
import threading
import time

import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy, forget_steering


def test_the_clock_holds_still_while_the_machines_clock_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = iter([50, 40, 49, 50, 51])
    monkeypatch.setattr(time, "time_ns", lambda: next(readings))
    clock = SystemClock()
    assert [clock.now_ns() for _ in range(5)] == [50, 50, 50, 50, 51]


def test_the_clock_tells_utc() -> None:
    before = time.time_ns()
    assert before <= SystemClock().now_ns() <= time.time_ns()


def test_no_thread_sees_the_clock_run_backwards() -> None:
    clock = SystemClock()
    runs: list[list[int]] = []

    def read() -> None:
        runs.append([clock.now_ns() for _ in range(5_000)])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 4
    assert all(run == sorted(run) for run in runs)


@pytest.mark.parametrize("size", [0, 1, 32, 5_000])
def test_entropy_has_the_size_asked_for(size: int) -> None:
    assert len(SystemEntropy().token(size)) == size


def test_entropy_does_not_repeat() -> None:
    entropy = SystemEntropy()
    assert len({entropy.token(16) for _ in range(1_000)}) == 1_000


def test_what_would_steer_connections_is_forgotten_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steering = ["PGHOSTADDR", "PGSERVICE", "PGPASSFILE", "https_proxy", "ALL_PROXY", "no_proxy"]
    steering += ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "HOSTALIASES", "RES_OPTIONS"]
    for name in steering:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("VAULT_ADDR", "kept")
    before = set(os.environ)
    forget_steering()
    assert before - set(os.environ) >= set(steering)
    assert os.environ["VAULT_ADDR"] == "kept"
    assert "PATH" in os.environ
