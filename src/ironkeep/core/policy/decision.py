"""The only place that allows a request: pure functions from facts to a decision.

Policy, segments, a secret's class, step-up, approval and budget are all facts given to these
functions. The default is deny.
"""

from dataclasses import dataclass

from ironkeep.core.policy.acl import Decision
from ironkeep.core.policy.secret_class import SecretClass


@dataclass(frozen=True, slots=True)
class Allow:
    """Proceed; `rule` names the rule that allowed the request."""

    rule: str


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse; `reason` is for the journal, `say` for the caller ("": only "permission denied")."""

    reason: str
    rule: str = ""
    say: str = ""


@dataclass(frozen=True, slots=True)
class StepUp:
    """Require one touch of the caller's authenticator, for exactly this request."""

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

    `login` routes create tokens and so need none; `open` routes also serve unauthenticated clients;
    `any_token` routes need a token and show each caller only data it may see. `policy` is None
    without a valid token. `flow` is the refusal if the caller's segment may not access the mount's
    segment.
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

    `touched` and `approved` mean that a step-up or an approval for exactly this request was given;
    the request uses it up. `break_glass` means that the codes of k people opened the token, which
    replaces both. `limit` is the refusal if a limit on reads, such as a budget, is spent; `near`
    means that a soft limit is passed. `known` means that the token belongs to a person, who can
    give a touch.
    """

    secret_class: SecretClass
    touched: bool = False
    approved: bool = False
    break_glass: bool = False
    limit: Deny | None = None
    near: bool = False
    known: bool = True


def denied(text: str, rule: str = "") -> Deny:
    """Return a refusal whose reason is also shown to the caller."""
    return Deny(text, rule, text)


def decide(facts: Facts) -> Allow | Deny:
    """Return whether the request may be handled, and by which rule."""
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
    """Return what a read of a secret needs beyond the policy that allowed it.

    A spent limit refuses the read even with a touch or an approval. An approval makes other people
    review the read, so it needs no touch as well.
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
