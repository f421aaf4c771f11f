"""AppRole's secret ids: storage, lookup, use and removal.

    key                                  -> the key of the hash
    passing / secret / role / hash       -> uses left, times, addresses
    passing / accessor / role / accessor -> hash

Only a keyed hash of a secret id is stored, so its records reveal none, and guesses cannot be tested
without the key. Both records are removed when the secret id expires. Using a secret id and issuing
its token are one transaction, and requests run one after another: of two simultaneous logins with a
secret id that has one use left, the second finds nothing.
"""

import hashlib
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import uuid
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.identity.people import are_standing
from ironkeep.identity.token_store import role_origin
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.expiring import FOLDER
from ironkeep.plugin.token import Made
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part

KEY_BYTES: Final = 32
MAX_SECRET_ID: Final = 4_096
MIN_CUSTOM: Final = 12
"""Characters of a secret id chosen by the caller: at 20,000 guesses a second, ten minutes are not
enough for a millionth of those made of letters alone."""

_KEY: Final = "key"
_PERSON: Final = b"ironkeep-srid-v1"
_VERSION: Final = b"\x01"


class SecretId(msgspec.Struct, frozen=True, omit_defaults=True):
    """A secret id as stored; times are POSIX nanoseconds, `uses` 0 is any number.

    `made` records the people behind it: the secret id is void once any of its holders is disabled
    or revoked, or its role was contained.
    """

    accessor: str
    created_ns: int
    updated_ns: int
    expires_ns: int = 0
    ttl_seconds: int = 0
    uses: int = 0
    metadata: dict[str, str] = {}
    cidr_list: tuple[str, ...] = ()
    token_bound_cidrs: tuple[str, ...] = ()
    made: Made = Made()


_SECRET_ID: Final = Codec(SecretId)


def new_secret_id(call: Call) -> Secret:
    """Return 128 random bits as Vault spells them."""
    return Secret(uuid(call.entropy.token(16)).encode())


def new_accessor(call: Call) -> str:
    """Return a random accessor, which names a secret id without revealing it."""
    return uuid(call.entropy.token(16))


def hash_of(call: Call, role: str, secret_id: Secret) -> str:
    """Return the hash under which a role's secret id is stored; the role's name is part of it."""
    raw = call.store.get(_KEY)
    if raw is None:
        raw = _VERSION + bytes(KEY_BYTES)  # no secret id was issued yet: any key finds nothing
    hasher = hashlib.blake2b(digest_size=32, key=raw[1:], person=_PERSON)
    name = role.encode()
    hasher.update(len(name).to_bytes(4, "big") + name + secret_id.reveal())
    return hasher.hexdigest()


def make_key(call: Call) -> None:
    """Create the key of the hash unless it exists."""
    if call.store.get(_KEY) is None:
        call.store.put(_KEY, _VERSION + call.entropy.token(KEY_BYTES))


def add(call: Call, role: str, secret_id: Secret, record: SecretId) -> None:
    """Store a new secret id; raise InvalidRequest when the role already has it."""
    make_key(call)
    name = hash_of(call, role, secret_id)
    if find(call, role, name) is not None:
        raise InvalidRequest("SecretID is already registered")
    due = record.expires_ns or None
    call.store.put(_path(role, name), _SECRET_ID.encode(record), due)
    call.store.put(_accessor_path(role, record.accessor), name.encode(), due)


def find(call: Call, role: str, name: str) -> SecretId | None:
    """Return the secret id of a hash, None when it is absent, expired or void."""
    raw = call.store.get(_path(role, name))
    record = None if raw is None else _SECRET_ID.decode(raw)
    if record is None or (
        record.expires_ns and not record.created_ns <= call.now_ns < record.expires_ns
    ):
        return None
    store = call.use(Tokens).store
    end = store.end_of(call.tx, role_origin(call.mount.accessor, role))
    if end is not None and record.created_ns <= end.ended_ns:
        return None
    if store.is_ended(call.tx, record.made.origins, record.created_ns):
        return None
    identity = call.use(Identity)
    good = are_standing(identity, call.tx, record.made.holders, record.created_ns)
    return record if good else None


def find_accessor(call: Call, role: str, accessor: str) -> tuple[str, SecretId] | None:
    """Return hash and record of the secret id with an accessor, or None."""
    raw = call.store.get(_accessor_path(role, accessor)) if accessor else None
    if raw is None:
        return None
    record = find(call, role, raw.decode())
    return None if record is None else (raw.decode(), record)


def accessors(call: Call, role: str) -> list[str]:
    """Return the sorted accessors of a role's secret ids that are still valid."""
    names = call.store.names(f"{FOLDER}/accessor/{escape_part(role)}")
    return [name for name in names if find_accessor(call, role, name) is not None]


def use(call: Call, role: str, name: str, record: SecretId) -> None:
    """Count one use; the last one removes the secret id."""
    if record.uses == 0:
        return
    if record.uses == 1:
        destroy(call, role, name, record)
        return
    left = msgspec.structs.replace(record, uses=record.uses - 1, updated_ns=call.now_ns)
    call.store.put(_path(role, name), _SECRET_ID.encode(left), record.expires_ns or None)


def destroy(call: Call, role: str, name: str, record: SecretId) -> None:
    """Remove a secret id."""
    call.store.delete(_accessor_path(role, record.accessor))
    call.store.delete(_path(role, name))


def destroy_all(call: Call, role: str) -> None:
    """Remove all of a role's secret ids."""
    for kind in ("accessor", "secret"):
        folder = f"{FOLDER}/{kind}/{escape_part(role)}"
        call.store.delete_all([f"{folder}/{name}" for name in call.store.names(folder)])


def expiry(call: Call, seconds: int) -> int:
    """Return the expiry of a secret id issued now, in POSIX nanoseconds, 0 for never."""
    return call.now_ns + seconds * SECOND_NS if seconds else 0


def _path(role: str, name: str) -> str:
    return f"{FOLDER}/secret/{escape_part(role)}/{name}"


def _accessor_path(role: str, accessor: str) -> str:
    return f"{FOLDER}/accessor/{escape_part(role)}/{escape_part(accessor)}"
