"""Creating tokens: which policies, parent, lifetime and type a caller may ask for.

Source: Vault, token store (handleCreateCommon): order of checks and error texts are Vault's.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from ironkeep.access.break_glass.break_glass import is_break_glass
from ironkeep.auth.token.roles import TokenRole, find_role
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import EntityId, TokenHash
from ironkeep.core.operation import Operation
from ironkeep.core.policy.builtin import DEFAULT_POLICY_NAME, ROOT_POLICY_NAME
from ironkeep.core.policy.glob import matches
from ironkeep.core.secret import Secret
from ironkeep.core.text.naming import fault_of
from ironkeep.identity.policies import normalise_names
from ironkeep.identity.token_params import token_type
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import Duration, FoldedText, KvPairs, PolicyNames
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session, TokenSpec, TokenType

MAX_DISPLAY_NAME: Final = 128
MAX_CUSTOM: Final = 512
"""Characters of a token chosen by the caller."""

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9-]")


@dataclass(frozen=True)
class CreateToken:
    """The properties of a new token that a caller may ask for."""

    role_name: str = field(default="", metadata={"help": "The role, in the path."})
    id: Secret | None = field(default=None, metadata={"help": "The token itself; needs sudo."})
    policies: PolicyNames = field(default=(), metadata={"help": "Its policies."})
    meta: KvPairs | None = field(default=None, metadata={"help": "Its metadata."})
    no_parent: bool = field(default=False, metadata={"help": "Create an orphan; needs sudo."})
    no_default_policy: bool = field(
        default=False, metadata={"help": "Leave out the policy `default`."}
    )
    renewable: bool = field(default=True, metadata={"help": "Whether it can be renewed."})
    ttl: Duration = field(
        default=0, metadata={"alias": ("lease",), "help": "Its time to live, before renewal."}
    )
    type: str = field(default="", metadata={"help": "service or batch."})
    explicit_max_ttl: Duration = field(default=0, metadata={"help": "Hard limit on its lifetime."})
    display_name: str = field(default="", metadata={"help": "A name, for audit entries."})
    num_uses: int = field(default=0, metadata={"help": "Uses, 0 for any number."})
    period: Duration = field(
        default=0, metadata={"help": "Each renewal lasts this long, without end; needs sudo."}
    )
    entity_alias: FoldedText = field(
        default="", metadata={"help": "An alias that the role allows."}
    )


def create(call: Call, given: CreateToken) -> Response:
    """Create a child of the caller's token."""
    return _create(call, given, orphan=False, role=None)


def create_orphan(call: Call, given: CreateToken) -> Response:
    """Create a token without a parent, which may outlive the caller's."""
    return _create(call, given, orphan=True, role=None)


def create_with_role(call: Call, given: CreateToken) -> Response:
    """Create a token within the limits of a role."""
    name = call.params["role_name"]
    role = find_role(call, name)
    if role is None:
        raise InvalidRequest(f"unknown role {name}")
    return _create(call, given, orphan=role.orphan, role=role)


def _create(call: Call, given: CreateToken, *, orphan: bool, role: TokenRole | None) -> Response:
    parent = call.actor()
    sudo = _has_sudo(call, parent)
    _check_parent(parent)
    _check_privileges(given, role, sudo=sudo)
    kind = _kind(call, given, role)
    policies = _policies(given, role, parent, sudo=sudo)
    if ROOT_POLICY_NAME in policies:
        _check_root(given, parent)
    orphan = orphan or (given.no_parent and role is None)
    params = role.params if role else None
    spec = TokenSpec(
        policies=policies,
        display_name=_display_name(given.display_name),
        path=_path(call, role),
        type=kind,
        alias=given.entity_alias,
        meta=dict(given.meta or {}),
        parent=TokenHash("") if orphan else parent.hash,
        orphan=orphan,
        entity=EntityId("") if orphan else parent.record.entity,
        ttl_seconds=given.ttl,
        explicit_max_ttl_seconds=_lesser(
            given.explicit_max_ttl, params.token_explicit_max_ttl if params else 0
        ),
        period_seconds=_lesser(given.period, params.token_period if params else 0),
        num_uses=_lesser(given.num_uses, params.token_num_uses if params else 0),
        renewable=given.renewable and (role is None or role.renewable),
        bound_cidrs=params.token_bound_cidrs if params else (),
        made=(params.made,) if params else (),
        no_default_policy=True,
        role=call.params.get("role_name", "") if role else "",
        id=_custom(given.id),
    )
    return Response(issue=spec)


def _has_sudo(call: Call, parent: Session) -> bool:
    decision = parent.acl.decide(
        call.request.path, Operation.UPDATE, call.raw, call.request.wrap_ttl_seconds
    )
    return parent.root or decision.sudo


def _check_parent(parent: Session) -> None:
    if parent.record.type == "batch":
        raise InvalidRequest("batch tokens cannot create more tokens")
    if is_break_glass(parent):
        # An orphan made by it would outlive the emergency's time limit.
        raise InvalidRequest("a break-glass token cannot create tokens")
    if parent.record.num_uses:
        raise InvalidRequest("restricted use token cannot generate child tokens")


def _check_privileges(given: CreateToken, role: TokenRole | None, *, sudo: bool) -> None:
    if given.entity_alias:
        if role is None:
            raise InvalidRequest("'entity_alias' is only allowed in combination with token role")
        if not matches(role.allowed_entity_aliases, given.entity_alias):
            raise InvalidRequest("invalid 'entity_alias' value")
        fault = fault_of(given.entity_alias)
        if fault is not None:
            raise InvalidRequest(f"this 'entity_alias' is not a valid name: {fault}")
    if sudo:
        return
    if given.id is not None:
        raise InvalidRequest("root or sudo privileges required to specify token id")
    if given.no_parent and role is None:
        raise InvalidRequest("root or sudo privileges required to create orphan token")
    if given.period:
        raise InvalidRequest("root or sudo privileges required to create periodic token")


def _kind(call: Call, given: CreateToken, role: TokenRole | None) -> TokenType:
    if given.type not in {"", "service", "batch"}:
        raise InvalidRequest("invalid 'token_type' value")
    wanted = role.params.token_type if role else "default"
    return token_type(wanted, call.mount, given.type)


def _policies(
    given: CreateToken, role: TokenRole | None, parent: Session, *, sudo: bool
) -> tuple[str, ...]:
    """Return the policies of the new token, with `default` where it applies."""
    if role is not None and role.restricts:
        return _role_policies(given, role, parent)
    own = parent.record.policies
    asked = normalise_names(given.policies, add_default=False)
    if not asked:
        if role is not None and role.params.token_no_default_policy:
            return tuple(name for name in own if name != DEFAULT_POLICY_NAME)
        return own
    if sudo:
        return normalise_names(asked, add_default=not given.no_default_policy)
    if not set(asked) <= set(own):
        raise InvalidRequest("child policies must be subset of parent")
    inherits = DEFAULT_POLICY_NAME in own and not given.no_default_policy
    return normalise_names(asked, add_default=inherits)


def _role_policies(given: CreateToken, role: TokenRole, parent: Session) -> tuple[str, ...]:
    add_default = not (
        given.no_default_policy
        or role.params.token_no_default_policy
        or role.forbids(DEFAULT_POLICY_NAME)
    )
    asked = normalise_names(given.policies, add_default=add_default) if given.policies else ()
    if role.allowed_policies or role.allowed_policies_glob:
        allowed = normalise_names(role.allowed_policies, add_default=add_default)
        for name in asked:
            if name not in allowed and not role.allows(name):
                raise InvalidRequest(
                    f"token policies ({list(asked)}) must be subset of the role's allowed policies "
                    f"({list(allowed)}) or glob policies ({list(role.allowed_policies_glob)})"
                )
        asked = asked or allowed
    else:
        asked = asked or normalise_names(parent.record.policies, add_default=add_default)
    for name in asked:
        if role.forbids(name):
            raise InvalidRequest(f'token policy "{name}" is disallowed by this role')
    return asked


def _check_root(given: CreateToken, parent: Session) -> None:
    if not parent.root:
        raise InvalidRequest("root tokens may not be created without parent token being root")
    forever = not (given.ttl or given.period or given.explicit_max_ttl)
    if forever and parent.record.expires_ns:
        raise InvalidRequest("expiring root tokens cannot create non-expiring root tokens")


def _lesser(asked: int, of_role: int) -> int:
    return min(asked, of_role) if asked > 0 and of_role else asked or of_role


def _path(call: Call, role: TokenRole | None) -> str:
    suffix = f"/{role.path_suffix}" if role is not None and role.path_suffix else ""
    return call.request.path.rstrip("/") + suffix


def _display_name(name: str) -> str:
    if len(name) > MAX_DISPLAY_NAME:
        raise InvalidRequest(f"a display name must have at most {MAX_DISPLAY_NAME} characters")
    safe = _NOT_IN_NAMES.sub("-", name).rstrip("-")
    return f"token-{safe}" if safe else "token"


def _custom(token: Secret | None) -> str:
    if token is None:
        return ""
    text = token.reveal().decode("utf-8", "replace")
    if not 1 <= len(text) <= MAX_CUSTOM or not text.isascii() or not text.isprintable():
        raise InvalidRequest(f"a custom token must be 1 to {MAX_CUSTOM} printable ASCII characters")
    if " " in text or "." in text:
        # In Vault a dot separates a token from its namespace, and our own prefixes ("hvs.") end in
        # one.
        raise InvalidRequest("a custom token ID may contain neither a space nor a '.' character")
    return text


_AUDITED: Final = (
    "policies",
    "ttl",
    "explicit_max_ttl",
    "period",
    "num_uses",
    "type",
    "display_name",
    "no_parent",
    "renewable",
    "entity_alias",
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        Operation.UPDATE,
        "create",
        create,
        input=CreateToken,
        audited=_AUDITED,
        releases=True,
        help="Create a child of your token.",
    ),
    Route(
        Operation.UPDATE,
        "create-orphan",
        create_orphan,
        input=CreateToken,
        sudo=True,
        audited=_AUDITED,
        releases=True,
        help="Create a token without a parent.",
    ),
    Route(
        Operation.UPDATE,
        "create/{role_name}",
        create_with_role,
        input=CreateToken,
        audited=_AUDITED,
        releases=True,
        help="Create a token within a role.",
    ),
)
