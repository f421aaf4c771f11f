"""Values of a token as stored, as issued and as a session; identity/tokens.py stores them."""

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from ironkeep.core.ids import (
    ROOT_NAMESPACE,
    DeviceId,
    EntityId,
    MountAccessor,
    NamespaceId,
    TokenAccessor,
    TokenHash,
)
from ironkeep.core.operation import Operation
from ironkeep.core.policy.acl import Acl
from ironkeep.core.policy.decision import Allow, Deny

Verdicts = dict[tuple[Operation, str], tuple[object, Allow | Deny]]
"""Cached decisions that do not depend on the request's data, with the plan each was made for."""

TokenType = Literal["service", "batch"]

DEFAULT_TTL_SECONDS: Final = 768 * 3600
"""Vault's own default for lease durations: 32 days."""


Origin = tuple[str, int]
"""A session, role, device or mount that acted, and when (POSIX nanoseconds); identity/people.py."""


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """The authors of something that tokens are issued by: a role, secret id, password, invitation.

    `at_ns` is the time of the last write in POSIX nanoseconds. `people` are all people behind the
    sessions that wrote it; `holders` are those of them who had the session's token in their hands,
    and so know the credential. `origins` are the sessions, roles, devices and mounts behind them.
    """

    people: tuple[EntityId, ...] = ()
    at_ns: int = 0
    holders: tuple[EntityId, ...] = ()
    origins: tuple[Origin, ...] = ()


class TokenRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored record of a service token, or the content of a batch token, without the token.

    Times are POSIX nanoseconds; an `expires_ns` of 0 means never. `parent` is the parent's hash.
    """

    accessor: TokenAccessor
    policies: tuple[str, ...]
    path: str
    issued_ns: int
    expires_ns: int = 0
    type: TokenType = "service"
    display_name: str = ""
    entity: EntityId = EntityId("")
    parent: TokenHash = TokenHash("")
    orphan: bool = False
    meta: dict[str, str] = {}
    num_uses: int = 0
    renewable: bool = True
    ttl_seconds: int = 0
    explicit_max_ttl_seconds: int = 0
    period_seconds: int = 0
    bound_cidrs: tuple[str, ...] = ()
    role: str = ""
    renewed_ns: int = 0
    device: DeviceId = DeviceId("")
    namespace: NamespaceId = ROOT_NAMESPACE
    mount: MountAccessor = MountAccessor("")
    wraps: bool = False
    creation_path: str = ""
    peer: str = ""
    """Hex SHA-256 of the public key of the client certificate that it is bound to, if any."""


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """A token to be issued. TTLs are seconds; 0 means the mount's or the system's default.

    `alias` names the person or machine at the issuing mount; the pipeline finds or creates its
    entity.
    """

    policies: tuple[str, ...]
    display_name: str
    path: str
    type: TokenType = "service"
    alias: str = ""
    alias_metadata: dict[str, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    parent: TokenHash = TokenHash("")
    orphan: bool = True
    entity: EntityId = EntityId("")
    ttl_seconds: int = 0
    max_ttl_seconds: int = 0
    explicit_max_ttl_seconds: int = 0
    period_seconds: int = 0
    num_uses: int = 0
    renewable: bool = True
    bound_cidrs: tuple[str, ...] = ()
    no_default_policy: bool = False
    role: str = ""
    id: str = ""
    warnings: tuple[str, ...] = ()
    device: DeviceId = DeviceId("")
    peer: str = ""
    made: tuple[Made, ...] = ()
    """The authors of everything that the login relies on; they count as people behind the token."""
    makers: tuple[EntityId, ...] = ()
    """People who handed out this token, or the credential it is issued for; its reads count as
    theirs too."""


@dataclass(slots=True)
class Session:
    """A caller's token record, its policies in force (identity policies included) and its ACL.

    `verdicts` is a cache of decisions, shared by all sessions with the same ACL.
    """

    hash: TokenHash
    record: TokenRecord
    name: str
    policies: tuple[str, ...]
    identity_policies: tuple[str, ...]
    acl: Acl
    root: bool
    verdicts: Verdicts
    people: frozenset[EntityId] = frozenset()
    """All people behind the token (identity/people.py); empty for an unattributed token."""
    payers: tuple[EntityId, ...] = ()
    """The token's own person and the people who handed it out: their budgets are charged."""
    origins: tuple[Origin, ...] = ()
    """The sessions, roles, devices and mounts that acted so that this token came to be."""
    remembered: dict[str, int] = field(default_factory=dict)
    """A cache of facts for as long as the session is in memory; used by access/budgets."""
