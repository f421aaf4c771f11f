"""Roles of the auth method `jwt`: the signed tokens they accept and the tokens they yield.

    role / name -> the role

Source: the Vault HTTP API, auth/jwt. Audiences are required: a token made for another service must
not log in here.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.access.devices.machine import OFFERED, check_bound_peer, check_machine
from ironkeep.core.errors import InvalidRequest
from ironkeep.identity.entities import check_metadata
from ironkeep.identity.roles import Roles, record_login, with_type
from ironkeep.identity.token_params import TokenParams, TokenParamsInput
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, Duration, KvPairs
from ironkeep.plugin.response import Response
from ironkeep.store.record import Codec

MAX_LEEWAY: Final = 300
"""Seconds. Clocks that differ by more are broken, and leeway extends the life of a stolen token."""
CLOCK_SKEW: Final = 60
MAX_BOUND: Final = 64
"""Bound claims of a role, values of a claim, and claim mappings of a role."""
ROLE_KEY: Final = "role"
"""The metadata key that holds the role's name; no claim may be mapped to it."""


@dataclass(frozen=True)
class RoleInput(TokenParamsInput):
    """The settings of a role that a request changes; None leaves a setting as it is."""

    name: str = field(default="", metadata={"help": "The role, in the path."})
    role_type: str | None = field(default=None, metadata={"help": "jwt."})
    bound_audiences: CommaList | None = field(
        default=None, metadata={"help": "Audiences, one of which the token must have; required."}
    )
    bound_issuer: str | None = field(default=None, metadata={"help": "The required iss."})
    bound_subject: str | None = field(default=None, metadata={"help": "The required sub."})
    bound_claims: dict[str, Any] | None = field(
        default=None, metadata={"help": "Claims and their allowed values."}
    )
    bound_claims_type: str | None = field(default=None, metadata={"help": "string or glob."})
    claim_mappings: KvPairs | None = field(
        default=None, metadata={"help": "Claims to copy into the token's metadata, as claim=key."}
    )
    user_claim: str | None = field(
        default=None, metadata={"help": "The claim that names the workload."}
    )
    user_claim_json_pointer: bool | None = field(
        default=None, metadata={"help": "user_claim is a JSON pointer."}
    )
    clock_skew_leeway: Duration | None = field(
        default=None, metadata={"help": "Leeway for clock skew; 0 is a minute."}
    )
    expiration_leeway: Duration | None = field(
        default=None, metadata={"help": "Extra time after exp."}
    )
    not_before_leeway: Duration | None = field(
        default=None, metadata={"help": "Extra time before nbf."}
    )
    jti_single_use: bool | None = field(
        default=None, metadata={"help": "A token with a jti logs in once."}
    )
    token_bound_peer: str | None = field(
        default=None, metadata={"help": "required: log in over a client certificate; or offered."}
    )
    groups_claim: str = field(default="", metadata={"help": "Not supported."})
    allowed_redirect_uris: CommaList = field(default=(), metadata={"help": "For OIDC; ignored."})
    verbose_oidc_logging: bool = field(default=False, metadata={"help": "For OIDC; ignored."})
    oidc_scopes: CommaList = field(default=(), metadata={"help": "For OIDC; ignored."})


class Role(msgspec.Struct, frozen=True, omit_defaults=True):
    """A role as stored; `created_ns` is POSIX nanoseconds."""

    created_ns: int
    params: TokenParams = TokenParams()
    bound_audiences: tuple[str, ...] = ()
    bound_issuer: str = ""
    bound_subject: str = ""
    bound_claims: dict[str, tuple[str, ...]] = {}
    bound_claims_type: str = "string"
    claim_mappings: dict[str, str] = {}
    user_claim: str = ""
    user_claim_json_pointer: bool = False
    clock_skew_leeway: int = 0
    expiration_leeway: int = 0
    not_before_leeway: int = 0
    jti_single_use: bool = True
    token_bound_peer: str = OFFERED

    def clock_skew(self) -> int:
        """Return the allowed clock skew in seconds."""
        return self.clock_skew_leeway or CLOCK_SKEW


OWN: Final = tuple(name for name in Role.__struct_fields__ if name not in {"created_ns", "params"})
ROLE: Final = Codec(Role)
ROLES: Final = Roles("role", "name", ROLE, OWN)


def write_role(call: Call, given: RoleInput) -> Response:
    """Create a role, or change the settings that are given."""
    name = ROLES.name_of(call)
    role = ROLES.find(call, name) or Role(created_ns=call.now_ns)
    if given.role_type not in {None, "", "jwt"}:
        raise InvalidRequest("role_type must be jwt: for logins in a browser use auth/passkey")
    if given.groups_claim:
        raise InvalidRequest("groups_claim is not supported: assign policies by role")
    given = with_type(given)
    changes = ROLES.given(given)
    if given.bound_claims is not None:
        changes["bound_claims"] = _bound_claims(given.bound_claims)
    params = role.params.of_role(given, call)
    changed = msgspec.structs.replace(role, params=params, **changes)
    _check(changed)
    ROLES.put(call, name, changed)
    record_login(call, name, params)
    return Response()


def read_role(call: Call) -> Response:
    """Return a role."""
    _, role = ROLES.required(call)
    return Response(data=role.params.view() | ROLES.shown(role) | {"role_type": "jwt"})


def _bound_claims(given: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    if len(given) > MAX_BOUND:
        raise InvalidRequest(f"at most {MAX_BOUND} bound claims")
    return {name: _values(name, wanted) for name, wanted in given.items()}


def _values(name: str, wanted: Any) -> tuple[str, ...]:
    values = wanted if isinstance(wanted, list) else [wanted]
    texts = [
        ("true" if each else "false") if isinstance(each, bool) else str(each)
        for each in values
        if isinstance(each, str | int)
    ]
    if not 1 <= len(values) <= MAX_BOUND or len(texts) != len(values):
        raise InvalidRequest(f"bound claim {name[:64]!r} must be a text or a list of texts")
    return tuple(texts)


def _check(role: Role) -> None:
    check_machine(role.params)
    check_bound_peer(role.token_bound_peer)
    if not role.bound_audiences or not all(role.bound_audiences):
        raise InvalidRequest(
            "bound_audiences is required: a token made for another service must not log in here"
        )
    if not role.user_claim:
        raise InvalidRequest("a user claim must be defined on the role")
    if role.bound_claims_type not in {"string", "glob"}:
        raise InvalidRequest("bound_claims_type must be string or glob")
    if len(role.claim_mappings) > MAX_BOUND or ROLE_KEY in role.claim_mappings.values():
        raise InvalidRequest(f"map at most {MAX_BOUND} claims, and none of them to {ROLE_KEY!r}")
    check_metadata(dict.fromkeys(role.claim_mappings.values(), ""))
    leeways = (role.clock_skew_leeway, role.expiration_leeway, role.not_before_leeway)
    if max(leeways) > MAX_LEEWAY:
        raise InvalidRequest(f"a leeway must be at most {MAX_LEEWAY} seconds")
