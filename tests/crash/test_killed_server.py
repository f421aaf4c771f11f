"""A real server under load, killed at random moments: started again, it has what it had said."""

import random
import threading
from pathlib import Path
from typing import Final

import pytest

from ironkeep.testing.server import ServerProcess
from tests.support.crash.crashed_server import PROGRAM, check_open, check_receipts, start_load
from tests.support.crash.mixed_load import Gate, Lane, Wire, run_lanes
from tests.support.crash.reopened import reopened

LANES: Final = 4
MANY: Final = 100_000
"""Steps, far more than are taken before the end."""
LONGEST_SECONDS: Final = 0.5
"""Of load before a kill."""
FASTEST_START_SECONDS: Final = 0.6


class Trial:
    """One directory, over which servers are started and end."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.lanes: list[Lane] = []
        with ServerProcess.configured(folder, program=PROGRAM) as server:
            self.keys, wire = start_load(server)
            wire.close()

    def kill_while_starting(self) -> None:
        """Start, and be killed at a moment at which a start is hardly ever done."""
        delay = self.rng.uniform(0.05, FASTEST_START_SECONDS)
        killer = ["timeout", "--signal=KILL", str(delay)]
        try:
            with ServerProcess.configured(self.folder, program=PROGRAM, tracer=killer):
                pass
        except (RuntimeError, OSError, ValueError):
            """It was killed before it said that it had started, or just then."""

    def end_under_load(self, *, politely: bool) -> None:
        """Start, check what the last load was told, load again, and kill or stop it."""
        with ServerProcess.configured(self.folder, program=PROGRAM) as server:
            wire = Wire(server.address, self.keys.token)
            wire.must("PUT", "sys/unseal", {"key": self.keys.share})
            self.check(wire, self.lanes[-LANES:])
            wire.close()
            first = len(self.lanes)
            lanes = [
                Lane(number, Wire(server.address, self.keys.token), Gate())
                for number in range(first, first + LANES)
            ]
            self.lanes += lanes

            def end() -> None:
                threading.Event().wait(self.rng.uniform(0, LONGEST_SECONDS))
                if politely:
                    server.process.terminate()
                else:
                    server.process.kill()
                server.process.wait()

            run_lanes(lanes, MANY, end)
            assert server.process.returncode == (0 if politely else -9)
            assert all(lane.ended for lane in lanes)

    def check(self, wire: Wire, lanes: list[Lane]) -> None:
        for lane in lanes:
            assert lane.complaints(self.told(), wire.ask) == []

    def told(self) -> set[str]:
        return {step.receipt for lane in self.lanes for step in lane.steps if step.receipt}

    def check_everything(self) -> int:
        """Open it in this process, and look up every answer; return how many there were."""
        with reopened(self.folder / "data") as server:
            told = self.told()
            check_receipts(server, told)
            check_open(server, told, self.lanes, self.keys)
        return len(told)


def run(folder: Path, seed: int, kills: int) -> None:
    trial = Trial(folder, seed)
    for number in range(kills):
        if number % 5 == 4:
            trial.kill_while_starting()
        else:
            trial.end_under_load(politely=number % 7 == 6)
    assert trial.check_everything() > kills


@pytest.mark.timeout(600)
def test_a_server_killed_at_any_moment_comes_back_with_all_it_had_said(tmp_path: Path) -> None:
    """Of the 14 ends 10 are kills under load, 2 come at the start, 2 are polite."""
    run(tmp_path, 0, 14)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(1, 12))
def test_a_server_killed_hundreds_of_times_comes_back(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed, 44)
