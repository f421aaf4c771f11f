"""The one decision, for every combination of facts: denied unless something allows it by name."""

from itertools import product

import pytest

from ironkeep.core.policy.acl import Decision
from ironkeep.core.policy.decision import Allow, Deny, Facts, decide

GRANTED = Decision(allowed=True, rule=None, reason="granted")
WITH_SUDO = Decision(allowed=True, rule=None, reason="granted", sudo=True)
ROOT = Decision(allowed=True, rule=None, reason="root", sudo=True, root=True)
DENIED = Decision(allowed=False, rule=None, reason="no rule matches")
DENIED_WITH_SUDO = Decision(allowed=False, rule=None, reason="no rule matches", sudo=True)
POLICIES = (None, GRANTED, WITH_SUDO, ROOT, DENIED, DENIED_WITH_SUDO)
FLAGS = (False, True)


def expected(
    *, login: bool, is_open: bool, any_token: bool, sudo: bool, policy: Decision | None
) -> bool:
    if login or is_open:
        return True
    if policy is None:
        return False
    if any_token:
        return True
    return policy.allowed and (policy.sudo or not sudo)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_whole_table(policy: Decision | None) -> None:
    for login, is_open, any_token, sudo in product(FLAGS, repeat=4):
        verdict = decide(Facts(login, is_open, any_token, sudo, policy))
        wanted = expected(
            login=login, is_open=is_open, any_token=any_token, sudo=sudo, policy=policy
        )
        assert isinstance(verdict, Allow) is wanted, (login, is_open, any_token, sudo)


def test_reasons() -> None:
    closed = (False, False, False)
    assert decide(Facts(*closed, needs_sudo=False, policy=None)) == Deny("no token")
    assert decide(Facts(*closed, needs_sudo=False, policy=DENIED)) == Deny("no rule matches")
    refused = decide(Facts(*closed, needs_sudo=True, policy=GRANTED))
    assert refused == Deny("the path needs the sudo capability")
    assert decide(Facts(*closed, needs_sudo=True, policy=ROOT)) == Allow("root")
    assert decide(Facts(login=True, open=False, any_token=False, needs_sudo=True, policy=None)) == (
        Allow("login")
    )
