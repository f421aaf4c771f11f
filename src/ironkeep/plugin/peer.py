"""The client certificate of a TLS connection, whose private key the client proved to hold.

A device's certificate names the device in its SAN, as `spiffe://<trust domain>/device/<id>`
(SPIFFE-ID 2). The handshake proves possession of the private key and nothing else: any client may
present any certificate. Every request checks which CA may certify devices, and whether the device
is still enrolled (access/devices/devices.py). `vouched` checks whether a CA that the vault trusts
has signed the certificate.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Self

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import DeviceId

MAX_CHAIN: Final = 4
"""Certificates between a client's own and a trusted CA: in practice there are one or two."""
MAX_CERTIFICATE: Final = 16_384
"""Bytes of a certificate: those in practice have one to four thousand."""
SCHEME: Final = "spiffe://"
DEVICE: Final = "device"

_PARTS: Final = 3
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class Peer(msgspec.Struct, frozen=True):
    """A client certificate (DER) with proved possession, and its facts that each request checks.

    `device` is "" when the certificate names no device; `domain` is the device's trust domain.
    `key` is the hex SHA-256 of its public key (SubjectPublicKeyInfo). `chain` are the unchecked
    certificates that the client sent with it.
    """

    certificate: bytes
    key: str
    from_ns: int
    until_ns: int
    domain: str = ""
    device: DeviceId = DeviceId("")
    chain: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, certificate: bytes, chain: tuple[bytes, ...] = ()) -> Self:
        """Return the peer that holds certificate; raise InvalidRequest unless it is valid DER."""
        if len(certificate) > MAX_CERTIFICATE:
            raise InvalidRequest("the client certificate is too large")
        try:
            parsed = x509.load_der_x509_certificate(certificate)
            public = parsed.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
            domain, device = _device_of(parsed)
            begins, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
        except _UNREADABLE:
            raise InvalidRequest("the client certificate cannot be read") from None
        second = 1_000_000_000
        return cls(
            certificate,
            sha256(public).hexdigest(),
            int(begins.timestamp()) * second,
            int(ends.timestamp()) * second,
            domain,
            device,
            chain,
        )


def vouched(peer: Peer, authorities: Iterable[bytes], now_ns: int) -> bool:
    """Return whether peer's certificate is among authorities (DER) or chains up to one of them.

    Source: RFC 5280, section 6. For each step: (1) the certificate is valid now; (2) the next
    certificate's key signed it; (3) the next certificate is a CA that may sign certificates, and
    its path length allows the number of CAs below it. The client's certificate must allow client
    authentication, if it has an extended key usage.
    """
    try:
        current = x509.load_der_x509_certificate(peer.certificate)
        trusted = [x509.load_der_x509_certificate(each) for each in authorities]
        sent = [x509.load_der_x509_certificate(each) for each in peer.chain]
        if not _is_valid(current, now_ns) or not _is_for_clients(current):
            return False
        if current in trusted:
            return True
        for between, each in enumerate((None, *sent)):
            if each is not None:
                if not _signed(current, each, now_ns, between - 1):
                    return False
                current = each
            if any(_signed(current, authority, now_ns, between) for authority in trusted):
                return True
    except _UNREADABLE:
        pass
    return False


def _signed(
    certificate: x509.Certificate, issuer: x509.Certificate, now_ns: int, between: int
) -> bool:
    """Return whether issuer, a CA that is valid now, signed certificate.

    `between` is the number of CAs between issuer and the client's certificate.
    """
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not basic.ca or (basic.path_length is not None and between > basic.path_length):
            return False
        if not _may_sign(issuer):
            return False
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, *_UNREADABLE):
        return False
    return _is_valid(issuer, now_ns)


def _may_sign(issuer: x509.Certificate) -> bool:
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.key_cert_sign


def _is_valid(certificate: x509.Certificate, now_ns: int) -> bool:
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages


def device_uri(domain: str, device: DeviceId) -> str:
    """Return the SPIFFE id of a device."""
    return f"{SCHEME}{domain}/{DEVICE}/{device}"


def _device_of(certificate: x509.Certificate) -> tuple[str, DeviceId]:
    """Return trust domain and device of a certificate's only SPIFFE id, or empty strings."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "", DeviceId("")
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    # An SVID has exactly one URI (X509-SVID, 2): with two, two parsers could see two devices.
    if len(uris) != 1 or not uris[0].startswith(SCHEME):
        return "", DeviceId("")
    parts = uris[0].removeprefix(SCHEME).split("/")
    if len(parts) != _PARTS or parts[1] != DEVICE or not parts[0] or not parts[2]:
        return "", DeviceId("")
    return parts[0], DeviceId(parts[2])
