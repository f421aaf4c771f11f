"""The one place that says yes: pure functions from facts to a decision.

Whatever weighs in (policy, the token's binding, segments, a secret's class, step-up, approval,
budget) arrives here as a fact. Everything is denied that is not allowed by name.
"""

from dataclasses import dataclass

from ironkeep.core.policy.acl import Decision
from ironkeep.core.policy.secret_class import SecretClass


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
    """Store the request until other people have approved it."""

    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about one request on one route.

    `login` routes need no token by their nature; `open` ones answer strangers the same as anybody;
    `any_token` ones need a token, and show each caller only what it may see.
    `policy` is None when nobody is authenticated. `flow` is the refusal when the caller's segment
    may not ask the mount's.
    """

    login: bool
    open: bool
    any_token: bool
    needs_sudo: bool
    policy: Decision | None
    flow: Deny | None = None


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """The facts about a read of a secret that policy allows.

    `touched` and `approved`: a step-up, or an approval, for exactly this request was given and is
    used up by it. `break_glass`: the token was opened by the codes of k people, which stand for
    both. `limit` is the refusal when a limit on reads, such as a budget, is spent; `near` says that
    a soft limit is passed. `known` says that a person is behind the token, who can give a touch.
    """

    secret_class: SecretClass
    touched: bool = False
    approved: bool = False
    break_glass: bool = False
    limit: Deny | None = None
    near: bool = False
    known: bool = True


def denied(text: str, rule: str = "") -> Deny:
    """Return a refusal whose reason the caller may read too."""
    return Deny(text, rule, text)


def decide(facts: Facts) -> Allow | Deny:
    """Return whether policy lets the request be handled, and by which rule."""
    if facts.flow is not None:
        return facts.flow
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


def decide_read(allowed: Allow, facts: ReadFacts) -> Allow | Deny | StepUp | NeedApproval:
    """Return what a read of a secret takes beyond the policy that allowed it.

    A limit that is spent refuses whatever else was given. An approval covers one person's read
    with others' eyes, so it needs no touch beside it.
    """
    rule, needed = allowed.rule, facts.secret_class
    if needed is SecretClass.CUSTODY:
        return denied(
            "the secret is of class custody, which no server can open: ask its custodians", rule
        )
    if facts.limit is not None:
        return Deny(facts.limit.reason, rule, facts.limit.say)
    if facts.break_glass:
        return allowed
    if not facts.known and (needed is not SecretClass.OPEN or facts.near):
        why = (
            "the soft limit of the budget is passed"
            if needed is SecretClass.OPEN
            else f"the secret is of class {needed.text}"
        )
        return denied(
            f"{why}: read it with a token of a person, who can give a touch or ask for approval",
            rule,
        )
    if needed is SecretClass.TWO_PERSON:
        return allowed if facts.approved else NeedApproval("the class is two-person", rule)
    if facts.touched or facts.approved:
        return allowed
    if needed is SecretClass.GUARDED:
        return StepUp("the class is guarded", rule)
    if facts.near:
        return StepUp("the soft limit of the budget is passed", rule)
    return allowed
