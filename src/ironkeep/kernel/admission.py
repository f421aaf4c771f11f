"""The first steps of the pipeline: route, authenticate and decide, before a handler runs.

Their order is part of the pipeline's security property. Routing alone reveals nothing: a caller
who may not use a path gets the same refusal whether or not anything exists at it.
"""

from dataclasses import replace
from typing import Final

from ironkeep.access.devices.login import require_welcome
from ironkeep.core.errors import (
    DeviceRefused,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    UnsupportedOperation,
)
from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl, Decision
from ironkeep.core.policy.decision import Allow, Deny, Facts, decide
from ironkeep.core.policy.policy import Capability
from ironkeep.core.text.naming import EMPTY_SEGMENT
from ironkeep.kernel.house import House
from ironkeep.kernel.routing import SYS
from ironkeep.plugin.call import Call
from ironkeep.plugin.entries import Trace
from ironkeep.plugin.plans import MAX_KNOWN_PATH, Plan
from ironkeep.plugin.request import Request
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session, TokenRecord
from ironkeep.store.state import Tx

DENIED: Final = "1 error occurred:\n\t* permission denied\n\n"
MAX_VERDICTS: Final = 16_384
"""Verdicts cached per ACL, about 200 bytes each; all are dropped when the cache is full."""


def check_names(op: Operation, plan: Plan, typed: str) -> None:
    """Raise InvalidRequest for a new name that could not be addressed, or an empty name to end.

    An unset variable in a script must not end everything. `typed` is the path as received.
    """
    if plan.ends_nothing:
        raise InvalidRequest("the name in the path is empty or blank: name the thing to remove")
    fault = plan.fault or (EMPTY_SEGMENT if plan.route.makes and "//" in typed else None)
    if fault is not None and (op is Operation.CREATE or plan.route.exists is None):
        raise InvalidRequest(f"this name cannot be made: {fault}")


def sees(acl: Acl, path: str) -> bool:
    """Return whether any rule grants anything at a path, or below it."""
    return acl.capabilities(path) != [Capability.DENY] or acl.reaches(path.rstrip("/") + "/")


def ask(session: Session, op: Operation, request: Request, plan: Plan) -> Decision:
    """Return the decision of policy on a path's canonical form, for any spelling in the rules.

    A denial on the other path to the same thing (`plan.same`), or a refusal there because of fields
    or wrapping, applies here too.
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
    # If the other path's rules depend on the fields, each request needs a decision of its own.
    depends = decision.depends_on_data or there.depends_on_data
    return replace(decision, depends_on_data=depends)


def operation_of(route: Route, call: Call) -> Operation:
    """Return the operation that policy decides on: an update of something missing is a create."""
    op = call.request.op
    if op is Operation.UPDATE and route.exists is not None and not route.exists(call):
        return Operation.CREATE
    return op


class Admission:
    """Admits requests to their handlers, or refuses them."""

    def __init__(self, house: House) -> None:
        self._house: Final = house

    def _route(self, request: Request, trace: Trace, account: Tx, *, count_use: bool) -> Plan:
        """Return the plan of a request; tell only authorised callers that there is none.

        Authentication and policy are checked before NotFound or UnsupportedOperation is raised, so
        that other callers cannot tell missing paths from existing ones.
        """
        house = self._house
        try:
            return house.find_plan(account, request.op, request.path, request.namespace)
        except (NotFound, UnsupportedOperation) as error:
            if isinstance(error, UnsupportedOperation) and error.open:
                raise
            house.require_unsealed()
            session = self._authenticate(request, trace, account, count_use=count_use)
            decision = session.acl.decide(
                request.path, request.op, request.data, request.wrap_ttl_seconds
            )
            trace.rule = str(decision.rule) if decision.rule is not None else ""
            helps = request.op is not Operation.HELP or sees(session.acl, request.path)
            if not (decision.allowed and helps):
                trace.reason = decision.reason
                raise PermissionDenied(DENIED) from None
            raise

    def admit(
        self, request: Request, trace: Trace, account: Tx, inner: Tx, *, count_use: bool
    ) -> tuple[Call, Plan]:
        """Route, authenticate and decide; return the call for the handler, or raise."""
        house = self._house
        plan = self._route(request, trace, account, count_use=count_use)
        # From here on the request has its path in canonical form; policy and handlers see no other.
        typed, request.path = request.path, plan.path
        route = plan.route
        trace.mount, trace.route = plan.mount, route
        if house.barrier is None and not route.sealed_ok:
            house.require_unsealed()
        session = None
        if plan.logs_in and house.barrier is not None:
            require_welcome(house.services, request, trace, account)
        if not (route.login or route.open):
            session = self._authenticate(request, trace, account, count_use=count_use)
        self._flow(request, trace, account, plan, session)
        call = Call(
            request, trace.request_id, plan.relative, plan.params, plan.mount, inner, account,
            trace.now_ns, house.entropy, session, house.services,
        )  # fmt: skip
        trace.op = operation_of(route, call)
        verdict = self._decide(request, trace.op, session, plan)
        trace.rule = verdict.rule
        if not isinstance(verdict, Allow):
            trace.reason = verdict.reason
            raise PermissionDenied(verdict.say or DENIED)
        if request.op is Operation.HELP and session is not None:
            self._help(session, plan, trace)
        check_names(trace.op, plan, typed)
        return call, plan

    def _help(self, session: Session, plan: Plan, trace: Trace) -> None:
        """Refuse help on a mount in which the caller may do nothing, as if it did not exist."""
        if plan.mount is not SYS and not session.acl.reaches(plan.mount.path):
            trace.reason = "no rule reaches the mount"
            raise PermissionDenied(DENIED)

    def _authenticate(
        self, request: Request, trace: Trace, account: Tx, *, count_use: bool
    ) -> Session:
        if request.token is None:
            raise PermissionDenied("missing client token")
        tokens = self._house.tokens
        session = tokens.authenticate(
            account, request.token, trace.now_ns, request.remote, resuming=not count_use
        )
        trace.session = session
        record = session.record
        if record.device or record.peer:
            self._bind(request, trace, account, record)
        if count_use and session.record.num_uses:
            tokens.use(account, session, trace.now_ns)
        return session

    def _bind(self, request: Request, trace: Trace, account: Tx, record: TokenRecord) -> None:
        """Refuse a token that is bound to another device or key, and raise an alert."""
        features = self._house.features
        refusal = features.devices.refusal(account, record, request.peer, trace.now_ns)
        if refusal is None:
            return
        trace.reason = refusal.reason
        features.alerts.repeated(
            account, "bound-token", refusal.reason, trace.now_ns, subject=record.accessor,
            entity=record.entity, device=record.device, path=request.path,
        )  # fmt: skip
        raise DeviceRefused(refusal.say)

    def _flow(
        self, request: Request, trace: Trace, account: Tx, plan: Plan, session: Session | None
    ) -> None:
        """Refuse a caller whose segment has no flow to the mount's, and raise an alert."""
        house, now_ns = self._house, trace.now_ns
        if house.barrier is None:
            return
        flow = house.features.flows.refusal(account, plan.mount, session, request.remote, now_ns)
        if flow is None:
            return
        route = plan.route
        verdict = decide(Facts(route.login, route.open, route.any_token, route.sudo, None, flow))
        assert isinstance(verdict, Deny)
        trace.reason = verdict.reason
        who = session.record if session is not None else None
        house.features.alerts.repeated(
            account, "flow", flow.reason, now_ns, path=request.path, subject=plan.mount.uuid,
            entity=who.entity if who else "", device=who.device if who else "",
        )  # fmt: skip
        raise PermissionDenied(verdict.say)

    def _decide(
        self, request: Request, op: Operation, session: Session | None, plan: Plan
    ) -> Allow | Deny:
        """Return the verdict; cache it with the session if it does not depend on the data."""
        route, policy = plan.route, None
        if session is not None:
            known = session.verdicts.get((op, request.path))
            if known is not None and known[0] is plan:
                return known[1]
            policy = ask(session, op, request, plan)
        verdict = decide(Facts(route.login, route.open, route.any_token, route.sudo, policy))
        # A verdict applies to one plan object only: without a cached plan it would never be reused.
        lasting = policy is not None and not policy.depends_on_data
        if session is not None and lasting and len(request.path) <= MAX_KNOWN_PATH:
            if len(session.verdicts) >= MAX_VERDICTS:
                session.verdicts.clear()
            session.verdicts[op, request.path] = plan, verdict
        return verdict
