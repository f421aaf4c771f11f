"""The secrets of a mount, one or all, for the survey of a case and for leak matching.

An engine that stores secrets of its own implements `Keeper`. Managed credentials, which any mount
may own, are listed here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol, runtime_checkable

from ironkeep.core.errors import IronkeepError
from ironkeep.core.ids import MountUuid
from ironkeep.core.secret import Secret
from ironkeep.credentials.gone.removed import TOGETHER, Gone, Removed
from ironkeep.credentials.gone.spans import Span, added
from ironkeep.credentials.store import CONFIG, CredentialId, CredentialStore
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.route import Plugins
from ironkeep.store.barrier import Store
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

MAX_BESIDE: Final = 256
"""Secrets of a folder that are compared with a name that is not known."""
STATIC: Final = "static-creds"
"""The folder of the managed credentials that clients can read; those of the accounts that
administer a system are in another one, and never released."""


@dataclass(frozen=True, slots=True)
class Served:
    """One version, and the time during which a read could release it (0: a read still can)."""

    number: int
    from_ns: int = 0
    until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """One secret: its path as in Entry.released, the API path that reads it, versions, values.

    Both paths are relative to the mount. `fields` returns every text inside one version with the
    name of its field, and an empty tuple for a deleted version. `past` are the versions that are
    gone. Each version of a generated secret is a new random value.
    """

    path: str
    read: str
    versions: tuple[Served, ...]
    current: int
    fields: Callable[[int], tuple[tuple[str, Secret], ...]]
    past: tuple[Span, ...] = ()
    is_generated: bool = False

    def values(self, number: int) -> tuple[Secret, ...]:
        """Return every text inside one version, and an empty tuple for a deleted version."""
        return tuple(value for _, value in self.fields(number))


@dataclass(frozen=True, slots=True)
class Spot:
    """A path at which a secret may be; all paths are relative to the mount.

    `stored` is whether one is there, deleted or not. `writes` are the API paths that write it.
    `beside` are secrets in the same folder: path, and the API path that reads it.
    """

    stored: bool
    writes: tuple[str, ...]
    beside: tuple[tuple[str, str], ...]


@runtime_checkable
class Keeper(Protocol):
    """A plugin that stores secrets."""

    def kept(self, mount: Mount, store: Store) -> Iterator[Kept]:
        """Yield the secrets of a mount, in no order; the caller may pause between two."""
        ...

    def kept_at(self, mount: Mount, store: Store, path: str) -> Kept | None:
        """Return the secret at a path of a mount, or None."""
        ...

    def names(self, mount: Mount, store: Store) -> Iterator[tuple[str, str]]:
        """Yield (path, API path that reads it) of each secret, in no order, as `kept` does."""
        ...

    def unlist(self, mount: Mount, store: Store, path: str) -> None:
        """Remove the record by which a secret of a mount that is being removed is listed."""
        ...

    def spot(self, mount: Mount, store: Store | None, path: str) -> Spot:
        """Return what is at the path of a secret, with up to MAX_BESIDE secrets beside it.

        Without a store, because it is sealed, nothing is known to be there.
        """
        ...


def spot_of(
    plugin: Any, mount: Mount, store: Store | None, credentials: CredentialStore, tx: Tx, path: str
) -> Spot:
    """Return what is at the path of a secret in a mount, managed credentials included.

    The store of a sealed mount is None.
    """
    folder, _, name = path.rpartition("/")
    if folder == STATIC:
        if store is None:
            return Spot(stored=False, writes=(f"static-roles/{name}",), beside=())
        stored = credentials.find(tx, CredentialId(mount.uuid, path)) is not None
        others = (f"{STATIC}/{each}" for each in credentials.paths(tx, mount.uuid, STATIC))
        beside = tuple((each, each) for each in islice(others, MAX_BESIDE))
        return Spot(stored, (f"static-roles/{name}",), beside)
    if isinstance(plugin, Keeper):
        return plugin.spot(mount, store, path)
    return Spot(stored=False, writes=(), beside=())


def kept_of(
    plugin: Any, mount: Mount, store: Store, credentials: CredentialStore, tx: Tx
) -> Iterator[Kept]:
    """Yield all secrets of a mount, managed credentials included, in no order."""
    if isinstance(plugin, Keeper):
        yield from plugin.kept(mount, store)
    for name in credentials.paths(tx, mount.uuid, STATIC):
        found = _managed(CredentialId(mount.uuid, f"{STATIC}/{name}"), credentials, tx)
        if found is not None:
            yield found


def names_of(
    plugin: Any, mount: Mount, store: Store, credentials: CredentialStore, tx: Tx
) -> Iterator[tuple[str, str]]:
    """Yield (path, API path) of all secrets of a mount, managed credentials included."""
    if isinstance(plugin, Keeper):
        yield from plugin.names(mount, store)
    for name in credentials.paths(tx, mount.uuid, STATIC):
        yield f"{STATIC}/{name}", f"{STATIC}/{name}"


def kept_at(
    plugin: Any, mount: Mount, store: Store, credentials: CredentialStore, tx: Tx, path: str
) -> Kept | None:
    """Return the secret at a path of a mount (as in `Kept.path`), or None."""
    if path.startswith((f"{STATIC}/", CONFIG)):
        found = _managed(CredentialId(mount.uuid, path), credentials, tx)
        if found is not None:
            return found
    return plugin.kept_at(mount, store, path) if isinstance(plugin, Keeper) else None


def _managed(which: CredentialId, credentials: CredentialStore, tx: Tx) -> Kept | None:
    about = credentials.find(tx, which)
    if about is None:
        return None
    record = credentials.record(tx, which)
    past = credentials.past(tx, which)
    # Only these are released now. When an earlier version was released is not recorded: assume
    # all the time from the creation of the credential to its last rotation.
    current = credentials.current(tx, which) or 0
    served = {current, record.serving}
    versions = tuple(
        Served(each.number, about.rotated_ns)
        if each.number in served
        else Served(each.number, about.created_ns, about.rotated_ns)
        for each in record.versions
    )

    def fields(number: int) -> tuple[tuple[str, Secret], ...]:
        return (("password", credentials.secret(tx, which, number)),)

    return Kept(which.path, which.path, versions, current, fields, past, is_generated=True)


def gone_of(kept: Kept, now_ns: int) -> Gone:
    """Return a secret that is removed now, with the spans of all its versions."""
    served = (
        Span(each.number, each.number, each.from_ns, each.until_ns or now_ns)
        for each in kept.versions
    )
    return Gone(kept.path, kept.read, added(kept.past, served))


class Removal:
    """Moves the secrets of a removed mount to the record of what is gone, some in each turn."""

    def __init__(
        self,
        stores: StoreOf,
        plugins: Plugins,
        mounts: Mounts,
        credentials: CredentialStore,
        removed: Removed,
    ) -> None:
        self._stores: Final = stores
        self._plugins: Final = plugins
        self._mounts: Final = mounts
        self._credentials: Final = credentials
        self._removed: Final = removed

    def record(self, tx: Tx, place: str, now_ns: int) -> bool:
        """Record up to TOGETHER secrets, and remove their rows; return whether more may be left.

        A secret's row and its record change in one commit, so a crash loses none.
        """
        past = self._mounts.stood(tx, place, 0)
        if not past:
            return False
        mount, until_ns = past[-1].mount, past[-1].until_ns or now_ns
        plugin: Any = self._plugins.get(mount.type)
        try:
            store = self._stores(tx, place)
        except IronkeepError:
            return False  # its segment is sealed or destroyed: there is nothing to read
        credentials = self._credentials
        names = list(islice(names_of(plugin, mount, store, credentials, tx), TOGETHER))
        found = (kept_at(plugin, mount, store, credentials, tx, path) for path, _ in names)
        gone = [gone_of(kept, until_ns) for kept in found if kept is not None]
        if gone:
            self._removed.add(tx, mount.uuid, gone, until_ns)
        for path, _ in names:
            if credentials.find(tx, CredentialId(MountUuid(place), path)) is not None:
                credentials.unlist(tx, CredentialId(MountUuid(place), path))
            elif isinstance(plugin, Keeper):
                plugin.unlist(mount, store, path)
        is_more = len(names) == TOGETHER
        if not is_more:
            self._removed.finish(tx, mount.uuid)
        return is_more
