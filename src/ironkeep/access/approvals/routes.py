"""Approvals for people: the inbox, one request as it is to be judged, the decision, and a report.

    approval/requests/                 what I may decide on, and what I asked
    approval/requests/<accessor>       who asks for what, why, and what else they asked today
    approval/requests/<accessor>/approve|deny|withdraw
    approval/report                    who decides how much a week, and how long they look

What is seen here is shown to those alone who may decide, or who asked. There is no approval by one
tap: it takes the number on the screen of who asked.
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
"""In the report: how people decide changes, and what was last year says little."""
RUBBER_STAMP_MS: Final = 3_000
"""Who approves faster than this, at the median, does not read what they approve."""


class ApprovalEngine:
    """The inbox of approvals."""

    type: Final = "approval"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes."""
        return ROUTES


@dataclass(frozen=True)
class Waiting:
    """The accessor of a request that waits."""

    accessor: str


@dataclass(frozen=True)
class Approve:
    """The accessor, and the number that the requester's screen shows."""

    accessor: str
    number: int


@dataclass(frozen=True)
class Deny:
    """The accessor, and why not."""

    accessor: str
    reason: str = ""


def list_requests(call: Call) -> Response:
    """Return what the caller may decide on, and what they asked themselves, the oldest first."""
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
        raise NotFound("no request waits under that accessor")
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
    """Approve a request of somebody else."""
    kept, audited = _approvals(call).authorize(call, given.accessor, given.number)
    data = {"approved": kept.approved, "given": len(kept.approvals), "needed": kept.need}
    return Response(data=data, audited=audited)


def deny(call: Call, given: Deny) -> Response:
    """Drop a request of somebody else: one no is enough."""
    kept = _approvals(call).deny(call, given.accessor)
    return Response(audited=decision_of(kept))


def withdraw(call: Call, given: Waiting) -> Response:
    """Drop a request of one's own."""
    kept = _approvals(call).withdraw(call, given.accessor)
    return Response(audited=decision_of(kept))


def report(call: Call) -> Response:
    """Return who decided how much in each of the last weeks, and how long they looked."""
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
        "class": kept.guard,
        "reason": kept.reason,
        "ticket": kept.ticket,
        "asked": rfc3339(kept.created_ns),
        "given": len(kept.approvals),
        "needed": kept.need,
        "approved": kept.approved,
    }


def _today(call: Call, kept: Kept) -> list[dict[str, str]]:
    """Return what else the requester asked in the last day."""
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
    Route(Operation.LIST, "requests/", list_requests, help="What waits for my decision?"),
    Route(
        Operation.READ, "requests/{accessor}", read, Waiting, audited=("accessor",),
        help="One request: who asks for what, why, and what else today.",
    ),
    Route(
        Operation.UPDATE, "requests/{accessor}/approve", approve, Approve, audited=("accessor",),
        help="Approve it, with the number on the screen of who asked.",
    ),
    Route(
        Operation.UPDATE, "requests/{accessor}/deny", deny, Deny, audited=("accessor", "reason"),
        help="Deny it: one no is enough.",
    ),
    Route(
        Operation.UPDATE, "requests/{accessor}/withdraw", withdraw, Waiting, audited=("accessor",),
        help="Withdraw what you asked.",
    ),
    Route(Operation.READ, "report", report, help="Who decides how much, and do they look?"),
)  # fmt: skip
