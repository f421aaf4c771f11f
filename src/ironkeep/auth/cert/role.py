"""Roles of the auth method `cert`: the CAs and names they accept and the tokens they yield.

    cert / name -> the role

Source: the Vault HTTP API, auth/cert. Names are globs in which `*` matches any text.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from ironkeep.access.devices.devices import Devices
from ironkeep.access.devices.machine import check_machine
from ironkeep.access.second_person import change_guard
from ironkeep.auth.cert.chain import parse_authorities
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.text.spelling import folded
from ironkeep.identity.token_params import (
    LOGIN,
    LOGINS,
    TokenParams,
    TokenParamsInput,
    login_name,
)
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

MAX_NAME: Final = 256
MAX_PATTERNS: Final = 256
MAX_ROLES: Final = 256
"""In one mount; a login without a role tries them all."""


@dataclass(frozen=True)
class CertInput(TokenParamsInput):
    """The settings of a role that a request changes; None leaves a setting as it is."""

    name: str = field(default="", metadata={"help": "The role, in the path."})
    certificate: str | None = field(
        default=None,
        metadata={"help": "CAs that issue the clients' certificates, or a client's own, PEM."},
    )
    display_name: str | None = field(default=None, metadata={"help": "The display name of tokens."})
    allowed_names: CommaList | None = field(
        default=None, metadata={"help": "Globs for the common name or any alternative name."}
    )
    allowed_common_names: CommaList | None = field(
        default=None, metadata={"help": "Globs for the common name."}
    )
    allowed_dns_sans: CommaList | None = field(
        default=None, metadata={"help": "Globs for DNS names."}
    )
    allowed_email_sans: CommaList | None = field(
        default=None, metadata={"help": "Globs for mail addresses."}
    )
    allowed_uri_sans: CommaList | None = field(
        default=None, metadata={"help": "Globs for URIs, such as SPIFFE ids."}
    )
    allowed_organizational_units: CommaList | None = field(
        default=None, metadata={"help": "Globs for organizational units."}
    )
    required_extensions: CommaList = field(default=(), metadata={"help": "Not supported."})
    ocsp_enabled: bool = field(default=False, metadata={"help": "Not supported."})


class Cert(msgspec.Struct, frozen=True, omit_defaults=True):
    """A role as stored; `created_ns` is POSIX nanoseconds."""

    certificate: str
    created_ns: int
    params: TokenParams = TokenParams()
    display_name: str = ""
    allowed_names: tuple[str, ...] = ()
    allowed_common_names: tuple[str, ...] = ()
    allowed_dns_sans: tuple[str, ...] = ()
    allowed_email_sans: tuple[str, ...] = ()
    allowed_uri_sans: tuple[str, ...] = ()
    allowed_organizational_units: tuple[str, ...] = ()


CERT: Final = Codec(Cert)
PATTERNS: Final = tuple(name for name in Cert.__struct_fields__ if name.startswith("allowed_"))
OWN: Final = ("certificate", "display_name", *PATTERNS)


def cert_path(name: str) -> str:
    """Return where a role is kept."""
    return f"cert/{escape_part(name)}"


def clean_name(name: str) -> str:
    """Return the one spelling of a role's name."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a role's name has at most {MAX_NAME} printable characters")
    return folded(name)


def find_cert(call: Call, name: str) -> Cert | None:
    """Return the role of that name, or None."""
    raw = call.store.get(cert_path(name))
    return None if raw is None else CERT.decode(raw)


def names_of(call: Call) -> list[str]:
    """Return the names of all roles, sorted."""
    return [unescape_part(name) for name in call.store.names("cert")]


def write_cert(call: Call, given: CertInput) -> Response:
    """Make a role, or change the settings that are given; listeners hear of its CAs."""
    name = clean_name(call.params["name"])
    known = find_cert(call, name)
    if given.required_extensions or given.ocsp_enabled:
        raise InvalidRequest("required_extensions and OCSP are not supported")
    if given.token_type == "":
        given = replace(given, token_type="default")  # noqa: S106 - a kind
    if known is None and len(names_of(call)) >= MAX_ROLES:
        raise InvalidRequest(f"a mount has at most {MAX_ROLES} roles")
    role = known or Cert(certificate="", created_ns=call.now_ns)
    changes: dict[str, Any] = {
        key: value for key in OWN if (value := getattr(given, key)) is not None
    }
    params = role.params.of_role(given, call)
    changed = msgspec.structs.replace(role, params=params, **changes)
    check_machine(params)
    if any(len(getattr(changed, key)) > MAX_PATTERNS for key in PATTERNS):
        raise InvalidRequest(f"at most {MAX_PATTERNS} patterns")
    for authority in parse_authorities(changed.certificate):
        call.use(Devices).trust(call.tx, authority.public_bytes(Encoding.DER))
    call.store.put(cert_path(name), CERT.encode(changed))
    call.use(History).record(
        call.tx, LOGIN, login_name(call.mount, name), LOGINS.encode(params), call.now_ns
    )
    if changed.certificate == role.certificate:
        return Response()
    text = f"whose certificates log in by {name} at {call.mount.path} was changed"
    return change_guard(call, "login-keys", text, weaker=False)


def read_cert(call: Call) -> Response:
    """Return a role; certificates are no secrets."""
    name = clean_name(call.params["name"])
    role = find_cert(call, name)
    if role is None:
        raise NotFound("")
    data = role.params.view() | {key: getattr(role, key) for key in OWN}
    return Response(data=data | {"display_name": role.display_name or name})


def list_certs(call: Call) -> Response:
    """List the names of all roles."""
    keys = names_of(call)
    if not keys:
        raise NotFound("")
    return Response(data={"keys": keys})


def delete_cert(call: Call) -> Response:
    """Remove a role; absent is fine. Its tokens stay until they end."""
    name = clean_name(call.params["name"])
    if find_cert(call, name) is not None:
        call.store.delete(cert_path(name))
        call.use(History).record(call.tx, LOGIN, login_name(call.mount, name), b"", call.now_ns)
    return Response()


def cert_exists(call: Call) -> bool:
    """Return whether the role in the path is there."""
    return find_cert(call, clean_name(call.params["name"])) is not None
