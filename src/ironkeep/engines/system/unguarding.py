"""Mounts that lose their access rules: removed, moved, or converted to another version.

Rules belong to a mount's uuid. When a mount leaves its path, or its paths change their meaning, the
next mount at that path has no rules, while clients continue to write secrets there. Such a change
weakens protection as much as the removal of every rule, so it needs the combined approval that all
of these rules demand.
"""

from ironkeep.access.devices.devices import REQUIRED, TOKEN_DEVICE
from ironkeep.access.second_person import require_another_than_root, waits
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response


def unguard(call: Call, mount: Mount, what: str) -> Response:
    """Require the approval that a mount's rules demand (second_person.require_another)."""
    house = call.use(House)
    before = house.features.classes.below(call.tx, mount.uuid)
    if before.secret_class is SecretClass.OPEN:
        return Response()
    answer = require_another_than_root(call, before)
    if not waits(answer):
        _tell(
            call,
            f"a mount with rules up to class {before.secret_class.text} was {what}: {mount.path}",
        )
    return answer


def let_go(call: Call, mount: Mount, what: str = "removed") -> Response:
    """Require the approval that a mount's rules demand for its removal or move.

    An auth mount whose logins need an enrolled device counts as having a rule, because another
    mount enabled at its path could admit any device.
    """
    house = call.use(House)
    is_open = house.features.classes.below(call.tx, mount.uuid).secret_class is SecretClass.OPEN
    if is_open and mount.options.get(TOKEN_DEVICE) == REQUIRED:
        return admit_any_device(call, mount)
    return unguard(call, mount, what)


def admit_any_device(call: Call, mount: Mount) -> Response:
    """Require another person's approval to allow logins without an enrolled device."""
    answer = require_another_than_root(call)
    if not waits(answer):
        _tell(call, f"logins at {mount.path} need no enrolled device from now on")
    return answer


def _tell(call: Call, text: str) -> None:
    record = call.actor().record
    call.use(House).features.alerts.raise_(
        call.tx,
        "class",
        text,
        call.now_ns,
        entity=record.entity,
        device=record.device,
        path=call.request.path,
    )
