"""The headline counts what a verdict rests on, and says when it is not about now."""

import pytest

from ironkeep.core.evidence.checks.record import CLOCK_SKEW_NS
from ironkeep.core.evidence.headline import counted, headline, is_past, later_than
from ironkeep.core.evidence.verdict import Tally
from tests.support.incident.sample_case import END_AT, at, request, sample_case

MARCH: int = 1_772_496_000 * 10**9


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (Tally(0, 0, 0, 0, 0, 0), "no credential is exposed"),
        (Tally(5, 0, 0, 0, 0, 0), "closed: 5 measured"),
        (
            Tally(5, 1, 2, 0, 0, MARCH),
            "closed: 5 measured, 1 sworn by two, 2 exempt until 2026-03-03T00:00:00Z",
        ),
        (Tally(0, 0, 0, 3, 0, 0), "open: 3"),
        (Tally(1, 0, 0, 2, 0, 0), "closed: 1 measured; open: 2"),
        (
            Tally(1, 0, 0, 0, 4, MARCH),
            "closed: 1 measured; 4 other items exempt until 2026-03-03T00:00:00Z",
        ),
        (
            Tally(0, 0, 1, 0, 4, MARCH),
            "closed: 1 exempt until 2026-03-03T00:00:00Z; 4 other items exempt",
        ),
    ],
)
def test_the_credentials_are_counted(tally: Tally, words: str) -> None:
    assert counted(tally) == words


def test_a_verdict_of_now_says_no_time() -> None:
    line = headline("PROVEN", Tally(1, 0, 0, 0, 0, 0), at(END_AT), 0, past=False)
    assert line == "PROVEN: closed: 1 measured"


def test_a_verdict_of_the_past_says_when_and_what_came_later() -> None:
    tally = Tally(1, 0, 0, 0, 0, 0)
    line = headline("PROVEN", tally, MARCH, 2, past=True)
    assert line == "PROVEN as of 2026-03-03T00:00:00Z (2 later entries exist): closed: 1 measured"
    assert "(1 later entry exists)" in headline("PROVEN", tally, MARCH, 1, past=True)
    line = headline("PROVEN", tally, MARCH, 0, past=True)
    assert line.startswith("PROVEN as of 2026-03-03T00:00:00Z (the log has gone on since): ")


def test_it_is_past_when_entries_are_later_or_the_log_is_known_much_longer() -> None:
    evidence = sample_case().with_lines(request(101, "later", "bob")).evidence()
    assert later_than(sample_case().evidence()) == 0
    assert later_than(evidence) == 1
    now = at(END_AT)
    assert is_past(1, now, now)
    assert not is_past(0, now, now + CLOCK_SKEW_NS)
    assert is_past(0, now, now + CLOCK_SKEW_NS + 1)
