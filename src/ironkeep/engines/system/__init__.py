"""The system engine: the endpoints below `sys/`, mounted once by the server itself.

    sealing       init, seal, unseal, seal-status, health, leader
    keys          key-status, rotate, rekey, generate-root
    mounts        mounts, auth; `unguarding`: the approval that removing or moving a mount needs
    remount       remount
    policies      policies/acl, policy
    capabilities  capabilities, capabilities-self, capabilities-accessor
    leases        leases, renew, revoke
    wrapping      wrapping/wrap, unwrap, lookup, rewrap
    audit         audit, audit/log: the journal, read only, with proofs
    search        audit/log: search, follow, questions
    clock         clock: the vault's time beside the machine's
    internal      internal/ui/mounts, version-history
    tools         tools/random, tools/hash

The remaining routes below `sys/` belong to features of `access` (alerts, approvals, break-glass,
budgets, classes, the identity report), which are only listed here. The handlers translate between
the Vault HTTP API and the services of the kernel; those services own the rules and the records.
"""

from collections.abc import Sequence
from typing import Final

from ironkeep.access.features import SYSTEM_ROUTES
from ironkeep.engines.system import (
    audit,
    capabilities,
    clock,
    internal,
    keys,
    leases,
    mounts,
    policies,
    remount,
    sealing,
    search,
    tools,
    wrapping,
)
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route


class System:
    """The plugin for all of `sys/`."""

    type: Final = "system"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of all parts."""
        return ROUTES


ROUTES: Final = (
    *sealing.ROUTES,
    *mounts.ROUTES,
    *remount.ROUTES,
    *policies.ROUTES,
    *capabilities.ROUTES,
    *leases.ROUTES,
    *wrapping.ROUTES,
    *audit.ROUTES,
    *search.ROUTES,
    *keys.ROUTES,
    *clock.ROUTES,
    *internal.ROUTES,
    *tools.ROUTES,
    *SYSTEM_ROUTES,
)
