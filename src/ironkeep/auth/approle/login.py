"""AppRole's login: a role id and a secret id yield a token.

Every refused login gets the same answer, writes nothing and reads the same records, so that neither
content nor timing tells what was wrong.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from ironkeep.access.devices.machine import bound
from ironkeep.auth.approle import secret_ids
from ironkeep.auth.approle.role import MAX_ROLE_ID, ROLES, Role, find_by_role_id
from ironkeep.auth.approle.secret_ids import MAX_SECRET_ID, SecretId
from ironkeep.core.errors import InvalidCredentials, InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.token_params import display_name
from ironkeep.plugin.call import Call
from ironkeep.plugin.cidr import admits, narrowed
from ironkeep.plugin.response import Response

USE_NOTED_NS: Final = 3_600 * SECOND_NS
"""A role's last use is recorded at most once an hour, which is enough for people who read it."""


@dataclass(frozen=True)
class LoginInput:
    """The role id and secret id of a login."""

    role_id: str = field(default="", metadata={"help": "The role id."})
    secret_id: Secret | None = field(default=None, metadata={"help": "The secret id."})


def login(call: Call, given: LoginInput) -> Response:
    """Log in; a secret id with one use left works for the first login only."""
    if not given.role_id:
        raise InvalidRequest("missing role_id")
    if len(given.role_id) > MAX_ROLE_ID:
        raise _failed()
    name, role = find_by_role_id(call, given.role_id)
    secret_id = given.secret_id or Secret(b"")
    if len(secret_id) > MAX_SECRET_ID:
        raise _failed()
    digest = secret_ids.hash_of(call, name, secret_id)
    record = secret_ids.find(call, name or "-", digest)
    if role is None or not _is_allowed(call, role, record):
        raise _failed()
    if role.bind_secret_id and record is not None:
        secret_ids.use(call, name, digest, record)
    elif role.bind_secret_id:
        raise _failed()
    return _token(call, name, role, record if role.bind_secret_id else None)


def _is_allowed(call: Call, role: Role, record: SecretId | None) -> bool:
    """Return whether the caller's address is in every list of allowed addresses that applies."""
    lists = [role.secret_id_bound_cidrs, role.params.token_bound_cidrs]
    if role.bind_secret_id and record is not None:
        lists += [record.cidr_list, record.token_bound_cidrs]
    return all(admits(each, call.request.remote) for each in lists)


def _token(call: Call, name: str, role: Role, record: SecretId | None) -> Response:
    metadata = {"role_name": name} | ({} if record is None else record.metadata)
    # Set last: the secret id's metadata must not override the role's name.
    metadata["role_name"] = name
    params = role.params
    if record is not None:
        both = narrowed(params.token_bound_cidrs, record.token_bound_cidrs)
        params = msgspec.structs.replace(params, token_bound_cidrs=both)
    shown = display_name(call.mount)
    spec = params.spec(call.mount, shown, call.request.path, role.role_id, meta=metadata, role=name)
    spec = bound(call, spec, role.token_bound_peer)
    if record is not None:
        spec = replace(spec, made=(*spec.made, record.made), makers=record.made.holders)
    if call.now_ns - role.used_ns > USE_NOTED_NS:
        used = msgspec.structs.replace(role, used_ns=call.now_ns)
        ROLES.put(call, name, used)
    audited = {"role_name": name}
    if record is not None:
        audited["secret_id_accessor"] = record.accessor
    return Response(issue=spec, audited={**audited})


def _failed() -> InvalidCredentials:
    return InvalidCredentials("invalid role or secret ID")
