"""Judge approvers: which sessions may decide on a request, and which approvals still count.

Two sessions are of different people only if no person stands behind both tokens
(identity/people.py). So the requester cannot approve with a token that came from them, and one
person counts once however many tokens they have. Until the request is opened, an approval ends with
its approver, with the device that it was given on, and with the authenticator touched for it.
"""

from typing import Final

import msgspec

from ironkeep.access.approvals.record import Authorization, Kept
from ironkeep.access.devices.devices import Devices
from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.policy.decision import Deny, denied
from ironkeep.core.webauthn.step_up import key_id
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import APART, are_standing, is_one_hand
from ironkeep.plugin.token import Session
from ironkeep.store.state import Tx


class Approvers:
    """Judges approvers and the approvals that they gave."""

    def __init__(
        self, identity: Identity, devices: Devices, authenticators: Authenticators
    ) -> None:
        self._identity: Final = identity
        self._devices: Final = devices
        self._authenticators: Final = authenticators

    def refusal(self, tx: Tx, kept: Kept, session: Session) -> Deny | None:
        """Return the refusal of a session that may not decide on a request, None if it may."""
        record, people = session.record, session.people
        if not record.entity:
            return denied("approving takes a token of a person")
        if record.entity in kept.people or kept.entity in people:
            return denied("nobody approves their own request")
        if is_one_hand(people, kept.people):
            return denied(
                f"one person set up both you and the requester, or one of you the other: {APART}"
            )
        missing = [name for name in kept.groups if name not in session.policies]
        if missing:
            return denied(f"approvers of this request must hold the policy {missing[0]!r}")
        return self._device_refusal(tx, kept, session) or _repeated(kept, session)

    def still_counted(self, tx: Tx, kept: Kept, now_ns: int) -> Kept:
        """Return a request with only those of its approvals that still count."""
        if not kept.approvals:
            return kept
        good = tuple(each for each in kept.approvals if self._counts(tx, each, now_ns))
        return kept if len(good) == len(kept.approvals) else _with(kept, good)

    def owner(self, tx: Tx, device: DeviceId) -> str:
        """Return the owner of a device; "" for no device."""
        found = self._devices.get(tx, device) if device else None
        return "" if found is None else found.owner

    def _device_refusal(self, tx: Tx, kept: Kept, session: Session) -> Deny | None:
        device = session.record.device
        on_theirs = bool(device) and device == kept.device
        if on_theirs or self.owner(tx, device) in kept.people or kept.owner in session.people:
            return denied("nobody approves from a device of the requester: use your own")
        return None

    def _counts(self, tx: Tx, given: Authorization, now_ns: int) -> bool:
        people = {given.entity, *given.people}
        if not are_standing(self._identity, tx, people, given.time_ns):
            return False
        device = self._devices.get(tx, given.device) if given.device else None
        if given.device and (device is None or self._devices.refused(device, now_ns) is not None):
            return False
        if not given.key:
            return True
        bound = self._authenticators.of(tx, EntityId(given.entity))
        return given.key in {key_id(each.key) for each in bound}


def _repeated(kept: Kept, session: Session) -> Deny | None:
    """Return the refusal of a session that cannot add an approval to the existing ones."""
    record = session.record
    for given in kept.approvals:
        if record.entity == given.entity:
            return denied("you have approved this request already")
        if is_one_hand(session.people, given.people):
            return denied(
                f"one person stands behind you and an approver, so you count as one: {APART}"
            )
        if record.device and given.device == record.device:
            return denied("somebody has approved this request from this device")
    return None


def _with(kept: Kept, approvals: tuple[Authorization, ...]) -> Kept:
    return msgspec.structs.replace(kept, approvals=approvals)
