"""What a read of a secret takes, for every combination of facts, against the rules in words."""

from itertools import product

import pytest

from ironkeep.core.policy.decision import (
    Allow,
    Deny,
    NeedApproval,
    ReadFacts,
    StepUp,
    decide_read,
    denied,
)
from ironkeep.core.policy.secret_class import SecretClass

FLAGS = (False, True)
ALLOWED = Allow("rule")
SPENT = denied("the budget is spent")
COLUMNS = tuple(product(FLAGS, repeat=6))


def expected(facts: ReadFacts) -> type[Allow | Deny | StepUp | NeedApproval]:
    """Return what docs/access/classes.md, budgets.md and break-glass.md promise."""
    demanding = facts.secret_class is not SecretClass.OPEN or facts.near
    if facts.secret_class is SecretClass.CUSTODY or facts.limit is not None:
        return Deny
    if facts.break_glass:
        return Allow
    if demanding and not facts.known:
        return Deny
    if facts.secret_class is SecretClass.TWO_PERSON:
        return Allow if facts.approved else NeedApproval
    if demanding and not (facts.touched or facts.approved):
        return StepUp
    return Allow


def rows(secret_class: SecretClass) -> list[ReadFacts]:
    return [
        ReadFacts(secret_class, touched, approved, glass, SPENT if over else None, near, known)
        for touched, approved, glass, over, near, known in COLUMNS
    ]


@pytest.mark.parametrize("secret_class", SecretClass, ids=lambda each: each.text)
def test_the_whole_table_of_reads(secret_class: SecretClass) -> None:
    for facts in rows(secret_class):
        verdict = decide_read(ALLOWED, facts)
        assert type(verdict) is expected(facts), facts
        assert verdict.rule == "rule", facts


@pytest.mark.parametrize("secret_class", SecretClass, ids=lambda each: each.text)
def test_what_is_given_more_never_takes_a_read_away(secret_class: SecretClass) -> None:
    """A touch, an approval or break-glass opens; it never closes what was open without it."""
    for touched, approved, glass, over, near, known in COLUMNS:
        limit = SPENT if over else None
        before = decide_read(
            ALLOWED, ReadFacts(secret_class, touched, approved, glass, limit, near, known)
        )
        after = decide_read(ALLOWED, ReadFacts(secret_class, True, True, True, limit, near, known))
        assert not isinstance(before, Allow) or isinstance(after, Allow)


def test_a_spent_limit_is_told_in_its_own_words() -> None:
    verdict = decide_read(ALLOWED, ReadFacts(SecretClass.OPEN, limit=SPENT))
    assert verdict == Deny("the budget is spent", "rule", "the budget is spent")
