"""The system engine: `sys/`, the house's own endpoints, mounted by the house itself."""

from collections.abc import Sequence
from typing import Final

from ironkeep.access.features import SYSTEM_ROUTES
from ironkeep.engines.system import (
    audit,
    capabilities,
    internal,
    keys,
    leases,
    mounts,
    policies,
    sealing,
    tools,
    wrapping,
)
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route


class System:
    """All of `sys/`."""

    type: Final = "system"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of all the parts."""
        return ROUTES


ROUTES: Final = (
    *sealing.ROUTES,
    *mounts.ROUTES,
    *policies.ROUTES,
    *capabilities.ROUTES,
    *leases.ROUTES,
    *wrapping.ROUTES,
    *audit.ROUTES,
    *keys.ROUTES,
    *internal.ROUTES,
    *tools.ROUTES,
    *SYSTEM_ROUTES,
)
