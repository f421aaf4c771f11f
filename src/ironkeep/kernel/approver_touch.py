"""The touch of an approver, over the hash of what they approve.

Who has an authenticator gives one touch for each approval; the statement that it signs names the
accessor and the digest of the request, so it stands for nothing else (core/step_up.py).
"""

from ironkeep.core.errors import StepUpNeeded
from ironkeep.core.operation import Operation
from ironkeep.kernel.approval_record import Kept
from ironkeep.kernel.plugin import Call


def statement_path(kept: Kept) -> str:
    """Return what an approver's touch is for, in the place of a path."""
    return f"approval/requests/{kept.accessor} {kept.digest}"


def take_touch(call: Call, kept: Kept) -> dict[str, str]:
    """Use up the caller's touch for approving a request; return its evidence.

    It is empty for somebody without any authenticator. Raise StepUpNeeded before it is given.
    """
    session, house = call.actor(), call.house
    entity = session.record.entity
    if not house.authenticators.of(call.account, entity):
        return {}
    what = statement_path(kept)
    evidence: dict[str, str] | None = house.step_ups.take(
        call.account, session, Operation.UPDATE, what, call.now_ns
    )
    if evidence is not None:
        return evidence
    demand = house.step_ups.demand(
        call.account, session, Operation.UPDATE, what, session.record.device, call.now_ns,
        call.entropy,
    )  # fmt: skip
    link = f"{house.settings.api_addr}/ui/step-up/{demand.id}"
    raise StepUpNeeded(
        f"approving this takes one touch of your authenticator: open {link} within a minute, "
        "touch, then approve again",
        link,
    )
