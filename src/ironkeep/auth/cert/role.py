"""Roles of the auth method `cert`: the CAs and names they accept and the tokens they yield.

    cert / name -> the role

Source: the Vault HTTP API, auth/cert. Names are globs in which `*` matches any text.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from ironkeep.access.devices.devices import Devices
from ironkeep.access.devices.machine import check_machine
from ironkeep.access.second_person import change_guard
from ironkeep.auth.cert.chain import parse_authorities
from ironkeep.core.errors import InvalidRequest
from ironkeep.identity.roles import Roles, record_login, with_type
from ironkeep.identity.token_params import TokenParams, TokenParamsInput
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response
from ironkeep.store.record import Codec

MAX_PATTERNS: Final = 256
MAX_ROLES: Final = 256
"""Roles in one mount; a login without a role tries them all."""


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


PATTERNS: Final = tuple(name for name in Cert.__struct_fields__ if name.startswith("allowed_"))
CERT: Final = Codec(Cert)
ROLES: Final = Roles("cert", "name", CERT, ("certificate", "display_name", *PATTERNS))


def write_cert(call: Call, given: CertInput) -> Response:
    """Create a role, or change the settings that are given; pass its CAs to the listeners."""
    name = ROLES.name_of(call)
    known = ROLES.find(call, name)
    if given.required_extensions or given.ocsp_enabled:
        raise InvalidRequest("required_extensions and OCSP are not supported")
    if known is None and len(ROLES.names(call)) >= MAX_ROLES:
        raise InvalidRequest(f"a mount can have at most {MAX_ROLES} roles")
    role = known or Cert(certificate="", created_ns=call.now_ns)
    params = role.params.of_role(with_type(given), call)
    changed = msgspec.structs.replace(role, params=params, **ROLES.given(given))
    check_machine(params)
    if any(len(getattr(changed, key)) > MAX_PATTERNS for key in PATTERNS):
        raise InvalidRequest(f"at most {MAX_PATTERNS} patterns")
    for authority in parse_authorities(changed.certificate):
        call.use(Devices).trust(call.tx, authority.public_bytes(Encoding.DER))
    ROLES.put(call, name, changed)
    record_login(call, name, params)
    if changed.certificate == role.certificate:
        return Response()
    text = f"the trusted certificates of role {name} at {call.mount.path} were changed"
    return change_guard(call, "login-keys", text, weaker=False)


def read_cert(call: Call) -> Response:
    """Return a role; certificates are not secret."""
    name, role = ROLES.required(call)
    shown = role.params.view() | ROLES.shown(role)
    return Response(data=shown | {"display_name": role.display_name or name})
