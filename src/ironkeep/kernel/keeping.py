"""Which secrets a mount keeps: what the survey of a case and the search in a leaked text go over.

An engine that keeps secrets of its own has a method `kept`; managed credentials, which any mount
may own, are listed here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from ironkeep.core.secret import Secret
from ironkeep.kernel.barrier import Store
from ironkeep.kernel.credential_store import CredentialId, CredentialStore
from ironkeep.kernel.plugin import Mount
from ironkeep.kernel.state import Tx

STATIC: Final = "static-creds"
"""The folder of managed credentials that a read releases; an administering one is never read."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One secret: its path as in Entry.released, the API path that reads it, versions, values.

    Both paths are relative to the mount. `values` returns every text inside one version; versions
    that are gone have none.
    """

    path: str
    read: str
    versions: tuple[int, ...]
    current: int
    values: Callable[[int], tuple[Secret, ...]]


@runtime_checkable
class Keeper(Protocol):
    """A plugin that keeps secrets."""

    def kept(self, mount: Mount, store: Store) -> Iterator[Kept]:
        """Yield the secrets of a mount."""
        ...


def kept_of(
    plugin: Any, mount: Mount, store: Store, credentials: CredentialStore, tx: Tx
) -> Iterator[Kept]:
    """Yield everything that a mount keeps."""
    if isinstance(plugin, Keeper):
        yield from plugin.kept(mount, store)
    for name in credentials.paths(tx, mount.uuid, f"{STATIC}/"):
        which = CredentialId(mount.uuid, f"{STATIC}/{name}")
        record = credentials.record(tx, which)

        def values(number: int, which: CredentialId = which) -> tuple[Secret, ...]:
            return (credentials.secret(tx, which, number),)

        versions = tuple(each.number for each in record.versions)
        current = credentials.current(tx, which) or 0
        yield Kept(which.path, which.path, versions, current, values)
