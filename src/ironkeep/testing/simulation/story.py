"""A story: a list of steps, as text with one step a line, and what came of playing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from ironkeep.testing.simulation.attack import ATTACK
from ironkeep.testing.simulation.events import EVENTS
from ironkeep.testing.simulation.response import RESPONSE
from ironkeep.testing.simulation.step import Step
from ironkeep.testing.simulation.truth import powers
from ironkeep.testing.simulation.world import World

Story = tuple[Step, ...]
Items = tuple[tuple[str, str], ...]

STEPS: Final = (*ATTACK, *EVENTS, *RESPONSE)
_ANY: Final[Any] = reduce(or_, STEPS)


@dataclass(frozen=True)
class Outcome:
    """The verdict on a story, the checks that object, and the truth.

    `powers` are what the attacker can still do, without powers over secrets that are exempted.
    """

    verdict: str
    items: Items
    """(check, label) of each open item."""
    powers: tuple[str, ...]

    @property
    def checks(self) -> frozenset[str]:
        """The names of the checks that object."""
        return frozenset(check for check, _ in self.items)

    @property
    def false(self) -> bool:
        """Return whether the verdict is PROVEN, with exceptions or without, and not so."""
        return self.verdict.startswith("PROVEN") and bool(self.powers)


def play(story: Story) -> Outcome:
    """Play a story in a fresh world; return the verdict at its end, and the truth."""
    world = World.fresh()
    for step in story:
        step.play(world)
    return ending(world)


def ending(world: World, *, unseen: bool = False) -> Outcome:
    """Return the verdict on a world as it is now, and the truth, after which nothing can follow.

    With `unseen`, the witness has not seen the end of the log.
    """
    if not world.case:
        return Outcome("NONE", (), ())
    verdict = world.verdict_now() if unseen else world.verdict()
    items = _items(verdict)
    exempt = [str(each["label"]).partition(" ")[0] for each in verdict["exemptions"]]
    left = [each for each in powers(world) if not any(f"[{one}]" in each for one in exempt)]
    return Outcome(verdict["outcome"], items, (*world.unfounded, *left))


def earlier(world: World) -> list[tuple[str, Items]]:
    """Return each verdict that was asked for in a story, and what stood against it, asked again."""
    found = (world.verdict_then(case, time_ns) for case, time_ns in world.judged)
    return [(each["outcome"], _items(each)) for each in found]


def _items(verdict: Mapping[str, Any]) -> Items:
    return tuple((each["check"], each["label"]) for each in verdict["open_items"])


def told(story: Story) -> str:
    """Return a story as text."""
    return "\n".join(map(str, story))


def parse(text: str) -> Story:
    """Return the story of a text; blank lines and those that begin with # are left out."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(_step(line) for line in lines if line and not line.startswith("#"))


def _step(line: str) -> Step:
    verb, *words = line.split(" ")
    fields = dict(word.split("=", 1) for word in words)
    step: Step = msgspec.convert({"do": verb, **fields}, _ANY, strict=False)
    return step
