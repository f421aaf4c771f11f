"""The one path that every request takes.

    route → authenticate → decide → handle → journal → (durable) → answer

The order is the security property; kernel/admission.py has the first three steps. `handle` executes
the request and appends its entry to the open batch. Its caller (api/commit/committer) must send the
answer only when that batch is durable. Requests that fail or cannot be routed are journalled too.
If the decision came after the handler, refused requests would have effects; if the entry came after
the reply, a secret could be released without a trace.
"""

from collections.abc import Callable
from typing import Any, Final

from ironkeep.access.approvals.approvals import UNWRAP
from ironkeep.access.guards import PLAIN
from ironkeep.core.errors import (
    IronkeepError,
    PermissionDenied,
    StepUpNeeded,
    Unavailable,
)
from ironkeep.core.event import MADE_BY, Released
from ironkeep.core.ids import RequestId
from ironkeep.core.operation import Operation
from ironkeep.core.policy.decision import Allow, NeedApproval, StepUp, decide_read
from ironkeep.core.secret import Secret
from ironkeep.identity.people import makers_of
from ironkeep.kernel import reply
from ironkeep.kernel.admission import Admission
from ironkeep.kernel.health import health, refused_by_machine
from ironkeep.kernel.house import House
from ironkeep.kernel.issuing import issue
from ironkeep.kernel.routing import SYS
from ironkeep.plugin import fields
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.cidr import network_of
from ironkeep.plugin.effects.answer import JSON, Answer, Waiting
from ironkeep.plugin.entries import Trace, entry_of
from ironkeep.plugin.plans import Plan
from ironkeep.plugin.request import Request
from ironkeep.plugin.response import Response
from ironkeep.store.state import Tx


class Pipeline:
    """Executes requests on the vault, one after another."""

    def __init__(self, house: House) -> None:
        self._house: Final = house
        self._admission: Final = Admission(house)

    def handle(self, request: Request) -> Answer | Waiting:
        """Execute request and journal it; never raise because of a caller's input."""
        return self._run(request, self._house.new_request_id(), None)

    def recognises(self, token: Secret, remote: str) -> bool:
        """Return whether token is valid from this address, without counting a use or an entry."""
        house = self._house
        if house.barrier is None:
            return False
        try:
            house.tokens.authenticate(house.state.begin(), token, house.clock.now_ns(), remote)
        except PermissionDenied:
            return False
        return True

    def pattern_of(self, request: Request) -> str:
        """Return the operation, mount type and route pattern of a request, for operators."""
        house = self._house
        try:
            plan = house.find_plan(house.state.begin(), request.op, request.path, "")
        except IronkeepError:
            return f"{request.op.value} of an unknown route"
        return f"{request.op.value} {plan.mount.type}: {plan.route.pattern or '(root)'}"

    def health(self, request: Request) -> Answer | None:
        """Answer health and seal status without an entry: see kernel/health.py."""
        return health(self._house, request)

    def _run(
        self,
        request: Request,
        request_id: RequestId,
        resume: Callable[[Call], Response | Suspend] | None,
        *,
        begun: bool = False,
    ) -> Answer | Waiting:
        house = self._house
        trace = Trace(request_id, house.clock.now_ns(), house.ledger.seq)
        trace.begun = begun
        account = house.state.begin()
        inner = account.nested()
        try:
            if request.path == UNWRAP and request.op is Operation.UPDATE:
                request = self._opened(request, trace, account)
            call, plan = self._admission.admit(
                request, trace, account, inner, count_use=resume is None
            )
            guarded = None if resume else self._guard(call, plan, trace)
            trace.kept = len(account.writes)
            if resume:
                trace.resumed = True
                response = resume(call)
            else:
                response = guarded or self._invoke(call, plan, trace)
            if isinstance(response, Suspend):
                return self._suspend(request, trace, account, inner, response)
            trace.handled = True
            body, released, wrapped = self._finish(request, trace, inner, response)
            if inner.writes or account.writes:
                # A row to be replaced that is not as committed must stop the request before its
                # entry says that it went well.
                inner.load()
                account.load()
            # The entry comes before the merge: if the journal refuses it, the writes are dropped.
            entry = entry_of(request, trace, "ok", released, response, wrapped=wrapped)
            # An unauthenticated request that releases and changes nothing may only be counted.
            matters = bool(released or inner.writes or account.writes)
            if response.accounted and trace.mount is SYS and not matters:
                receipt = None
            else:
                receipt = house.record(entry, known=matters or not plan.route.open)
        except IronkeepError as error:
            return self._refuse(request, trace, account, error)
        except (OSError, MemoryError) as error:
            # A fault of the machine, such as an unreadable database: not the caller's, nor ours.
            return self._refuse(request, trace, account, refused_by_machine(error))
        except Exception as error:  # noqa: BLE001 - a defect of ours
            # The journal names the error's class, the caller gets no details. Writes are dropped.
            house.on_defect(trace.request_id, error)
            return self._refuse(request, trace, account, error)
        inner.merge()
        account.merge()
        kind = response.raw[0] if response.raw else JSON
        return Answer(
            receipt, body, None, response.absent, response.accepted, kind, plan.route.quorum
        )

    def _opened(self, request: Request, trace: Trace, account: Tx) -> Request:
        """Return the approved request that this one unwraps, to run it in full, else this one."""
        house = self._house
        if house.barrier is None:
            return request
        return house.features.approvals.opened(account, request, trace.now_ns)

    def _guard(self, call: Call, plan: Plan, trace: Trace) -> Response | None:
        """Enforce the secret's class and the caller's budget, which policy does not cover.

        Return None to go on to the handler, or the response to a request that is stored until it is
        approved. Raise StepUpNeeded or another refusal.
        """
        if not plan.route.secret or call.session is None:
            return None
        guards = self._house.features.guards
        gathered = guards.gather(call, plan)
        if gathered is PLAIN:
            # `decide_read` allows it, and there is nothing to charge, to note or to use up.
            return None
        verdict = decide_read(Allow(trace.rule), gathered.facts)
        if isinstance(verdict, Allow):
            guards.let(call, gathered)
            if gathered.evidence:
                trace.audited = gathered.evidence
            return None
        trace.reason = verdict.reason
        if isinstance(verdict, StepUp):
            raise guards.demand(call)
        if isinstance(verdict, NeedApproval):
            return guards.ask(call, plan, gathered)
        raise guards.refused(call, gathered, verdict)

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
        """Merge the writes and return the work; afterwards the request runs again to resume."""
        receipt = None
        if suspend.durable:
            # The entry comes before the merge: without an entry the intent must not be stored.
            entry = entry_of(request, trace, "pending", (), None)
            receipt = self._house.journal.append(entry)
            inner.merge()
        else:
            self._note_begun(request, trace, account)
        account.merge()
        begun = trace.begun or suspend.durable

        def finish(result: Any) -> Answer | Waiting:
            return self._run(
                request,
                trace.request_id,
                lambda call: suspend.resume(call, result),
                begun=begun,
            )

        at, name = network_of(request.remote), request.path.casefold()
        return Waiting(suspend.work, finish, receipt, suspend.hashing, at, name)

    def _note_begun(self, request: Request, trace: Trace, account: Tx) -> None:
        """Journal that a request is pending before writes of it are kept that it may yet disown.

        A case takes a refused request without such an entry for one that changed nothing.
        """
        wrote = trace.kept < len(account.writes)
        if wrote and trace.session is not None and not trace.begun:
            self._house.journal.append(entry_of(request, trace, "pending", (), None))
            trace.begun = True

    def _finish(
        self, request: Request, trace: Trace, inner: Tx, response: Response
    ) -> tuple[bytes | None, tuple[Released, ...], bool]:
        """Issue, wrap and encode; return the body, the released secrets, and if it is wrapped."""
        house, route, mount = self._house, trace.route, trace.mount
        assert route is not None
        assert mount is not None
        if response.issue is not None:
            auth, warnings = issue(
                house, inner, mount, response.issue, trace.session, trace.now_ns, request.peer
            )
            response.auth = auth
            makers = makers_of(response.issue.made)
            response.audited |= {MADE_BY: makers} if makers else {}
            response.warnings += warnings
        released = tuple(response.released)
        if released and not (route.secret or mount is SYS):
            raise RuntimeError(f"{route.pattern} releases a secret without declaring it")
        # Secrets are revealed only if the entry names them: no route can release without a trace.
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
        """Journal a refusal and keep its accounting; without a session it may only be counted."""
        ours = isinstance(error, IronkeepError)
        code = error.code if isinstance(error, IronkeepError) else "internal"
        message = str(error) if ours else "internal error"
        body = reply.encode({"errors": [message] if message else []}, releases=False)
        trace.audited = {}
        if trace.handled and trace.mount is SYS:
            # Seal and rekey changed in memory, but their rows were dropped. Resync before anything
            # else, because the journal may refuse again below.
            self._house.resync()
        entry = entry_of(request, trace, code, (), None)
        try:
            if trace.resumed:
                self._note_begun(request, trace, account)
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
