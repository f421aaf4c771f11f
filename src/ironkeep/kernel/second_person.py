"""Changes that nobody makes alone: what guards others, and what lets them in.

The change waits as a read of a two-person secret does (kernel/approvals.py): another person
approves exactly this request, then the one who asked opens it.
"""

from ironkeep.core.secret_class import Demand, SecretClass
from ironkeep.kernel.fresh_touch import take_fresh_touch
from ironkeep.kernel.plugin import Call, Response

ONE_OTHER = Demand(SecretClass.TWO_PERSON)
"""Of a change to which no rule of its own says how many people approve it."""


def require_another(call: Call, before: Demand = ONE_OTHER) -> Response:
    """Take what a demand asked for, for making exactly this change.

    Return the answer that says that the change waits (`waits` is true of it), or one to go on
    with, which holds the evidence. Raise StepUpNeeded where the demand takes a touch.
    """
    if before.guard >= SecretClass.TWO_PERSON:
        groups = tuple(sorted(before.groups))
        waiting: Response | None = call.house.approvals.require(
            call, before.guard.text, before.approvals, groups
        )
        return Response() if waiting is None else waiting
    if before.guard is SecretClass.GUARDED and call.actor().record.entity:
        what = f"{call.request.path} weaker"
        return Response(audited=dict(take_fresh_touch(call, call.op, what, "making this weaker")))
    return Response()


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
        call.house.alerts.raise_(
            call.tx, kind, text, call.now_ns,
            entity=record.entity, device=record.device, path=call.request.path,
        )  # fmt: skip
    return answer


def waits(response: Response) -> bool:
    """Return whether an answer says that the request waits for other people."""
    return response.wrap_info is not None
