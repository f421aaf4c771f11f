"""AppRole's roles: the token that a role id and a secret id yield.

    role / name          -> the role
    role-id / digest     -> the name of the role with that role id (SHA-256)
    was-role-id / digest -> the name of the role that last had a role id by which machines logged in

Source: the Vault HTTP API, auth/approle. Deviations, each to the safe side: by default a secret id
is good for one login within ten minutes, and it is issued only in a wrapped response unless the
role has `secret_id_wrapping=optional`.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.access.classes.classes import Classes, most
from ironkeep.access.devices.machine import OFFERED, REQUIRED, check_bound_peer
from ironkeep.access.second_person import require_another, waits
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import uuid
from ironkeep.identity.entities import Identity
from ironkeep.identity.roles import Roles, record_login
from ironkeep.identity.token_issuer import MAX_CIDRS
from ironkeep.identity.token_params import TokenParams, TokenParamsInput
from ironkeep.plugin.call import Call
from ironkeep.plugin.cidr import parse_cidrs
from ironkeep.plugin.fields import CidrList, Duration
from ironkeep.plugin.response import Response
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

MAX_ROLE_ID: Final = 4_096
SECRET_ID_SECONDS: Final = 10 * 60
"""Default time to live of a secret id: it is fetched in order to be used at once."""
SECRET_ID_USES: Final = 1
OPTIONAL: Final = "optional"


@dataclass(frozen=True)
class RoleInput(TokenParamsInput):
    """The settings of a role that a request changes; None leaves a setting as it is."""

    role_name: str = field(default="", metadata={"help": "The role, in the path."})
    role_id: str | None = field(
        default=None, metadata={"help": "The role id; a random one if not given."}
    )
    bind_secret_id: bool | None = field(
        default=None, metadata={"help": "A login needs a secret id."}
    )
    secret_id_bound_cidrs: CidrList | None = field(
        default=None,
        metadata={"alias": ("bound_cidr_list",), "help": "Addresses from which to log in."},
    )
    secret_id_num_uses: int | None = field(
        default=None, metadata={"help": "Logins by one secret id, 0 for any number."}
    )
    secret_id_ttl: Duration | None = field(
        default=None, metadata={"help": "Time to live of a secret id."}
    )
    secret_id_wrapping: str | None = field(
        default=None,
        metadata={"help": "required: secret ids are only issued wrapped; or optional."},
    )
    token_bound_peer: str | None = field(
        default=None,
        metadata={"help": "required: log in over a client certificate; or offered."},
    )
    local_secret_ids: bool | None = field(default=None, metadata={"help": "Must be false."})


class Role(msgspec.Struct, frozen=True, omit_defaults=True):
    """A role as stored; `created_ns` and `used_ns` are POSIX nanoseconds."""

    role_id: str
    created_ns: int
    params: TokenParams = TokenParams()
    bind_secret_id: bool = True
    secret_id_bound_cidrs: tuple[str, ...] = ()
    secret_id_num_uses: int = SECRET_ID_USES
    secret_id_ttl: int = SECRET_ID_SECONDS
    secret_id_wrapping: str = REQUIRED
    token_bound_peer: str = OFFERED
    used_ns: int = 0


OWN: Final = (
    "bind_secret_id",
    "secret_id_bound_cidrs",
    "secret_id_num_uses",
    "secret_id_ttl",
    "secret_id_wrapping",
    "token_bound_peer",
)


ROLE: Final = Codec(Role)
ROLES: Final = Roles("role", "role_name", ROLE, OWN)


def find_by_role_id(call: Call, role_id: str) -> tuple[str, Role | None]:
    """Return name and role of a role id, or None; both cases read the same number of rows."""
    raw = call.store.get(_id_path(role_id))
    name = "" if raw is None else raw.decode()
    role = ROLES.find(call, name or "-")
    return name, None if raw is None else role


def roles_of_id(store: Store, role_id: str) -> list[str]:
    """Return the names of the role that has a role id and of the one that last had it before."""
    raws = (store.get(_id_path(role_id)), store.get(_was_path(role_id)))
    return [raw.decode() for raw in raws if raw is not None]


def write_role(call: Call, given: RoleInput) -> Response:
    """Create a role, or change the settings that are given."""
    name = ROLES.name_of(call)
    known = ROLES.find(call, name)
    if given.local_secret_ids:
        raise InvalidRequest("local_secret_ids is not supported")
    fresh = Role(role_id=_new_id(call), created_ns=call.now_ns)
    return change(call, name, known or fresh, given, is_new=known is None)


def change(
    call: Call, name: str, role: Role, given: RoleInput, *, is_new: bool = False
) -> Response:
    """Write a role with the given changes; return a pending response when approval is needed."""
    params = role.params.of_role(given, call)
    role_id = role.role_id if given.role_id is None else given.role_id
    changed = msgspec.structs.replace(role, params=params, role_id=role_id, **ROLES.given(given))
    _check(changed)
    takes_id = is_new or role_id != role.role_id
    former = _former(call, role_id) if takes_id else ""
    # Anybody who knows its role id can log in to a role without secret ids, and a role that takes
    # over another role's former id gets tokens of that role's machine. Both need the approvals
    # that issuing a secret id needs.
    guarded = {name} if not changed.bind_secret_id and (is_new or role.bind_secret_id) else set()
    guarded |= {former} - {"", name}
    answer = _approved(call, guarded) if guarded else Response()
    if waits(answer):
        return answer
    if takes_id:
        _take_id(call, name, role, role_id)
    ROLES.put(call, name, changed)
    record_login(call, name, params)
    return answer


def _approved(call: Call, roles: set[str]) -> Response:
    """Require the approvals that issuing secret ids of these roles needs; see require_another."""
    places = [f"role/{each}/secret-id" for each in roles]
    demands = [call.use(Classes).demand(call.tx, call.mount.uuid, each) for each in places]
    return require_another(call, most(demands))


def read_role(call: Call) -> Response:
    """Return a role, without its role id."""
    _, role = ROLES.required(call)
    return Response(data=role.params.view() | ROLES.shown(role) | {"local_secret_ids": False})


def read_role_id(call: Call) -> Response:
    """Return a role's id; it is a name, not a secret."""
    return Response(data={"role_id": ROLES.required(call)[1].role_id})


def write_role_id(call: Call, given: RoleInput) -> Response:
    """Change a role's id."""
    name, role = ROLES.required(call)
    if not given.role_id:
        raise InvalidRequest("missing role_id")
    return change(call, name, role, RoleInput(role_id=given.role_id))


def forget_role_id(call: Call, role: Role) -> None:
    """Remove the index entry of a role that is removed; see _leave_id."""
    _leave_id(call, role.role_id)


def _take_id(call: Call, name: str, role: Role, role_id: str) -> None:
    """Move a role's index entry to role_id; raise InvalidRequest when another role has the id."""
    if not 1 <= len(role_id) <= MAX_ROLE_ID or not role_id.isprintable():
        raise InvalidRequest(f"a role id must have 1 to {MAX_ROLE_ID} printable characters")
    taken = call.store.get(_id_path(role_id))
    if taken is not None and taken.decode() != name:
        raise InvalidRequest("role_id already in use")
    _leave_id(call, role.role_id)
    call.store.put(_id_path(role_id), name.encode())
    call.store.delete(_was_path(role_id))


def _leave_id(call: Call, role_id: str) -> None:
    """Remove an id's index entry; remember its role if a machine has logged in by it.

    The id is the alias of the machine's entity, so a new role with this id would get that entity,
    its limits and its templated paths.
    """
    raw = call.store.get(_id_path(role_id))
    call.store.delete(_id_path(role_id))
    if raw is not None and call.use(Identity).by_alias(call.tx, call.mount.accessor, role_id):
        call.store.put(_was_path(role_id), raw)


def _former(call: Call, role_id: str) -> str:
    """Return the name of the role that last had an id by which machines logged in, "" for none."""
    raw = call.store.get(_was_path(role_id))
    return "" if raw is None else raw.decode()


def _check(role: Role) -> None:
    check_bound_peer(role.token_bound_peer)
    if role.secret_id_wrapping not in {REQUIRED, OPTIONAL}:
        raise InvalidRequest(f"secret_id_wrapping must be {REQUIRED!r} or {OPTIONAL!r}")
    if role.secret_id_num_uses < 0:
        raise InvalidRequest("secret_id_num_uses cannot be negative")
    if len(role.secret_id_bound_cidrs) > MAX_CIDRS:
        raise InvalidRequest(f"at most {MAX_CIDRS} address ranges")
    parse_cidrs(role.secret_id_bound_cidrs)
    if not (role.bind_secret_id or role.secret_id_bound_cidrs or role.params.token_bound_cidrs):
        raise InvalidRequest("at least one constraint should be enabled on the role")


def _id_path(role_id: str) -> str:
    return f"role-id/{sha256(role_id.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _was_path(role_id: str) -> str:
    return f"was-{_id_path(role_id)}"


def _new_id(call: Call) -> str:
    return uuid(call.entropy.token(16))
