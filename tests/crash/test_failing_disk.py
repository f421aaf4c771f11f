"""A real server whose disk fails: nothing is answered well that is lost, nobody waits for ever.

strace makes one call fail, at its n-th time in each thread. What the server then says is 503; it
goes on, or it seals until a restart. Whatever it does, a crash at any instant since, and a start
without the fault, have all that was answered.
"""

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from ironkeep.testing.server import ServerProcess
from tests.support.crash import strace
from tests.support.crash.crashed_server import (
    PROGRAM,
    Keys,
    broken,
    check_open,
    check_receipts,
    start_load,
    understood,
)
from tests.support.crash.crashfs import CrashImages
from tests.support.crash.mixed_load import Gate, Lane, Wire, run_lanes
from tests.support.crash.reopened import reopened

LANES: Final = 4
STEPS: Final = 25
IMAGES: Final = 24
LOADS: Final = 60
"""One after another, at most. Some files are synced once a second, however much is done in one: a
quick machine takes some ten."""
OK: Final = 200
HANG_MICROSECONDS: Final = 20_000_000
"""Of one write. The server says so after 5 s, and until it is over."""
HANG_SECONDS: Final = 300.0
"""On a busy machine, from the first refusal to the end of that write."""
FULL_BYTES: Final = 4_096
"""What a file may hold at most on a disk that is as good as full."""
LOOKS: Final = 30
PAUSE_SECONDS: Final = 0.1
"""Between two looks at the health: together they see the server try again more than once."""
REASONS: Final = (
    "the disk failed while this request was made durable: its outcome is unknown",
    "the server could not make sure that this request is durable: its outcome is unknown",
    "the journal failed to reach the disk: restart the server",
    "the journal does not reach the disk: check the disk, then try again",
    "the journal or the database failed: ",
    "nothing can be written for now: ",
)
"""Why a request is refused with 503."""
FULL: Final = (
    "nothing can be written for now: the database",
    "nothing can be written for now: No space left on the disk of the journal",
)
"""The cause on a full disk: whichever of the two needs room first."""

pytestmark = pytest.mark.usefixtures("traced")


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails, in strace's words, and whether the server can go on without a restart."""

    inject: str
    recovers: bool


FAULTS: Final = {
    "commit not synced": Fault("fdatasync:error=EIO:when=60", recovers=True),
    "journal not written": Fault("pwritev2:error=EIO:when=60", recovers=False),
    "no room for the journal": Fault("pwritev2:error=ENOSPC:when=60..63", recovers=True),
    "no room for the database": Fault("pwrite64:error=ENOSPC:when=400..403", recovers=True),
    "a file not synced": Fault("fsync:error=EIO:when=60", recovers=False),
}


class Trial:
    """A server with a fault, a load on it, and what that was told."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self.folder = folder
        self.output = folder / "calls"
        self.tracer = strace.recorded(self.output, inject=(fault.inject,) if fault else ())
        self.lanes: list[Lane] = []

    def load(self, server: ServerProcess, keys: Keys) -> list[str]:
        """Run more lanes to their ends; return why those ended that did before their time."""
        first = len(self.lanes)
        lanes = [
            Lane(number, Wire(server.address, keys.token), Gate())
            for number in range(first, first + LANES)
        ]
        self.lanes += lanes
        run_lanes(lanes, STEPS, lambda: None)
        return [lane.ended for lane in lanes if lane.ended]

    def until_it_ends(self, server: ServerProcess, keys: Keys) -> list[list[str]]:
        """Load until the fault has been seen and is over, or the server has given up."""
        ended = [self.load(server, keys)]
        while len(ended) < LOADS and not (any(ended) and (not ended[-1] or health(server) != OK)):
            ended.append(self.load(server, keys))
        assert any(ended), "nothing failed"
        return ended

    def told(self) -> set[str]:
        return {step.receipt for lane in self.lanes for step in lane.steps if step.receipt}


def health(server: ServerProcess) -> int:
    return health_and_failure(server)[0]


def health_and_failure(server: ServerProcess) -> tuple[int, str]:
    wire = Wire(server.address)
    status, body = wire.ask("GET", "sys/health")
    wire.close()
    return status, body.get("failure", "")


def wait_until_healthy(server: ServerProcess) -> None:
    until = time.monotonic() + HANG_SECONDS
    while health(server) != OK:
        assert time.monotonic() < until
        threading.Event().wait(PAUSE_SECONDS)


@contextmanager
def watched(server: ServerProcess) -> Iterator[list[int]]:
    """Look at the health all the while; all that was seen is in the list at the end."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(PAUSE_SECONDS):
            seen.append(health(server))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@contextmanager
def full_disk(server: ServerProcess) -> Iterator[None]:
    """Let no thread of the server make a file larger for a while: as good as a full disk."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


def check_what_is_left(trial: Trial, keys: Keys) -> None:
    """Start on what the server left, and on what a crash could have left: all answers hold."""
    folder = trial.folder
    with reopened(folder / "data") as again:
        check_receipts(again, trial.told())
        check_open(again, trial.told(), trial.lanes, keys)
    recording = understood(trial.output, folder, trial.lanes, keys)
    assert (
        list(broken(CrashImages(recording.trace, seed=1).images(IMAGES), folder, recording)) == []
    )


def test_a_disk_that_hangs_keeps_nobody_waiting(memory: Path) -> None:
    """One write takes longer than the server lets anybody wait, and succeeds in the end."""
    folder = memory / "hangs"
    folder.mkdir()
    trial = Trial(folder, Fault(f"pwritev2:delay_enter={HANG_MICROSECONDS}:when=60", recovers=True))
    with ServerProcess.configured(folder, program=PROGRAM, tracer=trial.tracer) as server:
        keys, wire = start_load(server)
        wire.close()
        with watched(server) as seen:
            ended = trial.until_it_ends(server, keys)
            wait_until_healthy(server)
        assert all(reason.startswith(REASONS) for lanes in ended for reason in lanes)
        assert set(seen) == {OK, 503}
        assert trial.load(server, keys) == []
    with reopened(folder / "data") as again:
        check_receipts(again, trial.told())
        check_open(again, trial.told(), trial.lanes, keys)


def test_a_disk_that_is_full_refuses_with_the_cause_until_there_is_room(memory: Path) -> None:
    folder = memory / "full"
    folder.mkdir()
    trial = Trial(folder, None)
    with ServerProcess.configured(folder, program=PROGRAM, tracer=trial.tracer) as server:
        keys, wire = start_load(server)
        wire.close()
        assert trial.load(server, keys) == []
        with full_disk(server):
            ended = trial.load(server, keys)
            assert len(ended) == LANES
            assert all(reason.startswith(REASONS) for reason in ended)
            for _ in range(LOOKS):
                status, failure = health_and_failure(server)
                assert status == 503
                assert failure.startswith(FULL)
                threading.Event().wait(PAUSE_SECONDS)
            ended = trial.load(server, keys)
            assert len(ended) == LANES
            assert all(reason.startswith(FULL) for reason in ended)
        wait_until_healthy(server)
        assert trial.load(server, keys) == []
    assert server.process.returncode == 0
    check_what_is_left(trial, keys)


@pytest.mark.parametrize("name", FAULTS)
def test_a_disk_that_fails_costs_no_answer_that_was_given(memory: Path, name: str) -> None:
    fault = FAULTS[name]
    folder = memory / name.replace(" ", "-")
    folder.mkdir()
    trial = Trial(folder, fault)
    with ServerProcess.configured(folder, program=PROGRAM, tracer=trial.tracer) as server:
        keys, wire = start_load(server)
        wire.close()
        ended = trial.until_it_ends(server, keys)
        assert all(reason.startswith(REASONS) for lanes in ended for reason in lanes)
        assert (not trial.load(server, keys)) == fault.recovers
        assert health(server) == (OK if fault.recovers else 503)
    assert server.process.returncode == (0 if fault.recovers else 5)
    with ServerProcess.configured(folder, program=PROGRAM) as server:
        wire = Wire(server.address, keys.token)
        wire.must("PUT", "sys/unseal", {"key": keys.share})
        for lane in trial.lanes:
            assert lane.complaints(trial.told(), wire.ask) == []
        wire.close()
    check_what_is_left(trial, keys)
