"""AppRole's routes that issue secret ids, and look them up or destroy them by value or accessor."""

import ipaddress
import json
from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.access.devices.machine import REQUIRED
from ironkeep.auth.approle import secret_ids
from ironkeep.auth.approle.role import ROLES, Role, forget_role_id
from ironkeep.auth.approle.secret_ids import SecretId
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.event import Released
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.identity.entities import check_metadata
from ironkeep.identity.people import made_by
from ironkeep.identity.token_issuer import MAX_CIDRS
from ironkeep.plugin.call import Call
from ironkeep.plugin.cidr import narrowed, parse_cidrs
from ironkeep.plugin.fields import CidrList, Duration, check_named
from ironkeep.plugin.response import Response, listing

NEVER: Final = "0001-01-01T00:00:00Z"
"""Go's zero time, which Vault returns for a secret id that does not expire."""

_MISSING: Final = "missing secret_id"


@dataclass(frozen=True)
class NewSecretId:
    """The settings of a new secret id; the role's apply where one is absent."""

    role_name: str = field(default="", metadata={"help": "The role, in the path."})
    secret_id: Secret | None = field(default=None, metadata={"help": "Chosen by the caller."})
    metadata: str = field(default="", metadata={"help": "JSON object of strings, for the tokens."})
    cidr_list: CidrList = field(default=(), metadata={"help": "Addresses from which to log in."})
    token_bound_cidrs: CidrList = field(
        default=(), metadata={"help": "Addresses from which to use tokens."}
    )
    num_uses: int | None = field(default=None, metadata={"help": "Logins, 0 for any number."})
    ttl: Duration | None = field(default=None, metadata={"help": "Its time to live."})


@dataclass(frozen=True)
class WhichSecretId:
    """A secret id, by its value."""

    role_name: str = field(default="", metadata={"help": "The role, in the path."})
    secret_id: Secret | None = field(default=None, metadata={"help": "The secret id."})


@dataclass(frozen=True)
class WhichAccessor:
    """A secret id, by its accessor."""

    role_name: str = field(default="", metadata={"help": "The role, in the path."})
    secret_id_accessor: str = field(default="", metadata={"help": "The accessor."})


def generate(call: Call, given: NewSecretId) -> Response:
    """Issue a random secret id."""
    return _issue(call, given, secret_ids.new_secret_id(call))


def take_custom(call: Call, given: NewSecretId) -> Response:
    """Register a secret id that the caller chose."""
    chosen = _secret_id(given)
    if not len(chosen):
        raise InvalidRequest(_MISSING)
    if not secret_ids.MIN_CUSTOM <= len(chosen) <= secret_ids.MAX_SECRET_ID:
        raise InvalidRequest(
            f"a secret id must have {secret_ids.MIN_CUSTOM} to {secret_ids.MAX_SECRET_ID} bytes"
        )
    return _issue(call, given, chosen)


def _issue(call: Call, given: NewSecretId, secret_id: Secret) -> Response:
    name, role = ROLES.required(call)
    if not role.bind_secret_id:
        raise InvalidRequest("bind_secret_id is not set on the role")
    if role.secret_id_wrapping == REQUIRED and call.request.wrap_ttl_seconds is None:
        raise InvalidRequest(
            "secret ids of this role are only issued wrapped: send X-Vault-Wrap-TTL "
            "(-wrap-ttl=60s), or set secret_id_wrapping=optional on the role"
        )
    record = _record(call, role, given)
    secret_ids.add(call, name, secret_id, record)
    return Response(
        data={
            "secret_id": secret_id,
            "secret_id_accessor": record.accessor,
            "secret_id_ttl": record.ttl_seconds,
            "secret_id_num_uses": record.uses,
        },
        released=(Released(call.mount.uuid, f"role/{name}/secret-id/{record.accessor}"),),
        audited={"secret_id_accessor": record.accessor},
        wrapped_accessor=record.accessor,
    )


def _record(call: Call, role: Role, given: NewSecretId) -> SecretId:
    uses = role.secret_id_num_uses if given.num_uses is None else given.num_uses
    seconds = role.secret_id_ttl if given.ttl is None else given.ttl
    if uses < 0:
        raise InvalidRequest("num_uses cannot be negative")
    # 0 means unlimited, in the role as in the request.
    if role.secret_id_num_uses and (uses == 0 or uses > role.secret_id_num_uses):
        raise InvalidRequest("num_uses cannot be higher than the role's secret_id_num_uses")
    if role.secret_id_ttl and (seconds == 0 or seconds > role.secret_id_ttl):
        raise InvalidRequest("ttl cannot be longer than the role's secret_id_ttl")
    _check_within(given.cidr_list, role.secret_id_bound_cidrs)
    _check_within(given.token_bound_cidrs, role.params.token_bound_cidrs)
    session = call.actor()
    own = session.record.bound_cidrs
    return SecretId(
        accessor=secret_ids.new_accessor(call),
        created_ns=call.now_ns,
        updated_ns=call.now_ns,
        expires_ns=secret_ids.expiry(call, seconds),
        ttl_seconds=seconds,
        uses=uses,
        metadata=_metadata(given.metadata),
        # A secret id issued with an address-bound token is bound to the same addresses.
        cidr_list=narrowed(own, given.cidr_list),
        token_bound_cidrs=narrowed(own, given.token_bound_cidrs),
        made=made_by(session, call.now_ns),
    )


def _metadata(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or not all(isinstance(v, str) for v in parsed.values()):
        raise InvalidRequest("metadata must be the text of a JSON object of strings")
    check_metadata(parsed)
    return parsed


def _check_within(narrow: tuple[str, ...], wide: tuple[str, ...]) -> None:
    """Raise InvalidRequest unless each range of narrow lies inside one of wide."""
    if len(narrow) > MAX_CIDRS:
        raise InvalidRequest(f"at most {MAX_CIDRS} address ranges")
    outer = parse_cidrs(wide)
    for inner in parse_cidrs(narrow):
        if outer and not any(_inside(inner, each) for each in outer):
            raise InvalidRequest("an address range of the secret id is outside the role's")


def _inside(inner: Any, outer: Any) -> bool:
    v4 = ipaddress.IPv4Network
    return isinstance(inner, v4) is isinstance(outer, v4) and bool(inner.subnet_of(outer))


def list_accessors(call: Call) -> Response:
    """List the accessors of a role's secret ids."""
    name, _ = ROLES.required(call)
    return listing(secret_ids.accessors(call, name))


def lookup(call: Call, given: WhichSecretId) -> Response:
    """Return the record of a secret id, and an empty response when there is none, as in Vault."""
    name, _ = ROLES.required(call)
    digest = secret_ids.hash_of(call, name, _secret_id(given))
    record = secret_ids.find(call, name, digest)
    return Response() if record is None else Response(data=_view(record))


def destroy(call: Call, given: WhichSecretId) -> Response:
    """Remove a secret id; absent is fine."""
    name, _ = ROLES.required(call)
    secret_id = _secret_id(given)
    check_named("secret_id", secret_id)
    digest = secret_ids.hash_of(call, name, secret_id)
    record = secret_ids.find(call, name, digest)
    if record is not None:
        secret_ids.destroy(call, name, digest, record)
    return Response()


def _secret_id(given: NewSecretId | WhichSecretId) -> Secret:
    if given.secret_id is None:
        raise InvalidRequest(_MISSING)
    return given.secret_id


def lookup_accessor(call: Call, given: WhichAccessor) -> Response:
    """Return the record of the secret id with an accessor."""
    _, _, record = _by_accessor(call, given)
    return Response(data=_view(record))


def destroy_accessor(call: Call, given: WhichAccessor) -> Response:
    """Remove the secret id with an accessor."""
    name, digest, record = _by_accessor(call, given)
    secret_ids.destroy(call, name, digest, record)
    return Response()


def _by_accessor(call: Call, given: WhichAccessor) -> tuple[str, str, SecretId]:
    name, _ = ROLES.required(call)
    found = secret_ids.find_accessor(call, name, given.secret_id_accessor)
    if found is None:
        raise NotFound("failed to find accessor entry for secret_id_accessor")
    return name, *found


def _view(record: SecretId) -> dict[str, Any]:
    return {
        "secret_id_accessor": record.accessor,
        "secret_id_num_uses": record.uses,
        "secret_id_ttl": record.ttl_seconds,
        "creation_time": rfc3339(record.created_ns),
        "last_updated_time": rfc3339(record.updated_ns),
        "expiration_time": rfc3339(record.expires_ns) if record.expires_ns else NEVER,
        "metadata": record.metadata,
        "cidr_list": record.cidr_list,
        "token_bound_cidrs": record.token_bound_cidrs,
    }


def delete_role(call: Call) -> Response:
    """Remove a role and its secret ids; absent is fine. Its tokens stay valid."""
    name = ROLES.name_of(call)
    role = ROLES.find(call, name)
    if role is not None:
        forget_role_id(call, role)
        secret_ids.destroy_all(call, name)
        ROLES.remove(call, name)
    return Response()


def tidy(call: Call) -> Response:
    """Answer as Vault does; nothing is left to do, because the tick removes expired records."""
    del call
    return Response(
        accepted=True,
        warnings=["Secret ids are removed when they expire: there is nothing to tidy."],
    )
