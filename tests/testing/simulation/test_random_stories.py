"""Thousands of random stories: no verdict is PROVEN while the attacker can still do anything.

A failure prints the seed and the shortest story that shows it; `told` and `parse` turn a story into
text and back, and docs/testing.md says how one is replayed.
"""

from collections import Counter
from typing import Final

import pytest

from ironkeep.testing.simulation.story import Outcome, play, told
from tests.support.simulation.random_story import random_story
from tests.support.simulation.shrinking import shrunk

CHUNK: Final = 25
STORIES: Final = 500
MANY: Final = 20_000

PROVEN_SHARE: Final = 1 / 3
"""Of the stories in which the attacker is out, at least this part must come out as PROVEN."""


def judged(seed: int) -> Outcome:
    """Return the outcome of a seed; fail with the shortest story if its PROVEN is false."""
    story = random_story(seed)
    outcome = play(story)
    if outcome.false:
        short = shrunk(story, lambda each: play(each).false)
        pytest.fail(
            f"seed {seed}: PROVEN, and the attacker {', '.join(play(short).powers)}:\n{told(short)}"
        )
    return outcome


def require_true(first: int, count: int) -> None:
    """Judge a range of seeds; enough of them must come out as PROVEN."""
    found = Counter[tuple[str, bool]]()
    for seed in range(first, first + count):
        outcome = judged(seed)
        found[outcome.verdict, bool(outcome.powers)] += 1
    out = sum(many for (_, holds), many in found.items() if not holds)
    assert found["PROVEN", False] >= PROVEN_SHARE * out, found
    assert found["PROVEN", True] == 0


@pytest.mark.parametrize("first", range(0, STORIES, CHUNK))
def test_proven_is_never_wrong(first: int) -> None:
    require_true(first, CHUNK)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(STORIES, STORIES + MANY, 10 * CHUNK))
def test_proven_is_never_wrong_in_many_stories(first: int) -> None:
    require_true(first, 10 * CHUNK)
