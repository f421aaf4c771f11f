"""Health and seal status, which are answered even while the journal cannot be written.

Nothing else is answered without an entry. These requests need no token, and change and release
nothing; without them an operator could not learn why all other requests are refused.
"""

from typing import Final

from ironkeep.core.errors import Unavailable
from ironkeep.core.operation import Operation
from ironkeep.kernel import reply
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.request import Request
from ironkeep.plugin.response import Response

HEALTH_PATHS: Final = frozenset({"sys/health", "sys/seal-status"})


def health(house: House, request: Request) -> Answer | None:
    """Answer a request for health or seal status, without an entry; None for any other request."""
    if request.op is not Operation.READ or request.path not in HEALTH_PATHS:
        return None
    tx, now_ns = house.state.begin(), house.clock.now_ns()
    plan = house.find_plan(tx, request.op, request.path, request.namespace)
    call = Call(
        request, house.new_request_id(), plan.relative, plan.params, plan.mount, tx, tx, now_ns,
        house.entropy, None, house.services,
    )  # fmt: skip
    response = plan.route.handler(call)
    assert isinstance(response, Response)
    return Answer(None, reply.encode(response.body, releases=False))


def refused_by_machine(error: OSError | MemoryError) -> Unavailable:
    """Return the refusal of a request that failed because of the machine and not its sender."""
    cause = "out of memory" if isinstance(error, MemoryError) else error.strerror or str(error)
    return Unavailable(f"the server could not do this now: {cause}. Try again")
