"""The touch of an approver, over the digest of the approved request.

An approver with an authenticator gives one touch for each approval. The statement that it signs
names the accessor and the digest of the request, so the touch approves no other request
(core/webauthn/step_up.py).
"""

from ironkeep.access.approvals.record import Kept
from ironkeep.access.step_up.fresh_touch import take_fresh_touch
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call


def statement_path(kept: Kept) -> str:
    """Return the text that stands for the path in the statement of an approver's touch."""
    return f"approval/requests/{kept.accessor} {kept.digest}"


def take_touch(call: Call, kept: Kept) -> dict[str, str]:
    """Use up the caller's touch for approving a request; return its evidence.

    It is empty for a person without an authenticator. Raise StepUpNeeded before the touch is given.
    """
    return take_fresh_touch(call, Operation.UPDATE, statement_path(kept), "approving this")
