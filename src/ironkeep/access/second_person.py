"""Changes that need a second person: those that weaken a guard, or that let people in.

The change stays pending as a read of a two-person secret does (access/approvals/approvals.py):
another person approves exactly this request, then the requester opens it.
"""

from collections.abc import Sequence
from typing import Protocol

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.access.step_up.fresh_touch import take_fresh_touch
from ironkeep.core.errors import PermissionDenied
from ironkeep.core.event import Value
from ironkeep.core.policy.secret_class import Demand, SecretClass
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response

ONE_OTHER = Demand(SecretClass.TWO_PERSON)
"""The demand for a change unless a rule demands something else."""


class Approval(Protocol):
    """The approvals feature, as far as this module needs it; that feature is above this module."""

    def require(
        self, call: Call, secret_class: str, need: int, groups: Sequence[str]
    ) -> Response | None:
        """Return the answer of a request that is now pending, None if it has been approved."""
        ...


def require_another(call: Call, before: Demand = ONE_OTHER) -> Response:
    """Require the approval or the touch that `before` demands, for exactly this change.

    Return the answer for a change that is now pending (`waits` is true of it), or one to go on
    with, which contains the evidence of a touch. Raise StepUpNeeded before the touch is given.
    """
    if before.secret_class >= SecretClass.TWO_PERSON:
        groups = tuple(sorted(before.groups))
        waiting = call.use(Approval).require(
            call, before.secret_class.text, before.approvals, groups
        )
        return Response() if waiting is None else waiting
    if before.secret_class is SecretClass.GUARDED:
        return Response(audited=_touched(call))
    return Response()


def _touched(call: Call) -> dict[str, Value]:
    """Use up the caller's touch for weakening a guarded rule; return its evidence.

    A token whose person has no authenticator is asked for no touch. It is refused if a person with
    an authenticator made it, or set up the login that gave it: otherwise that person could use such
    a token to avoid the touch.
    """
    session, bound = call.actor(), call.use(Authenticators)
    others = session.people - {session.record.entity}
    if not bound.of(call.account, session.record.entity) and any(
        bound.of(call.account, each) for each in others
    ):
        raise PermissionDenied(
            "making this weaker takes a touch, and a person with an authenticator stands behind "
            "this token: use that person's own token"
        )
    what = f"{call.request.path} weaker"
    return {**take_fresh_touch(call, call.op, what, "making this weaker")}


def require_another_than_root(call: Call, before: Demand = ONE_OTHER) -> Response:
    """Demand the same as `require_another`, except of a root token without a person.

    Such a token sets up a vault before there are people to ask, and making one requires a quorum of
    unseal key shares.
    """
    session = call.actor()
    if session.root and not session.record.entity:
        return Response()
    return require_another(call, before)


def change_guard(call: Call, kind: str, text: str, *, weaker: bool) -> Response:
    """Raise an alert for a change to a guard; a weaker guard needs another person's approval first.

    Return the answer for a change that is pending (`waits` is true of it; the caller must change
    nothing), or one to go on with. `text` describes the change.
    """
    answer = require_another_than_root(call) if weaker else Response()
    if not waits(answer):
        record = call.actor().record
        call.use(Alerts).raise_(
            call.tx, kind, text, call.now_ns,
            entity=record.entity, device=record.device, path=call.request.path,
        )  # fmt: skip
    return answer


def waits(response: Response) -> bool:
    """Return whether an answer is that of a pending request."""
    return response.wrap_info is not None
