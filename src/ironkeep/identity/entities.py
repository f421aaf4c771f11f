"""Entities and their aliases: the people and machines behind tokens, across all auth methods.

    sys/identity : entity / id          -> the entity with its aliases
                   name / lower name    -> its id
                   alias / mount / name -> its id

A login names an alias at its mount; the first login creates the entity. A deleted entity leaves its
record as a tombstone, because its revocation epoch must outlive it: tokens issued to it may still
exist. Source: Vault, "Identity: entities and aliases"; the limits on metadata are Vault's.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.ids import EntityId, MountAccessor, base62, uuid
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.policy.template import Subject, TemplateContext
from ironkeep.core.ports import Entropy, Row
from ironkeep.core.text.spelling import folded
from ironkeep.core.text.visible import is_text
from ironkeep.identity.policies import normalise_name, normalise_names
from ironkeep.store.barrier import Store
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import IDENTITY, StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

MAX_METADATA: Final = 64
MAX_METADATA_KEY: Final = 128
MAX_METADATA_VALUE: Final = 512
MAX_NAME: Final = 512
"""Characters of an entity's or an alias's name: mail addresses and subject names fit."""
MAX_HANDS: Final = 256
"""Latest entries kept in an entity's `hands`: they are part of its record, and read with it."""
MAX_ALIASES: Final = 256
"""Aliases of one entity: they are part of its record."""
KIND: Final = "entity"
"""The kind under which the history records entities."""

_NO_TEMPLATES: Final = TemplateContext()


class Alias(msgspec.Struct, frozen=True, omit_defaults=True):
    """One name of an entity at one mount. Times are POSIX nanoseconds."""

    id: str
    mount: MountAccessor
    name: str
    created_ns: int
    updated_ns: int
    metadata: dict[str, str] = {}


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person or machine. Times are POSIX nanoseconds.

    The entity's tokens that were issued at or before `revoked_ns` are dead. So are other people's
    tokens that were issued at or before `contained_ns` through something this entity had set up,
    such as a role. `hands` are the other people who ever stood behind a token of the entity
    (identity/people.py).
    """

    id: EntityId
    name: str
    created_ns: int
    updated_ns: int
    aliases: tuple[Alias, ...] = ()
    metadata: dict[str, str] = {}
    policies: tuple[str, ...] = ()
    disabled: bool = False
    revoked_ns: int = 0
    deleted_ns: int = 0
    contained_ns: int = 0
    hands: tuple[EntityId, ...] = ()

    @property
    def templates(self) -> TemplateContext:
        """The values that policy templates may use of the entity."""
        aliases: dict[str, Subject] = {
            alias.mount: Subject(alias.id, alias.name, alias.metadata) for alias in self.aliases
        }
        return TemplateContext(Subject(self.id, self.name, self.metadata), aliases)


_ENTITY: Final = Codec(Entity)


class Identity:
    """Stores entities and records their history."""

    def __init__(self, stores: StoreOf, history: History) -> None:
        self._stores: Final = stores
        self._history: Final = history

    def login(
        self,
        tx: Tx,
        mount: MountAccessor,
        alias: str,
        metadata: Mapping[str, str],
        now_ns: int,
        entropy: Entropy,
        people: Collection[EntityId] = (),
    ) -> Entity:
        """Return the entity that alias at mount belongs to; the first login creates it.

        `people` are the other people behind the login: the entity records them. Raise
        PermissionDenied when it is disabled.
        """
        entity = self.by_alias(tx, mount, alias)
        if entity is None:
            made = Alias(uuid(entropy.token(16)), mount, alias, now_ns, now_ns, dict(metadata))
            entity = self.create(tx, now_ns, entropy, aliases=(made,))
        if entity.disabled:
            raise PermissionDenied("permission denied")
        known = next(item for item in entity.aliases if (item.mount, item.name) == (mount, alias))
        hands = tuple(dict.fromkeys((*entity.hands, *sorted(set(people) - {entity.id}))))
        hands = hands[-MAX_HANDS:]
        if known.metadata == metadata and hands == entity.hands:
            return entity
        fresh = known
        if known.metadata != metadata:
            fresh = msgspec.structs.replace(known, metadata=dict(metadata), updated_ns=now_ns)
        aliases = tuple(fresh if item is known else item for item in entity.aliases)
        changed = msgspec.structs.replace(entity, aliases=aliases, hands=hands)
        return self._save(tx, changed, now_ns)

    def create(
        self,
        tx: Tx,
        now_ns: int,
        entropy: Entropy,
        *,
        name: str = "",
        aliases: tuple[Alias, ...] = (),
        metadata: Mapping[str, str] | None = None,
        policies: tuple[str, ...] = (),
        disabled: bool = False,
    ) -> Entity:
        """Create an entity; an empty name is generated. Raise Conflict when the name is taken."""
        name = name or f"entity_{base62(entropy.token(16), 8).lower()}"
        entity = Entity(
            EntityId(uuid(entropy.token(16))),
            name,
            now_ns,
            now_ns,
            aliases,
            dict(metadata or {}),
            normalise_names(policies, add_default=False),
            disabled,
        )
        store = self._stores(tx, IDENTITY)
        if store.row(_by_name(name)) is not None:
            raise Conflict("an entity of that name exists already")
        store.put(_by_name(name), entity.id.encode())
        for alias in aliases:
            self._claim(store, alias, entity.id)
        return self._save(tx, entity, now_ns)

    def update(self, tx: Tx, entity: Entity, now_ns: int) -> Entity:
        """Replace an entity's name, metadata, policies, aliases and `disabled` flag.

        `revoked_ns` and `contained_ns` never go back. Raise NotFound when the entity is gone,
        Conflict on a taken name.
        """
        before = self.get(tx, entity.id)
        if before is None:
            raise NotFound("no entity of that id")
        store = self._stores(tx, IDENTITY)
        if folded(entity.name) != folded(before.name):
            if store.row(_by_name(entity.name)) is not None:
                raise Conflict("an entity of that name exists already")
            store.delete(_by_name(before.name))
            store.put(_by_name(entity.name), entity.id.encode())
        kept = {(alias.mount, alias.name) for alias in entity.aliases}
        for alias in before.aliases:
            if (alias.mount, alias.name) not in kept:
                store.delete(_by_alias(alias.mount, alias.name))
        for alias in entity.aliases:
            self._claim(store, alias, entity.id)
        revoked = max(entity.revoked_ns, before.revoked_ns)
        policies = normalise_names(entity.policies, add_default=False)
        contained = max(entity.contained_ns, before.contained_ns)
        changed = msgspec.structs.replace(
            entity, revoked_ns=revoked, contained_ns=contained, policies=policies
        )
        return self._save(tx, changed, now_ns)

    def delete(self, tx: Tx, entity: EntityId, now_ns: int) -> None:
        """Remove an entity, if it exists: its tokens are dead from now on."""
        known = self.get(tx, entity)
        if known is None:
            return
        store = self._stores(tx, IDENTITY)
        store.delete(_by_name(known.name))
        for alias in known.aliases:
            store.delete(_by_alias(alias.mount, alias.name))
        gone = msgspec.structs.replace(known, deleted_ns=now_ns, updated_ns=now_ns)
        store.put(_by_id(entity), _ENTITY.encode(gone))
        self._history.record(tx, KIND, entity, b"", now_ns)

    def revoke_before(self, tx: Tx, entity: EntityId, time_ns: int) -> None:
        """Set the epoch: every token of entity issued at or before time_ns is dead from now on.

        A deleted entity accepts an epoch too. Raise NotFound for an entity that never existed.
        """
        raw = self._stores(tx, IDENTITY).get(_by_id(entity))
        if raw is None:
            raise NotFound("no entity of that id")
        known = _ENTITY.decode(raw)
        if time_ns > known.revoked_ns:
            changed = msgspec.structs.replace(known, revoked_ns=time_ns)
            self._stores(tx, IDENTITY).put(_by_id(entity), _ENTITY.encode(changed))

    def get(self, tx: Tx, entity: EntityId) -> Entity | None:
        """Return an entity, or None."""
        found = self.stored(tx, entity)[2]
        return None if found is None or found.deleted_ns else found

    def stored(self, tx: Tx, entity: EntityId) -> tuple[bytes, Row | None, Entity | None]:
        """Return (row key, row, entity), tombstones included, to derive cached values from."""
        store = self._stores(tx, IDENTITY)
        key = store.key_of(_by_id(entity))
        row = tx.get(key)
        return key, row, None if row is None else _ENTITY.decode(store.open_row(key, row))

    def by_name(self, tx: Tx, name: str) -> Entity | None:
        """Return the entity of that name, ignoring case, or None."""
        return self._follow(tx, _by_name(name))

    def by_alias(self, tx: Tx, mount: MountAccessor, alias: str) -> Entity | None:
        """Return the entity that alias at mount belongs to, or None."""
        return self._follow(tx, _by_alias(mount, alias))

    def ids(self, tx: Tx) -> list[EntityId]:
        """Return the ids of all entities, sorted."""
        store = self._stores(tx, IDENTITY)
        names = store.list("name")
        found = (store.get(f"name/{name}") for name in names)
        return sorted(EntityId(raw.decode()) for raw in found if raw is not None)

    def names(self, tx: Tx) -> list[str]:
        """Return the names of all entities, lower-cased and sorted."""
        return sorted(unescape_part(name) for name in self._stores(tx, IDENTITY).list("name"))

    def at(self, tx: Tx, entity: EntityId, time_ns: int) -> Entity | None:
        """Return the entity as it was at time_ns, or None if it did not exist then."""
        raw = self._history.at(tx, KIND, entity, time_ns)
        return None if raw is None else _ENTITY.decode(raw)

    def _follow(self, tx: Tx, path: str) -> Entity | None:
        raw = self._stores(tx, IDENTITY).get(path)
        return None if raw is None else self.get(tx, EntityId(raw.decode()))

    def _claim(self, store: Store, alias: Alias, entity: EntityId) -> None:
        path = _by_alias(alias.mount, alias.name)
        owner = store.get(path)
        if owner is None:
            store.put(path, entity.encode())
        elif owner != entity.encode():
            raise Conflict("that alias belongs to another entity")

    def _save(self, tx: Tx, entity: Entity, now_ns: int) -> Entity:
        _check(entity)
        saved = msgspec.structs.replace(entity, updated_ns=now_ns)
        raw = _ENTITY.encode(saved)
        self._stores(tx, IDENTITY).put(_by_id(entity.id), raw)
        self._history.record(tx, KIND, entity.id, raw, now_ns)
        return saved


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise InvalidRequest when metadata exceeds Vault's limits or is not valid text."""
    if len(metadata) > MAX_METADATA:
        raise InvalidRequest(f"metadata holds at most {MAX_METADATA} pairs")
    for key, value in metadata.items():
        if not (is_text(key) and is_text(value)):
            raise InvalidRequest("metadata contains an unpaired surrogate, which is invalid text")
        if not key or len(key) > MAX_METADATA_KEY or len(value) > MAX_METADATA_VALUE:
            raise InvalidRequest(
                f"a metadata key has 1 to {MAX_METADATA_KEY} characters, "
                f"its value at most {MAX_METADATA_VALUE}"
            )


def _check(entity: Entity) -> None:
    names = [entity.name, *(alias.name for alias in entity.aliases)]
    if any(not 1 <= len(name) <= MAX_NAME or not name.isprintable() for name in names):
        raise InvalidRequest(f"a name has 1 to {MAX_NAME} printable characters")
    if len(entity.aliases) > MAX_ALIASES:
        raise InvalidRequest(f"an entity has at most {MAX_ALIASES} aliases")
    check_metadata(entity.metadata)
    for alias in entity.aliases:
        check_metadata(alias.metadata)
    for policy in entity.policies:
        normalise_name(policy)
    if ROOT_POLICY_NAME in entity.policies:
        raise InvalidRequest("policies cannot contain root")


def _by_id(entity: EntityId) -> str:
    return f"entity/{escape_part(entity)}"


def _by_name(name: str) -> str:
    return f"name/{escape_part(folded(name))}"


def _by_alias(mount: MountAccessor, name: str) -> str:
    return f"alias/{mount}/{escape_part(name)}"
