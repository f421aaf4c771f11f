"""An exposed version that the vault still gives out is open, whatever was reported."""

import pytest

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.checks.table import CHECKS
from ironkeep.core.evidence.claim import FRESH_NS, Status
from ironkeep.core.evidence.sworn import Basis
from ironkeep.core.evidence.verdict import Outcome, decide
from ironkeep.core.units import SECOND_NS
from tests.support.incident.sample_case import CASE, END_AT, OLD, Line, SampleCase, at, sample_case

LAG = FRESH_NS // SECOND_NS


def compared(seconds: int, *, same: bool) -> Line:
    return Line(seconds, "again", ev.Compared(CASE, OLD, at(seconds), same, "version 1 is current"))


SPOILS: dict[str, SampleCase] = {
    "current": sample_case().changed("compared", same=True),
    "not compared": sample_case().without("compared"),
    "compared before it was revoked": sample_case().without("compared").with_lines(
        compared(49, same=False)
    ),
    "put back later": sample_case().with_lines(compared(END_AT, same=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILS)
def test_it_is_open(name: str) -> None:
    verdict, _ = decide(SPOILS[name].evidence())
    (item,) = verdict.open_items()
    assert (item.check, item.subject) == ("still current", OLD)
    known = name in {"current", "put back later"}
    assert item.status is (Status.OPEN if known else Status.UNKNOWN)
    assert verdict.credentials[0].basis is Basis.OPEN


@pytest.mark.parametrize("name", SPOILS)
def test_without_the_check_it_would_not_be_seen(name: str) -> None:
    rest = [check for check in CHECKS if check.name != "still current"]
    assert decide(SPOILS[name].evidence(), rest)[0].outcome is Outcome.PROVEN


def test_a_later_comparison_replaces_an_earlier_one() -> None:
    case = sample_case().with_lines(compared(60, same=True))
    assert decide(case.evidence())[0].outcome is Outcome.PROVEN


def test_a_comparison_ages_as_a_watch_does() -> None:
    old = sample_case().changed("compared", at_ns=at(END_AT) - FRESH_NS - 1)
    assert [item.check for item in decide(old.evidence())[0].open_items()] == ["still current"]
    young = sample_case().changed("compared", at_ns=at(END_AT) - FRESH_NS)
    assert decide(young.evidence())[0].outcome is Outcome.PROVEN
    assert LAG == 3600
