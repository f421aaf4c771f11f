"""The records of managed credentials: their accounts, rotation states and versions.

    <mount> : credential / about / <path>              -> its account, and its last rotation
              credential / state / <path>              -> its rotation, due at its next action
              credential / material / <path> / <n>     -> the secret of version n
              credential / burnt / <path>              -> the last number ever used, once removed
              credential / past / <path>               -> when versions that are gone were readable

`path` is `static-creds/<name>` or `config/<name>`; a version of a secret is identified everywhere
as (mount, path, number). The secret of a version is stored in the same commit as the first record
that names it, and destroyed in the commit of the first record that no longer does.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.evidence.node import NodeId, secret_version
from ironkeep.core.ids import MountUuid, base62
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.connections import ConnectionId
from ironkeep.credentials.gone.removed import Gone, Removed
from ironkeep.credentials.gone.spans import Span, added
from ironkeep.credentials.rotation import next_action
from ironkeep.credentials.rotation_actions import Action, Done, Lost, Wait
from ironkeep.credentials.rotation_record import Record, RotationState, Stage, decode, encode
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

ROOM: Final = "credential"
"""The first segment of these records' paths, by which the tick finds their driver."""

CONFIG: Final = "config/"
"""The folder of the accounts that administer a system; their secrets are never released."""

PASSWORD_LENGTH: Final = 40
"""Base62 characters, 238 bits: infeasible to guess, and safe in URLs and shells."""


class CredentialId(NamedTuple):
    """Identifies a credential by its mount and its path there, as in an entry's `released`."""

    mount: MountUuid
    path: str

    @property
    def row(self) -> str:
        """Return the path of the rotation's record."""
        return f"{ROOM}/state/{self.path}"

    def version(self, number: int) -> NodeId:
        """Return the node of one version."""
        return secret_version(self.mount, self.path, number)


class Credential(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credential's account and schedule. Times are POSIX nanoseconds.

    With a `period_seconds` of 0 it is rotated by hand only. `rotated_ns` is when the current
    version became current. `statements` are the rotation statements that a Vault client sent, kept
    only to be read back: the connector does the same without them. `locked` means that the vault
    took the account's right to log in.
    """

    connection: str
    username: str
    period_seconds: int = 0
    created_ns: int = 0
    rotated_ns: int = 0
    statements: tuple[str, ...] = ()
    locked: bool = False

    @property
    def due_ns(self) -> int | None:
        """Return when the next scheduled rotation begins; None without a schedule."""
        if not self.period_seconds:
            return None
        return self.rotated_ns + self.period_seconds * SECOND_NS


class Material(msgspec.Struct, frozen=True):
    """The secret of one version."""

    value: bytes
    created_ns: int

    def __repr__(self) -> str:
        return "Material(…)"


class Past(msgspec.Struct, frozen=True):
    """The versions of a credential that are gone."""

    spans: tuple[Span, ...]


_ABOUT: Final = Codec(Credential)
_PAST: Final = Codec(Past)
_MATERIAL: Final = Codec(Material)


class CredentialStore:
    """Reads and writes credentials; every method works in the transaction it is given."""

    def __init__(self, stores: StoreOf, entropy: Entropy) -> None:
        self._stores: Final = stores
        self._entropy: Final = entropy
        self._removed: Final = Removed(stores)

    def find(self, tx: Tx, which: CredentialId) -> Credential | None:
        """Return a credential, or None."""
        raw = self._stores(tx, which.mount).get(f"{ROOM}/about/{which.path}")
        return None if raw is None else _ABOUT.decode(raw)

    def about(self, tx: Tx, which: CredentialId) -> Credential:
        """Return a credential; raise NotFound."""
        found = self.find(tx, which)
        if found is None:
            raise NotFound(f"there is no credential {which.path!r}")
        return found

    def record(self, tx: Tx, which: CredentialId) -> Record:
        """Return the rotation record of a credential; raise NotFound."""
        raw = self._stores(tx, which.mount).get(which.row)
        if raw is None:
            raise NotFound(f"there is no credential {which.path!r}")
        return decode(raw)

    def connection_of(self, tx: Tx, which: CredentialId) -> ConnectionId:
        """Return the connection that a credential belongs to; raise NotFound."""
        return ConnectionId(which.mount, self.about(tx, which).connection)

    def secret(self, tx: Tx, which: CredentialId, number: int) -> Secret:
        """Return the secret of a version; raise NotFound unless the record names the version."""
        if number not in {each.number for each in self.record(tx, which).versions}:
            raise NotFound(f"version {number} of {which.path!r} is not kept")
        raw = self._stores(tx, which.mount).get(f"{ROOM}/material/{which.path}/{number}")
        if raw is None:
            raise IntegrityError(f"the secret of version {number} of {which.path} is missing")
        return Secret(_MATERIAL.decode(raw).value)

    def current(self, tx: Tx, which: CredentialId) -> int | None:
        """Return the number of the current version, or None before the first."""
        return next(iter(self.record(tx, which).at(Stage.CURRENT)), None)

    def write_about(self, tx: Tx, which: CredentialId, about: Credential) -> None:
        """Write a credential."""
        self._stores(tx, which.mount).put(f"{ROOM}/about/{which.path}", _ABOUT.encode(about))

    def write_secret(
        self, tx: Tx, which: CredentialId, number: int, secret: Secret, now_ns: int
    ) -> None:
        """Store the secret of a version; the record that names it must be in the same commit."""
        raw = _MATERIAL.encode(Material(secret.reveal(), now_ns))
        self._stores(tx, which.mount).put(f"{ROOM}/material/{which.path}/{number}", raw)

    def new_secret(self) -> Secret:
        """Return a random password."""
        random = self._entropy.token(2 * PASSWORD_LENGTH)
        return Secret(base62(random, PASSWORD_LENGTH).encode())

    def write_record(self, tx: Tx, which: CredentialId, record: Record, now_ns: int) -> None:
        """Write a rotation record; update due time and last rotation, destroy unnamed secrets.

        A rotation in progress leaves the row due, so that the tick continues it after a crash.
        """
        store = self._stores(tx, which.mount)
        raw = store.get(which.row)
        before = None if raw is None else decode(raw)
        about = self.about(tx, which)
        began = before is None or before.state is not RotationState.COMMITTED
        if began and record.state is RotationState.COMMITTED:
            about = msgspec.structs.replace(about, rotated_ns=now_ns)
            self.write_about(tx, which, about)
        kept = {each.number for each in record.versions}
        dropped = [] if before is None else [v for v in before.versions if v.number not in kept]
        # A version that never left the stage of pending was never released.
        gone = [each.number for each in dropped if each.stage is not Stage.PENDING]
        if gone and not which.path.startswith(CONFIG):
            past = added(self.past(tx, which), self._spans(tx, which, gone, now_ns))
            store.put(f"{ROOM}/past/{which.path}", _PAST.encode(Past(past)))
        for old in dropped:
            store.delete(f"{ROOM}/material/{which.path}/{old.number}")
        store.put(which.row, encode(record), _due(next_action(record, now_ns), about, now_ns))

    def past(self, tx: Tx, which: CredentialId) -> tuple[Span, ...]:
        """Return the spans of the versions that are gone."""
        raw = self._stores(tx, which.mount).get(f"{ROOM}/past/{which.path}")
        return () if raw is None else _PAST.decode(raw).spans

    def _spans(
        self, tx: Tx, which: CredentialId, numbers: Iterable[int], now_ns: int
    ) -> Iterator[Span]:
        """Yield the spans of versions that end now."""
        store = self._stores(tx, which.mount)
        for number in numbers:
            raw = store.get(f"{ROOM}/material/{which.path}/{number}")
            from_ns = 0 if raw is None else _MATERIAL.decode(raw).created_ns
            yield Span(number, number, from_ns, now_ns)

    def remove(self, tx: Tx, which: CredentialId, now_ns: int) -> None:
        """Destroy a credential and all its versions; remember its highest number, and its spans."""
        store = self._stores(tx, which.mount)
        record = self.record(tx, which)
        served = [each.number for each in record.versions if each.stage is not Stage.PENDING]
        spans = added(self.past(tx, which), self._spans(tx, which, served, now_ns))
        if spans and not which.path.startswith(CONFIG):
            self._removed.add(tx, which.mount, [Gone(which.path, which.path, spans)], now_ns)
        store.delete(f"{ROOM}/past/{which.path}")
        last = max((each.number for each in record.versions), default=record.burnt)
        store.put(f"{ROOM}/burnt/{which.path}", str(last).encode())
        for path in list(store.walk(f"{ROOM}/material/{which.path}")):
            store.delete(path)
        store.delete(which.row)
        store.delete(f"{ROOM}/about/{which.path}")

    def unlist(self, tx: Tx, which: CredentialId) -> None:
        """Remove the record by which a credential of a removed mount is listed."""
        self._stores(tx, which.mount).delete(f"{ROOM}/about/{which.path}")

    def burnt(self, tx: Tx, which: CredentialId) -> int:
        """Return the highest version number of removed credentials at this path; 0 for none.

        Path and number identify a version for ever, so numbers are never reused.
        """
        return int(self._stores(tx, which.mount).get(f"{ROOM}/burnt/{which.path}") or 0)

    def paths(self, tx: Tx, mount: MountUuid, folder: str) -> list[str]:
        """Return the names of the credentials of a mount below folder, sorted."""
        return self._stores(tx, mount).list(f"{ROOM}/about/{folder}")


def _due(action: Action, about: Credential, now_ns: int) -> int | None:
    """Return when the tick must process a credential with this next action."""
    if isinstance(action, Done):
        return about.due_ns
    if isinstance(action, Wait):
        return action.until_ns
    return None if isinstance(action, Lost) else now_ns
