"""The messages that a device signs with its key K_dev, and the check of such a signature.

    enrol       "ironkeep/device/enrol/v2" NUL fields(id, nonce)
    certificate "ironkeep/device/certificate/v2" NUL
                fields(id, nonce, SHA-256(csr), SHA-256(report))

`fields` writes the length of each field (u32, big-endian) before it, so that two different lists of
fields never give the same bytes, as they could in version 1. Ids and nonces are their text as the
server sent it, csr and report the UTF-8 bytes as sent to the server. Signatures are ECDSA on P-256
with SHA-256, DER (FIPS 186-5). The prefix separates the domains: a signature for one purpose cannot
be used for the other.
"""

from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from ironkeep.core.errors import InvalidRequest, PermissionDenied

ENROL: Final = b"ironkeep/device/enrol/v2\0"
CERTIFICATE: Final = b"ironkeep/device/certificate/v2\0"

MAX_KEY: Final = 256
"""Bytes of a public key (SPKI, DER): one on P-256 has 91."""
MAX_SIGNATURE: Final = 128
"""Bytes of a signature (DER) that are read: one on P-256 has at most 72."""


def enrol_message(device: str, nonce: str) -> bytes:
    """Return the message that a device signs at enrolment to prove possession of its key."""
    return ENROL + _fields(device.encode(), nonce.encode())


def certificate_message(device: str, nonce: str, csr: str, report: str) -> bytes:
    """Return the message that a device signs to request a certificate; csr is PEM."""
    hashes = (sha256(each.encode()).digest() for each in (csr, report))
    return CERTIFICATE + _fields(device.encode(), nonce.encode(), *hashes)


def _fields(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def device_key(spki: bytes) -> EllipticCurvePublicKey:
    """Return the key in spki (DER); raise InvalidRequest unless it is canonical and on P-256.

    Only the canonical encoding is accepted, so that equal keys have equal bytes.
    """
    try:
        key = load_der_public_key(spki) if len(spki) <= MAX_KEY else None
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise InvalidRequest("a device key is ECDSA on P-256: its SubjectPublicKeyInfo in DER")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise InvalidRequest("the device key is not canonical DER with an uncompressed point")
    return key


def verify(spki: bytes, message: bytes, signature: bytes) -> None:
    """Raise PermissionDenied unless signature is by the key in spki over message."""
    key = device_key(spki)
    try:
        key.verify(signature[:MAX_SIGNATURE], message, ECDSA(SHA256()))
    except InvalidSignature:
        raise PermissionDenied("the signature is not that of the device's key") from None
