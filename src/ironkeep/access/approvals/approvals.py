"""Pending requests, the decisions on them, and the single-use grant that an approval gives.

The wire shape is Vault's control groups: a read that needs approval answers with a wrapping token
and its accessor; others authorise the accessor; unwrapping executes the kept request, once. Beyond
Vault: one person counts once over the whole request (access/approvals/approvers.py); the requester
never counts as an approver, nor does anybody who shares a device with the requester; approving
takes the number on the requester's screen; and unwrapping takes the requester's own token.

`pending.py` stores the requests, `tallies.py` the history of requests and decisions.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.approvals.approvers import Approvers
from ironkeep.access.approvals.pending import TTL_SECONDS, PendingRequests
from ironkeep.access.approvals.record import Authorization, Kept, decision_of
from ironkeep.access.approvals.tallies import Asked, Tallies
from ironkeep.access.approvals.touch import take_touch
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied, TooManyRequests
from ironkeep.core.event import Value
from ironkeep.core.ids import EntityId
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.webauthn.step_up import KEY, STATEMENT
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call
from ironkeep.plugin.request import Request
from ironkeep.plugin.response import Response
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

MAX_TRIES: Final = 3
"""Wrong numbers after which a request is dropped: guessing succeeds three times in 900."""
UNWRAP: Final = "sys/wrapping/unwrap"

_GONE: Final = "no request is pending under that accessor: it lapsed, was denied, or was opened"


class Approvals:
    """Keeps requests until enough people have approved them, and opens each once."""

    def __init__(
        self, stores: StoreOf, tokens: Tokens, approvers: Approvers, alerts: Alerts
    ) -> None:
        self._requests: Final = PendingRequests(stores, tokens, approvers)
        self.find: Final = self._requests.find
        self.waiting: Final = self._requests.waiting
        self.refusal: Final = approvers.refusal
        self._tokens: Final = tokens
        self._alerts: Final = alerts
        self.tallies: Final = Tallies(stores)
        self.on_ask: Final[list[Callable[[Tx, Kept], None]]] = []

    def ask(self, call: Call, secret_class: str, need: int, groups: Sequence[str]) -> Response:
        """Keep the caller's request as pending; return the answer for it, in Vault's shape.

        Raise PermissionDenied for a token without a person, TooManyRequests past the limits on
        one person's requests.
        """
        if call.request.grant:
            raise PermissionDenied(
                "the approval is for another request, or the rules demand more by now"
            )
        session = call.actor()
        if not session.record.entity:
            raise PermissionDenied("ask for approval with a token of a person")
        for person in session.payers:
            self._check_pace(call.tx, person, call.now_ns)
            self._requests.check_room(call.tx, person, call.now_ns)
        token, kept = self._requests.add(call, session, secret_class, need, groups)
        asked = Asked(kept.accessor, kept.op, kept.path, call.now_ns)
        for each in kept.askers:
            self.tallies.asked(call.tx, EntityId(each), asked)
        for listener in self.on_ask:
            listener(call.tx, kept)
        info = {
            "token": token,
            "accessor": kept.accessor,
            "ttl": TTL_SECONDS,
            "creation_time": rfc3339(call.now_ns),
            "creation_path": kept.path,
        }
        others = "another person" if need == 1 else f"{need} other people"
        text = (
            f"this takes the approval of {others} within {TTL_SECONDS // 60} minutes. "
            f"Give them the accessor {kept.accessor} and the number {kept.number}; "
            "when they have approved, unwrap the token with your own token"
        )
        audited: dict[str, Value] = {
            "approval": kept.accessor, "approval_digest": kept.digest, "class": secret_class,
        }  # fmt: skip
        return Response(wrap_info=info, warnings=[text], audited=audited)

    def require(
        self, call: Call, secret_class: str, need: int, groups: Sequence[str]
    ) -> Response | None:
        """Use up the approval of exactly this request; without one, return the answer of `ask`.

        For handlers of dangerous changes; for reads of secrets the pipeline asks.
        """
        kept = self.granted(call)
        if kept is None:
            return self.ask(call, secret_class, need, groups)
        self.spend(call.account, kept, call.now_ns)
        return None

    def opened(self, tx: Tx, request: Request, now_ns: int) -> Request:
        """Return the kept request that an unwrapping opens, or `request` itself if it opens none.

        Raise PermissionDenied unless the requester's own session opens it, InvalidRequest before
        enough people have approved. Pass the transaction that a refusal keeps.
        """
        given = request.data.get("token")
        text = given if isinstance(given, str) and given else None
        token = request.token if text is None else Secret(text.encode("utf-8", "surrogatepass"))
        name = None if token is None else self._tokens.store.hash_of(tx, token)
        kept = None if name is None else self._requests.find_by_token(tx, name, now_ns)
        if kept is None:
            return request
        own = None if request.token is None else self._tokens.store.hash_of(tx, request.token)
        if own is None or own == name:
            raise InvalidRequest(
                "send the requester's token in X-Vault-Token, and this one in the body as `token`"
            )
        if own != kept.session:
            self._alerts.repeated(
                tx, "approval", "somebody else tried to open an approved request", now_ns,
                subject=kept.accessor, entity=kept.entity, device=kept.device, path=kept.path,
            )  # fmt: skip
            raise PermissionDenied("only the token that made a request opens it once approved")
        if not kept.approved:
            raise InvalidRequest("request needs further approval")
        return kept.request(request)

    def granted(self, call: Call) -> Kept | None:
        """Return the approval of exactly this request, or None."""
        if not call.request.grant:
            return None
        kept = self.find(call.account, call.request.grant, call.now_ns)
        if kept is None or not kept.approved:
            return None
        return kept if kept.digest == kept.digest_of(call.request, call.actor()) else None

    def spend(self, tx: Tx, kept: Kept, now_ns: int) -> None:
        """Use an approval up; pass the transaction that a refusal keeps."""
        found = self._tokens.find_accessor(tx, kept.accessor, now_ns)
        if found is None:
            raise PermissionDenied("the approval was used already")
        self._tokens.revoke(tx, found[0], now_ns)

    def find_for(self, call: Call, accessor: str) -> Kept:
        """Return the request that the caller may decide on; raise NotFound or PermissionDenied."""
        kept = self.find(call.tx, accessor, call.now_ns)
        if kept is None:
            raise NotFound(_GONE)
        refusal = self.refusal(call.tx, kept, call.actor())
        if refusal is not None:
            raise PermissionDenied(refusal.say)
        return kept

    def look(self, call: Call, kept: Kept) -> None:
        """Remember when the caller first looked at a request that they may decide on."""
        entity = call.actor().record.entity
        if entity not in kept.seen:
            self._requests.save(
                call.tx, msgspec.structs.replace(kept, seen={**kept.seen, entity: call.now_ns})
            )

    def authorize(self, call: Call, accessor: str, number: int) -> tuple[Kept, dict[str, Value]]:
        """Add the caller's approval; return the request, and the fields for the journal entry.

        (1) The request is pending. (2) The caller is another person, on another device. (3) The
        number is the one on the requester's screen; wrong ones are counted although the call is
        refused. (4) A caller with an authenticator has touched it for this approval; raise
        StepUpNeeded before that.
        """
        kept = self.find_for(call, accessor)
        if kept.approved:
            raise InvalidRequest("enough people have approved this request already")
        if number != kept.number:
            self._miss(call, kept)
            raise PermissionDenied("that is not the number on the requester's screen")
        evidence = take_touch(call, kept)
        session = call.actor()
        record = session.record
        given = Authorization(
            record.entity, session.name, call.now_ns, tuple(sorted(session.people)),
            record.device, evidence.get(STATEMENT, ""), evidence.get(KEY, ""),
        )  # fmt: skip
        fresh = msgspec.structs.replace(kept, approvals=(*kept.approvals, given))
        self._requests.save(call.tx, fresh)
        if fresh.approved:
            self._requests.extend(call.tx, fresh, call.now_ns)
        self.tallies.decided(call.tx, kept, record.entity, call.now_ns, approved=True)
        return fresh, {**decision_of(kept), **evidence}

    def deny(self, call: Call, accessor: str) -> Kept:
        """Drop a request for the caller, whose one denial is enough; return the request."""
        kept = self.find_for(call, accessor)
        self._requests.drop(call.tx, kept, call.now_ns)
        self.tallies.decided(call.tx, kept, call.actor().record.entity, call.now_ns, approved=False)
        often = [
            self.tallies.denied(call.tx, EntityId(person), kept.accessor, call.now_ns)
            for person in kept.askers
        ]
        if any(often):
            self._alerts.raise_(
                call.tx, "approval", "requests of one person were denied more than once",
                call.now_ns, entity=kept.entity, device=kept.device, path=kept.path,
            )  # fmt: skip
        return kept

    def withdraw(self, call: Call, accessor: str) -> Kept:
        """Drop the caller's own request; raise NotFound when it is not theirs."""
        kept = self.find(call.tx, accessor, call.now_ns)
        if kept is None or kept.entity != call.actor().record.entity:
            raise NotFound(_GONE)
        self._requests.drop(call.tx, kept, call.now_ns)
        return kept

    def evidence(self, kept: Kept) -> dict[str, Value]:
        """Return the fields by which the entry of an approved request names its approval."""
        return {
            "approval": kept.accessor,
            "approval_digest": kept.digest,
            "approved_by": [each.entity for each in kept.approvals],
            "approval_touch": [each.touch for each in kept.approvals if each.touch],
        }

    def _check_pace(self, tx: Tx, entity: EntityId, now_ns: int) -> None:
        """Raise TooManyRequests while a person has to wait before the next request."""
        wait = self.tallies.wait_seconds(tx, entity, now_ns)
        if wait:
            raise TooManyRequests(
                f"you were denied, or have made too many requests: ask again in {wait} s"
            )

    def _miss(self, call: Call, kept: Kept) -> None:
        """Count a wrong number, in the transaction that the refusal keeps."""
        tries = kept.tries + 1
        if tries < MAX_TRIES:
            self._requests.save(call.account, msgspec.structs.replace(kept, tries=tries))
            return
        self._requests.drop(call.account, kept, call.now_ns)
        record = call.actor().record
        self._alerts.raise_(
            call.account, "approval", "a request was dropped after too many wrong numbers",
            call.now_ns, entity=record.entity, device=record.device, path=kept.path,
        )  # fmt: skip
