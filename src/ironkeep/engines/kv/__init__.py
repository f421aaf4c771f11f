"""The key/value engine: JSON objects under paths, in version 1 or 2.

The mount's option `version` selects `v1` (one object per path) or `v2` with `v2_metadata` (numbered
versions, check-and-set, soft delete). `metadata` is version 2's record of a key, `document` the
stored form of an object in both versions. `upgrade` converts a mount from 1 to 2 in one step;
`kept` lists all secrets of a mount for incident work.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.credentials.listing import MAX_BESIDE, Kept, Spot
from ironkeep.engines.kv import kept, upgrade, v1, v2
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route
from ironkeep.store.barrier import Store


class Kv:
    """The key/value engine."""

    type: Final = "kv"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return the routes of the version that the mount's option `version` selects."""
        return v2.ROUTES if mount.options.get("version") == "2" else v1.ROUTES

    def upgrade(self, store: Store, before: Mount, after: Mount, now_ns: int) -> None:
        """Convert a mount from version 1 to 2; raise InvalidRequest for the other direction."""
        if after.options.get("version") == "2":
            upgrade.to_second(store, now_ns)
        elif store.list(limit=1):
            raise InvalidRequest(
                f"{before.path} has versions, which version 1 lacks: copy its secrets elsewhere"
            )

    def kept(self, mount: Mount, store: Store) -> Iterator[Kept]:
        """Yield every secret of a mount."""
        return kept.second(store) if mount.options.get("version") == "2" else kept.first(store)

    def kept_at(self, mount: Mount, store: Store, path: str) -> Kept | None:
        """Return the secret at a path of a mount, or None."""
        second = mount.options.get("version") == "2"
        return kept.second_at(store, path) if second else kept.first_at(store, path)

    def names(self, mount: Mount, store: Store) -> Iterator[tuple[str, str]]:
        """Yield path and API path of every secret of a mount."""
        second = mount.options.get("version") == "2"
        return kept.second_names(store) if second else kept.first_names(store)

    def unlist(self, mount: Mount, store: Store, path: str) -> None:
        """Remove the record by which a secret is listed; the data of its versions stays."""
        store.delete(f"meta/{path}" if mount.options.get("version") == "2" else path)

    def spot(self, mount: Mount, store: Store | None, path: str) -> Spot:
        """Return what is at the path of a secret, with some of the secrets beside it."""
        second = mount.options.get("version") == "2"
        place, reads = ("meta/", "data/") if second else ("", "")
        writes = (f"data/{path}", f"metadata/{path}") if second else (path,)
        if store is None:
            return Spot(stored=False, writes=writes, beside=())
        folder = path.rpartition("/")[0]
        inside = folder + "/" if folder else ""
        names = store.list(f"{place}{folder}", MAX_BESIDE)
        paths = [inside + name for name in names if not name.endswith("/")]
        return Spot(
            stored=store.row(f"{place}{path}") is not None,
            writes=writes,
            beside=tuple((each, reads + each) for each in paths),
        )
