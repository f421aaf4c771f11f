"""The named stories: known breaches, and gaps that were found by attacking the verdict."""

import pytest

from ironkeep.testing.simulation.named import FAULTS, SCENARIOS, Named
from ironkeep.testing.simulation.story import earlier, ending, parse
from ironkeep.testing.simulation.world import World

NAMED = {**SCENARIOS, **FAULTS}


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
def test_the_verdict_is_right(named: Named) -> None:
    world = World.fresh()
    for step in parse(named.story):
        step.play(world)
    before, outcome = earlier(world), ending(world)
    assert not outcome.false, outcome
    assert outcome.verdict in named.right, outcome
    for check, words in named.names:
        assert any(one == check and words in label for one, label in outcome.items), outcome
    for verdict, items in before:
        assert verdict == "NOT PROVEN"
        assert {check for check, _ in named.then} <= {check for check, _ in items}
        for check, words in named.then:
            assert any(one == check and words in label for one, label in items)
