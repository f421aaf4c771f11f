"""The two views of a token: the auth field of a response, and the data of a lookup.

Source: Vault, token store (handleLookup) and the response envelope. The token stays a `Secret`,
which only the pipeline reveals.
"""

from typing import Any

from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.token import TokenRecord


def auth_of(
    record: TokenRecord, token: Secret | None, identity_policies: tuple[str, ...], left_ns: int = 0
) -> dict[str, Any]:
    """Return the auth field of Vault's envelope; a left_ns of 0 means the whole TTL is left."""
    auth: dict[str, Any] = {
        "client_token": "" if token is None else token,
        "accessor": record.accessor,
        "policies": sorted({*record.policies, *identity_policies}),
        "token_policies": list(record.policies),
        "metadata": record.meta or None,
        "lease_duration": left_ns // SECOND_NS or record.ttl_seconds,
        "renewable": record.renewable,
        "entity_id": record.entity,
        "token_type": record.type,
        "orphan": record.orphan,
        "mfa_requirement": None,
        "num_uses": max(record.num_uses, 0),
    }
    if identity_policies:
        auth["identity_policies"] = list(identity_policies)
    return auth


def lookup_of(
    record: TokenRecord, token: Secret | None, identity_policies: tuple[str, ...], now_ns: int
) -> dict[str, Any]:
    """Return the data of a lookup; token is None when the lookup was by accessor."""
    data: dict[str, Any] = {
        "id": "" if token is None else token,
        "accessor": record.accessor,
        "policies": list(record.policies),
        "path": record.path,
        "meta": record.meta or None,
        "display_name": record.display_name,
        "num_uses": max(record.num_uses, 0),
        "orphan": record.orphan,
        "creation_time": record.issued_ns // SECOND_NS,
        "creation_ttl": record.ttl_seconds,
        "expire_time": None,
        "ttl": 0,
        "explicit_max_ttl": record.explicit_max_ttl_seconds,
        "entity_id": record.entity,
        "type": record.type,
        "issue_time": rfc3339(record.issued_ns),
        "renewable": record.renewable and bool(record.expires_ns),
    }
    if record.expires_ns:
        data["expire_time"] = rfc3339(record.expires_ns)
        data["ttl"] = max(record.expires_ns - now_ns, 0) // SECOND_NS
    if record.renewed_ns:
        data["last_renewal"] = rfc3339(record.renewed_ns)
        data["last_renewal_time"] = record.renewed_ns // SECOND_NS
    if record.role:
        data["role"] = record.role
    if record.period_seconds:
        data["period"] = record.period_seconds
    if record.bound_cidrs:
        data["bound_cidrs"] = list(record.bound_cidrs)
    if identity_policies:
        data["identity_policies"] = list(identity_policies)
    return data
