"""The system engine: `sys/`, the house's own endpoints, mounted by the house itself."""

from collections.abc import Sequence
from typing import Final

from ironkeep.engines.system import (
    alerts,
    audit,
    break_glass,
    budgets,
    capabilities,
    classes,
    control_group,
    identity_report,
    internal,
    keys,
    leases,
    mounts,
    policies,
    sealing,
    tools,
    wrapping,
)
from ironkeep.kernel.plugin import Mount, Route


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
    *identity_report.ROUTES,
    *leases.ROUTES,
    *wrapping.ROUTES,
    *audit.ROUTES,
    *budgets.ROUTES,
    *keys.ROUTES,
    *internal.ROUTES,
    *tools.ROUTES,
    *classes.ROUTES,
    *control_group.ROUTES,
    *alerts.ROUTES,
    *break_glass.ROUTES,
)
