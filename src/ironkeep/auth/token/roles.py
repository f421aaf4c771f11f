"""Token roles: the limits of auth/token/create/<role>, the same for every caller.

    roles / name -> the role

Source: the Vault HTTP API, auth/token/roles.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.core.policy.glob import matches
from ironkeep.identity.policies import normalise_names
from ironkeep.identity.token_params import TokenParams, TokenParamsInput
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, Duration, PolicyNames
from ironkeep.plugin.response import Response, listing
from ironkeep.plugin.route import Route
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_NAME: Final = 128
MAX_SUFFIX: Final = 128
"""Characters of a path suffix, which is part of the path and lease id of each token of the role."""
HISTORY: Final = "token-role"
"""The kind of a role's records in the history."""

_SUFFIX: Final = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)


@dataclass(frozen=True)
class RoleInput(TokenParamsInput):
    """The settings of a role that a request changes; None leaves a setting as it is."""

    role_name: str = field(default="", metadata={"help": "The role, in the path."})
    allowed_policies: PolicyNames | None = field(
        default=None, metadata={"help": "Policies that tokens may have, even without the caller's."}
    )
    disallowed_policies: PolicyNames | None = field(
        default=None, metadata={"help": "Policies that tokens may not have."}
    )
    allowed_policies_glob: CommaList | None = field(
        default=None, metadata={"help": "Like allowed_policies, with * for any text."}
    )
    disallowed_policies_glob: CommaList | None = field(
        default=None, metadata={"help": "Like disallowed_policies, with * for any text."}
    )
    orphan: bool | None = field(default=None, metadata={"help": "Tokens have no parent."})
    renewable: bool | None = field(default=None, metadata={"help": "Tokens can be renewed."})
    path_suffix: str | None = field(
        default=None, metadata={"help": "Appended to the path of tokens, to revoke them by prefix."}
    )
    allowed_entity_aliases: CommaList | None = field(
        default=None, metadata={"help": "Aliases that may be asked for, with * for any text."}
    )
    token_explicit_max_ttl: Duration | None = field(
        default=None,
        metadata={"alias": ("explicit_max_ttl",), "help": "Hard limit on the lifetime of tokens."},
    )


class TokenRole(msgspec.Struct, frozen=True, omit_defaults=True):
    """A role as stored; `params` holds the token_* settings."""

    params: TokenParams = TokenParams(token_type="default-service")  # noqa: S106 - a kind
    allowed_policies: tuple[str, ...] = ()
    disallowed_policies: tuple[str, ...] = ()
    allowed_policies_glob: tuple[str, ...] = ()
    disallowed_policies_glob: tuple[str, ...] = ()
    orphan: bool = False
    renewable: bool = True
    path_suffix: str = ""
    allowed_entity_aliases: tuple[str, ...] = ()

    @property
    def restricts(self) -> bool:
        """Return whether the role, and not the parent token, limits the policies."""
        return bool(
            self.allowed_policies
            or self.disallowed_policies
            or self.allowed_policies_glob
            or self.disallowed_policies_glob
        )

    def allows(self, policy: str) -> bool:
        """Return whether the allowed lists contain a policy."""
        return policy in self.allowed_policies or matches(self.allowed_policies_glob, policy)

    def forbids(self, policy: str) -> bool:
        """Return whether the disallowed lists contain a policy."""
        return policy in self.disallowed_policies or matches(self.disallowed_policies_glob, policy)


_ROLE: Final = Codec(TokenRole)
_OWN: Final = tuple(name for name in TokenRole.__struct_fields__ if name != "params")
_POLICY_LISTS: Final = tuple(name for name in _OWN if "policies" in name)


def find_role(call: Call, name: str) -> TokenRole | None:
    """Return the role of that name, or None."""
    raw = call.store.get(f"roles/{escape_part(name)}")
    return None if raw is None else _ROLE.decode(raw)


def read_role(call: Call) -> Response:
    """Return a role."""
    role = find_role(call, call.params["role_name"])
    if role is None:
        raise NotFound("")
    params = role.params
    data: dict[str, Any] = {name: getattr(role, name) for name in _OWN}
    data |= {
        "name": call.params["role_name"],
        "token_type": params.token_type,
        "token_period": params.token_period,
        "period": params.token_period if "period" in params.old else 0,
        "token_explicit_max_ttl": params.token_explicit_max_ttl,
        "explicit_max_ttl": 0,
        "token_no_default_policy": params.token_no_default_policy,
        "token_num_uses": params.token_num_uses,
        "token_bound_cidrs": params.token_bound_cidrs,
    }
    return Response(data=data)


def write_role(call: Call, given: RoleInput) -> Response:
    """Make a role, or change the settings that are given."""
    name = call.params["role_name"]
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a role's name has at most {MAX_NAME} printable characters")
    role = find_role(call, name) or TokenRole()
    changes: dict[str, Any] = {
        key: value for key in _OWN if (value := getattr(given, key)) is not None
    }
    for key in _POLICY_LISTS:
        if key in changes:
            changes[key] = normalise_names(changes[key], add_default=False)
    suffix = changes.get("path_suffix", "")
    if suffix and (len(suffix) > MAX_SUFFIX or not _SUFFIX.fullmatch(suffix)):
        raise InvalidRequest(
            f"given role path suffix contains invalid characters; must match {_SUFFIX.pattern}"
        )
    params = role.params.of_role(given, call)
    saved = msgspec.structs.replace(role, params=params, **changes)
    _check_batch(saved)
    raw = _ROLE.encode(saved)
    call.store.put(f"roles/{escape_part(name)}", raw)
    call.use(History).record(call.tx, HISTORY, name, raw, call.now_ns)
    return Response()


def _check_batch(role: TokenRole) -> None:
    """Raise InvalidRequest when a role of batch tokens makes children or renewable tokens.

    Batch tokens can be neither. Stored roles are checked only when they are written again.
    """
    if role.params.token_type != "batch":  # noqa: S105 - a kind
        return
    for wrong, kind in ((not role.orphan, "non-orphan"), (role.renewable, "renewable")):
        if wrong:
            raise InvalidRequest(
                f"'token_type' cannot be 'batch' when role is set to generate {kind} tokens"
            )


def delete_role(call: Call) -> Response:
    """Remove a role; its tokens stay valid."""
    name = call.params["role_name"]
    if find_role(call, name) is not None:
        call.store.delete(f"roles/{escape_part(name)}")
        call.use(History).record(call.tx, HISTORY, name, b"", call.now_ns)
    return Response()


def list_roles(call: Call) -> Response:
    """List the names of all roles."""
    return listing([unescape_part(name) for name in call.store.list("roles")])


def _exists(call: Call) -> bool:
    return find_role(call, call.params["role_name"]) is not None


ROUTES: Final[tuple[Route, ...]] = (
    Route(Operation.LIST, "roles/", list_roles, help="List the roles."),
    Route(Operation.READ, "roles/{role_name}", read_role, help="A role."),
    Route(
        Operation.UPDATE,
        "roles/{role_name}",
        write_role,
        input=RoleInput,
        exists=_exists,
        makes=True,
        audited=(
            "allowed_policies",
            "disallowed_policies",
            "allowed_policies_glob",
            "disallowed_policies_glob",
            "orphan",
            "token_type",
        ),
        help="Create or change a role.",
    ),
    Route(Operation.DELETE, "roles/{role_name}", delete_role, help="Remove a role."),
)
