"""The approval engine: the inbox, one request in full, the decision, and a report.

    approval/requests/                 requests that the caller may decide on, or has made
    approval/requests/<accessor>       requester, path, reason, the requester's other requests today
    approval/requests/<accessor>/approve|deny|withdraw
    approval/report                    decisions of each person per week, and the time they looked

Only the requester and possible approvers can see a request. There is no approval by one tap: it
takes the number on the requester's screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from ironkeep.access.approvals.approvals import Approvals
from ironkeep.access.approvals.record import Kept, decision_of, shown_data
from ironkeep.access.approvals.tallies import WEEK_NS, week_of
from ironkeep.core.errors import NotFound, PermissionDenied
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.identity.entities import Identity
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

WEEKS: Final = 4
"""Weeks in the report: people change how they decide, so older weeks say little."""
RUBBER_STAMP_MS: Final = 3_000
"""A median look shorter than this means that the approver does not read the requests."""


class ApprovalEngine:
    """The inbox of approvals."""

    type: Final = "approval"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes."""
        return ROUTES


@dataclass(frozen=True)
class Waiting:
    """The accessor of a pending request."""

    accessor: str


@dataclass(frozen=True)
class Approve:
    """The accessor, and the number that the requester's screen shows."""

    accessor: str
    number: int


@dataclass(frozen=True)
class Deny:
    """The accessor, and the reason of the denial."""

    accessor: str
    reason: str = ""


def list_requests(call: Call) -> Response:
    """Return the requests that the caller may decide on or has made, the oldest first."""
    approvals, session = _approvals(call), call.actor()
    info: dict[str, Any] = {}
    for kept in approvals.waiting(call.tx, call.now_ns):
        mine = session.hash == kept.session
        if mine or approvals.refusal(call.tx, kept, session) is None:
            info[kept.accessor] = {**_brief(call, kept), "mine": mine}
    if not info:
        raise NotFound("")
    return Response(data={"keys": list(info), "key_info": info})


def read(call: Call, given: Waiting) -> Response:
    """Return one request in full; the first look of each approver is remembered."""
    approvals, session = _approvals(call), call.actor()
    kept = approvals.find(call.tx, given.accessor, call.now_ns)
    if kept is None:
        raise NotFound("no request is pending under that accessor")
    refusal = approvals.refusal(call.tx, kept, session)
    mine = session.hash == kept.session
    if refusal is not None and not mine:
        raise PermissionDenied(refusal.say)
    if refusal is None:
        approvals.look(call, kept)
    data = _brief(call, kept) | {
        "mine": mine,
        "data": shown_data(kept),
        "digest": kept.digest,
        "device": kept.device,
        "approvals": [
            {"entity_id": each.entity, "name": each.name, "time": rfc3339(each.time_ns)}
            for each in kept.approvals
        ],
        "today": _today(call, kept),
    }
    if mine:
        data["number"] = kept.number
    return Response(data=data)


def approve(call: Call, given: Approve) -> Response:
    """Approve another person's request."""
    kept, audited = _approvals(call).authorize(call, given.accessor, given.number)
    data = {"approved": kept.approved, "given": len(kept.approvals), "needed": kept.need}
    return Response(data=data, audited=audited)


def deny(call: Call, given: Deny) -> Response:
    """Deny another person's request, which drops it: one denial is enough."""
    kept = _approvals(call).deny(call, given.accessor)
    return Response(audited=decision_of(kept))


def withdraw(call: Call, given: Waiting) -> Response:
    """Drop one of the caller's own requests."""
    kept = _approvals(call).withdraw(call, given.accessor)
    return Response(audited=decision_of(kept))


def report(call: Call) -> Response:
    """Return each person's decisions per week, in the last weeks, and how long they looked."""
    now = week_of(call.now_ns)
    people = []
    for entity in call.use(Approvals).tallies.approvers(call.tx):
        for week in range(now, now - WEEKS, -1):
            tally = call.use(Approvals).tallies.tally(call.tx, entity, week)
            if not tally.looked_ms:
                continue
            looked = int(median(tally.looked_ms))
            people.append(
                {
                    "entity_id": entity,
                    "name": _name(call, entity),
                    "week": rfc3339(week * WEEK_NS),
                    "approved": tally.approved,
                    "denied": tally.denied,
                    "median_look_ms": looked,
                    "rubber_stamp": looked < RUBBER_STAMP_MS,
                }
            )
    return Response(data={"approvers": people})


def _brief(call: Call, kept: Kept) -> dict[str, Any]:
    return {
        "requester": _name(call, kept.entity),
        "entity_id": kept.entity,
        "operation": kept.op,
        "path": kept.path,
        "class": kept.secret_class,
        "reason": kept.reason,
        "ticket": kept.ticket,
        "asked": rfc3339(kept.created_ns),
        "given": len(kept.approvals),
        "needed": kept.need,
        "approved": kept.approved,
    }


def _today(call: Call, kept: Kept) -> list[dict[str, str]]:
    """Return the requester's other requests of the last day."""
    history = _approvals(call).tallies.of(call.tx, kept.entity, call.now_ns)
    return [
        {
            "operation": each.op,
            "path": each.path,
            "time": rfc3339(each.time_ns),
            "outcome": each.outcome,
        }
        for each in history.asked
        if each.accessor != kept.accessor
    ]


def _name(call: Call, entity: EntityId) -> str:
    """Return the name by which people know an entity: that of its first alias."""
    found = call.use(Identity).get(call.tx, entity)
    if found is None:
        return ""
    return found.aliases[0].name if found.aliases else found.name


def _approvals(call: Call) -> Approvals:
    return call.use(Approvals)


ROUTES: Final = (
    Route(
        Operation.LIST, "requests/", list_requests,
        help="Requests that wait for your decision, and your own.",
    ),
    Route(
        Operation.READ, "requests/{accessor}", read, Waiting, audited=("accessor",),
        help="One request: requester, path, reason, and other requests today.",
    ),
    Route(
        Operation.UPDATE, "requests/{accessor}/approve", approve, Approve, audited=("accessor",),
        help="Approve a request, with the number on the requester's screen.",
    ),
    Route(
        Operation.UPDATE, "requests/{accessor}/deny", deny, Deny, audited=("accessor", "reason"),
        help="Deny a request: one denial is enough.",
    ),
    Route(
        Operation.UPDATE, "requests/{accessor}/withdraw", withdraw, Waiting, audited=("accessor",),
        help="Withdraw your own request.",
    ),
    Route(
        Operation.READ, "report", report,
        help="Decisions of each person per week, and how long they looked.",
    ),
)  # fmt: skip
