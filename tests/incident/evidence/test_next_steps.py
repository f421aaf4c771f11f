"""The table of next steps joins the table of checks: every check has a step, every step a check."""

from ironkeep.core.evidence.checks.table import CHECKS
from ironkeep.core.evidence.claim import ClaimId
from ironkeep.incident.evidence.next_steps import NEXT_STEPS


def test_every_check_of_every_claim_has_its_next_step() -> None:
    missing = {
        claim: [
            check.name for check in CHECKS if check.claim is claim and check.name not in NEXT_STEPS
        ]
        for claim in ClaimId
    }
    assert missing == {claim: [] for claim in ClaimId}


def test_every_next_step_is_that_of_a_check() -> None:
    assert set(NEXT_STEPS) - {check.name for check in CHECKS} == set()


def test_steps_name_the_case_and_nothing_else() -> None:
    for step in NEXT_STEPS.values():
        assert "{" not in step.do.format(case="7")
