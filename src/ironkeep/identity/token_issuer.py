"""Issue tokens by Vault's rules on their policies, lifetimes and parents.

Source: Vault, token store (handleCreateCommon). A service token is random; its record is stored
under its keyed hash (`token_store`). A batch token carries its record, encrypted (`batch_token`).
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.ids import EntityId, MountUuid, TokenAccessor, TokenHash, base62
from ironkeep.core.policy.builtin import NON_ASSIGNABLE_POLICY_NAMES, ROOT_POLICY_NAME
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.batch_token import encrypt_token
from ironkeep.identity.entities import Identity, check_metadata
from ironkeep.identity.leases import Leases
from ironkeep.identity.lifetimes import Limits, lifetime, limits_of
from ironkeep.identity.people import (
    MAX_CARRIED,
    joined,
    people_of_spec,
    require_uncontained,
    with_chain,
)
from ironkeep.identity.policies import Policies, normalise_name, normalise_names
from ironkeep.identity.sessions import MAX_ANCESTORS, Sessions
from ironkeep.identity.token_store import StoredToken, TokenStore, role_origin
from ironkeep.identity.token_view import auth_of
from ironkeep.plugin.cidr import narrowed, parse_cidrs
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.token import Session, TokenSpec
from ironkeep.store.state import Tx

PREFIX: Final = "hvs."
SUFFIX: Final = 24
"""Base62 characters: 142 bits. generate-root relies on the length of "hvs." and 24 characters."""
ACCESSOR: Final = 24
MAX_POLICIES: Final = 256
"""Policies of one token: all are compiled into its ACL."""
MAX_CIDRS: Final = 256
"""Address ranges of one token: all are tried on every request."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token; besides the response, the only place where it exists in clear text."""

    token: Secret
    hash: TokenHash
    record: StoredToken
    identity_policies: tuple[str, ...]
    warnings: tuple[str, ...]

    def auth(self) -> dict[str, Any]:
        """Return the auth field of Vault's envelope."""
        return auth_of(self.record, self.token, self.identity_policies)


class TokenIssuer:
    """Makes tokens, in the transaction that it is given."""

    def __init__(
        self,
        store: TokenStore,
        policies: Policies,
        identity: Identity,
        leases: Leases,
        sessions: Sessions,
        limits: Limits,
    ) -> None:
        self._store: Final = store
        self._policies: Final = policies
        self._identity: Final = identity
        self._leases: Final = leases
        self._sessions: Final = sessions
        self._limits: Final = limits

    def issue(
        self,
        tx: Tx,
        mount: Mount,
        spec: TokenSpec,
        now_ns: int,
        entropy: Entropy,
        creator: Session | None = None,
    ) -> Issued:
        """Issue the token that spec describes, at mount; `creator` is the requesting session.

        An alias in spec finds or creates its entity. Raise InvalidRequest when the rules forbid the
        token, PermissionDenied for a disabled entity.
        """
        _check_spec(mount, spec)
        entity, identity_policies = spec.entity, tuple[str, ...]()
        if spec.alias:
            known = self._identity.login(
                tx, mount.accessor, spec.alias, spec.alias_metadata, now_ns, entropy,
                people_of_spec(spec, creator),
            )  # fmt: skip
            entity, identity_policies = known.id, known.policies
        self._require_uncontained(tx, mount, spec, entity)
        policies = normalise_names(spec.policies, add_default=not spec.no_default_policy)
        _check_policies(policies, mount)
        limits = limits_of(mount.config, self._limits)
        seconds, warnings = _first_lifetime(spec, policies, limits, now_ns)
        renewable = spec.renewable and seconds > 0 and spec.type == "service"
        record = StoredToken(
            accessor=TokenAccessor(""),
            policies=policies,
            path=spec.path,
            issued_ns=now_ns,
            expires_ns=now_ns + seconds * SECOND_NS if seconds else 0,
            type=spec.type,
            display_name=spec.display_name,
            entity=entity,
            parent=TokenHash("") if spec.orphan else spec.parent,
            orphan=spec.orphan,
            meta=spec.meta,
            num_uses=spec.num_uses,
            renewable=renewable,
            ttl_seconds=seconds,
            explicit_max_ttl_seconds=spec.explicit_max_ttl_seconds,
            period_seconds=spec.period_seconds,
            # A root token without expiry is not bound to addresses, as the last way to get access.
            bound_cidrs=_bounds(spec, creator) if seconds else (),
            role=spec.role,
            mount=mount.accessor,
            device=spec.device,
            peer=spec.peer,
            # The mount's limit is stored too, so that renewals need not look up the mount.
            max_ttl_seconds=min(spec.max_ttl_seconds or limits.max_seconds, limits.max_seconds),
        )
        record = with_chain(record, creator, spec.made, spec.makers)
        if self._sessions.depth(tx, record) > MAX_ANCESTORS:
            raise InvalidRequest(f"a token has at most {MAX_ANCESTORS} generations above it")
        unknown = [name for name in policies if not self._policies.exists(tx, name)]
        warnings += [f'Policy "{name}" does not exist' for name in unknown]
        all_warnings = (*spec.warnings, *warnings)
        if spec.type == "batch":
            return self._seal(tx, record, entropy, identity_policies, all_warnings)
        token, name, record = self.write(tx, record, mount.uuid, entropy, spec.id)
        return Issued(token, name, record, identity_policies, all_warnings)

    def write(
        self, tx: Tx, record: StoredToken, mount: MountUuid, entropy: Entropy, custom: str = ""
    ) -> tuple[Secret, TokenHash, StoredToken]:
        """Make a service token for record and store it; `custom` is a token chosen by the caller.

        It checks no rules; `issue` and response wrapping use it.
        """
        self._store.make_keys(tx, entropy)
        text = custom or PREFIX + base62(entropy.token(2 * SUFFIX), SUFFIX)
        token = Secret(text.encode())
        name = self._store.hash_of(tx, token)
        assert name is not None
        if custom and self._store.load(tx, name) is not None:
            raise InvalidRequest("cannot create a token with a duplicate ID")
        accessor = TokenAccessor(base62(entropy.token(2 * ACCESSOR), ACCESSOR))
        whole = msgspec.structs.replace(record, accessor=accessor)
        self._store.add(tx, name, whole)
        if whole.expires_ns:
            self._leases.mark_token(tx, whole.path, name, mount, whole.issued_ns)
        return token, name, whole

    def _require_uncontained(self, tx: Tx, mount: Mount, spec: TokenSpec, entity: EntityId) -> None:
        """Raise PermissionDenied for a contained role, or a login by a contained person."""
        require_uncontained(self._identity, self._store, tx, spec.made, entity)
        role = spec.role
        end = self._store.end_of(tx, role_origin(mount.accessor, role)) if role else None
        if end is not None and end.closed:
            raise PermissionDenied(
                "the role is contained: readmit it in its case (incident readmit) to log in again"
            )

    def _seal(
        self,
        tx: Tx,
        record: StoredToken,
        entropy: Entropy,
        identity_policies: tuple[str, ...],
        warnings: tuple[str, ...],
    ) -> Issued:
        keys = self._store.make_keys(tx, entropy)
        record = msgspec.structs.replace(record, origins=joined(record.origins, limit=MAX_CARRIED))
        token = encrypt_token(keys.batch_key, record, entropy)
        name = self._store.hash_of(tx, token)
        assert name is not None
        return Issued(token, name, record, identity_policies, warnings)


def _check_spec(mount: Mount, spec: TokenSpec) -> None:
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


def _check_policies(policies: tuple[str, ...], mount: Mount) -> None:
    """Raise InvalidRequest unless a token of this mount may have these policies."""
    if len(policies) > MAX_POLICIES:
        raise InvalidRequest(f"a token has at most {MAX_POLICIES} policies")
    for name in policies:
        normalise_name(name)
        if name in NON_ASSIGNABLE_POLICY_NAMES:
            raise InvalidRequest(f'cannot assign policy "{name}"')
    if ROOT_POLICY_NAME in policies and mount.type != "token":
        raise InvalidRequest("auth methods cannot create root tokens")


def _first_lifetime(
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


def _bounds(spec: TokenSpec, creator: Session | None) -> tuple[str, ...]:
    """Return a new token's address ranges, which never exceed those of the requesting token."""
    own = creator.record.bound_cidrs if creator is not None else ()
    return narrowed(own, spec.bound_cidrs)
