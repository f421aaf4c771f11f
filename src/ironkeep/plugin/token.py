"""A token as stored, as issued and as a session: values only; identity/tokens.py keeps them."""

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
"""What was decided on a path where the data does not matter, with the plan that it was given for.
"""

TokenType = Literal["service", "batch"]

DEFAULT_TTL_SECONDS: Final = 768 * 3600
"""Vault's own default for lease durations: 32 days."""


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """By which people something was made that gives tokens, and when it was written last.

    A role, a secret id, a password or an invitation. `at_ns` is POSIX nanoseconds; `holders` are
    those of the people who wrote it with their own hands, and so know it.
    """

    people: tuple[EntityId, ...] = ()
    at_ns: int = 0
    holders: tuple[EntityId, ...] = ()


class TokenRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of a service token, and what a batch token carries. Never the token itself.

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
    """A token to be issued. Lengths are seconds; 0 means the mount's or the system's default.

    `alias` names the person or machine at the issuing mount: the pipeline finds or makes its
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
    """Everything that the login stands on and somebody made: each a reason to count as them."""
    makers: tuple[EntityId, ...] = ()
    """People who handed this very token out, or what it is had for: the reads are theirs too."""


@dataclass(slots=True)
class Session:
    """Who is calling: the token's record, its policies in force (identity's included), its ACL.

    `verdicts` is a memory of decisions, shared by all sessions with the same ACL.
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
    """Everybody who stands behind the token (identity/people.py); empty when it names nobody."""
    payers: tuple[EntityId, ...] = ()
    """Of these, its own person and those who handed it out: their budgets are charged."""
    remembered: dict[str, int] = field(default_factory=dict)
    """What a feature remembers for as long as the session is in memory; see access/budgets."""
