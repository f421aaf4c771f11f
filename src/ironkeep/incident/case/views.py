"""What a case says now: exposure, verdict, what to do next."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence.exposure import Exposed
from ironkeep.core.evidence.node import CREDENTIALS, kind_of
from ironkeep.core.evidence.verdict import Item
from ironkeep.core.operation import Operation
from ironkeep.incident.case.cases import Case
from ironkeep.incident.case.workspace import Desk, instant, on_desk, when
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_ROWS: Final = 10_000
"""Of one answer's list; the counts are always of all."""

_NEXT: Final = {
    "not contained": (1, "ironkeep incident contain {case}"),
    "acts again": (1, "ironkeep incident contain {case}, after finding out how"),
    "not surveyed": (1, "ironkeep incident contain {case}"),
    "not revoked": (
        2,
        "ironkeep incident rotate {case} (by hand: -secret -method -receipt)",
    ),
    "no receipt": (2, "report its revocation with a receipt"),
    "sessions not ended": (3, "ironkeep incident kill {case}"),
    "sessions remain": (3, "find out who comes back, then ironkeep incident kill {case}"),
    "not presented": (4, "ironkeep incident probe {case}"),
    "not answered": (4, "ironkeep incident probe {case}, once the system answers"),
    "not watched": (4, "ironkeep incident probe {case}"),
    "accepted elsewhere": (4, "revoke it there too"),
    "worked after revocation": (2, "it still works: revoke it in another way"),
    "no verifier": (4, "link what it opens (incident/links), or exempt it"),
    "not swept": (5, "ironkeep incident sweep {case}"),
    "no baseline": (5, "exempt it with an owner: nothing was on record before"),
    "not seen": (5, "look at it by hand, then exempt it with an owner"),
    "not explained": (6, "remove it and sweep again, or ironkeep incident explain {case} ITEM"),
    "stranger acts": (6, "remove it, end its sessions, and sweep again"),
    "foothold in vault": (6, "take it back, then ironkeep incident explain {case} ITEM"),
    "root not checked": (7, "ironkeep incident check-root {case} ITEM"),
    "root unsound": (7, "mend it, then check it again"),
    "no residue": (8, "ironkeep incident residue {case} WORDS"),
    "not witnessed": (9, "have witnesses cosign the log"),
    "ends too early": (9, "wait until the witnesses have cosigned the newest entries"),
}
"""What to do about an open item, by its check, and in which order."""

_LATER: Final = (10, "look into it, or exempt it with an owner, a reason and an end")


@dataclass(frozen=True)
class At:
    """A case, as of some moment."""

    id: str
    as_of: str = field(default="", metadata={"help": "RFC 3339, or a length of time ago; or now"})


def _judged(call: Call, given: At, then: Callable[[Desk], Response]) -> Suspend:
    as_of = instant(given.as_of, call.now_ns) if given.as_of else None
    return on_desk(call, given.id, then, as_of_ns=as_of, judged=True, writes=False)


def exposure(call: Call, given: At) -> Suspend:
    """Return the three answers side by side, each row with its shortest explanation."""
    return _judged(call, given, _exposure)


def _exposure(desk: Desk) -> Response:
    found = desk.file.exposure
    states = {str(each.node): str(each.state) for each in desk.verdict.credentials}
    answers = {
        "did_read": found.did_read,
        "could_read": found.could_read,
        "could_reach": found.could_reach,
    }
    data: dict[str, Any] = {
        name: [_row(desk, row, states) for row in rows[:MAX_ROWS]] for name, rows in answers.items()
    }
    data["counts"] = {name: len(rows) for name, rows in answers.items()}
    data["as_of"] = when(desk.as_of_ns)
    return Response(data=data)


def _row(desk: Desk, row: Exposed, states: dict[str, str]) -> dict[str, Any]:
    why = [
        {
            "from": desk.label(step.source),
            "by": str(step.kind),
            "to": desk.label(step.target),
            "at": when(step.at_ns),
            "evidence": step.evidence,
        }
        for step in row.why
    ]
    shown: dict[str, Any] = {
        "node": row.node,
        "label": desk.label(row.node),
        "kind": str(kind_of(row.node)),
        "exposed": when(row.exposed_ns),
        "in_clear": when(row.in_clear_ns),
        "why": why,
    }
    if kind_of(row.node) in CREDENTIALS:
        shown["state"] = states.get(row.node, "exposed")
    return shown


def verdict(call: Call, given: At) -> Suspend:
    """Return the verdict with every claim and every open item."""
    return _judged(call, given, _verdict)


def _verdict(desk: Desk) -> Response:
    data: dict[str, Any] = msgspec.to_builtins(desk.verdict)
    data["open_items"] = [_item(each) for each in desk.verdict.open_items()]
    data["log_size"] = desk.evidence.log.size
    data["witnessed_size"] = desk.archive.witnessed
    return Response(data=data)


def steps(call: Call, given: Case) -> Suspend:
    """Return what is to be done next, in the order that counts."""
    return on_desk(call, given.id, _steps, judged=True, writes=False)


def _steps(desk: Desk) -> Response:
    todo = sorted(
        ((*_NEXT.get(each.check, _LATER), each) for each in desk.verdict.open_items()),
        key=lambda one: (one[0], one[2].label),
    )
    found = [
        {"step": step, "do": text.format(case=desk.case), **_item(item)}
        for step, text, item in todo[:MAX_ROWS]
    ]
    return Response(data={"outcome": str(desk.verdict.outcome), "steps": found})


def _item(item: Item) -> dict[str, Any]:
    return {
        "item": item.subject,
        "label": item.label,
        "check": item.check,
        "status": str(item.status),
        "words": item.words,
    }


def sealed_case(_call: Call) -> Response:
    """Refuse to close or delete: a case ends with its proof, and its records stay."""
    raise InvalidRequest("a case is never deleted: its records are the journal's")


ROUTES: Final = (
    Route(
        Operation.READ, "cases/{id}/exposure", exposure, At, sudo=True, audited=("id",),
        help="Did read, could have read, could have reached.",
    ),
    Route(
        Operation.READ, "cases/{id}/verdict", verdict, At, sudo=True, audited=("id",),
        help="PROVEN, NOT PROVEN or DISPROVEN, and why.",
    ),
    Route(
        Operation.READ, "cases/{id}/steps", steps, Case, sudo=True, audited=("id",),
        help="What to do next.",
    ),
    Route(Operation.DELETE, "cases/{id}", sealed_case, sudo=True, help="Refused."),
)  # fmt: skip
