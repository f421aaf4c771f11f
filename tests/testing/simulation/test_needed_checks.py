"""No check of the table can be left out: each is the only one that objects to some story."""

from typing import Final

import pytest

from ironkeep.core.evidence.checks.table import CHECKS
from tests.support.simulation.needed import NEEDED
from tests.support.simulation.objections import objections

NEVER_ALONE: Final = {
    "stranger acts": "what acts unexplained is unexplained: it decides that this is DISPROVEN",
    "exemption sworn by one": "the item that it would exempt stays open: it says why",
}
"""Checks whose findings come with those of another one, and what they are for."""


def test_every_check_has_its_story() -> None:
    names = {check.name for check in CHECKS}
    assert names == {*NEEDED, *NEVER_ALONE}
    assert not NEEDED.keys() & NEVER_ALONE


@pytest.mark.parametrize("check", NEEDED)
def test_without_this_check_a_false_verdict_would_be_proven(check: str) -> None:
    found, false_because = objections(NEEDED[check])
    assert found == {check}
    assert false_because
