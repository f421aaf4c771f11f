"""The system engine: `sys/`, the house's own endpoints, mounted by the house itself."""

from collections.abc import Sequence
from typing import Final

from ironkeep.access.alerts import routes as alerts
from ironkeep.access.approvals import control_group
from ironkeep.access.break_glass import routes as break_glass
from ironkeep.access.budgets import routes as budgets
from ironkeep.access.classes import routes as classes
from ironkeep.access.identity_report import routes as identity_report
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
