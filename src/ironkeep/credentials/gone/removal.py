"""Recording what a mount held before its rows are deleted (store/demolition.py)."""

from itertools import islice
from typing import Any, Final

from ironkeep.core.errors import IronkeepError
from ironkeep.core.ids import MountUuid
from ironkeep.credentials.gone.removed import TOGETHER, Removed
from ironkeep.credentials.listing import Keeper, gone_of, kept_at, names_of
from ironkeep.credentials.store import CredentialId, CredentialStore
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.route import Plugins
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx


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
        return len(names) == TOGETHER
