"""The touch of an approver, over the hash of what they approve.

Who has an authenticator gives one touch for each approval; the statement that it signs names the
accessor and the digest of the request, so it stands for nothing else (core/webauthn/step_up.py).
"""

from ironkeep.access.approvals.record import Kept
from ironkeep.access.step_up.fresh_touch import take_fresh_touch
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call


def statement_path(kept: Kept) -> str:
    """Return what an approver's touch is for, in the place of a path."""
    return f"approval/requests/{kept.accessor} {kept.digest}"


def take_touch(call: Call, kept: Kept) -> dict[str, str]:
    """Use up the caller's touch for approving a request; return its evidence.

    It is empty for somebody without any authenticator. Raise StepUpNeeded before it is given.
    """
    return take_fresh_touch(call, Operation.UPDATE, statement_path(kept), "approving this")
