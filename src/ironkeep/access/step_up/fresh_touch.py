"""One touch of the caller's authenticator for exactly one change, asked for and used up here.

It is for handlers of dangerous changes; for reads of secrets the pipeline asks. A person without an
authenticator cannot be asked: the handler has to decide whether that person may go on.
"""

from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.access.step_up.step_ups import StepUps
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call


def take_fresh_touch(call: Call, op: Operation, what: str, doing: str) -> dict[str, str]:
    """Use up the caller's touch for `what`; return its evidence, {} without an authenticator.

    `what` takes the place of the path in the signed statement; `doing` names the change in the
    message to the person. Raise StepUpNeeded before the touch is given.
    """
    session = call.actor()
    if not call.use(Authenticators).of(call.account, session.record.entity):
        return {}
    evidence: dict[str, str] | None = call.use(StepUps).take(
        call.account, session, op, what, call.now_ns
    )
    if evidence is not None:
        return evidence
    raise call.use(StepUps).needed(call, op, what, doing)
