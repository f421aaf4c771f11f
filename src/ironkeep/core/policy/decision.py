"""The one place that says yes: a pure function from facts to a decision.

Whatever weighs in (policy, the token's binding, segments, a secret's class, step-up, approval,
budget) arrives here as a fact. Everything is denied that is not allowed by name.
"""

from dataclasses import dataclass

from ironkeep.core.policy.acl import Decision
from ironkeep.core.policy.secret_class import SecretClass


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one request on one route.

    `login` routes need no token by their nature; `open` ones answer strangers the same as anybody;
    `any_token` ones need a token, and show each caller only what it may see.
    `policy` is None when nobody is authenticated. `flow` is why the caller's segment may not ask
    the mount's, "" when it may.
    """

    login: bool
    open: bool
    any_token: bool
    needs_sudo: bool
    policy: Decision | None
    flow: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """What is known of a read of a secret that policy allows.

    `touched` and `approved`: a step-up, or an approval, for exactly this request was given and
    is used up by it. `over` is why the budget is spent, "" when it is not; `near` that its soft
    limit is passed. `known` is whether a person is behind the token, who can be asked for a touch.
    """

    guard: SecretClass
    touched: bool
    approved: bool
    over: str = ""
    near: bool = False
    known: bool = True


@dataclass(frozen=True, slots=True)
class Allow:
    """Go on; `rule` names what allowed it."""

    rule: str


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse; `reason` is for the journal. The caller learns `say`, or only that it is denied."""

    reason: str
    rule: str = ""
    say: str = ""


@dataclass(frozen=True, slots=True)
class StepUp:
    """Ask for one touch of the caller's authenticator, for exactly this request."""

    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class NeedApproval:
    """Keep the request until other people have approved it."""

    reason: str
    rule: str = ""


def decide(facts: Facts) -> Allow | Deny:
    """Return whether policy lets the request be handled, and by which rule."""
    if facts.flow:
        return Deny(facts.flow, say=facts.flow)
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


def guard(allowed: Allow, facts: Guard) -> Allow | Deny | StepUp | NeedApproval:
    """Return what a read of a secret takes beyond the policy that allowed it.

    A budget that is spent refuses whatever else was given. An approval covers one person's read
    with others' eyes, so it needs no touch beside it.
    """
    rule = allowed.rule
    if facts.guard is SecretClass.CUSTODY:
        text = "the secret is of class custody, which no server can open: ask its custodians"
        return Deny(text, rule, text)
    if facts.over:
        return Deny(facts.over, rule, facts.over)
    if not facts.known and (facts.guard is not SecretClass.OPEN or facts.near):
        why = (
            "the soft limit of the budget is passed"
            if facts.guard is SecretClass.OPEN
            else f"the secret is of class {facts.guard.text}"
        )
        text = (
            f"{why}: read it with a token of a person, who can be asked for a touch or for approval"
        )
        return Deny(text, rule, text)
    if facts.guard is SecretClass.TWO_PERSON:
        return allowed if facts.approved else NeedApproval("the class is two-person", rule)
    if facts.guard is SecretClass.GUARDED and not (facts.touched or facts.approved):
        return StepUp("the class is guarded", rule)
    if facts.near and not (facts.touched or facts.approved):
        return StepUp("the soft limit of the budget is passed", rule)
    return allowed
