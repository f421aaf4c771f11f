"""The device authority: the CA of device certificates.

    authority -> its private key (PKCS #8) and its certificate (DER), in the mount's records

Its key is made at first use and never leaves the barrier. A device's certificate contains one name,
its SPIFFE id, which comes from the record and never from the request (X509-SVID, 2 and 4). It is
valid for minutes. It only identifies the device: every request checks the device's record.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ironkeep.access.devices.devices import Devices
from ironkeep.core.errors import Conflict, InvalidRequest
from ironkeep.core.ids import DeviceId
from ironkeep.core.ports import Entropy
from ironkeep.plugin.call import Call
from ironkeep.plugin.peer import device_uri
from ironkeep.plugin.settings import ServerSettings
from ironkeep.store.record import Codec

MAX_CSR: Final = 4_096
"""Characters of a signing request in PEM; one for a P-256 key has about 500."""
LIFE: Final = timedelta(days=3_650)
"""Lifetime of the authority's certificate. It can be long: reading its key takes the barrier key,
which opens everything else too."""
BACKDATED: Final = timedelta(minutes=1)
"""A device whose clock is a little behind still accepts its certificate."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256 (SEC 2, 2.4.2)."""
_PATH: Final = "authority"
_SERIAL_BYTES: Final = 19
"""RFC 5280, 4.1.2.2: at most 20 octets, positive."""


class Authority(msgspec.Struct, frozen=True):
    """The authority's private key (PKCS #8, DER) and its certificate (DER)."""

    key: bytes
    certificate: bytes

    def __repr__(self) -> str:
        return "Authority(…)"


_CODEC: Final = Codec(Authority)


def authority_of(call: Call) -> Authority:
    """Return this mount's authority, made and trusted by all listeners at first use.

    Raise Conflict if another mount is the authority already: there is only one.
    """
    raw = call.store.get(_PATH)
    if raw is not None:
        return _CODEC.decode(raw)
    if call.use(Devices).authority(call.tx) is not None:
        raise Conflict("another mount is the device authority already: use that one")
    made = _make(call.use(ServerSettings).cluster_name, call.now_ns, call.entropy)
    call.store.put(_PATH, _CODEC.encode(made))
    call.use(Devices).set_authority(call.tx, made.certificate)
    call.use(Devices).trust(call.tx, made.certificate)
    return made


def issue(
    authority: Authority, uri: str, key: EllipticCurvePublicKey, now_ns: int, seconds: int,
    entropy: Entropy,
) -> x509.Certificate:  # fmt: skip
    """Return a client certificate whose only name is uri."""
    signer = load_der_private_key(authority.key, password=None)
    issuer = x509.load_der_x509_certificate(authority.certificate)
    assert isinstance(signer, EllipticCurvePrivateKey)
    now = _instant(now_ns)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(_serial(entropy))
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(seconds=seconds))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(usage, critical=False)
        # Critical: the subject is empty (RFC 5280, 4.2.1.6).
        .add_extension(names, critical=True)
        .sign(signer, SHA256())
    )


def requested_key(pem: str) -> EllipticCurvePublicKey:
    """Return the key of a signing request (PEM), after checking its self-signature.

    The names and extensions in the request are ignored. Raise InvalidRequest.
    """
    if len(pem) > MAX_CSR:
        raise InvalidRequest(f"a signing request has at most {MAX_CSR} characters")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise InvalidRequest("csr: not a PKCS #10 signing request in PEM") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise InvalidRequest("csr: the key must be ECDSA on P-256")
    if not signed:
        raise InvalidRequest("csr: it is not signed by its own key")
    return key


def name_of(settings: ServerSettings, device: DeviceId) -> str:
    """Return the SPIFFE id of a device of this vault."""
    return device_uri(settings.cluster_name, device)


def pem(certificate: bytes) -> str:
    """Return a certificate (DER) in PEM."""
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM).decode()


def _make(cluster: str, now_ns: int, entropy: Entropy) -> Authority:
    # With 64 bits more than the order, the bias of the remainder is negligible (FIPS 186-5, A.2.1).
    secret = int.from_bytes(entropy.token(40), "big") % (_ORDER - 1) + 1
    key = derive_private_key(secret, SECP256R1())
    text = f"Ironkeep device authority of {cluster}"[:64]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = _instant(now_ns)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(_serial(entropy))
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Authority(private, certificate.public_bytes(Encoding.DER))


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _serial(entropy: Entropy) -> int:
    return int.from_bytes(entropy.token(_SERIAL_BYTES), "big") + 1


def _instant(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
