"""The vault's time beside the machine's clock, and an operator's word on it: `sys/clock`.

A route of Ironkeep alone. The rules are those of journal/vault_time.py.
"""

from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

NEAR_SECONDS: Final = 60
"""Seconds by which the offset may have changed since the operator looked at it."""


@dataclass(frozen=True)
class Accept:
    """The offset that the operator has seen and takes for right."""

    offset: int = field(metadata={"help": "the offset to accept, in seconds, as `read` shows it"})


def read(call: Call) -> Response:
    """Return the vault's time, the machine's, and whether the one follows the other."""
    clock = call.use(House).clock
    wall, now = clock.wall_ns, clock.now_ns()
    return Response(
        data={
            "vault_time": rfc3339(now),
            "machine_time": rfc3339(wall),
            "offset": _seconds(wall - now),
            "follows": not clock.problem,
            "problem": clock.problem,
        }
    )


def accept(call: Call, given: Accept) -> Response:
    """Set the vault's time forward to the machine's, or let it slowly meet a machine's behind."""
    house = call.use(House)
    offset = _seconds(house.clock.offset_ns)
    if abs(given.offset - offset) > NEAR_SECONDS:
        raise InvalidRequest(
            f"the machine's clock is {offset} seconds from the vault's time, not {given.offset}: "
            "check the clock again, and accept the offset that it has then"
        )
    step = house.clock.accept("accepted by an operator")
    if step is None:
        raise InvalidRequest("the vault's time follows the machine's clock: nothing to accept")
    house.note_step(step)
    return read(call)


def _seconds(offset_ns: int) -> int:
    """Return an offset in whole seconds, towards zero."""
    return offset_ns // SECOND_NS if offset_ns >= 0 else -(-offset_ns // SECOND_NS)


ROUTES: Final = (
    Route(Operation.READ, "clock", read, sudo=True, help="The vault's time beside the machine's."),
    Route(
        Operation.UPDATE, "clock", accept, Accept, sudo=True, audited=("offset",),
        help="Accept the machine's clock after a step.",
    ),
)  # fmt: skip
