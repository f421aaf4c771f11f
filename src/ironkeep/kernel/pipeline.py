"""The one path every request takes.

    route → authenticate → decide → handle → journal → (durable) → answer

The order is the security property. `handle` executes the request and appends its entry to the open
batch; what it returns may be sent only when that batch is durable, and that is the caller's
(api/commit/committer) side of the contract. Requests that fail or cannot be routed are journalled
too. Moving the decision behind the handler would let a refusal leak by its effects; moving the
entry behind the reply would release a secret without a trace.
"""

from collections.abc import Callable
from typing import Any, Final

from ironkeep.access.approvals.approvals import UNWRAP
from ironkeep.access.devices.login import require_welcome
from ironkeep.core.errors import (
    DeviceRefused,
    IronkeepError,
    NotFound,
    PermissionDenied,
    StepUpNeeded,
    Unavailable,
    UnsupportedOperation,
)
from ironkeep.core.event import Released
from ironkeep.core.ids import RequestId
from ironkeep.core.operation import Operation
from ironkeep.core.policy.decision import (
    Allow,
    Deny,
    Facts,
    NeedApproval,
    StepUp,
    decide,
    guard,
)
from ironkeep.core.secret import Secret
from ironkeep.kernel import reply
from ironkeep.kernel.admission import ask, check_names, operation_of, sees
from ironkeep.kernel.house import House
from ironkeep.kernel.routing import SYS
from ironkeep.kernel.standing import refused_by_machine, standing
from ironkeep.plugin import fields
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.cidr import network_of
from ironkeep.plugin.effects.answer import JSON, Answer, Waiting
from ironkeep.plugin.entries import Trace, entry_of
from ironkeep.plugin.plans import MAX_KNOWN_PATH, Plan
from ironkeep.plugin.request import Request
from ironkeep.plugin.response import Response
from ironkeep.plugin.token import Session, TokenRecord
from ironkeep.store.state import Tx

DENIED: Final = "1 error occurred:\n\t* permission denied\n\n"
MAX_VERDICTS: Final = 16_384
"""Verdicts remembered for one ACL, about 200 bytes each; when full they are worked out anew."""


class Pipeline:
    """Executes requests against the house, one after another."""

    def __init__(self, house: House) -> None:
        self._house: Final = house

    def handle(self, request: Request) -> Answer | Waiting:
        """Execute request and journal it; never raises for what a caller sent."""
        return self._run(request, self._house.new_request_id(), None)

    def recognises(self, token: Secret, remote: str) -> bool:
        """Return whether token is good from this address. Nothing is used up or journalled."""
        house = self._house
        if house.barrier is None:
            return False
        try:
            house.tokens.authenticate(house.state.begin(), token, house.clock.now_ns(), remote)
        except PermissionDenied:
            return False
        return True

    def standing(self, request: Request) -> Answer | None:
        """Answer a question about the server's own state without an entry: see its module."""
        return standing(self._house, request)

    def _run(
        self,
        request: Request,
        request_id: RequestId,
        resume: Callable[[Call], Response | Suspend] | None,
    ) -> Answer | Waiting:
        house = self._house
        trace = Trace(request_id, house.clock.now_ns())
        account = house.state.begin()
        inner = account.nested()
        try:
            if request.path == UNWRAP and request.op is Operation.UPDATE:
                request = self._opened(request, trace, account)
            call, plan = self._admit(request, trace, account, inner, count_use=resume is None)
            if resume:
                response = resume(call)
            else:
                response = self._guard(call, plan, trace) or self._invoke(call, plan, trace)
            if isinstance(response, Suspend):
                return self._suspend(request, trace, account, inner, response)
            trace.handled = True
            body, released, wrapped = self._finish(request, trace, inner, response)
            # The entry goes first: if the journal cannot take it, nothing has happened.
            entry = entry_of(request, trace, "ok", released, response, wrapped=wrapped)
            # A stranger's entry may only be counted while it releases and changes nothing.
            matters = bool(released or inner.writes or account.writes) or not plan.route.open
            receipt = house.record(entry, known=matters)
        except IronkeepError as error:
            return self._refuse(request, trace, account, error)
        except (OSError, MemoryError) as error:
            # The machine, not the caller and not the code: the database could not be read, say.
            return self._refuse(request, trace, account, refused_by_machine(error))
        except Exception as error:  # noqa: BLE001 - a defect of ours
            # The caller learns nothing, the journal the class of the error; the writes are dropped.
            house.on_defect(trace.request_id, error)
            return self._refuse(request, trace, account, error)
        inner.merge()
        account.merge()
        kind = response.raw[0] if response.raw else JSON
        return Answer(
            receipt, body, None, response.absent, response.accepted, kind, plan.route.quorum
        )

    def _opened(self, request: Request, trace: Trace, account: Tx) -> Request:
        """Return the approved request that an unwrapping opens; it goes the whole way anew."""
        house = self._house
        if house.barrier is None:
            return request
        return house.approvals.opened(account, request, trace.now_ns)

    def _route(self, request: Request, trace: Trace, account: Tx, *, count_use: bool) -> Plan:
        """Return the plan of a request; only its caller may learn that there is none.

        For everybody else what is not there answers as what is: authentication and policy are
        asked before NotFound or UnsupportedOperation is raised.
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

    def _admit(
        self, request: Request, trace: Trace, account: Tx, inner: Tx, *, count_use: bool
    ) -> tuple[Call, Plan]:
        """Route, authenticate and decide; return the call for the handler, or raise."""
        house = self._house
        plan = self._route(request, trace, account, count_use=count_use)
        # From here on the request is known by the one form of its path, whatever was typed.
        typed, request.path = request.path, plan.path
        route = plan.route
        trace.mount, trace.route = plan.mount, route
        if house.barrier is None and not route.sealed_ok:
            house.require_unsealed()
        session = None
        if plan.logs_in and house.barrier is not None:
            require_welcome(house, request, trace, account)
        if not (route.login or route.open):
            session = self._authenticate(request, trace, account, count_use=count_use)
        self._flow(request, trace, account, plan, session)
        call = Call(
            request, trace.request_id, plan.relative, plan.params, plan.mount, inner, account,
            trace.now_ns, house.entropy, session, house,
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
        """Refuse to explain a mount in which the caller may do nothing: it is as if not there."""
        if plan.mount is not SYS and not session.acl.reaches(plan.mount.path):
            trace.reason = "no rule reaches the mount"
            raise PermissionDenied(DENIED)

    def _guard(self, call: Call, plan: Plan, trace: Trace) -> Response | None:
        """Ask for what a secret's class and the caller's budget take beyond policy; or raise.

        What is returned answers instead of the handler: the request is kept until it is approved.
        """
        if not plan.route.secret or call.session is None:
            return None
        house = self._house
        gathered = house.guards.gather(call, plan)
        verdict = guard(Allow(trace.rule), gathered.facts)
        if isinstance(verdict, Allow):
            house.guards.let(call, gathered)
            if gathered.evidence:
                trace.audited = gathered.evidence
            return None
        trace.reason = verdict.reason
        if isinstance(verdict, StepUp):
            demand = house.guards.demand(call)
            raise StepUpNeeded(demand.text, demand.link)
        if isinstance(verdict, NeedApproval):
            return house.guards.ask(call, plan, gathered)
        raise house.guards.refused(call, gathered, verdict)

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
        """Refuse a bound token that comes from anywhere else, and say so to who watches."""
        house = self._house
        reason = house.devices.refusal(account, record, request.peer, trace.now_ns)
        if not reason:
            return
        trace.reason = reason
        house.alerts.repeated(
            account, "bound-token", reason, trace.now_ns, subject=record.accessor,
            entity=record.entity, device=record.device, path=request.path,
        )  # fmt: skip
        raise DeviceRefused(reason)

    def _flow(
        self, request: Request, trace: Trace, account: Tx, plan: Plan, session: Session | None
    ) -> None:
        """Refuse who may not ask the segment of the mount, and say so to who watches."""
        house, now_ns = self._house, trace.now_ns
        if house.barrier is None:
            return
        flow = house.flows.refusal(account, plan.mount, session, request.remote, now_ns)
        if not flow:
            return
        route = plan.route
        verdict = decide(Facts(route.login, route.open, route.any_token, route.sudo, None, flow))
        assert isinstance(verdict, Deny)
        trace.reason = verdict.reason
        who = session.record if session is not None else None
        house.alerts.repeated(
            account, "flow", flow, now_ns, path=request.path, subject=plan.mount.uuid,
            entity=who.entity if who else "", device=who.device if who else "",
        )  # fmt: skip
        raise PermissionDenied(verdict.say)

    def _decide(
        self, request: Request, op: Operation, session: Session | None, plan: Plan
    ) -> Allow | Deny:
        """Return the verdict; what does not depend on the data is remembered with the session."""
        route, policy = plan.route, None
        if session is not None:
            known = session.verdicts.get((op, request.path))
            if known is not None and known[0] is plan:
                return known[1]
            policy = ask(session, op, request, plan)
        verdict = decide(Facts(route.login, route.open, route.any_token, route.sudo, policy))
        # A plan that is not remembered would not be found to be the same again.
        lasting = policy is not None and not policy.depends_on_data
        if session is not None and lasting and len(request.path) <= MAX_KNOWN_PATH:
            if len(session.verdicts) >= MAX_VERDICTS:
                session.verdicts.clear()
            session.verdicts[op, request.path] = plan, verdict
        return verdict

    def _invoke(self, call: Call, plan: Plan, trace: Trace) -> Response | Suspend:
        route = plan.route
        if route.input is None:
            response: Response | Suspend = route.handler(call)
            return response
        given = plan.input(call.raw)
        for name in route.audited:
            value = getattr(given, name)
            if value is not None:
                trace.audited[name] = [str(v) for v in value] if isinstance(value, tuple) else value
        response = route.handler(call, given)
        if call.raw and isinstance(response, Response):
            ignored = fields.unknown(route.input, call.raw)
            if ignored:
                names = " ".join(ignored)
                text = f"Endpoint ignored these unrecognized parameters: [{names}]"
                response.warnings.append(text)
        return response

    def _suspend(
        self, request: Request, trace: Trace, account: Tx, inner: Tx, suspend: Suspend
    ) -> Waiting:
        """Merge what was written and hand the work out; the rest runs as a request of its own."""
        receipt = None
        if suspend.durable:
            # The entry goes first: without one the intent must not stay either.
            entry = entry_of(request, trace, "pending", (), None)
            receipt = self._house.journal.append(entry)
            inner.merge()
        account.merge()

        def finish(result: Any) -> Answer | Waiting:
            return self._run(request, trace.request_id, lambda call: suspend.resume(call, result))

        at, name = network_of(request.remote), request.path.casefold()
        return Waiting(suspend.work, finish, receipt, suspend.hashing, at, name)

    def _finish(
        self, request: Request, trace: Trace, inner: Tx, response: Response
    ) -> tuple[bytes | None, tuple[Released, ...], bool]:
        """Issue, wrap and encode: return the body, what it releases, and whether it is wrapped."""
        house, route, mount = self._house, trace.route, trace.mount
        assert route is not None
        assert mount is not None
        if response.issue is not None:
            auth, warnings = house.issue(
                inner, mount, response.issue, trace.session, trace.now_ns, request.peer
            )
            response.auth = auth
            response.warnings += warnings
        released = tuple(response.released)
        if released and not (route.secret or mount is SYS):
            raise RuntimeError(f"{route.pattern} releases a secret and does not say so")
        # What the entry does not name does not leave: no route can release without a trace.
        named = bool(released) or bool(response.issued) or response.auth is not None
        releases = route.releases and (named or response.wrap_info is not None)
        if response.wrap_info is not None:
            wrapping = reply.wrapped(response.wrap_info, response.warnings)
            return reply.encode(wrapping, releases=releases), released, True
        if response.raw is not None:
            return response.raw[1], released, False
        if response.body is not None:
            return reply.encode(response.body, releases=releases), released, False
        if request.wrap_ttl_seconds is None and _is_empty(response):
            return None, released, False
        envelope = reply.envelope(response, trace.request_id, mount.type)
        document = reply.flattened(envelope) if route.flat else envelope
        body = reply.encode(document, releases=releases)
        if request.wrap_ttl_seconds is None:
            return body, released, False
        info = house.wrapping.wrap(
            inner,
            body,
            request.wrap_ttl_seconds,
            request.path,
            trace.now_ns,
            house.entropy,
            session=trace.session,
            released=released,
            wrapped_accessor=str(response.auth.get("accessor", "")) if response.auth else "",
            named_accessor=response.wrapped_accessor,
        )
        return reply.encode(reply.wrapped(info, None), releases=True), released, True

    def _refuse(self, request: Request, trace: Trace, account: Tx, error: Exception) -> Answer:
        """Journal a refusal and keep its accounting; strangers' refusals may only be counted."""
        ours = isinstance(error, IronkeepError)
        code = error.code if isinstance(error, IronkeepError) else "internal"
        message = str(error) if ours else "internal error"
        body = reply.encode({"errors": [message] if message else []}, releases=False)
        trace.audited = {}
        if trace.handled and trace.mount is SYS:
            # Seal and rekey moved on in memory, but their rows were dropped. First of all: below,
            # the journal may refuse again.
            self._house.resync()
        entry = entry_of(request, trace, code, (), None)
        try:
            receipt = self._house.record(entry, known=trace.session is not None)
        except Unavailable as full:
            body = reply.encode({"errors": [str(full)]}, releases=False)
            return Answer(None, body, error=Unavailable)
        account.merge()
        step_up = error.link if isinstance(error, StepUpNeeded) else ""
        return Answer(receipt, body, error=type(error), step_up=step_up)


def _is_empty(response: Response) -> bool:
    return (
        response.data is None
        and response.auth is None
        and response.lease is None
        and not response.warnings
    )
