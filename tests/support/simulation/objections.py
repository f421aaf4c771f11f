"""Which checks object to a story, and to its evidence when that is spoilt."""

from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.records import Evidence
from ironkeep.core.evidence.verdict import Verdict, decide, decide_on
from ironkeep.incident.evidence import packer
from ironkeep.testing.simulation.named import spelt_out
from ironkeep.testing.simulation.story import ending, parse
from ironkeep.testing.simulation.world import World

Spoil = Callable[[Evidence], Evidence]


@dataclass(frozen=True)
class Directed:
    """A story that leads to one check; or a story whose evidence is spoilt before it is judged.

    `unfounded` says what a verdict would claim without a ground; it is empty where the attacker
    can still do something, which is tried. `unseen` leaves out the witness at the end.
    """

    text: str
    spoil: Spoil | None = None
    unfounded: str = ""
    unseen: bool = False


def objections(directed: Directed) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the names of the checks that object, and why a PROVEN would be false."""
    world = World.fresh()
    for step in parse(spelt_out(directed.text)):
        step.play(world)
    found = None
    if directed.spoil is not None:
        verdict, _ = decide(directed.spoil(evidence_of(world)))
        found = frozenset(item.check for item in verdict.open_items())
    outcome = ending(world, unseen=directed.unseen)
    reasons = (*outcome.powers, *filter(None, [directed.unfounded]))
    return outcome.checks if found is None else found, reasons


def evidence_of(world: World) -> Evidence:
    """Return the evidence on the case of a world, as it goes into a pack."""
    judged: list[Evidence] = []

    def noted(file: CaseFile) -> Verdict:
        judged.append(file.evidence)
        return decide_on(file)

    world.witness()
    with patch.object(packer, "decide_on", noted):
        path = f"incident/cases/{world.case}/pack"
        assert world.read(path, world.sessions["rita"]) is not None
    return judged[-1]
