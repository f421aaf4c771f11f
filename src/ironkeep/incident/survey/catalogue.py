"""The catalogue: every path at which a secret could be read since an instant.

It has the secrets that are stored, those that were removed since, and those of mounts that were
moved, upgraded or removed. Live secrets come before removed ones, so that one that is removed while
the catalogue is read is found in one place or the other.
"""

from collections.abc import Generator
from typing import Any, Final, NamedTuple

from ironkeep.core.errors import IronkeepError
from ironkeep.core.evidence.claim import iso
from ironkeep.core.ids import MountUuid
from ironkeep.credentials.gone.removed import Gone
from ironkeep.credentials.gone.spans import Span as Served
from ironkeep.credentials.listing import STATIC, Keeper, kept_at, names_of
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Stood
from ironkeep.seal.segments import OPTION as SEGMENT
from ironkeep.store.reserved import MOUNTS

IN_A_TURN: Final = 64
"""Names, or mounts, looked at in one turn: less than a millisecond."""


class Listed(NamedTuple):
    """A secret with the states of its mount; `gone` if it is removed, otherwise it is stored.

    `read` is the API path in the last of these states.
    """

    uuid: MountUuid
    stood: tuple[Stood, ...]
    path: str
    read: str
    gone: Gone | None = None

    def api_path(self, at: Stood) -> str:
        """Return the API path that read the secret in a state of its mount.

        A mount can have had another path, and other routes before it was upgraded to versions.
        """
        same = at.mount.options.get("version") == self.stood[-1].mount.options.get("version")
        return at.mount.path + (self.read if same else self.path)


class Catalogue:
    """Lists the secrets of one survey."""

    def __init__(self, call: Call, from_ns: int) -> None:
        self._call: Final = call
        self._house: Final[House] = call.use(House)
        table = self._house.mounts.table(self._house.store(call.tx, MOUNTS))
        self._mounts: Final = list(table.by_path.values())
        self._from_ns: Final = from_ns
        # Whether a plugin is a keeper takes as long to find out as the rest of a look-up.
        self._keepers: Final[dict[str, Keeper]] = {}
        for kind in {mount.type for mount in self._mounts}:
            plugin: Any = self._house.plugins.get(kind)
            if isinstance(plugin, Keeper):
                self._keepers[kind] = plugin
        self.unknown: Final[list[str]] = []
        """What is not known, in words."""

    def every(self) -> Generator[Listed | None, None, None]:
        """Yield every secret, and None where a turn of the loop may end."""
        yield from self._live()
        house, tx, past = self._house, self._call.tx, dict[MountUuid, list[Stood]]()
        doomed = house.demolition.doomed(tx)
        for number, uuid in enumerate(house.mounts.each_uuid(tx), start=1):
            if number % IN_A_TURN == 0:
                yield None
            stood = house.mounts.stood(tx, uuid, self._from_ns)
            if stood and not stood[-1].mount.path.startswith("auth/"):
                past[uuid] = stood
        for uuid, stood in past.items():
            if uuid in doomed and stood[-1].until_ns:
                yield from self._stored(stood)
        for uuid, stood in past.items():
            yield from self._removed(uuid, stood)
        since_ns = house.removed.since_ns(tx)
        if since_ns > self._from_ns:
            self.unknown.append(
                f"the secrets that were removed before {iso(since_ns)}: earlier releases did not "
                "record removals"
            )

    def served(self, listed: Listed) -> list[Served]:
        """Return the versions of a secret; until_ns 0 means that a read can still release one."""
        if listed.gone is not None:
            return list(listed.gone.spans)
        house, tx, mount = self._house, self._call.tx, listed.stood[-1].mount
        plugin, store = house.plugins.get(mount.type), house.mount_store(tx, mount)
        if listed.path.startswith(f"{STATIC}/") or mount.type not in self._keepers:
            kept = kept_at(plugin, mount, store, house.credentials.store, tx, listed.path)
        else:
            kept = self._keepers[mount.type].kept_at(mount, store, listed.path)
        if kept is None:
            return []
        now = (Served(v.number, v.number, v.from_ns, v.until_ns) for v in kept.versions)
        return [*kept.past, *now]

    def _live(self) -> Generator[Listed | None, None, None]:
        for mount in self._mounts:
            if self._is_sealed(mount):
                self.unknown.append(f"{mount.path} is sealed: unseal it and contain again")
                continue
            stood = self._house.mounts.stood(self._call.tx, mount.uuid, self._from_ns)
            # A mount of before the history has always been as it is.
            yield from self._stored(stood or [Stood(mount, 0, 0)])

    def _is_sealed(self, mount: Mount) -> bool:
        """Return whether a mount's contents are unknown, because its segment is sealed."""
        segments = self._house.segments
        segment = segments.table(self._call.tx).by_place.get(mount.uuid)
        return segment is not None and not segments.keys.is_open(segment)

    def _stored(self, stood: list[Stood]) -> Generator[Listed | None, None, None]:
        """Yield the secrets in the rows of a mount, also of one whose rows are being deleted."""
        mount, tx, house = stood[-1].mount, self._call.tx, self._house
        try:
            store = house.mount_store(tx, mount)
        except IronkeepError:
            return  # a segment that was destroyed: `_removed` says so
        plugin, states = house.plugins.get(mount.type), tuple(stood)
        names = names_of(plugin, mount, store, house.credentials.store, tx)
        for number, (path, read) in enumerate(names, start=1):
            yield Listed(mount.uuid, states, path, read)
            if number % IN_A_TURN == 0:
                yield None
        yield None

    def _removed(self, uuid: MountUuid, stood: list[Stood]) -> Generator[Listed | None, None, None]:
        house, tx, mount = self._house, self._call.tx, stood[-1].mount
        for batch in house.removed.after(tx, uuid, self._from_ns):
            for gone in batch.gone:
                yield Listed(uuid, tuple(stood), gone.path, gone.read, gone)
            yield None
        forgotten_ns = house.removed.forgotten_ns(tx, uuid)
        if forgotten_ns > self._from_ns:
            self.unknown.append(
                f"the secrets that were removed from {mount.path} before {iso(forgotten_ns)}: "
                "more were removed than are kept on record"
            )
        whole = not stood[-1].until_ns or house.removed.is_whole(tx, uuid)
        if not whole and self._is_unread(mount):
            self.unknown.append(f"{mount.path} was removed with its segment, unread")

    def _is_unread(self, mount: Mount) -> bool:
        """Return whether a removed mount's rows cannot have been recorded, for want of keys."""
        if SEGMENT not in mount.options or not isinstance(
            self._house.plugins.get(mount.type), Keeper
        ):
            return False
        try:
            self._house.mount_store(self._call.tx, mount)
        except IronkeepError:
            return True
        return False
