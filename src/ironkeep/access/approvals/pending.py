"""Storage of pending requests, each of which lives as long as its wrapping token.

    sys/approvals : request / accessor -> the request, encrypted like every record
                    token / token hash -> accessor
                    mine / entity / accessor -> b""

A request ends when its wrapping token expires, is revoked, or is ended together with everything
else that its requester issued. So the token's row is the only lifetime, and the rows of a request
are removed with it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ironkeep.access.approvals.approvers import Approvers
from ironkeep.access.approvals.record import KEPT, PLACE, Kept, data_of, without_words
from ironkeep.core.errors import TooManyRequests
from ironkeep.core.ids import EntityId, MountUuid, TokenAccessor, TokenHash
from ironkeep.core.policy.builtin import RESPONSE_WRAPPING_POLICY_NAME
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.people import with_chain
from ironkeep.identity.token_store import StoredToken
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Unkept
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

_SYS: Final = MountUuid("sys")
_LOWEST: Final = 100
_NUMBERS: Final = 900
"""Three digits, without a leading zero, which a person might leave out."""


class PendingRequests:
    """Stores requests from the moment they are made until they are opened, dropped or lapse."""

    def __init__(self, stores: StoreOf, tokens: Tokens, approvers: Approvers) -> None:
        self._stores: Final = stores
        self._tokens: Final = tokens
        self._approvers: Final = approvers
        tokens.on_ended.append(self._ended)

    def add(
        self, call: Call, session: Session, secret_class: str, need: int, groups: Sequence[str]
    ) -> tuple[Unkept, Kept]:
        """Store the request of `call` as pending; return its wrapping token with the record."""
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
        self.save(call.tx, kept)
        store = self._store(call.tx)
        store.put(f"token/{name}", kept.accessor.encode())
        for person in kept.askers:
            store.put(f"mine/{person}/{kept.accessor}", b"")
        return Unkept(secret.reveal()), kept

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

    def find_by_token(self, tx: Tx, token: TokenHash, now_ns: int) -> Kept | None:
        """Return the pending or approved request that a wrapping token opens, or None."""
        raw = self._store(tx).get(f"token/{token}")
        return None if raw is None else self.find(tx, raw.decode(), now_ns)

    def check_room(self, tx: Tx, entity: EntityId, now_ns: int) -> None:
        """Raise TooManyRequests if a person, or the vault, has too many pending requests."""
        names = self._store(tx).list(f"mine/{entity}", MAX_WAITING)
        if sum(self.find(tx, name, now_ns) is not None for name in names) >= MAX_PENDING:
            raise TooManyRequests(
                f"{MAX_PENDING} of your requests are pending: have them decided, or withdraw one"
            )
        if len(self._store(tx).list("request", MAX_WAITING)) >= MAX_WAITING:
            raise TooManyRequests(f"{MAX_WAITING} requests are pending: try again shortly")

    def extend(self, tx: Tx, kept: Kept, now_ns: int) -> None:
        """Let an approved request live for `GRANT_SECONDS` from now."""
        found = self._tokens.find_accessor(tx, kept.accessor, now_ns)
        if found is not None:
            until_ns = now_ns + GRANT_SECONDS * SECOND_NS
            record = msgspec.structs.replace(found[1], expires_ns=until_ns)
            self._tokens.store.save(tx, found[0], record, until_ns)

    def drop(self, tx: Tx, kept: Kept, now_ns: int) -> None:
        """End a request, by revoking its wrapping token."""
        found = self._tokens.find_accessor(tx, kept.accessor, now_ns)
        if found is not None:
            self._tokens.revoke(tx, found[0], now_ns)

    def save(self, tx: Tx, kept: Kept) -> None:
        """Write a changed request."""
        self._store(tx).put(f"request/{kept.accessor}", KEPT.encode(kept))

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

    def _store(self, tx: Tx) -> Store:
        return self._stores(tx, PLACE)
