"""The one place that says yes: a pure function from facts to a decision.

Whatever weighs in (policy, and later segment, device posture, budget, step-up and approval) arrives
here as a fact. Everything is denied that is not allowed by name.
"""

from dataclasses import dataclass

from ironkeep.core.acl import Decision


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one request on one route.

    `login` routes need no token by their nature; `open` ones answer strangers the same as anybody;
    `any_token` ones need a token, and show each caller only what it may see.
    `policy` is None when nobody is authenticated.
    """

    login: bool
    open: bool
    any_token: bool
    needs_sudo: bool
    policy: Decision | None


@dataclass(frozen=True, slots=True)
class Allow:
    """Go on; `rule` names what allowed it."""

    rule: str


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse; `reason` is for the journal, the caller learns only that permission is denied."""

    reason: str
    rule: str = ""


def decide(facts: Facts) -> Allow | Deny:
    """Return whether the request may be handled, and by which rule."""
    if facts.login:
        return Allow("login")
    if facts.open:
        return Allow("open")
    if facts.policy is None:
        return Deny("no token")
    if facts.any_token:
        return Allow("any token")
    rule = str(facts.policy.rule) if facts.policy.rule is not None else ""
    if not facts.policy.allowed:
        return Deny(facts.policy.reason, rule)
    if facts.needs_sudo and not facts.policy.sudo:
        return Deny("the path needs the sudo capability", rule)
    return Allow("root" if facts.policy.root else rule)
