"""A story is a value: it is printed, read back, shortened, and played with the same outcome."""

from ironkeep.testing.simulation.attack import Plant, Read, Steal
from ironkeep.testing.simulation.response import Do, Open
from ironkeep.testing.simulation.step import Step
from ironkeep.testing.simulation.story import STEPS, parse, play, told
from tests.support.simulation.random_story import random_story
from tests.support.simulation.shrinking import shrunk

CLEAN = """
# The attacker reads the database password, and the responders do all that they should.
steal
read
open
do what=contain
replace
do what=rotate
do what=kill
do what=probe
do what=sweep
check-root
residue
confirm
"""


def test_a_story_is_read_back_as_it_was_printed() -> None:
    for seed in range(200):
        story = random_story(seed)
        assert parse(told(story)) == story
    assert told((Steal(), Read(by=2), Do("kill"))) == "steal\nread by=2\ndo what=kill"


def test_every_step_may_stand_anywhere() -> None:
    """A story stays a story whatever is left out of it."""
    assert set(Step.__subclasses__()) == set(STEPS)
    assert play(tuple(step() for step in STEPS if step not in {Steal, Open})).verdict == "NONE"
    for step in STEPS:
        assert play((Steal(), step(), Open(), step())).verdict == "NOT PROVEN"


def test_an_eviction_without_a_gap_is_proven() -> None:
    outcome = play(parse(CLEAN))
    assert (outcome.verdict, outcome.powers) == ("PROVEN", ())


def test_the_same_story_has_the_same_outcome() -> None:
    assert play(random_story(7)) == play(random_story(7))


def test_the_truth_finds_what_is_left() -> None:
    outcome = play(parse("steal\nread\nconnect\nplant\nopen\ndo what=contain"))
    assert outcome.verdict == "NOT PROVEN"
    assert outcome.powers == (
        "has a session of app at db.example:5432",
        "logs in as app at db.example:5432",
        "logs in as backdoor at db.example:5432",
        "logs in as app at standby.example:5432",
        "logs in as backdoor at standby.example:5432",
        "knows the present password of app",
    )


def test_a_story_is_shortened_to_what_shows_it() -> None:
    story = random_story(3)
    padded = (*story[:4], Plant("hook"), *story[4:], Read())
    assert shrunk(padded, lambda each: Plant("hook") in each) == (Plant("hook"),)


def test_the_process_may_end_in_timed_work_as_well() -> None:
    crashes = "crash op=kill when=before\ncrash op=probe when=before"
    outcome = play(parse(f"{crashes}\nsteal\nopen\ndo\ndo what=rotate\nwait seconds=600"))
    assert outcome.verdict == "NOT PROVEN"
