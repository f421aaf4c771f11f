"""Authentication: from a token to a session, the hot path of every request.

A session is derived once and cached with the rows that it depends on: those of the token, its
parents, its people and policies, and that of all containments. It is valid while each of these rows
is the same object. They are looked up again whenever a watched row has changed (`State.edition`);
time and address are checked on every call.

A token is alive when it and each of its parents (1) has its row, or is a batch token made with our
key; (2) is not expired; (3) was issued after the revocation epochs of its holders, the people who
had it in their hands; (4) has only holders that exist and are not disabled; (5) was issued after
the last containment of every other person, and of every session, role and device, behind it; (6)
has uses left. It may be used only from addresses that its own ranges and those of each parent
allow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from ironkeep.core.errors import PermissionDenied
from ironkeep.core.ids import EntityId, TokenHash
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.policy.template import TemplateContext
from ironkeep.core.ports import Row
from ironkeep.core.secret import Secret
from ironkeep.identity.batch_token import is_batch, open_token
from ironkeep.identity.entities import Entity, Identity
from ironkeep.identity.lifetimes import is_granted
from ironkeep.identity.people import joined
from ironkeep.identity.policies import Policies
from ironkeep.identity.token_store import (
    SPENT,
    Hasher,
    StoredToken,
    TokenStore,
    origins_of,
    role_origin,
)
from ironkeep.plugin.cidr import Network, inside, parse_cidrs
from ironkeep.plugin.token import Origin, Session
from ironkeep.store.state import Tx

MAX_TOKEN: Final = 4_096
"""Characters; no token of ours is longer."""
MAX_ANCESTORS: Final = 64
"""Generations above a token: each costs a look-up whenever a watched row has changed."""
MAX_SESSIONS: Final = 65_536
"""Cached in memory, about 2 KB each; the oldest are dropped when the cache is full."""
DROPPED: Final = 256
"""Sessions dropped at once: half of them would hold up the loop."""

_NEVER: Final = 1 << 63
_NO_TEMPLATES: Final = TemplateContext()


@dataclass(slots=True)
class _Derived:
    """A session, the rows it depends on, and the edition in which they were checked."""

    session: Session
    expires_ns: int
    rows: tuple[tuple[bytes, Row | None], ...]
    networks: tuple[tuple[Network, ...], ...]
    edition: int = 0

    def holds(self, tx: Tx) -> bool:
        """Return whether every row is still the same object."""
        edition = tx.edition()
        # It is 0 in a transaction with writes of its own, which may change these rows.
        if edition and edition == self.edition:
            return True
        for key, row in self.rows:
            if tx.get(key) is not row:
                return False
        tx.watch(key for key, _ in self.rows)
        self.edition = tx.edition()
        return True

    def is_inside(self, remote: str) -> bool:
        """Return whether an address is in each list of ranges that the session is bound to."""
        return all(inside(remote, each) for each in self.networks)


@dataclass(slots=True)
class _Life:
    """The facts collected from a token up to its oldest parent; `holders` in the order met."""

    rows: dict[bytes, Row | None]
    expires_ns: int
    granted_ns: int = 0
    networks: dict[tuple[str, ...], None] = field(default_factory=dict)
    holders: dict[EntityId, None] = field(default_factory=dict)
    people: set[EntityId] = field(default_factory=set)
    origins: list[Iterable[Origin]] = field(default_factory=list)


class Sessions:
    """Authenticates tokens."""

    def __init__(self, tokens: TokenStore, policies: Policies, identity: Identity) -> None:
        self._tokens: Final = tokens
        self._policies: Final = policies
        self._identity: Final = identity
        self._known: dict[bytes, _Derived] = {}
        self._hasher: Hasher | None = None

    def authenticate(
        self, tx: Tx, token: Secret, now_ns: int, remote: str, *, resuming: bool = False
    ) -> Session:
        """Return the session of token; remote is the caller's address, with or without a port.

        `resuming` accepts a token whose last use is being made, in the request that makes it. Raise
        PermissionDenied without a reason: unknown, expired and revoked tokens, and tokens bound to
        other addresses, look alike.
        """
        hasher = self._hasher
        if hasher is not None:
            fresh = hasher.copy()
            fresh.update(token.reveal())
            known = self._known.get(fresh.digest())
            if (
                known is not None
                and known.holds(tx)
                and now_ns < known.expires_ns
                and (not known.networks or known.is_inside(remote))
            ):
                return known.session
        return self._derive(tx, token, now_ns, remote, resuming=resuming)

    def forget(self) -> None:
        """Drop all sessions, because the vault is being sealed."""
        self._known.clear()
        self._hasher = None

    def is_alive(self, tx: Tx, token: TokenHash, record: StoredToken, now_ns: int) -> bool:
        """Return whether a token whose row was found is alive, with everything above it."""
        try:
            self._check_life(tx, token, record, now_ns, resuming=False)
        except PermissionDenied:
            return False
        return True

    def session(self, tx: Tx, token: TokenHash, record: StoredToken, now_ns: int) -> Session:
        """Return the session of a token whose row was found, ignoring bound addresses.

        Raise PermissionDenied when the token is not alive.
        """
        life = self._check_life(tx, token, record, now_ns, resuming=False)
        return self._build(tx, token, record, life).session

    def depth(self, tx: Tx, record: StoredToken) -> int:
        """Return the number of generations above a token."""
        count = 0
        while record.parent and count <= MAX_ANCESTORS:
            above = self._tokens.load(tx, record.parent)
            if above is None:
                break
            record, count = above, count + 1
        return count

    def _derive(
        self, tx: Tx, token: Secret, now_ns: int, remote: str, *, resuming: bool
    ) -> Session:
        if len(token) > MAX_TOKEN:
            raise _refused()
        self._hasher = self._tokens.hasher(tx)
        name = self._tokens.hash_of(tx, token)
        if name is None:
            raise _refused()
        digest = bytes.fromhex(name)
        known = self._known.pop(digest, None)
        if known is None or not known.holds(tx):
            record = self._record(tx, name, token)
            life = self._check_life(tx, name, record, now_ns, resuming=resuming)
            known = self._build(tx, name, record, life)
        if now_ns >= known.expires_ns:
            raise _refused()
        if not known.is_inside(remote):
            raise _refused()
        if known.session.record.num_uses != SPENT:
            self._keep(digest, known)
        return known.session

    def _keep(self, digest: bytes, known: _Derived) -> None:
        if len(self._known) >= MAX_SESSIONS:
            for old in list(islice(self._known, DROPPED)):
                del self._known[old]
        self._known[digest] = known

    def _record(self, tx: Tx, name: TokenHash, token: Secret) -> StoredToken:
        if is_batch(token.reveal()):
            keys = self._tokens.keys(tx)
            record = None if keys is None else open_token(keys.batch_key, token.reveal())
        else:
            record = self._tokens.load(tx, name)
        if record is None:
            raise _refused()
        return record

    def _check_life(
        self, tx: Tx, name: TokenHash, record: StoredToken, now_ns: int, *, resuming: bool
    ) -> _Life:
        key, row, _ = self._tokens.ends(tx)
        life = _Life({key: row}, _NEVER)
        if record.type == "service":
            key, row, _ = self._tokens.find(tx, name)
            life.rows[key] = row
        if record.ended or (record.num_uses == SPENT and not resuming):
            raise _refused()
        self._check_one(tx, record, life)
        above, generations = record, 0
        while above.parent:
            key, row, found = self._tokens.find(tx, above.parent)
            generations += 1
            if found is None or found.num_uses == SPENT or generations > MAX_ANCESTORS:
                raise _refused()
            life.rows[key] = row
            if found.gone and above.type == "service":
                break  # revoked alone: its service children are orphans, its batch children dead
            self._check_one(tx, found, life)
            # Older rows do not record the tokens above them.
            life.origins.append([(name, above.issued_ns) for name in origins_of(found)])
            above = found
        if now_ns >= life.expires_ns or not is_granted(life.granted_ns, now_ns=now_ns):
            raise _refused()
        return life

    def _check_one(self, tx: Tx, record: StoredToken, life: _Life) -> None:
        """Check one token of the chain against its people's epochs; add it to life."""
        if record.gone:
            raise _refused()
        if record.expires_ns:
            life.expires_ns = min(life.expires_ns, record.expires_ns)
            life.granted_ns = max(life.granted_ns, record.issued_ns, record.renewed_ns)
        if record.bound_cidrs:
            life.networks[record.bound_cidrs] = None
        for holder in record.holders:
            entity = self._look_up(tx, holder, life)
            if entity is None or entity.disabled or entity.deleted_ns:
                raise _refused()
            if record.issued_ns <= entity.revoked_ns:
                raise _refused()
        self._check_makers(tx, record, life)
        life.holders.update(dict.fromkeys(record.holders))
        life.people.update(record.people)
        life.origins.append(record.origins)

    def _check_makers(self, tx: Tx, record: StoredToken, life: _Life) -> None:
        """Check that nothing behind a token, its role included, was contained since."""
        for person in record.set_up:
            entity = self._look_up(tx, person, life)
            if entity is not None and record.issued_ns <= entity.contained_ns:
                raise _refused()
        if self._tokens.is_ended(tx, record.origins, record.issued_ns):
            raise _refused()
        if record.role:
            end = self._tokens.end_of(tx, role_origin(record.mount, record.role))
            if end is not None and record.issued_ns <= end.ended_ns:
                raise _refused()

    def _look_up(self, tx: Tx, person: EntityId, life: _Life) -> Entity | None:
        key, row, entity = self._identity.stored(tx, person)
        life.rows[key] = row
        return entity

    def _build(self, tx: Tx, name: TokenHash, record: StoredToken, life: _Life) -> _Derived:
        templates, holder, extra = _NO_TEMPLATES, None, tuple[str, ...]()
        if record.entity:
            _, holder, entity = self._identity.stored(tx, record.entity)
            if entity is None:
                raise _refused()
            templates, extra = entity.templates, entity.policies
        root = ROOT_POLICY_NAME in record.policies
        if root:
            extra = ()
        names = tuple(sorted({*record.policies, *extra}))
        compiled = self._policies.acl(tx, names, templates, holder)
        session = Session(
            name,
            record,
            record.display_name,
            names,
            extra,
            compiled.acl,
            root,
            compiled.verdicts,
            frozenset(life.people),
            tuple(life.holders),
            joined(*life.origins),
        )
        rows = (*life.rows.items(), *compiled.rows)
        networks = tuple(parse_cidrs(each) for each in life.networks)
        return _Derived(session, life.expires_ns, rows, networks)


def _refused() -> PermissionDenied:
    return PermissionDenied("permission denied")
