"""One scenario of `ironkeep demo`: a story in memory, its verdict, and what the attacker can do.

The vault is the real one over storage in memory; the database servers are simulated. What the
attacker can still do is found by trying it at the end (testing/simulation).
"""

from ironkeep.cli.exits import LOCAL, OK
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest
from ironkeep.demo.teller import StoryBroken, Teller
from ironkeep.testing.simulation.named import SCENARIOS, Named
from ironkeep.testing.simulation.story import earlier, ending, parse
from ironkeep.testing.simulation.world import World


def tell(terminal: Terminal, name: str) -> int:
    """Play the scenario of that name; return the exit code. Raise InvalidRequest if unknown."""
    named = SCENARIOS.get(name.upper())
    if named is None:
        raise InvalidRequest(f"no scenario {name[:20]!r}: choose one of {', '.join(SCENARIOS)}")
    teller = Teller(terminal)
    try:
        _play(teller, named)
    except StoryBroken as broken:
        terminal.note(f"ironkeep demo: {broken}")
        return LOCAL
    terminal.say(f"\n{teller.checks} checks held.")
    return OK


def _play(teller: Teller, named: Named) -> None:
    teller.chapter(named.title)
    world = World.fresh()
    for step in parse(named.story):
        teller.run(str(step))
        teller.tell((type(step).__doc__ or "").strip().splitlines()[0])
        step.play(world)
    before = earlier(world)
    outcome = ending(world)
    teller.chapter(f"The verdict: {outcome.verdict}")
    teller.show(f"{check}: {label}" for check, label in outcome.items)
    teller.check(f"the verdict is {' or '.join(named.right)}", outcome.verdict in named.right)
    for check, words in named.names:
        known = any(one == check and words in label for one, label in outcome.items)
        teller.check(f"it names {words} ({check})", known)
    for verdict, items in before:
        teller.check("the earlier verdict, asked for again as of then, is NOT PROVEN",
                     verdict == "NOT PROVEN", verdict)  # fmt: skip
        for check, words in named.then:
            known = any(one == check and words in label for one, label in items)
            teller.check(f"it named {words} ({check})", known)
    teller.chapter("The truth, found by trying whatever the attacker holds")
    teller.show([f"the attacker {each}" for each in outcome.powers] or ["the attacker is out"])
    teller.check("the verdict claims nothing that is not so", not outcome.false)
