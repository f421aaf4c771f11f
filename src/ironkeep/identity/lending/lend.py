"""Registers the lease of a credential that an engine is about to make."""

from dataclasses import dataclass

from ironkeep.core.ids import TokenHash
from ironkeep.identity.leases import Lease, Leases
from ironkeep.identity.lifetimes import Limits, limits_of
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import LeaseInfo
from ironkeep.plugin.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Loan:
    """The lifetime that a role gives a credential, in seconds; 0 leaves it to the mount."""

    ttl_seconds: int = 0
    max_ttl_seconds: int = 0
    renewable: bool = True


def lend(call: Call, payload: bytes, loan: Loan) -> tuple[LeaseInfo, list[str]]:
    """Register a lease in the request's transaction; return its fields and warnings.

    Call it in the first turn, before the effect that makes the credential: `payload` must be enough
    to end the credential, also if it was never made. The lease ends with the caller's token; that
    of a batch token ends with the token's parent.
    """
    if not payload:
        raise ValueError("a lease without a payload has no credential to revoke")
    leases, settings = call.use(Leases), call.use(ServerSettings)
    session = call.actor()
    owner = session.hash if session.record.type == "service" else session.record.parent
    system = Limits(settings.default_ttl_seconds, settings.max_ttl_seconds)
    wanted = Lease(
        "", TokenHash(owner), call.request.path.strip("/"), call.mount.uuid, 0, 0,
        entity=session.record.entity,
        ttl_seconds=loan.ttl_seconds,
        max_ttl_seconds=loan.max_ttl_seconds,
        renewable=loan.renewable,
        payload=payload,
        type=call.mount.type,
    )  # fmt: skip
    limits = limits_of(call.mount.config, system)
    lease, warnings = leases.issue(call.tx, wanted, limits, call.now_ns, call.entropy)
    return LeaseInfo(lease.id, lease.renewable, lease.ttl_seconds), warnings
