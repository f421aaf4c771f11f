"""Leases: `sys/leases`, and the older `sys/renew`, `sys/revoke*`.

Source: the Vault HTTP API, sys/leases. The old names are aliases with the same checks.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.leases import Lease
from ironkeep.identity.lifetimes import Limits
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import Duration, check_named
from ironkeep.plugin.response import LeaseInfo, Response, listing
from ironkeep.plugin.route import Handler, Route


@dataclass(frozen=True)
class LeaseId:
    """A lease id, from the body or from the end of the URL."""

    lease_id: str = field(default="", metadata={"alias": ("url_lease_id",)})
    increment: Duration = 0
    sync: bool = True

    @property
    def id(self) -> str:
        """The checked id; raises InvalidRequest when it is empty."""
        check_named("lease_id", self.lease_id)
        return self.lease_id


@dataclass(frozen=True)
class Prefix:
    """The input that names all leases below a prefix."""

    prefix: str
    sync: bool = True


def _shape(lease: Lease, now_ns: int) -> dict[str, Any]:
    expires = lease.expires_ns
    return {
        "id": lease.id,
        "issue_time": rfc3339(lease.issued_ns),
        "expire_time": rfc3339(expires) if expires else None,
        "last_renewal": rfc3339(lease.renewed_ns) if lease.renewed_ns else None,
        "renewable": lease.renewable,
        "ttl": max(0, (expires - now_ns) // SECOND_NS) if expires else 0,
    }


def lookup(call: Call, given: LeaseId) -> Response:
    """Return a lease's times."""
    lease = call.use(House).leases.get(call.tx, given.id, call.now_ns)
    if lease is None:
        raise InvalidRequest("invalid lease")
    return Response(data=_shape(lease, call.now_ns))


def list_leases(call: Call) -> Response:
    """Return the names directly below a prefix."""
    prefix = call.params.get("prefix", "").removesuffix("/")
    return listing(call.use(House).leases.list(call.tx, prefix))


def renew(call: Call, given: LeaseId) -> Response:
    """Extend a lease."""
    house = call.use(House)
    lease = house.leases.get(call.tx, given.id, call.now_ns)
    if lease is None:
        raise InvalidRequest("lease not found")
    limits = Limits(house.settings.default_ttl_seconds, house.settings.max_ttl_seconds)
    if lease.of_token:
        # Policies on auth/token/ control the renewal of tokens.
        raise InvalidRequest("tokens cannot be renewed through this endpoint")
    renewed, warnings = house.leases.renew(call.tx, given.id, given.increment, limits, call.now_ns)
    seconds = (renewed.expires_ns - call.now_ns) // SECOND_NS
    return Response(lease=LeaseInfo(renewed.id, True, seconds), warnings=warnings)


def revoke(call: Call, given: LeaseId) -> Response:
    """Revoke a lease; succeed if there is none."""
    call.use(House).leases.revoke(call.tx, given.id, call.now_ns)
    return Response(accepted=not given.sync)


def revoke_prefix(call: Call, given: Prefix) -> Response:
    """Revoke all leases below a prefix, or the lease with that id."""
    call.use(House).leases.revoke_prefix(call.tx, given.prefix, call.now_ns)
    return Response(accepted=not given.sync)


def revoke_force(call: Call, given: Prefix) -> Response:
    """Remove all leases below a prefix, even if their credentials cannot be revoked."""
    count = call.use(House).leases.force_prefix(call.tx, given.prefix, call.now_ns)
    return Response(audited={"forgotten": count})


def _both(old: str, new: str, handler: Handler, given: type, **flags: Any) -> tuple[Route, ...]:
    return (
        Route(Operation.UPDATE, old, handler, given, same_as=new, **flags),
        Route(Operation.UPDATE, new, handler, given, same_as=old, **flags),
    )


_ID: Final = ("lease_id",)

ROUTES: Final = (
    Route(
        Operation.UPDATE, "leases/lookup", lookup, LeaseId, audited=_ID, help="A lease's times."
    ),
    Route(Operation.LIST, "leases/lookup/{prefix...}", list_leases, sudo=True, help="List leases."),
    *_both("renew", "leases/renew", renew, LeaseId, audited=_ID, help="Extend a lease."),
    *_both(
        "renew/{url_lease_id...}", "leases/renew/{url_lease_id...}", renew, LeaseId, audited=_ID,
        help="Extend a lease.",
    ),
    *_both("revoke", "leases/revoke", revoke, LeaseId, audited=_ID, help="Revoke a lease."),
    *_both(
        "revoke/{url_lease_id...}", "leases/revoke/{url_lease_id...}", revoke, LeaseId,
        audited=_ID, help="Revoke a lease.",
    ),
    *_both(
        "revoke-prefix/{prefix...}", "leases/revoke-prefix/{prefix...}", revoke_prefix, Prefix,
        sudo=True, audited=("prefix",), folder="prefix", ends=True,
        help="Revoke all leases below a prefix.",
    ),
    *_both(
        "revoke-force/{prefix...}", "leases/revoke-force/{prefix...}", revoke_force, Prefix,
        sudo=True, audited=("prefix",), folder="prefix", ends=True,
        help="Remove all leases below a prefix without revocation.",
    ),
)  # fmt: skip
