"""Pending requests, the decisions on them, and the single-use grant that an approval gives.

    sys/approvals : request / accessor -> the request, encrypted like every record
                    token / token hash -> accessor
                    mine / entity / accessor -> b""
                    standing / entity, tally / entity / week -> see tallies.py

The wire shape is Vault's control groups: a read that needs approval answers with a wrapping token
and its accessor; others authorise the accessor; unwrapping executes the kept request, once. Beyond
Vault: one person counts once over the whole request (access/approvals/approvers.py); the requester
never counts as an approver, nor does anybody who shares a device with the requester; approving
takes the number on the requester's screen; and unwrapping takes the requester's own token.

A kept request lives as long as its wrapping token: it ends when that token expires, is revoked, or
is ended together with everything else that its requester issued.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.approvals.approvers import Approvers
from ironkeep.access.approvals.record import (
    KEPT,
    PLACE,
    Authorization,
    Kept,
    data_of,
    decision_of,
    without_words,
)
from ironkeep.access.approvals.tallies import Asked, Tallies
from ironkeep.access.approvals.touch import take_touch
from ironkeep.core.errors import (
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooManyRequests,
)
from ironkeep.core.event import Value
from ironkeep.core.ids import EntityId, MountUuid, TokenAccessor, TokenHash
from ironkeep.core.policy.builtin import RESPONSE_WRAPPING_POLICY_NAME
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.core.webauthn.step_up import KEY, STATEMENT
from ironkeep.identity.people import with_chain
from ironkeep.identity.token_store import StoredToken
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call
from ironkeep.plugin.request import Request
from ironkeep.plugin.response import Response, Unkept
from ironkeep.plugin.token import Session
from ironkeep.store.barrier import Store
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

TTL_SECONDS: Final = 900
"""How long a request stays pending: the requester still has the number on the screen."""
GRANT_SECONDS: Final = 300
"""Time in which an approved request can be opened before it lapses."""
MAX_PENDING: Final = 3
"""Pending requests of one person: approvers who are flooded with requests stop reading them."""
MAX_WAITING: Final = 1_000
"""Pending requests in the whole vault: each listing of the inbox reads all of them."""
MAX_TRIES: Final = 3
"""Wrong numbers after which a request is dropped: guessing succeeds three times in 900."""
UNWRAP: Final = "sys/wrapping/unwrap"

_SYS: Final = MountUuid("sys")
_LOWEST: Final = 100
_NUMBERS: Final = 900
"""Three digits, without a leading zero, which a person might leave out."""
_GONE: Final = "no request is pending under that accessor: it lapsed, was denied, or was opened"


class Approvals:
    """Keeps requests until enough people have approved them, and opens each once."""

    def __init__(
        self, stores: StoreOf, tokens: Tokens, approvers: Approvers, alerts: Alerts
    ) -> None:
        self._stores: Final = stores
        self._tokens: Final = tokens
        self._approvers: Final = approvers
        self.refusal: Final = approvers.refusal
        self._alerts: Final = alerts
        self.tallies: Final = Tallies(stores)
        self.on_ask: Final[list[Callable[[Tx, Kept], None]]] = []
        tokens.on_ended.append(self._ended)

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
            self._check_room(call.tx, person, call.now_ns)
        token, kept = self._keep(call, session, secret_class, need, groups)
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
        raw = None if name is None else self._store(tx).get(f"token/{name}")
        kept = None if raw is None else self.find(tx, raw.decode(), now_ns)
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

    def find(self, tx: Tx, accessor: str, now_ns: int) -> Kept | None:
        """Return the pending or approved request with this accessor, or None."""
        if not accessor.isalnum() or self._tokens.find_accessor(tx, accessor, now_ns) is None:
            return None
        raw = self._store(tx).get(f"request/{accessor}")
        return None if raw is None else self._approvers.still_counted(tx, KEPT.decode(raw), now_ns)

    def waiting(self, tx: Tx, now_ns: int) -> list[Kept]:
        """Return all pending and approved requests, the oldest first."""
        names = self._store(tx).list("request", MAX_WAITING)
        found = (self.find(tx, name, now_ns) for name in names)
        return sorted((each for each in found if each), key=lambda each: each.created_ns)

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
            self._save(
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
        self._save(call.tx, fresh)
        if fresh.approved:
            self._extend(call, fresh)
        self.tallies.decided(call.tx, kept, record.entity, call.now_ns, approved=True)
        return fresh, {**decision_of(kept), **evidence}

    def deny(self, call: Call, accessor: str) -> Kept:
        """Drop a request for the caller, whose one denial is enough; return the request."""
        kept = self.find_for(call, accessor)
        self._drop(call.tx, kept, call.now_ns)
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
        self._drop(call.tx, kept, call.now_ns)
        return kept

    def evidence(self, kept: Kept) -> dict[str, Value]:
        """Return the fields by which the entry of an approved request names its approval."""
        return {
            "approval": kept.accessor,
            "approval_digest": kept.digest,
            "approved_by": [each.entity for each in kept.approvals],
            "approval_touch": [each.touch for each in kept.approvals if each.touch],
        }

    def _keep(
        self, call: Call, session: Session, secret_class: str, need: int, groups: Sequence[str]
    ) -> tuple[Unkept, Kept]:
        request, record = call.request, session.record
        token = StoredToken(
            accessor=TokenAccessor(""),
            policies=(RESPONSE_WRAPPING_POLICY_NAME,),
            path=request.path,
            issued_ns=call.now_ns,
            expires_ns=call.now_ns + TTL_SECONDS * SECOND_NS,
            orphan=True,
            renewable=False,
            ttl_seconds=TTL_SECONDS,
            wraps=True,
            creation_path=request.path,
        )
        token = with_chain(token, session)
        # This token opens nothing without the requester's own, so the answer releases no secret.
        secret, name, stored = self._tokens.write(call.tx, token, _SYS, call.entropy)
        data, reason, ticket = without_words(request)
        kept = Kept(
            accessor=stored.accessor,
            op=request.op.value,
            path=request.path,
            data=data_of(data),
            session=session.hash,
            entity=record.entity,
            people=tuple(sorted(session.people)),
            holders=session.payers,
            created_ns=call.now_ns,
            number=_LOWEST + int.from_bytes(call.entropy.token(8), "big") % _NUMBERS,
            need=need,
            secret_class=secret_class,
            device=record.device,
            owner=self._approvers.owner(call.tx, record.device),
            wrap=request.wrap_ttl_seconds or 0,
            groups=tuple(groups),
            reason=reason,
            ticket=ticket,
        )
        self._save(call.tx, kept)
        store = self._store(call.tx)
        store.put(f"token/{name}", kept.accessor.encode())
        for person in kept.askers:
            store.put(f"mine/{person}/{kept.accessor}", b"")
        return Unkept(secret.reveal()), kept

    def _check_room(self, tx: Tx, entity: EntityId, now_ns: int) -> None:
        wait = self.tallies.wait_seconds(tx, entity, now_ns)
        if wait:
            raise TooManyRequests(
                f"you were denied, or have made too many requests: ask again in {wait} s"
            )
        names = self._store(tx).list(f"mine/{entity}", MAX_WAITING)
        if sum(self.find(tx, name, now_ns) is not None for name in names) >= MAX_PENDING:
            raise TooManyRequests(
                f"{MAX_PENDING} of your requests are pending: have them decided, or withdraw one"
            )
        if len(self._store(tx).list("request", MAX_WAITING)) >= MAX_WAITING:
            raise TooManyRequests(f"{MAX_WAITING} requests are pending: try again shortly")

    def _miss(self, call: Call, kept: Kept) -> None:
        """Count a wrong number, in the transaction that the refusal keeps."""
        tries = kept.tries + 1
        if tries < MAX_TRIES:
            self._save(call.account, msgspec.structs.replace(kept, tries=tries))
            return
        self._drop(call.account, kept, call.now_ns)
        record = call.actor().record
        self._alerts.raise_(
            call.account, "approval", "a request was dropped after too many wrong numbers",
            call.now_ns, entity=record.entity, device=record.device, path=kept.path,
        )  # fmt: skip

    def _extend(self, call: Call, kept: Kept) -> None:
        """Let an approved request live for `GRANT_SECONDS` from now."""
        found = self._tokens.find_accessor(call.tx, kept.accessor, call.now_ns)
        if found is not None:
            until_ns = call.now_ns + GRANT_SECONDS * SECOND_NS
            record = msgspec.structs.replace(found[1], expires_ns=until_ns)
            self._tokens.store.save(call.tx, found[0], record, until_ns)

    def _drop(self, tx: Tx, kept: Kept, now_ns: int) -> None:
        found = self._tokens.find_accessor(tx, kept.accessor, now_ns)
        if found is not None:
            self._tokens.revoke(tx, found[0], now_ns)

    def _ended(self, tx: Tx, token: TokenHash, record: StoredToken) -> None:
        if not record.wraps:
            return
        store = self._store(tx)
        raw = store.get(f"request/{record.accessor}")
        if raw is not None:
            kept = KEPT.decode(raw)
            store.delete_all(
                (
                    f"request/{kept.accessor}",
                    f"token/{token}",
                    *(f"mine/{person}/{kept.accessor}" for person in kept.askers),
                )
            )

    def _save(self, tx: Tx, kept: Kept) -> None:
        self._store(tx).put(f"request/{kept.accessor}", KEPT.encode(kept))

    def _store(self, tx: Tx) -> Store:
        return self._stores(tx, PLACE)
