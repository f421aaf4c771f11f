"""What the pipeline asks of policy, and of the names in a path, before a handler runs."""

from dataclasses import replace

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl, Decision
from ironkeep.core.policy.policy import Capability
from ironkeep.core.text.naming import EMPTY_SEGMENT
from ironkeep.plugin.call import Call
from ironkeep.plugin.plans import Plan
from ironkeep.plugin.request import Request
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session


def check_names(op: Operation, plan: Plan, typed: str) -> None:
    """Raise InvalidRequest for a new name that could not be addressed again, and for none to end.

    A variable of a script that was not set must not end everything. `typed` is the path as it came.
    """
    if plan.ends_nothing:
        raise InvalidRequest("name what is to be removed: the name in the path is empty or blank")
    fault = plan.fault or (EMPTY_SEGMENT if plan.route.makes and "//" in typed else None)
    if fault is not None and (op is Operation.CREATE or plan.route.exists is None):
        raise InvalidRequest(f"this name cannot be made: {fault}")


def sees(acl: Acl, path: str) -> bool:
    """Return whether any rule grants anything at a path, or below it."""
    return acl.capabilities(path) != [Capability.DENY] or acl.reaches(path.rstrip("/") + "/")


def ask(session: Session, op: Operation, request: Request, plan: Plan) -> Decision:
    """Return what policy says of a path in its one form, whichever way its rules are written.

    What is denied by another path to the same thing, or is refused there for its fields or its
    wrapping, is so here.
    """
    acl = session.acl if plan.spelling is None else session.acl.spelled(plan.spelling)
    data, wrap = request.data, request.wrap_ttl_seconds
    decision = acl.decide(plan.path, op, data, wrap, plan.readers)
    if not plan.same or not decision.allowed:
        return decision
    there = acl.decide(plan.same, op, data, wrap, plan.readers)
    denied = there.rule is not None and acl.capabilities(plan.same) == [Capability.DENY]
    if denied or (there.depends_on_data and not there.allowed):
        return there
    # What is asked of the fields there is asked again of each request.
    depends = decision.depends_on_data or there.depends_on_data
    return replace(decision, depends_on_data=depends)


def operation_of(route: Route, call: Call) -> Operation:
    """Return the operation that policy decides on: an update of what is not there is a create."""
    op = call.request.op
    if op is Operation.UPDATE and route.exists is not None and not route.exists(call):
        return Operation.CREATE
    return op
