"""Mounts that lose what guards them: removed, moved, or read as another version.

Rules are kept by a mount's uuid. When that mount leaves a path, or its paths change their meaning,
a mount that is made there next has no rules, and clients go on writing secrets to the same path.
So this is as weak as removing each rule, and takes what all of them together demand.
"""

from ironkeep.access.devices.devices import REQUIRED, TOKEN_DEVICE
from ironkeep.access.second_person import require_another_than_root, waits
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response


def unguard(call: Call, mount: Mount, what: str) -> Response:
    """Take what a mount's rules demand, for letting it leave them; see require_another."""
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
    """Take what a mount's rules demand, for removing it or moving it away.

    One whose logins take an enrolled device has that rule too: another could be enabled at its
    path that asks for none.
    """
    house = call.use(House)
    is_open = house.features.classes.below(call.tx, mount.uuid).secret_class is SecretClass.OPEN
    if is_open and mount.options.get(TOKEN_DEVICE) == REQUIRED:
        return admit_any_device(call, mount)
    return unguard(call, mount, what)


def admit_any_device(call: Call, mount: Mount) -> Response:
    """Take another person's approval for logins without an enrolled device at a mount."""
    answer = require_another_than_root(call)
    if not waits(answer):
        _tell(call, f"logins at {mount.path} take no enrolled device from now on")
    return answer


def _tell(call: Call, text: str) -> None:
    record = call.actor().record
    call.use(House).features.alerts.raise_(
        call.tx, "class", text, call.now_ns,
        entity=record.entity, device=record.device, path=call.request.path,
    )  # fmt: skip
