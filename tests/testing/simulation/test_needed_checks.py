"""No check of the table can be left out: each is the only one that objects to some story."""

import pytest

from ironkeep.core.evidence.checks.table import CHECKS
from tests.support.simulation.needed import NEEDED
from tests.support.simulation.objections import objections


def test_every_check_has_its_story() -> None:
    assert {check.name for check in CHECKS} == NEEDED.keys()


@pytest.mark.parametrize("check", NEEDED)
def test_without_this_check_a_false_verdict_would_be_proven(check: str) -> None:
    found, false_because = objections(NEEDED[check])
    assert found == {check}
    assert false_because
