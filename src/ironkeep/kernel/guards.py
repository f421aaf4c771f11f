"""What is asked before a secret is read, beyond policy: its class, a touch, an approval, a budget.

Gathers the facts for `core.access.guard`, which decides. What was given for exactly this request is
used up here, in the transaction that a refusal keeps: a touch opens one read, once.
"""

from dataclasses import dataclass
from typing import Final

from ironkeep.core.access import Deny, Guard
from ironkeep.core.errors import PermissionDenied
from ironkeep.core.event import Value
from ironkeep.core.secret_class import SecretClass
from ironkeep.kernel.alerts import Alerts
from ironkeep.kernel.classes import Classes
from ironkeep.kernel.plans import Plan
from ironkeep.kernel.plugin import Call, Response


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller is told who has to give a touch first: in words, and where."""

    text: str
    link: str


class Guards:
    """Gathers facts, and asks for what is missing."""

    def __init__(self, classes: Classes, alerts: Alerts) -> None:
        self._classes: Final = classes
        self._alerts: Final = alerts

    def facts(self, call: Call, plan: Plan) -> tuple[Guard, dict[str, Value]]:
        """Return what `guard` is to decide on, and the evidence of what was given for it."""
        guard = self._classes.of(call.account, plan.mount.uuid, _secret_of(plan))
        evidence: dict[str, Value] = {}
        if guard is not SecretClass.OPEN:
            evidence["class"] = guard.text
        session = call.actor()
        known = bool(session.record.entity)
        return Guard(guard, touched=False, approved=False, known=known), evidence

    def demand(self, call: Call) -> Ask:
        """Ask for a touch for exactly this request; raise PermissionDenied if none can be given."""
        del call
        raise PermissionDenied("a touch is needed, and you have no authenticator: register one")

    def ask(self, call: Call) -> Response:
        """Keep the request until others have approved it; return what opens it then."""
        del call
        raise PermissionDenied("the approval of other people is needed, and nobody can give it")

    def refused(self, call: Call, verdict: Deny) -> None:
        """Tell who watches that a read was refused beyond policy."""
        record = call.actor().record
        self._alerts.raise_(
            call.account, "guard", verdict.reason, call.now_ns,
            entity=record.entity, device=record.device, path=call.request.path,
        )  # fmt: skip


def _secret_of(plan: Plan) -> str:
    """Return the path below the mount by which rules and budgets know a secret."""
    return plan.params.get("path", plan.relative)
