"""Leases: `sys/leases`, and the older `sys/renew`, `sys/revoke*`.

Source: the Vault HTTP API, sys/leases. The old names are aliases with the same checks.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest, UpstreamFailed
from ironkeep.core.ids import MountUuid
from ironkeep.core.operation import Operation
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.leases import Lease
from ironkeep.identity.lending.performing import reason_of
from ironkeep.identity.lending.sweeping import LeaseSweeps
from ironkeep.identity.lifetimes import limits_of
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects import effects
from ironkeep.plugin.effects.effects import turn_of
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.effects.pauses import in_turns
from ironkeep.plugin.fields import Duration, check_named
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import LeaseInfo, Response
from ironkeep.plugin.route import Handler, Route
from ironkeep.store.reserved import LEASES, MOUNTS


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


@dataclass(frozen=True)
class Irrevocable:
    """The query of the leases that could not be revoked; `limit` "none" means the maximum."""

    type: str = ""
    limit: str = ""

    def require_known(self) -> None:
        """Raise InvalidRequest for another type of leases."""
        if self.type != "irrevocable":
            raise InvalidRequest('only leases of type "irrevocable" are listed and counted')

    @property
    def most(self) -> int:
        """The number of leases to return; raises InvalidRequest for no number."""
        if self.limit in {"", "none"}:
            return MAX_IRREVOCABLE
        if not (self.limit.isascii() and self.limit.isdigit()) or len(self.limit) > MAX_DIGITS:
            raise InvalidRequest('limit is a number of leases, or "none"')
        return min(int(self.limit), MAX_IRREVOCABLE)


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


def list_leases(call: Call) -> Response | Suspend:
    """Return the names directly below a prefix."""
    prefix = call.params.get("prefix", "").removesuffix("/")
    store = call.use(House).store(call.tx, LEASES)
    return list_folder(call, store, f"id/{prefix}" if prefix else "id")


def renew(call: Call, given: LeaseId) -> Response | Suspend:
    """Extend a lease; its engine's system is told first, if the engine wants that."""
    house = call.use(House)
    lease = house.leases.get(call.tx, given.id, call.now_ns)
    if lease is None:
        raise InvalidRequest("lease not found")
    if lease.of_token:
        # Policies on auth/token/ control the renewal of tokens.
        raise InvalidRequest("tokens cannot be renewed through this endpoint")
    mount = _mounts(call).get(lease.mount)
    limits = limits_of({} if mount is None else mount.config, house.tokens.limits)
    planned, _ = house.leases.extended(lease, given.increment, limits, call.now_ns)

    def store(later: Call, _: None) -> Response:
        renewed, warnings = house.leases.renew(
            later.tx, lease.id, given.increment, limits, later.now_ns
        )
        seconds = (renewed.expires_ns - later.now_ns) // SECOND_NS
        return Response(lease=LeaseInfo(renewed.id, True, seconds), warnings=warnings)

    steps = house.performing.renew(turn_of(call), lease, planned.expires_ns)
    return effects.run(call, steps, store)


def revoke(call: Call, given: LeaseId) -> Response | Suspend:
    """Revoke a lease; succeed if there is none.

    With `sync` the answer waits for one attempt to end its credential. If that fails, the lease is
    revoked all the same, and the attempts go on.
    """
    house = call.use(House)
    house.leases.revoke(call.tx, given.id, call.now_ns)
    lease = house.leases.stored(call.tx, given.id)
    if not given.sync or lease is None or lease.of_token:
        return Response(accepted=not given.sync)

    def ended(_later: Call, failure: Exception | None) -> Response:
        if failure is not None:
            raise UpstreamFailed(
                f"the lease is revoked, but its credential may still be valid: "
                f"{reason_of(failure)}. The vault goes on trying"
            )
        return Response()

    return effects.run(call, house.performing.revoke_now(turn_of(call), lease), ended)


def revoke_prefix(call: Call, given: Prefix) -> Response | Suspend:
    """Revoke all leases below a prefix, or the lease with that id.

    With `sync` the answer waits until all of them are revoked in the vault; their engines end the
    credentials afterwards.
    """
    sweeps = call.use(LeaseSweeps)
    if not given.sync:
        sweeps.later(call.tx, given.prefix, call.now_ns)
        return Response(accepted=True)
    steps = sweeps.in_turns(call, given.prefix)
    return in_turns(call, steps, lambda _later, _count: Response(), intent=True)


def revoke_force(call: Call, given: Prefix) -> Response | Suspend:
    """Remove all leases below a prefix; their credentials stay valid at their systems."""
    steps = call.use(LeaseSweeps).in_turns(call, given.prefix, force=True)
    return in_turns(
        call, steps, lambda _, count: Response(audited={"forgotten": count}), intent=True
    )


def irrevocable(call: Call, given: Irrevocable) -> Response:
    """Return the leases whose credentials could not be revoked in several attempts."""
    given.require_known()
    found = call.use(House).leases.irrevocable(call.tx, given.most)
    leases = [{"lease_id": each.id, "error": each.error} for each in found]
    return Response(data={"lease_count": len(leases), "leases": leases})


def count_irrevocable(call: Call, given: Irrevocable) -> Response:
    """Return the number of such leases, in all and by the accessor of their mount."""
    given.require_known()
    mounts, counts = _mounts(call), Counter[str]()
    for lease in call.use(House).leases.irrevocable(call.tx, MAX_IRREVOCABLE):
        mount = mounts.get(lease.mount)
        counts[lease.mount if mount is None else mount.accessor] += 1
    return Response(data={"lease_count": counts.total(), "counts": dict(counts)})


def _mounts(call: Call) -> dict[MountUuid, Mount]:
    house = call.use(House)
    table = house.mounts.table(house.store(call.tx, MOUNTS))
    return {mount.uuid: mount for mount in table.by_path.values()}


def _both(old: str, new: str, handler: Handler, given: type, **flags: Any) -> tuple[Route, ...]:
    return (
        Route(Operation.UPDATE, old, handler, given, same_as=new, **flags),
        Route(Operation.UPDATE, new, handler, given, same_as=old, **flags),
    )


_ID: Final = ("lease_id",)
MAX_IRREVOCABLE: Final = 200
"""Irrevocable leases in one answer, some 20 µs each; there are more only if a system is gone."""
MAX_DIGITS: Final = 9

ROUTES: Final = (
    Route(
        Operation.UPDATE, "leases/lookup", lookup, LeaseId, audited=_ID, help="A lease's times."
    ),
    Route(
        Operation.READ, "leases", irrevocable, Irrevocable, sudo=True, audited=("type",),
        help="The leases that could not be revoked.",
    ),
    Route(
        Operation.READ, "leases/count", count_irrevocable, Irrevocable, audited=("type",),
        help="The number of leases that could not be revoked.",
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
