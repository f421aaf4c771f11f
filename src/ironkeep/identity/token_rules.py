"""The rules on new tokens and their lifetimes. Source: Vault, token store (handleCreateCommon)."""

from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.policy.builtin import NON_ASSIGNABLE_POLICY_NAMES, ROOT_POLICY_NAME
from ironkeep.identity.entities import check_metadata
from ironkeep.identity.lifetimes import Limits, lifetime
from ironkeep.identity.policies import normalise_name
from ironkeep.plugin.cidr import parse_cidrs
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.token import TokenSpec

MAX_POLICIES: Final = 256
"""Per token: all are compiled into its ACL."""
MAX_CIDRS: Final = 256
"""Per token: all are tried on every request."""


def check_spec(mount: Mount, spec: TokenSpec) -> None:
    """Raise InvalidRequest when spec contradicts itself or is not allowed at this mount."""
    if spec.num_uses < 0:
        raise InvalidRequest("number of uses cannot be negative")
    if spec.type == "batch":
        for name, value in (
            ("explicit_max_ttl", spec.explicit_max_ttl_seconds),
            ("num_uses", spec.num_uses),
            ("period", spec.period_seconds),
        ):
            if value:
                raise InvalidRequest(f'batch tokens cannot have "{name}" set')
    check_metadata(spec.meta)
    if len(spec.bound_cidrs) > MAX_CIDRS:
        raise InvalidRequest(f"a token is bound to at most {MAX_CIDRS} address ranges")
    parse_cidrs(spec.bound_cidrs)
    if mount.type != "token" and spec.id:
        raise InvalidRequest("auth methods cannot choose the token")


def check_policies(policies: tuple[str, ...], mount: Mount) -> None:
    """Raise InvalidRequest unless a token of this mount may have these policies."""
    if len(policies) > MAX_POLICIES:
        raise InvalidRequest(f"a token has at most {MAX_POLICIES} policies")
    for name in policies:
        normalise_name(name)
        if name in NON_ASSIGNABLE_POLICY_NAMES:
            raise InvalidRequest(f'cannot assign policy "{name}"')
    if ROOT_POLICY_NAME in policies and mount.type != "token":
        raise InvalidRequest("auth methods cannot create root tokens")


def first_lifetime(
    spec: TokenSpec, policies: tuple[str, ...], limits: Limits, now_ns: int
) -> tuple[int, list[str]]:
    """Return a new token's lifetime in seconds, 0 for no expiry, with Vault's warnings."""
    if ROOT_POLICY_NAME in policies:
        if spec.type == "batch":
            raise InvalidRequest("batch tokens cannot be root tokens")
        if not spec.ttl_seconds and not spec.period_seconds:
            return spec.explicit_max_ttl_seconds, []
    return lifetime(
        limits,
        issued_ns=now_ns,
        now_ns=now_ns,
        ttl=spec.ttl_seconds,
        longest=spec.max_ttl_seconds,
        explicit=spec.explicit_max_ttl_seconds,
        period=spec.period_seconds,
    )
