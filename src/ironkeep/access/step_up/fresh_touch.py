"""One touch of the caller's authenticator for exactly one change, asked for and used up here.

For what a handler decides to be dangerous; reads of secrets are asked by the pipeline. Who has no
authenticator cannot be asked: what that person may do is for the caller of this to say.
"""

from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.access.step_up.step_ups import StepUps
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call


def take_fresh_touch(call: Call, op: Operation, what: str, doing: str) -> dict[str, str]:
    """Use up the caller's touch for what; return its evidence, {} without any authenticator.

    `what` stands in the place of a path in the statement that is signed, `doing` is said to the
    person. Raise StepUpNeeded before the touch is given.
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
