"""The rows of service tokens, and the keyed hash under which a token is known.

    sys/tokens : keys                 -> the hash key and the key of batch tokens
                 id / hash            -> the record, due at its expiry
                 accessor / accessor  -> hash
                 child / parent hash / hash
                 owner / entity / hash
                 reap / hash          -> still to be removed, due at once
                 tidy / 0             -> `tidy` is not finished, due at once
                 session / accessor, role / mount accessor / name, device / id, mount / accessor
                                      -> the containment of this origin
                 ends                 -> from when to when anything was contained

The token itself is stored nowhere: reading every record reveals no token, and guesses cannot be
tested without the hash key. Removing a token's row ends the token and, because each session is
checked along its parents, everything below it in the same instant; the rows below are removed in
bounded steps.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol, cast

import msgspec

from ironkeep.core.ids import DeviceId, EntityId, MountAccessor, TokenAccessor, TokenHash
from ironkeep.core.ports import Entropy, Row
from ironkeep.core.secret import Secret
from ironkeep.plugin.token import Origin, TokenRecord
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec
from ironkeep.store.reserved import TOKENS, StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

KEY_BYTES: Final = 32
HASH_BYTES: Final = 32
SPENT: Final = -1
"""The `num_uses` of a token whose last use has begun: it no longer authenticates requests."""

MAX_SPANS: Final = 64
"""Spans of containments kept apart; of more, the oldest two count as one."""
LOST: Final = ""
"""The origin that stands for all that were left out of a full list, at their latest act."""

ACCESSORS: Final = "accessor"
"""The folder with the accessors of all service tokens."""
_ORIGINS: Final = ("session", "role", "device", "mount")
_KEYS: Final = "keys"
_ALL_ENDS: Final = "ends"
_PERSON: Final = b"ironkeep-tokn-v1"


class StoredToken(TokenRecord, frozen=True, omit_defaults=True):
    """A token's record with the fields that only this room needs.

    `max_ttl_seconds` is the role's limit on renewals. `creator` is the person who requested the
    token: an orphan without an entity of its own still ends when its creator's tokens are revoked.
    `makers` are the creator's creators and the people who handed out the login's credential;
    `set_up` are the people who wrote the roles that it was issued by, and `origins` the sessions,
    roles, devices and mounts behind it (identity/people.py). Older rows have none of these. `gone`
    marks a token that was revoked alone: it is dead, its children are orphans, and those rows are
    being rewritten. `ended` marks one that `Tokens.spend` ended: unlike the request that makes a
    token's last use, none of its requests under way may go on. `renewed_seconds` is the duration
    granted by the last renewal with an increment, 0 for none.
    """

    max_ttl_seconds: int = 0
    creator: EntityId = EntityId("")
    renewed_seconds: int = 0
    makers: tuple[EntityId, ...] = ()
    set_up: tuple[EntityId, ...] = ()
    origins: tuple[Origin, ...] = ()
    gone: bool = False
    ended: bool = False

    @property
    def holders(self) -> tuple[EntityId, ...]:
        """The people who have had the token in their hands: its own first, then its makers."""
        found = dict.fromkeys((self.entity, self.creator, *self.makers))
        found.pop(EntityId(""), None)
        return tuple(found)

    @property
    def people(self) -> tuple[EntityId, ...]:
        """The people behind the token according to its own row, without those of its parents."""
        return tuple(dict.fromkeys((*self.holders, *self.set_up)))


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """The containment of a session, role, device or mount; times are POSIX nanoseconds.

    It may have been in wrong hands since `from_ns`, and was ended at `ended_ns`. What it did in
    between is void. `closed` is whether it still is contained: a role then issues nothing.
    """

    ended_ns: int
    closed: bool
    from_ns: int = 0


class _Span(msgspec.Struct, frozen=True):
    """The time between the earliest compromise of something and its containment."""

    from_ns: int
    ended_ns: int


class Ends(msgspec.Struct, frozen=True, omit_defaults=True):
    """All spans, without those that lie inside another, in the order in which they ended."""

    spans: tuple[_Span, ...] = ()

    def with_span(self, from_ns: int, ended_ns: int) -> "Ends":
        """Return these spans with another one."""
        if self.is_ended(from_ns, ended_ns):
            return self
        kept = [one for one in self.spans if one.from_ns < from_ns or one.ended_ns > ended_ns]
        kept = sorted((*kept, _Span(from_ns, ended_ns)), key=lambda one: one.ended_ns)
        if len(kept) > MAX_SPANS:
            kept[:2] = [_Span(min(kept[0].from_ns, kept[1].from_ns), kept[1].ended_ns)]
        return Ends(tuple(kept))

    def is_ended(self, acted_ns: int, at_ns: int) -> bool:
        """Return whether an act could be one of those that a containment made void."""
        return any(each.from_ns <= acted_ns and at_ns <= each.ended_ns for each in self.spans)


class Keys(msgspec.Struct, frozen=True):
    """The keys of this place, which never leave the barrier."""

    hash_key: bytes
    batch_key: bytes

    def __repr__(self) -> str:
        return "Keys(…)"


class Hasher(Protocol):
    """The part of a hashlib object that hashing a token needs."""

    def copy(self) -> "Hasher":
        """Return an independent copy."""
        ...

    def update(self, data: bytes, /) -> None:
        """Add data to the hash."""
        ...

    def digest(self) -> bytes:
        """Return the digest of all data added so far."""
        ...


_RECORD: Final = Codec(StoredToken)
_KEYS_CODEC: Final = Codec(Keys)
_END: Final = Codec(End)
_ENDS: Final = Codec(Ends)


class TokenStore:
    """Reads and writes token rows and their indexes, without applying any rules."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores
        self._keys: tuple[Row | None, Keys | None, Hasher | None] = (None, None, None)

    def keys(self, tx: Tx) -> Keys | None:
        """Return the keys, or None before the first token was issued."""
        row = self._of(tx).row(_KEYS)
        if row is None:
            return None
        if self._keys[0] is not row:
            keys = _KEYS_CODEC.decode(self._of(tx).get(_KEYS) or b"")
            hasher = hashlib.blake2b(digest_size=HASH_BYTES, key=keys.hash_key, person=_PERSON)
            self._keys = (row, keys, cast("Hasher", hasher))
        return self._keys[1]

    def make_keys(self, tx: Tx, entropy: Entropy) -> Keys:
        """Return the keys, and create them if there are none."""
        known = self.keys(tx)
        if known is None:
            known = Keys(entropy.token(KEY_BYTES), entropy.token(KEY_BYTES))
            self._of(tx).put(_KEYS, _KEYS_CODEC.encode(known))
        return known

    def hasher(self, tx: Tx) -> Hasher | None:
        """Return a keyed hasher to copy, or None before the first token was issued."""
        return None if self.keys(tx) is None else self._keys[2]

    def hash_of(self, tx: Tx, token: Secret) -> TokenHash | None:
        """Return the hash under which token would be known, or None before the first was issued."""
        hasher = self.hasher(tx)
        if hasher is None:
            return None
        fresh = hasher.copy()
        fresh.update(token.reveal())
        return TokenHash(fresh.digest().hex())

    def forget(self) -> None:
        """Drop the keys from memory: the vault is being sealed."""
        self._keys = (None, None, None)

    def find(self, tx: Tx, token: TokenHash) -> tuple[bytes, Row | None, StoredToken | None]:
        """Return (row key, row, record) of a token, whether or not it is alive."""
        store = self._of(tx)
        key = store.key_of(f"id/{token}")
        row = tx.get(key)
        return key, row, None if row is None else _RECORD.decode(store.open_row(key, row))

    def load(self, tx: Tx, token: TokenHash) -> StoredToken | None:
        """Return the record of a token, whether or not it is alive."""
        return self.find(tx, token)[2]

    def add(self, tx: Tx, token: TokenHash, record: StoredToken) -> None:
        """Write a new token with its indexes."""
        store = self._of(tx)
        self.save(tx, token, record, record.expires_ns)
        store.put(f"accessor/{record.accessor}", token.encode())
        if record.parent:
            store.put(f"child/{record.parent}/{token}", b"")
        for owner in record.holders:
            store.put(f"owner/{escape_part(owner)}/{token}", b"")

    def save(self, tx: Tx, token: TokenHash, record: StoredToken, due_ns: int) -> None:
        """Write the changed record of a token, due for the tick at due_ns (0 for never)."""
        self._of(tx).put(f"id/{token}", _RECORD.encode(record), due_ns or None)

    def remove(self, tx: Tx, token: TokenHash, record: StoredToken) -> None:
        """Remove a token and its index entries, except those of its children."""
        store = self._of(tx)
        store.delete(f"id/{token}")
        store.delete(f"accessor/{record.accessor}")
        if record.parent:
            store.delete(f"child/{record.parent}/{token}")
        for owner in record.holders:
            store.delete(f"owner/{escape_part(owner)}/{token}")

    def adopt(self, tx: Tx, token: TokenHash, record: StoredToken) -> None:
        """Make a child an orphan."""
        self._of(tx).delete(f"child/{record.parent}/{token}")
        orphan = msgspec.structs.replace(record, parent=TokenHash(""), orphan=True)
        self.save(tx, token, orphan, orphan.expires_ns)

    def leave(self, tx: Tx, token: TokenHash, record: StoredToken, now_ns: int) -> None:
        """Mark a token as revoked alone, due now, and take it out of its parent's children."""
        if record.parent:
            self._of(tx).delete(f"child/{record.parent}/{token}")
        self.save(tx, token, msgspec.structs.replace(record, gone=True), now_ns)

    def children(self, tx: Tx, token: TokenHash, limit: int) -> list[TokenHash]:
        """Return the hashes of a token's children, at most limit of them."""
        return [TokenHash(name) for name in self._of(tx).list(f"child/{token}", limit)]

    def each_child(self, tx: Tx, token: TokenHash) -> Iterator[TokenHash]:
        """Yield the hashes of a token's children, in no order; work in turns can suspend it."""
        return map(TokenHash, self._of(tx).names_inside(f"child/{token}"))

    def all(self, tx: Tx) -> Iterator[TokenHash]:
        """Yield the hashes of all service tokens that are stored, in the order of their rows."""
        return (TokenHash(path.removeprefix("id/")) for path in self._of(tx).walk("id"))

    def owned(self, tx: Tx, entity: EntityId) -> Iterator[TokenHash]:
        """Yield the hashes of the service tokens of which entity is a holder, in no order.

        These are its own tokens, and those that it handed out directly or through others. Work in
        turns can suspend it.
        """
        return map(TokenHash, self._of(tx).names_inside(f"owner/{escape_part(entity)}"))

    def accessors(self, tx: Tx) -> list[TokenAccessor]:
        """Return the accessors of all tokens, sorted; raise TooLarge when there are too many."""
        return [TokenAccessor(name) for name in self._of(tx).names(ACCESSORS)]

    def by_accessor(self, tx: Tx, accessor: str) -> TokenHash | None:
        """Return the hash of the token with that accessor, or None."""
        raw = self._of(tx).get(f"accessor/{escape_part(accessor)}")
        return None if raw is None else TokenHash(raw.decode())

    def defer(self, tx: Tx, token: TokenHash, now_ns: int) -> None:
        """Schedule the removal of a dead token's rows for the tick."""
        self._of(tx).put(f"reap/{token}", b"", now_ns)

    def reaped(self, tx: Tx, token: TokenHash) -> None:
        """Remove the row that `defer` wrote."""
        self._of(tx).delete(f"reap/{token}")

    def go_on(self, tx: Tx, now_ns: int) -> None:
        """Schedule due turns to go on looking for dead tokens."""
        self._of(tx).put("tidy/0", b"", now_ns)

    def gone_on(self, tx: Tx, path: str) -> None:
        """Remove the row that `go_on` wrote."""
        self._of(tx).delete(path)

    def ends(self, tx: Tx) -> tuple[bytes, Row | None, Ends]:
        """Return (row key, row, spans) of all containments; the row changes with each of them."""
        store = self._of(tx)
        key = store.key_of(_ALL_ENDS)
        row = tx.get(key)
        return key, row, Ends() if row is None else _ENDS.decode(store.open_row(key, row))

    def end_of(self, tx: Tx, origin: str) -> End | None:
        """Return the containment of an origin, or None if it was never contained."""
        raw = self._of(tx).get(_end_path(origin))
        return None if raw is None else _END.decode(raw)

    def set_ends(self, tx: Tx, ended: Mapping[str, End]) -> None:
        """Write the containments of origins, or the ends of these."""
        ends = self.ends(tx)[2]
        for origin, end in ended.items():
            self._of(tx).put(_end_path(origin), _END.encode(end))
            ends = ends.with_span(end.from_ns, end.ended_ns)
        self._of(tx).put(_ALL_ENDS, _ENDS.encode(ends))

    def ended(self, tx: Tx) -> list[str]:
        """Return all origins that were ever contained."""
        store = self._of(tx)
        return [unescape_part(path) for kind in _ORIGINS for path in store.walk(kind)]

    def is_ended(
        self, tx: Tx, origins: Iterable[Origin], at_ns: int, *, closed: bool = False
    ) -> bool:
        """Return whether something made at at_ns goes back to an act that a containment made void.

        With `closed`, containments that have been taken back do not count.
        """
        row, ends = self.ends(tx)[1:]
        if row is None:
            return False
        for name, acted_ns in origins:
            if not ends.is_ended(acted_ns, at_ns):
                continue
            end = self.end_of(tx, name) if name != LOST else End(at_ns, closed=True)
            if end is None or (closed and not end.closed):
                continue
            if end.from_ns <= acted_ns and at_ns <= end.ended_ns:
                return True
        return False

    def _of(self, tx: Tx) -> Store:
        return self._stores(tx, TOKENS)


def session_origin(accessor: str) -> str:
    """Return the name of a session as an origin."""
    return f"session/{accessor}"


def person_origin(person: EntityId) -> str:
    """Return the name of a person as an origin, for what their batch tokens do."""
    return f"person/{person}"


def role_origin(mount: MountAccessor, role: str) -> str:
    """Return the name of a role as an origin."""
    return f"role/{mount}/{role}"


def device_origin(device: DeviceId) -> str:
    """Return the name of a device as an origin."""
    return f"device/{device}"


def mount_origin(mount: MountAccessor) -> str:
    """Return the name of an auth method's mount as an origin."""
    return f"mount/{mount}"


def is_mount(origin: str) -> bool:
    """Return whether an origin is a mount."""
    return origin.startswith("mount/")


def origins_of(record: TokenRecord) -> tuple[str, ...]:
    """Return the names under which what a token does is void once one of them is contained."""
    found = [session_origin(record.accessor)] if record.accessor else []
    # A batch token has no accessor by which its own session could be told from others.
    found += [person_origin(record.entity)] if record.entity and not record.accessor else []
    found += [mount_origin(record.mount)] if record.mount else []
    found += [role_origin(record.mount, record.role)] if record.role else []
    found += [device_origin(record.device)] if record.device else []
    return tuple(found)


def _end_path(origin: str) -> str:
    # Only the last part, the name of a role, can contain a slash.
    return "/".join(escape_part(part) for part in origin.split("/", 2))
