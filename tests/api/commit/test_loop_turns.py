"""One step of suspended work in each pass of the loop; callers take turns."""

import asyncio

import pytest

from ironkeep.api.commit import loop_turns
from ironkeep.api.commit.loop_turns import LoopTurns
from ironkeep.api.stretches import Stretches
from ironkeep.core.errors import TooManyRequests
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.plugin.effects.pauses import next_turn


def waiting(caller: str) -> Waiting:
    return Waiting(next_turn, lambda _: Answer(None), caller=caller)


class Work:
    """Work of a caller in a number of steps, and the order in which all steps ran."""

    def __init__(self, turns: LoopTurns, order: list[str], caller: str, steps: int) -> None:
        self.turns, self.order, self.caller, self.left = turns, order, caller, steps
        turns.submit(waiting(caller), self.resume)

    def resume(self, result: object) -> None:
        assert result is None
        self.order.append(self.caller)
        self.left -= 1
        if self.left:
            self.turns.submit(waiting(self.caller), self.resume)


def test_a_pass_runs_one_step_and_everything_else() -> None:
    async def scenario() -> None:
        loop, order = asyncio.get_running_loop(), list[str]()
        turns = LoopTurns(loop, Stretches())
        for _ in range(5):
            Work(turns, order, "big", 40)
        Work(turns, order, "small", 1)
        passes = 0
        while len(order) < 201:
            before = len(order)
            await asyncio.sleep(0)
            passes += 1
            assert len(order) - before <= 1
        assert order.index("small") <= 4
        assert passes <= 203

    asyncio.run(scenario())


def test_past_the_limit_one_that_waits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_turns, "MAX_STEPS", 2)

    async def scenario() -> None:
        found: list[object] = []
        turns = LoopTurns(asyncio.get_running_loop(), Stretches())
        for _ in range(3):
            turns.submit(waiting("one"), found.append)
        for _ in range(6):
            await asyncio.sleep(0)
        assert [type(each) for each in found if each] == [TooManyRequests]
        assert len(found) == 3

    asyncio.run(scenario())
