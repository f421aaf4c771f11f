"""Who is at the other end of a TLS connection, by the certificate that it proved to hold.

A device's certificate names it in its SAN, as `spiffe://<trust domain>/device/<id>` (SPIFFE-ID 2).
The listener has verified the chain against its client CAs; which CA may speak for devices, and
whether the device is still welcome, is asked again on every request (kernel/devices.py).
"""

from hashlib import sha256
from typing import Final, Self

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import DeviceId

MAX_CERTIFICATE: Final = 16_384
"""Bytes of a certificate: those in use have one to four thousand."""
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
    """A verified client certificate (DER) and what of it is asked on each request.

    `device` is "" when the certificate names none, `domain` the trust domain that it is named in.
    `key` is the hex SHA-256 of its public key (SubjectPublicKeyInfo).
    """

    certificate: bytes
    key: str
    from_ns: int
    until_ns: int
    domain: str = ""
    device: DeviceId = DeviceId("")

    @classmethod
    def of(cls, certificate: bytes) -> Self:
        """Return the peer that holds certificate (DER); raise InvalidRequest for what is none."""
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
        )


def device_uri(domain: str, device: DeviceId) -> str:
    """Return the SPIFFE id of a device."""
    return f"{SCHEME}{domain}/{DEVICE}/{device}"


def _device_of(certificate: x509.Certificate) -> tuple[str, DeviceId]:
    """Return trust domain and device of the one SPIFFE id in a certificate, or empty strings."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "", DeviceId("")
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    # An SVID has exactly one URI (X509-SVID, 2): with two, two readers could see two devices.
    if len(uris) != 1 or not uris[0].startswith(SCHEME):
        return "", DeviceId("")
    parts = uris[0].removeprefix(SCHEME).split("/")
    if len(parts) != _PARTS or parts[1] != DEVICE or not parts[0] or not parts[2]:
        return "", DeviceId("")
    return parts[0], DeviceId(parts[2])
