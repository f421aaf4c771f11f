"""Look up, renew, count and revoke tokens; `token_issuer.py` issues them.

The rules are Vault's (token store, expiration manager), with three stricter deviations: a token
whose parent ended is dead in the same instant, and not when a sweep reaches it; an orphan records
its creator, so that revoking everything of a person reaches it; the record never contains the
token.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.ids import EntityId, TokenAccessor, TokenHash
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.batch_token import is_batch, open_token
from ironkeep.identity.entities import Identity
from ironkeep.identity.leases import Lease, Leases
from ironkeep.identity.lifetimes import SYSTEM, Limits, lifetime
from ironkeep.identity.policies import Policies
from ironkeep.identity.sessions import Sessions
from ironkeep.identity.token_issuer import TokenIssuer
from ironkeep.identity.token_store import SPENT, End, StoredToken, TokenStore, is_mount
from ironkeep.identity.token_view import auth_of, lookup_of
from ironkeep.plugin.token import Session, TokenRecord
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

STEP: Final = 4
"""Tokens removed in one step, some 0.3 ms each; due turns remove the rest, which are dead already.
"""
TIDY_STEP: Final = 32
"""Tokens inspected in one step of `tidy`."""

SPENT_KEPT_NS: Final = 600 * SECOND_NS
"""How long the rows of a token that `spend` ended stay, for the one that lists them."""

Ended = Callable[[Tx, TokenHash, StoredToken], None]
"""Called with each removed token, so that other parts remove what they store under its hash."""


class Tokens:
    """Stores tokens. Methods read and write only the transaction that they are given."""

    def __init__(
        self,
        stores: StoreOf,
        policies: Policies,
        identity: Identity,
        leases: Leases,
        limits: Limits = SYSTEM,
    ) -> None:
        self.limits: Final = limits
        self.store: Final = TokenStore(stores)
        self._identity: Final = identity
        self._leases: Final = leases
        self._sessions: Final = Sessions(self.store, policies, identity)
        self.authenticate: Final = self._sessions.authenticate
        self.session: Final = self._sessions.session
        issuer = TokenIssuer(self.store, policies, identity, leases, self._sessions, limits)
        self.issue: Final = issuer.issue
        self.write: Final = issuer.write
        self.on_ended: Final[list[Ended]] = []
        self._tidying: Iterator[TokenHash] | None = None
        leases.attach(self)

    def forget(self) -> None:
        """Drop sessions and keys from memory, because the vault is being sealed."""
        self._sessions.forget()
        self.store.forget()
        self._tidying = None

    def use(self, tx: Tx, session: Session, now_ns: int) -> None:
        """Count one use of a token with limited uses.

        `tx` must be the transaction whose writes a refusal keeps. Raise PermissionDenied when an
        earlier request of the same batch made the last use.
        """
        record = self.store.load(tx, session.hash)
        if record is None or record.num_uses == SPENT:
            raise PermissionDenied("permission denied")
        if record.num_uses:
            left = record.num_uses - 1 or SPENT
            counted = msgspec.structs.replace(record, num_uses=left)
            due = now_ns if left == SPENT else record.expires_ns
            self.store.save(tx, session.hash, counted, due)

    def find(self, tx: Tx, token: Secret, now_ns: int) -> tuple[TokenHash, StoredToken]:
        """Return hash and record of a live token; raise PermissionDenied ("bad token")."""
        name = self.store.hash_of(tx, token)
        if name is not None:
            record = self._open(tx, name, token)
            if record is not None and self._sessions.is_alive(tx, name, record, now_ns):
                return name, record
        raise PermissionDenied("bad token")

    def find_accessor(
        self, tx: Tx, accessor: str, now_ns: int
    ) -> tuple[TokenHash, StoredToken] | None:
        """Return hash and record of the live token with that accessor, or None."""
        name = self.store.by_accessor(tx, accessor) if accessor else None
        record = None if name is None else self.store.load(tx, name)
        if name is None or record is None:
            return None
        alive = self._sessions.is_alive(tx, name, record, now_ns)
        return (name, record) if alive else None

    def accessors(self, tx: Tx) -> list[TokenAccessor]:
        """Return the accessors of all service tokens that are still stored, sorted."""
        return self.store.accessors(tx)

    def renew(
        self, tx: Tx, token: TokenHash, increment: int, limits: Limits, now_ns: int
    ) -> tuple[StoredToken, list[str]]:
        """Extend a token to end increment seconds from now; return its record with warnings.

        An increment of 0 repeats the last increment, or else the token's own TTL. The limits of the
        role and mount that issued it apply, and `limits` too. Raise InvalidRequest when it cannot
        be renewed.
        """
        record = self.store.load(tx, token)
        if record is None or not record.renewable or not record.expires_ns:
            raise InvalidRequest("lease is not renewable")
        seconds, warnings = lifetime(
            limits,
            issued_ns=record.issued_ns,
            now_ns=now_ns,
            increment=increment,
            ttl=record.renewed_seconds or record.ttl_seconds,
            longest=record.max_ttl_seconds,
            explicit=record.explicit_max_ttl_seconds,
            period=record.period_seconds,
        )
        renewed = msgspec.structs.replace(
            record, expires_ns=now_ns + seconds * SECOND_NS, renewed_ns=now_ns,
            renewed_seconds=seconds if increment else record.renewed_seconds,
        )  # fmt: skip
        self.store.save(tx, token, renewed, renewed.expires_ns)
        return renewed, warnings

    def revoke(self, tx: Tx, token: TokenHash, now_ns: int) -> None:
        """Revoke a token, if it exists, with everything below it and all their leases.

        All of them are dead at once; due turns remove the rows past `STEP`.
        """
        if not self._end_tree(tx, token, now_ns):
            self.store.defer(tx, token, now_ns)

    def spend(self, tx: Tx, token: TokenHash, now_ns: int) -> bool:
        """End a token with everything below it, but keep the rows for a while to be listed.

        Costs the same however much is below it. Return whether there was a token to end.
        """
        record = self.store.load(tx, token)
        if record is None or record.ended:
            return False
        spent = msgspec.structs.replace(record, num_uses=SPENT, ended=True)
        later = now_ns + SPENT_KEPT_NS
        due = min(record.expires_ns, later) if record.expires_ns else later
        self.store.save(tx, token, spent, max(due, now_ns))
        return record.num_uses != SPENT

    def contain(self, tx: Tx, origins: Iterable[str], from_ns: int, now_ns: int) -> None:
        """Make void what goes back to acts of origins since from_ns; a role issues nothing more.

        An earlier containment of one since another time stays in force. If it was not taken back,
        nothing was done since it, so what others wrote again after it stays valid.
        """
        found = {}
        for origin in origins:
            before, ended_ns, since_ns = self.store.end_of(tx, origin), now_ns, from_ns
            if before is not None:
                since_ns = min(from_ns, before.from_ns)
                # A segment is opened again with its shares, which takes nothing back here.
                if before.closed and not is_mount(origin):
                    ended_ns = before.ended_ns
            found[origin] = End(ended_ns, closed=True, from_ns=since_ns)
        self.store.set_ends(tx, found)

    def reach_back(self, tx: Tx, origins: Iterable[str], before_ns: int, from_ns: int) -> None:
        """Let those containments of origins that count since before_ns count since from_ns."""
        found = {origin: self.store.end_of(tx, origin) for origin in origins}
        moved = {
            origin: msgspec.structs.replace(end, from_ns=from_ns)
            for origin, end in found.items()
            if end is not None and end.from_ns == before_ns
        }
        if moved:
            self.store.set_ends(tx, moved)

    def readmit(self, tx: Tx, origin: str) -> None:
        """Take back the containment of an origin: what it does from now on is valid."""
        end = self.store.end_of(tx, origin)
        if end is not None and end.closed:
            self.store.set_ends(tx, {origin: msgspec.structs.replace(end, closed=False)})

    def revoke_orphan(self, tx: Tx, token: TokenHash, now_ns: int) -> None:
        """Revoke a token alone: its children become orphans. Its batch children die with it.

        It is dead at once, and children past `STEP` live on as orphans from now; due turns rewrite
        their rows. What is below a token that has ended already is dead, and must stay so: then
        all of it is revoked.
        """
        record = self.store.load(tx, token)
        if record is None or record.gone:
            return
        if not self._sessions.is_alive(tx, token, record, now_ns):
            self.revoke(tx, token, now_ns)
            return
        if not self._adopt_children(tx, token):
            self._end(tx, token, now_ns)
            return
        record = self.store.load(tx, token)
        if record is not None:
            self.store.leave(tx, token, record, now_ns)

    def revoke_entity_before(
        self, tx: Tx, entity: EntityId, time_ns: int, now_ns: int
    ) -> list[TokenHash]:
        """Revoke all tokens that an entity held or requested up to time_ns, batch tokens too.

        The entity's epoch makes all of them dead at once; due turns remove the rows past `STEP`.
        Return the hashes of the revoked service tokens.
        """
        self._identity.revoke_before(tx, entity, time_ns)
        ended = []
        for name in self.store.owned(tx, entity):
            record = self.store.load(tx, name)
            if record is not None and record.issued_ns <= time_ns:
                ended.append(name)
        for name in ended[:STEP]:
            self.revoke(tx, name, now_ns)
        for name in ended[STEP:]:
            self.store.defer(tx, name, now_ns)
        return ended

    def tidy(self, tx: Tx, now_ns: int) -> int:
        """Schedule the removal of rows of dead tokens; return the count.

        Such tokens were ended by an entity or a containment. After `TIDY_STEP` inspected tokens due
        turns continue, and the count covers this step only.
        """
        self._tidying = self.store.all(tx)
        count, more = self._tidy_step(tx, self._tidying, now_ns)
        if more:
            self.store.go_on(tx, now_ns)
        return count

    def _tidy_step(self, tx: Tx, names: Iterator[TokenHash], now_ns: int) -> tuple[int, bool]:
        """Inspect the next tokens; return how many are dead, and whether there may be more."""
        count = looked_at = 0
        for name in islice(names, TIDY_STEP):
            looked_at += 1
            record = self.store.load(tx, name)
            if record is not None and not self._sessions.is_alive(tx, name, record, now_ns):
                self.store.defer(tx, name, now_ns)
                count += 1
        return count, looked_at == TIDY_STEP

    def due(self, tx: Tx, record: DueRecord, now_ns: int) -> bool:
        """Do one step of a due record of this place; return whether more is left.

        A token is due when it is expired, spent, scheduled for removal, or revoked alone.
        """
        kind, _, name = record.path.partition("/")
        token = TokenHash(name)
        if kind == "tidy":
            if self._tidying is None:
                self._tidying = self.store.all(tx)
            if self._tidy_step(tx, self._tidying, now_ns)[1]:
                return True
            self._tidying = None
            self.store.gone_on(tx, record.path)
        elif kind == "reap":
            if not self._end_tree(tx, token, now_ns):
                return True
            self.store.reaped(tx, token)
        elif kind == "id":
            found = self.store.load(tx, token)
            if found is not None and found.gone:
                if self._adopt_children(tx, token):
                    return True
                self._end(tx, token, now_ns)
            else:
                self.revoke(tx, token, now_ns)
        return False

    def auth(self, tx: Tx, record: StoredToken, token: Secret | None) -> dict[str, Any]:
        """Return the auth field for a token that has just been renewed."""
        return auth_of(
            record, token, self._extra(tx, record), record.expires_ns - record.renewed_ns
        )

    def describe(
        self, tx: Tx, record: TokenRecord, token: Secret | None, now_ns: int
    ) -> dict[str, Any]:
        """Return the data of a lookup; token is None when the lookup was by accessor."""
        return lookup_of(record, token, self._extra(tx, record), now_ns)

    def lives(self, tx: Tx, token: TokenHash, now_ns: int) -> bool:
        """Return whether a service token is alive, with everything above it."""
        record = self.store.load(tx, token)
        return record is not None and self._sessions.is_alive(tx, token, record, now_ns)

    def lease(self, tx: Tx, mark: Lease, now_ns: int) -> Lease | None:
        """Return a token's lease with the token's own times, or None when it is not alive."""
        record = self.store.load(tx, mark.token)
        if record is None or not self._sessions.is_alive(tx, mark.token, record, now_ns):
            return None
        return msgspec.structs.replace(
            mark,
            issued_ns=record.issued_ns,
            expires_ns=record.expires_ns,
            renewed_ns=record.renewed_ns,
            renewable=record.renewable,
            ttl_seconds=record.ttl_seconds,
            entity=record.entity,
        )

    def _extra(self, tx: Tx, record: TokenRecord) -> tuple[str, ...]:
        entity = self._identity.get(tx, record.entity) if record.entity else None
        return () if entity is None else entity.policies

    def _open(self, tx: Tx, name: TokenHash, token: Secret) -> StoredToken | None:
        if not is_batch(token.reveal()):
            return self.store.load(tx, name)
        keys = self.store.keys(tx)
        return None if keys is None else open_token(keys.batch_key, token.reveal())

    def _end_tree(self, tx: Tx, token: TokenHash, now_ns: int) -> bool:
        """Remove a token and the first of its children; return whether that was all."""
        record = self.store.load(tx, token)
        if record is not None and record.gone:
            return True  # its children are orphans, and its own due turns remove it
        self._end(tx, token, now_ns)
        return not self._end_children(tx, token, now_ns)

    def _end_children(self, tx: Tx, token: TokenHash, now_ns: int) -> bool:
        """Remove up to `STEP` children of a token that ended; return whether it has more."""
        children = self.store.children(tx, token, STEP + 1)
        for name in children[:STEP]:
            self._end(tx, name, now_ns)
            if self.store.children(tx, name, 1):
                self.store.defer(tx, name, now_ns)
        return len(children) > STEP

    def _adopt_children(self, tx: Tx, token: TokenHash) -> bool:
        """Make up to `STEP` children of a token orphans; return whether it has more."""
        children = self.store.children(tx, token, STEP + 1)
        for name in children[:STEP]:
            child = self.store.load(tx, name)
            if child is not None:
                self.store.adopt(tx, name, child)
        return len(children) > STEP

    def _end(self, tx: Tx, name: TokenHash, now_ns: int) -> None:
        """Remove one token's rows and revoke its leases."""
        record = self.store.load(tx, name)
        if record is None:
            return
        self.store.remove(tx, name, record)
        if record.expires_ns:
            self._leases.unmark_token(tx, record.path, name)
        for ended in self.on_ended:
            ended(tx, name, record)
        self._leases.end_token(tx, name, now_ns)
