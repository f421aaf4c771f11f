"""Logins of the auth method `cert`: the certificate of the connection yields a token bound to it.

Every request with the token, and not only its renewal, must come over a connection that proves the
same key; any other certificate of the same CA is refused.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ironkeep.access.devices.machine import is_device, shortened
from ironkeep.auth.cert.chain import authorities_of, check, read_leaf
from ironkeep.auth.cert.role import ROLES, Cert
from ironkeep.core.errors import InvalidCredentials
from ironkeep.core.policy.glob import matches
from ironkeep.identity.roles import check_address, clean_name
from ironkeep.identity.token_params import display_name
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response

REFUSED: Final = "invalid certificate or no client certificate supplied"
MAX_SUBJECT: Final = 256
"""Characters of a name that becomes an alias and metadata."""


@dataclass(frozen=True)
class LoginInput:
    """The role; without one, the first role that accepts the certificate."""

    name: str = field(default="", metadata={"help": "The role; all are tried if not given."})


def login(call: Call, given: LoginInput) -> Response:
    """Log in with the client certificate of this connection."""
    peer = call.request.peer
    if peer is None:
        raise InvalidCredentials(REFUSED)
    try:
        leaf = read_leaf(peer.certificate)
        name, role = _first(call, leaf, given.name)
        subject = _subject(leaf)
    except InvalidCredentials:
        raise InvalidCredentials(REFUSED) from None
    is_device(call, peer)
    metadata = _metadata(leaf, name)
    shown = display_name(call.mount, role.display_name or name)
    # The alias holds role and name: two CAs may both certify "web", for different machines.
    spec = role.params.spec(
        call.mount, shown, call.request.path, f"{name}:{subject}", meta=metadata, role=name
    )
    return Response(
        issue=replace(shortened(spec), peer=peer.key),
        audited={
            "cert_name": name,
            "subject": subject,
            "serial_number": f"{leaf.serial_number:x}",
        },
    )


def _metadata(leaf: x509.Certificate, role: str) -> dict[str, str]:
    """Return the same token metadata as Vault; policy templates and scripts read it."""
    subject_key = authority_key = b""
    for extension in leaf.extensions:
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            subject_key = extension.value.digest
        elif isinstance(extension.value, x509.AuthorityKeyIdentifier):
            authority_key = extension.value.key_identifier or b""
    return {
        "cert_name": role,
        "common_name": _common_name(leaf),
        "serial_number": str(leaf.serial_number),
        "subject_key_id": subject_key.hex(":") if subject_key else "",
        "authority_key_id": authority_key.hex(":") if authority_key else "",
    }


def _first(call: Call, leaf: x509.Certificate, wanted: str) -> tuple[str, Cert]:
    """Return the first role that accepts a certificate, by name; raise InvalidCredentials."""
    for name in [clean_name(wanted)] if wanted else ROLES.names(call):
        role = ROLES.find(call, name)
        if role is None:
            continue
        try:
            _check_role(call, leaf, role)
        except InvalidCredentials:
            continue
        return name, role
    raise InvalidCredentials("no role accepts this certificate")


def _check_role(call: Call, leaf: x509.Certificate, role: Cert) -> None:
    """Raise InvalidCredentials unless role accepts leaf and the caller's address."""
    check(leaf, authorities_of(role.certificate), call.now_ns)
    check_address(call, role.params)
    _check_names(leaf, role)


def _check_names(leaf: x509.Certificate, role: Cert) -> None:
    """Raise InvalidCredentials unless each non-empty list of the role matches a name of leaf."""
    common, (dns, emails, uris) = [_common_name(leaf)], _alternatives(leaf)
    for patterns, names in (
        (role.allowed_names, [*common, *dns, *emails, *uris]),
        (role.allowed_common_names, common),
        (role.allowed_dns_sans, dns),
        (role.allowed_email_sans, emails),
        (role.allowed_uri_sans, uris),
        (role.allowed_organizational_units, _units(leaf)),
    ):
        if patterns and not any(matches(patterns, name) for name in names):
            raise InvalidCredentials("the certificate has no name that the role takes")
    if role.allowed_uri_sans and len(uris) != 1:
        # SPIFFE's X509-SVID, section 2.
        raise InvalidCredentials("an SVID must have exactly one URI")


def _alternatives(leaf: x509.Certificate) -> tuple[list[str], list[str], list[str]]:
    """Return the DNS names, mail addresses and URIs of a certificate."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], [], []
    return (
        names.get_values_for_type(x509.DNSName),
        names.get_values_for_type(x509.RFC822Name),
        names.get_values_for_type(x509.UniformResourceIdentifier),
    )


def _common_name(leaf: x509.Certificate) -> str:
    """Return the one common name, "" for none; raise InvalidCredentials for several."""
    found = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(found) > 1:
        raise InvalidCredentials("the certificate has several common names")
    return str(found[0].value) if found else ""


def _units(leaf: x509.Certificate) -> list[str]:
    found = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return [str(each.value) for each in found]


def _subject(leaf: x509.Certificate) -> str:
    """Return the name of the client: the URI (SPIFFE id), else common name, else DNS name."""
    dns, _, uris = _alternatives(leaf)
    for names in (uris, [_common_name(leaf)], dns):
        if len(names) == 1 and names[0]:
            if len(names[0]) > MAX_SUBJECT or not names[0].isprintable():
                break
            return names[0]
    raise InvalidCredentials("the certificate names no single client")
