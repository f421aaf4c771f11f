"""The routes of the flow matrix, and of the question whether one segment can reach others.

segment/flows                     the whole matrix
segment/flows/<from>/<to>         one rule: written, read, removed
segment/flows-history             every matrix that was in force, with its dates
segment/reach                     source=dev targets=prod,backup
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.access.second_person import change_guard, waits
from ironkeep.access.segments import flow_table
from ironkeep.access.segments.flow_table import FlowTable
from ironkeep.access.segments.reach import Survey
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.core.policy.flows import FlowRule
from ironkeep.core.text.goformat import rfc3339
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, PolicyNames
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.store.history import History

MAX_TARGETS: Final = 16
"""Targets of one question: each takes some 0.3 s in a large vault."""


@dataclass(frozen=True)
class Flow:
    """Lets callers of `source` ask `target`; with policies, only holders of one of them."""

    source: str
    target: str
    policies: PolicyNames = ()
    reason: str = field(default="", metadata={"help": "why; shown in the matrix"})


@dataclass(frozen=True)
class Pair:
    """Names a rule."""

    source: str
    target: str


@dataclass(frozen=True)
class Question:
    """Asks whether anybody of `source` reaches one of `targets`."""

    source: str = field(default="", metadata={"help": "a segment, or house"})
    targets: CommaList = field(default=(), metadata={"help": "segments, or house"})


def _shape(rule: FlowRule) -> dict[str, Any]:
    return {
        "from": rule.source,
        "to": rule.target,
        "policies": list(rule.policies),
        "reason": rule.reason,
        "by": rule.by,
        "since": rfc3339(rule.since_ns),
    }


def read_all(call: Call) -> Response:
    """Return every rule; across segments anything that no rule allows is refused."""
    rules = [_shape(rule) for rule in call.use(FlowTable).rules(call.tx)]
    return Response(data={"rules": rules, "default": "deny"})


def read(call: Call, given: Pair) -> Response:
    """Return one rule."""
    for rule in call.use(FlowTable).rules(call.tx):
        if (rule.source, rule.target) == (given.source, given.target):
            return Response(data=_shape(rule))
    raise NotFound("")


def write(call: Call, given: Flow) -> Response:
    """Let callers of one segment use another; letting in more than before needs an approval."""
    policies = tuple(sorted(set(given.policies)))
    rule = FlowRule(
        given.source, given.target, policies, given.reason, call.actor().name, call.now_ns
    )
    before = [each for each in call.use(FlowTable).rules(call.tx) if _pair(each) == _pair(rule)]
    wider = not before or not _is_covered(policies, before[0].policies)
    text = f"callers of {rule.source} may ask {rule.target}"
    answer = change_guard(call, "flow", text, weaker=wider)
    if not waits(answer):
        call.use(FlowTable).allow(call.tx, rule)
    return answer


def _pair(rule: FlowRule) -> tuple[str, str]:
    return rule.source, rule.target


def _is_covered(policies: Collection[str], before: Collection[str]) -> bool:
    """Return whether policies let through no more callers than before; none lets all through."""
    return not before or (bool(policies) and set(policies) <= set(before))


def delete(call: Call, given: Pair) -> Response:
    """Remove a rule, so that its flow is refused again; an absent rule is fine."""
    call.use(FlowTable).forbid(call.tx, given.source, given.target, call.now_ns)
    return Response()


def history(call: Call) -> Response:
    """Return every matrix that was ever in force, the oldest first."""
    found = call.use(History).intervals(call.tx, flow_table.KIND, flow_table.KIND)
    told = [
        {
            "from": rfc3339(each.start_ns),
            "until": "" if each.end_ns is None else rfc3339(each.end_ns),
            "rules": [_shape(rule) for rule in flow_table.decode(each.value)],
        }
        for each in found
    ]
    return Response(data={"matrices": told})


def reach(call: Call, given: Question) -> Response:
    """Return which subjects of a segment reach others: by which way, and by which policy rule."""
    if not given.source or not 1 <= len(given.targets) <= MAX_TARGETS:
        raise InvalidRequest(f"name a source, and 1 to {MAX_TARGETS} targets")
    survey = Survey(call)
    pairs = [survey.reach(given.source, target).shape() for target in given.targets]
    data = {
        "reaches": any(pair["reaches"] for pair in pairs),
        "complete": all(pair["complete"] for pair in pairs),
        "pairs": pairs,
    }
    return Response(data=data)


ROUTES: Final = (
    Route(Operation.READ, "flows", read_all, help="Which segments may ask which."),
    Route(Operation.READ, "flows-history", history, help="Every flow matrix so far, with dates."),
    Route(Operation.READ, "flows/{source}/{target}", read, Pair, help="One rule."),
    Route(
        Operation.UPDATE, "flows/{source}/{target}", write, Flow, sudo=True, quorum=True,
        audited=("source", "target", "policies", "reason"), help="Allow a flow.",
    ),
    Route(
        Operation.DELETE, "flows/{source}/{target}", delete, Pair, sudo=True, quorum=True,
        audited=("source", "target"), help="Forbid a flow again.",
    ),
    Route(
        Operation.READ, "reach", reach, Question, audited=("source", "targets"),
        help="Can anybody of one segment reach another?",
    ),
)  # fmt: skip
