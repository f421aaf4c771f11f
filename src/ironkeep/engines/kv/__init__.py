"""The key/value engine, versions 1 and 2; the mount's option `version` says which."""

from collections.abc import Iterator, Sequence
from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.credentials.listing import Kept
from ironkeep.engines.kv import kept, upgrade, v1, v2
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route
from ironkeep.store.barrier import Store


class Kv:
    """Keeps JSON objects under paths."""

    type: Final = "kv"

    def routes(self, mount: Mount) -> Sequence[Route]:
        """Return version 2's routes for a mount with the option version "2", else version 1's."""
        return v2.ROUTES if mount.options.get("version") == "2" else v1.ROUTES

    def upgrade(self, store: Store, before: Mount, after: Mount, now_ns: int) -> None:
        """Rewrite what a mount holds for its other version; raise InvalidRequest."""
        if after.options.get("version") == "2":
            upgrade.to_second(store, now_ns)
        elif store.list(limit=1):
            raise InvalidRequest(
                f"{before.path} keeps versions, which version 1 cannot: copy its secrets elsewhere"
            )

    def kept(self, mount: Mount, store: Store) -> Iterator[Kept]:
        """Yield every secret of a mount."""
        return kept.second(store) if mount.options.get("version") == "2" else kept.first(store)
