"""The guards of a read beyond policy: the secret's class, a touch, an approval, a budget.

This module gathers the facts; `core.policy.decision.decide_read` decides on them. A touch or an
approval that was given for exactly this request is used up here, in the transaction that outlives a
refusal: each opens one read, once.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.approvals.approvals import Approvals
from ironkeep.access.approvals.record import Kept
from ironkeep.access.break_glass.break_glass import BROKEN, is_break_glass
from ironkeep.access.budgets.budgets import FREE, Assessment, Budgets
from ironkeep.access.classes.classes import Classes
from ironkeep.access.step_up.step_ups import StepUps
from ironkeep.core.errors import InvalidRequest, OverBudget, PermissionDenied, StepUpNeeded
from ironkeep.core.event import Value
from ironkeep.core.policy.decision import Deny, ReadFacts
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.core.text.number_hook import encoded
from ironkeep.plugin.call import Call
from ironkeep.plugin.plans import Plan
from ironkeep.plugin.response import Response
from ironkeep.plugin.token import Session


@dataclass(frozen=True, slots=True)
class Gathered:
    """The facts for a decision, the evidence for the entry, and what the read costs."""

    facts: ReadFacts
    evidence: dict[str, Value]
    cost: Assessment
    grant: Kept | None = None


PLAIN: Final = Gathered(ReadFacts(SecretClass.OPEN), {}, FREE)
"""The facts about most reads, which `decide_read` allows: the secret is open, and free now."""


class Guards:
    """Gathers the facts about a read, and asks for the touch or the approval that it lacks."""

    def __init__(
        self,
        classes: Classes,
        alerts: Alerts,
        budgets: Budgets,
        approvals: Approvals,
        step_ups: StepUps,
    ) -> None:
        self._classes: Final = classes
        self._alerts: Final = alerts
        self._budgets: Final = budgets
        self._approvals: Final = approvals
        self._step_ups: Final = step_ups

    def gather(self, call: Call, plan: Plan) -> Gathered:
        """Return the facts about a read, with the evidence for its entry and its cost."""
        session = call.actor()
        secret_class = self._classes.of(call.account, plan.mount.uuid, plan.secret)
        secret = f"{plan.mount.uuid}/{plan.secret}"
        cost = self._budgets.assess(
            call.account, session, secret, secret_class, call.now_ns, plan.below
        )
        if is_break_glass(session):
            return _broken(session, secret_class, cost)
        if secret_class is SecretClass.OPEN and cost is FREE and not call.request.grant:
            return PLAIN
        evidence: dict[str, Value] = {}
        if secret_class is not SecretClass.OPEN:
            evidence["class"] = secret_class.text
        grant = self._granted(call, plan)
        if grant is not None:
            evidence |= self._approvals.evidence(grant)
        touched = None
        if (
            grant is None
            and (secret_class is SecretClass.GUARDED or cost.near)
            and cost.limit is None
        ):
            touched = self._step_ups.take(call.account, session, call.op, _exact(call), call.now_ns)
            evidence |= touched or {}
        facts = ReadFacts(
            secret_class,
            touched=touched is not None,
            approved=grant is not None,
            limit=cost.limit,
            near=cost.near,
            known=bool(session.record.entity),
        )
        return Gathered(facts, evidence, cost, grant)

    def let(self, call: Call, gathered: Gathered) -> None:
        """Charge an allowed read, use up its approval, and raise the alerts that it calls for."""
        if gathered.grant is not None:
            self._approvals.spend(call.account, gathered.grant, call.now_ns)
        if gathered.cost.moves:
            self._budgets.charge(call.account, gathered.cost)
        record = call.actor().record
        if BROKEN in gathered.evidence:
            self._alerts.raise_(
                call.account, "break-glass-read", "a secret was read by break-glass", call.now_ns,
                path=call.request.path,
            )  # fmt: skip
        if gathered.cost.near:
            self._alerts.repeated(
                call.account, "budget", "the soft limit of a budget is passed", call.now_ns,
                subject="near", entity=record.entity, device=record.device, path=call.request.path,
            )  # fmt: skip

    def charge(self, call: Call, secret: str) -> bool:
        """Charge an open secret that the caller learns in another way than by reading its path.

        Return False and charge nothing when the budget refuses it or would demand a touch.
        """
        cost = self._budgets.assess(
            call.account, call.actor(), secret, SecretClass.OPEN, call.now_ns
        )
        if cost.limit is not None or cost.near:
            return False
        self._budgets.charge(call.account, cost)
        return True

    def demand(self, call: Call) -> StepUpNeeded:
        """Ask for a touch for exactly this request; raise PermissionDenied if none can be given."""
        return self._step_ups.needed(call, call.op, _exact(call), "reading this")

    def ask(self, call: Call, plan: Plan, gathered: Gathered) -> Response:
        """Store the request until others have approved it; return the answer that opens it then."""
        need, groups = self._demanded(call, plan)
        return self._approvals.ask(call, gathered.facts.secret_class.text, need, groups)

    def _granted(self, call: Call, plan: Plan) -> Kept | None:
        """Return the approval of this request if it still meets all that the rules demand."""
        grant = self._approvals.granted(call)
        if grant is None:
            return None
        need, groups = self._demanded(call, plan)
        return grant if grant.need >= need and set(groups) <= set(grant.groups) else None

    def _demanded(self, call: Call, plan: Plan) -> tuple[int, tuple[str, ...]]:
        demand = self._classes.demand(call.account, plan.mount.uuid, plan.secret)
        return demand.approvals, tuple(sorted(demand.groups))

    def refused(self, call: Call, gathered: Gathered, verdict: Deny) -> PermissionDenied:
        """Raise an alert for a refused read; return the error for its caller."""
        record, over = call.actor().record, gathered.facts.limit is not None
        self._alerts.repeated(
            call.account, "guard", verdict.reason, call.now_ns,
            subject="budget" if over else call.request.path,
            entity=record.entity, device=record.device, path=call.request.path,
        )  # fmt: skip
        return OverBudget(verdict.say) if over else PermissionDenied(verdict.say)


def _exact(call: Call) -> str:
    """Return the statement that a touch signs: the path, and the request's data if it has any."""
    if not call.raw:
        return call.request.path
    try:
        data = msgspec.json.encode(call.raw, order="deterministic", enc_hook=encoded).decode()
    except UnicodeEncodeError:
        raise InvalidRequest("the request's data contains an unpaired surrogate") from None
    return f"{call.request.path} {data}"


def _broken(session: Session, secret_class: SecretClass, cost: Assessment) -> Gathered:
    """Return the facts about a read by break-glass, which k people approved beforehand."""
    facts = ReadFacts(secret_class, break_glass=True, limit=cost.limit, near=cost.near)
    evidence: dict[str, Value] = {
        "class": secret_class.text,
        BROKEN: session.record.meta.get(BROKEN, ""),
    }
    return Gathered(facts, evidence, cost)
