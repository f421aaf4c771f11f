"""Changes that nobody makes alone: what guards others, and what lets them in.

The change waits as a read of a two-person secret does (access/approvals/approvals.py): another
person approves exactly this request, then the one who asked opens it.
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
"""Of a change to which no rule of its own says how many people approve it."""


class Approval(Protocol):
    """Has other people approve a change: the approvals feature, which is above this module."""

    def require(self, call: Call, guard: str, need: int, groups: Sequence[str]) -> Response | None:
        """Return the answer of a request that waits now, None when it has been approved."""
        ...


def require_another(call: Call, before: Demand = ONE_OTHER) -> Response:
    """Take what a demand asked for, for making exactly this change.

    Return the answer that says that the change waits (`waits` is true of it), or one to go on
    with, which holds the evidence. Raise StepUpNeeded where the demand takes a touch.
    """
    if before.guard >= SecretClass.TWO_PERSON:
        groups = tuple(sorted(before.groups))
        waiting = call.use(Approval).require(call, before.guard.text, before.approvals, groups)
        return Response() if waiting is None else waiting
    if before.guard is SecretClass.GUARDED:
        return Response(audited=_touched(call))
    return Response()


def _touched(call: Call) -> dict[str, Value]:
    """Use up the touch of who makes a guarded rule weaker, and return its evidence.

    A token that somebody with an authenticator has made, or that a login gave which they set up, is
    in their hands and names another person or nobody: it asks for no touch, and so is refused.
    """
    session, bound = call.actor(), call.use(Authenticators)
    others = session.people - {session.record.entity}
    if not bound.of(call.account, session.record.entity) and any(
        bound.of(call.account, each) for each in others
    ):
        raise PermissionDenied(
            "making this weaker takes a touch, and somebody with an authenticator stands behind "
            "this token: use the token of a person who gives the touch"
        )
    what = f"{call.request.path} weaker"
    return {**take_fresh_touch(call, call.op, what, "making this weaker")}


def require_another_than_root(call: Call, before: Demand = ONE_OTHER) -> Response:
    """Take the same, but let a root token without a person go on: it has nobody to ask for.

    It sets a house up before there are people, and takes a quorum of unseal keys to make.
    """
    session = call.actor()
    if session.root and not session.record.entity:
        return Response()
    return require_another(call, before)


def change_guard(call: Call, kind: str, text: str, *, weaker: bool) -> Response:
    """Tell of a change of what guards others; a weaker one waits for another person first.

    Return the answer that says so (see `waits`), before which nothing may be changed, or one to go
    on with. `text` says what is changed.
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
    """Return whether an answer says that the request waits for other people."""
    return response.wrap_info is not None
