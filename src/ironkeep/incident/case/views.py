"""Routes that show the state of a case: exposure, verdict, next steps."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence.exposure import Exposed
from ironkeep.core.evidence.headline import headline, is_past, later_than
from ironkeep.core.evidence.node import CREDENTIALS, kind_of
from ironkeep.core.evidence.verdict import Item
from ironkeep.core.operation import Operation
from ironkeep.incident.case.cases import At, Case
from ironkeep.incident.case.next_steps import NEXT_STEPS, TAKES_ANOTHER
from ironkeep.incident.case.statements import told
from ironkeep.incident.case.workspace import Workspace, instant, not_worked_out, on_desk, when
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_ROWS: Final = 10_000
"""Rows of one list in an answer; the counts always include all."""


def _judged(call: Call, given: At, then: Callable[[Workspace], Response]) -> Suspend:
    as_of = instant(given.as_of, call.now_ns) if given.as_of else None
    return on_desk(call, given.id, then, as_of_ns=as_of, judged=True, writes=False)


def exposure(call: Call, given: At) -> Suspend:
    """Return what was read, could be read and could be reached, each row with its reason."""
    return _judged(call, given, _exposure)


def _exposure(workspace: Workspace) -> Response:
    if workspace.file.case.opening is None:
        raise InvalidRequest(
            "the log had no such case at that time, so it says nothing about its exposure: open a "
            "case of an earlier epoch again"
        )
    found = workspace.file.exposure
    states = {str(each.node): str(each.state) for each in workspace.verdict.credentials}
    answers = {
        "did_read": found.did_read,
        "could_read": found.could_read,
        "could_reach": found.could_reach,
    }
    data: dict[str, Any] = {
        name: [_row(workspace, row, states) for row in rows[:MAX_ROWS]]
        for name, rows in answers.items()
    }
    data["counts"] = {name: len(rows) for name, rows in answers.items()}
    data["not_worked_out"] = missing = not_worked_out(workspace)
    if missing and not found.could_read:
        # Nothing was found yet, which is another answer than nothing.
        data["counts"]["could_read"] = None
    data["as_of"] = when(workspace.as_of_ns)
    return Response(data=data)


def _row(workspace: Workspace, row: Exposed, states: dict[str, str]) -> dict[str, Any]:
    why = [
        {
            "from": workspace.label(step.source),
            "by": str(step.kind),
            "to": workspace.label(step.target),
            "at": when(step.at_ns),
            "evidence": step.evidence,
        }
        for step in row.why
    ]
    shown: dict[str, Any] = {
        "node": row.node,
        "label": workspace.label(row.node),
        "kind": str(kind_of(row.node)),
        "exposed": when(row.exposed_ns),
        "in_clear": when(row.in_clear_ns),
        "why": why,
    }
    if kind_of(row.node) in CREDENTIALS:
        shown["state"] = states.get(row.node, "exposed")
    return shown


def verdict(call: Call, given: At) -> Suspend:
    """Return the verdict with all claims and open items."""
    return _judged(call, given, _verdict)


def _verdict(workspace: Workspace) -> Response:
    data: dict[str, Any] = msgspec.to_builtins(workspace.verdict)
    later = later_than(workspace.evidence)
    past = is_past(later, workspace.as_of_ns, workspace.call.now_ns)
    data["later"], data["past"] = later, past
    data["headline"] = headline(
        workspace.verdict.outcome, workspace.verdict.tally, workspace.as_of_ns, later, past=past
    )
    data["open_items"] = [_item(each) for each in workspace.verdict.open_items()]
    data["log_size"] = workspace.evidence.log.size
    data["witnessed_size"] = workspace.archive.witnessed
    return Response(data=data)


def steps(call: Call, given: Case) -> Suspend:
    """Return the next steps of a case, in order; `stated` is what another person is to confirm."""
    return on_desk(call, given.id, _steps, judged=True, writes=False)


def _steps(workspace: Workspace) -> Response:
    todo = sorted(
        ((*NEXT_STEPS[each.check], each) for each in workspace.verdict.open_items()),
        key=lambda one: (one[0], one[2].label),
    )
    content = told(workspace)
    found = [
        {
            "step": step,
            "do": text.format(case=workspace.case),
            **_item(item),
            "stated": content.get(item.subject, "") if item.check in TAKES_ANOTHER else "",
        }
        for step, text, item in todo[:MAX_ROWS]
    ]
    return Response(data={"outcome": str(workspace.verdict.outcome), "steps": found})


def _item(item: Item) -> dict[str, Any]:
    return {
        "item": item.subject,
        "label": item.label,
        "check": item.check,
        "status": str(item.status),
        "words": item.words,
    }


def sealed_case(_call: Call) -> Response:
    """Refuse to delete a case: it ends with its proof, and its records stay in the journal."""
    raise InvalidRequest("a case cannot be deleted: its records are part of the journal")


ROUTES: Final = (
    Route(
        Operation.READ, "cases/{id}/exposure", exposure, At, sudo=True, audited=("id",),
        help="The secrets that were read, could be read or could be reached.",
    ),
    Route(
        Operation.READ, "cases/{id}/verdict", verdict, At, sudo=True, audited=("id",),
        help="The verdict, with all claims and open items.",
    ),
    Route(
        Operation.READ, "cases/{id}/steps", steps, Case, sudo=True, audited=("id",),
        help="The next steps, in order.",
    ),
    Route(Operation.DELETE, "cases/{id}", sealed_case, sudo=True, help="Refused."),
)  # fmt: skip
