"""A certificate authority in memory: clients' certificates, good or bad."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ironkeep.plugin.peer import Peer

BEGINS: Final = datetime(2026, 1, 1, tzinfo=UTC)
ENDS: Final = datetime(2027, 1, 1, tzinfo=UTC)
CLIENT: Final = (ExtendedKeyUsageOID.CLIENT_AUTH,)


@dataclass(frozen=True)
class Asked:
    """What a certificate is to hold."""

    common_name: str = "client"
    dns: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    usages: tuple[x509.ObjectIdentifier, ...] = CLIENT
    begins: datetime = BEGINS
    ends: datetime = ENDS
    is_authority: bool = False
    critical: x509.ObjectIdentifier | None = None
    """An extension that nobody knows, marked critical."""


class Authority:
    """Signs certificates. Two of one name have different keys."""

    def __init__(self, name: str, begins: datetime = BEGINS, ends: datetime = ENDS) -> None:
        self.key: Final = generate_private_key(SECP256R1())
        self.name: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self.name, self.name, self.key, begins, ends)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate: Final = builder.sign(self.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        """The authority's certificate, PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def peer(self, common_name: str = "client", **rest: object) -> Peer:
        """Return the peer that a listener would have verified."""
        return Peer.of(self.issue(Asked(common_name, **rest)))  # type: ignore[arg-type]

    def issue(self, asked: Asked, key: EllipticCurvePrivateKey | None = None) -> bytes:
        """Return a certificate (DER) for key, or for one that is then forgotten."""
        names = [x509.NameAttribute(NameOID.COMMON_NAME, asked.common_name)]
        names += [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in asked.units
        ]
        holder = key or generate_private_key(SECP256R1())
        builder = _builder(x509.Name(names), self.name, holder, asked.begins, asked.ends)
        for extension, critical in _extensions(asked):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _extensions(asked: Asked) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(asked.is_authority, None), True)
    ]
    if asked.usages:
        found.append((x509.ExtendedKeyUsage(asked.usages), False))
    names: list[x509.GeneralName] = [
        *map(x509.DNSName, asked.dns),
        *map(x509.UniformResourceIdentifier, asked.uris),
        *map(x509.RFC822Name, asked.emails),
    ]
    if names:
        found.append((x509.SubjectAlternativeName(names), False))
    if asked.critical is not None:
        found.append((x509.UnrecognizedExtension(asked.critical, b"\x05\x00"), True))
    return found


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
