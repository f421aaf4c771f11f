"""Checks of a client certificate against the CAs of a role: pure functions over DER and PEM.

Specs: RFC 5280, section 6, for a path of length one; SPIFFE's X509-SVID. A role lists the
certificates that directly issue its clients' (a root or an issuing intermediate), or a client's own
certificate: a listener passes on the leaf alone, so there is no chain to build. The listener has
verified that the caller holds the leaf's key. It trusts the CAs of all roles together, so its
verification of the chain says nothing about one role.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from ironkeep.core.errors import InvalidCredentials, InvalidRequest

MAX_PEM: Final = 64 * 1024
MAX_CERTIFICATES: Final = 16
"""Certificates in one role; a login verifies one signature for each that has the issuer's name."""
MIN_RSA_BITS: Final = 2_048
DIGESTS: Final = frozenset({"sha256", "sha384", "sha512"})
"""Accepted signature digests; Ed25519 has none. SHA-1 collisions allow forged certificates."""

_KNOWN: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
"""Extensions that are checked; any other critical extension is refused (RFC 5280, 4.2)."""

_UNREADABLE: Final = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def parse_authorities(pem: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a role; raise InvalidRequest for invalid or unsupported ones.

    A CA with name constraints is refused because name constraints are not checked here.
    """
    if len(pem) > MAX_PEM:
        raise InvalidRequest(f"certificate must have at most {MAX_PEM} bytes")
    try:
        found = tuple(x509.load_pem_x509_certificates(pem.encode()))
        for each in found:
            extensions = {extension.oid for extension in each.extensions}
            if ExtensionOID.NAME_CONSTRAINTS in extensions:
                raise InvalidRequest("a CA with name constraints is not supported")
    except _UNREADABLE:
        raise InvalidRequest("failed to parse certificate: PEM is needed") from None
    if not 1 <= len(found) <= MAX_CERTIFICATES:
        raise InvalidRequest(f"a role needs 1 to {MAX_CERTIFICATES} certificates")
    return found


@lru_cache(maxsize=256)
def authorities_of(pem: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a stored role."""
    return parse_authorities(pem)


def read_leaf(der: bytes) -> x509.Certificate:
    """Return a client's certificate; raise InvalidCredentials when any part of it is unreadable."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        extensions = leaf.extensions
        # The library parses these on first access: access them here, where errors are caught.
        _ = leaf.subject, leaf.issuer, leaf.not_valid_before_utc, leaf.not_valid_after_utc
    except _UNREADABLE:
        raise InvalidCredentials("the certificate cannot be read") from None
    if any(each.critical and each.oid not in _KNOWN for each in extensions):
        raise InvalidCredentials("the certificate has an unknown critical extension")
    return leaf


def check(
    leaf: x509.Certificate, authorities: tuple[x509.Certificate, ...], now_ns: int
) -> x509.Certificate:
    """Return the certificate of the role that vouches for leaf.

    (1) leaf is valid now. (2) Its key and signature are strong. (3) It is a client certificate and
    not a CA. (4) It equals a certificate of the role, or a CA of the role that is valid now signed
    it; the signature is verified, not the name alone. Raise InvalidCredentials with the reason.
    """
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    _check_time(leaf, now)
    _check_strength(leaf)
    _check_usage(leaf)
    for each in authorities:
        if not _is_authority(each):
            if each == leaf:
                return each
        elif _is_issued(leaf, each):
            _check_time(each, now)
            return each
    raise InvalidCredentials("no certificate of the role has signed this one")


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise InvalidCredentials("the certificate or its CA is not valid now")


def _check_strength(leaf: x509.Certificate) -> None:
    try:
        digest, key = leaf.signature_hash_algorithm, leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidCredentials("the certificate's key or signature type is unknown") from None
    weak = isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS
    if weak or (digest is not None and digest.name not in DIGESTS):
        raise InvalidCredentials("the certificate's key or signature is too weak")


def _check_usage(leaf: x509.Certificate) -> None:
    if _is_authority(leaf):
        raise InvalidCredentials("the certificate is that of a CA, not of a client")
    extensions = leaf.extensions
    try:
        usages = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = []
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise InvalidCredentials("the certificate is not for clients (clientAuth)")
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return
    if not signs:
        raise InvalidCredentials("the certificate's key is not for signatures")


def _is_authority(certificate: x509.Certificate) -> bool:
    """Return whether a certificate may sign others."""
    extensions = certificate.extensions
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _is_issued(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
