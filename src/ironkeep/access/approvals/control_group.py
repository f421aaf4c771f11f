"""Approvals in Vault's shape: `sys/control-group/authorize` and `sys/control-group/request`.

Source: the Vault HTTP API, sys/control-group. An approved request is opened by
`sys/wrapping/unwrap`. Beyond Vault, authorising takes the `number` on the requester's screen;
`approval/` shows more of a request.
"""

from dataclasses import dataclass
from typing import Any, Final

from ironkeep.access.approvals.approvals import Approvals
from ironkeep.access.approvals.record import Kept, shown_data
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.identity.entities import Identity
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route


@dataclass(frozen=True)
class Waiting:
    """The accessor of a pending request."""

    accessor: str = ""


@dataclass(frozen=True)
class Authorize:
    """The accessor, and the number that the requester's screen shows."""

    accessor: str = ""
    number: int | None = None


def authorize(call: Call, given: Authorize) -> Response:
    """Approve another person's request."""
    if not given.accessor:
        raise InvalidRequest("missing accessor")
    if given.number is None:
        raise InvalidRequest("missing number: ask the requester for the number on their screen")
    kept, audited = _approvals(call).authorize(call, given.accessor, given.number)
    return Response(data={"approved": kept.approved}, audited=audited)


def request(call: Call, given: Waiting) -> Response:
    """Return the status of an approval request, to its requester and to possible approvers."""
    approvals, session = _approvals(call), call.actor()
    kept = approvals.find(call.tx, given.accessor, call.now_ns)
    if kept is None:
        raise NotFound("no request is pending under that accessor")
    if session.hash != kept.session:
        refusal = approvals.refusal(call.tx, kept, session)
        if refusal is not None:
            raise PermissionDenied(refusal.say)
    return Response(data=_shown(call, kept))


def _shown(call: Call, kept: Kept) -> dict[str, Any]:
    entity = call.use(Identity).get(call.tx, kept.entity)
    return {
        "approved": kept.approved,
        "request_path": kept.path,
        "request_operation": kept.op,
        "request_data": shown_data(kept),
        "request_entity": {"id": kept.entity, "name": entity.name if entity else ""},
        "authorizations": [
            {"entity_id": each.entity, "entity_name": each.name} for each in kept.approvals
        ],
    }


def _approvals(call: Call) -> Approvals:
    found: Approvals = call.use(Approvals)
    return found


ROUTES: Final = (
    Route(
        Operation.UPDATE, "control-group/authorize", authorize, Authorize, audited=("accessor",),
        help="Approve another person's request.",
    ),
    Route(
        Operation.UPDATE, "control-group/request", request, Waiting, any_token=True,
        audited=("accessor",), help="The status of a request pending approval.",
    ),
)  # fmt: skip
