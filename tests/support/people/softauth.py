"""A software authenticator, for tests: ES256, discoverable, with every flag in the test's hands.

Writes and reads WebAuthn's JSON as browsers do (`parseCreationOptionsFromJSON`, `toJSON`). It does
what it is told, a browser's own checks included: a test that wants a wrong origin gets one.
"""

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fido2 import cbor

from ironkeep.core.webauthn.webauthn import decode, encode
from ironkeep.testing.parts import table, text

UP: Final = 0x01
UV: Final = 0x04
BE: Final = 0x08
BS: Final = 0x10
AT: Final = 0x40

MODEL: Final = bytes(range(16))
ORIGIN: Final = "https://vault.example"
_DAY: Final = timedelta(days=1)
_AAGUID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_FAR: Final = 4_096

Json = dict[str, Any]


@dataclass(slots=True)
class Credential:
    """One credential: whose, for whom, and how often it signed."""

    id: bytes
    rp_id: str
    handle: bytes
    key: ec.EllipticCurvePrivateKey
    counter: int = 0


class Maker:
    """A manufacturer: a root that signs attestation certificates."""

    def __init__(self) -> None:
        self._key: Final = ec.generate_private_key(ec.SECP256R1())
        self._name: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Maker Root")])
        self._root: Final = _certificate(self._name, self._name, self._key, self._key, ca=True)

    @property
    def pem(self) -> str:
        """The root, in PEM."""
        return self._root.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def root(self) -> bytes:
        """The root, in DER."""
        return self._root.public_bytes(serialization.Encoding.DER)

    def attest(self, key: ec.EllipticCurvePrivateKey, model: bytes) -> bytes:
        """Return the certificate (DER) of a model's attestation key."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maker"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
                x509.NameAttribute(NameOID.COMMON_NAME, "Model"),
            ]
        )
        made = _certificate(subject, self._name, key, self._key, ca=False, model=model)
        return made.public_bytes(serialization.Encoding.DER)


@dataclass(slots=True)
class SoftAuthenticator:
    """An authenticator; change its fields to make it misbehave."""

    origin: str = ORIGIN
    flags: int = UP | UV
    attestation: Literal["none", "self", "packed"] = "none"
    maker: Maker | None = None
    model: bytes = MODEL
    counts: bool = True
    cross_origin: bool = False
    credentials: list[Credential] = field(default_factory=list)
    fixed: Credential | None = None
    """Registered instead of a new one: a copy of somebody's."""

    def create(self, options: object) -> Json:
        """Make a credential; return the registration in JSON."""
        asked = _public_key_of(options)
        key = self.fixed.key if self.fixed else ec.generate_private_key(ec.SECP256R1())
        made = self.fixed or Credential(
            secrets.token_bytes(32),
            text(asked, "rp", "id"),
            decode(text(asked, "user", "id"), _FAR),
            key,
        )
        self.credentials.append(made)
        point = key.public_key().public_numbers()
        cose = cbor.encode(
            {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        )
        attested = self.model + len(made.id).to_bytes(2, "big") + made.id + cose
        data = self._data(made, AT, attested)
        client_data = self._client_data("webauthn.create", text(asked, "challenge"))
        statement = self._statement(key, data + sha256(client_data).digest())
        form = "none" if self.attestation == "none" else "packed"
        made_object = cbor.encode({"fmt": form, "attStmt": statement, "authData": data})
        return _public_key(
            made,
            {
                "clientDataJSON": encode(client_data),
                "attestationObject": encode(made_object),
                "transports": ["internal"],
            },
        )

    def get(self, options: object, credential: Credential | None = None) -> Json:
        """Sign a challenge; return the assertion in JSON."""
        asked = _public_key_of(options)
        used = credential or self.credentials[-1]
        client_data = self._client_data("webauthn.get", text(asked, "challenge"))
        data, signature = self.sign(used, sha256(client_data).digest())
        return _public_key(
            used,
            {
                "clientDataJSON": encode(client_data),
                "authenticatorData": encode(data),
                "signature": encode(signature),
                "userHandle": encode(used.handle),
            },
        )

    def sign(self, credential: Credential, client_data_hash: bytes) -> tuple[bytes, bytes]:
        """Return the authenticator data and the signature over it: what a security key does."""
        if self.counts:
            credential.counter += 1
        data = self._data(credential)
        return data, credential.key.sign(data + client_data_hash, ec.ECDSA(hashes.SHA256()))

    def _data(self, credential: Credential, flags: int = 0, more: bytes = b"") -> bytes:
        return (
            sha256(credential.rp_id.encode()).digest()
            + bytes([self.flags | flags])
            + credential.counter.to_bytes(4, "big")
            + more
        )

    def _client_data(self, kind: str, challenge: str) -> bytes:
        document = {
            "type": kind,
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        }
        return json.dumps(document, separators=(",", ":")).encode()

    def _statement(self, key: ec.EllipticCurvePrivateKey, message: bytes) -> Json:
        if self.attestation == "none":
            return {}
        if self.attestation == "self":
            return {"alg": -7, "sig": key.sign(message, ec.ECDSA(hashes.SHA256()))}
        own = ec.generate_private_key(ec.SECP256R1())
        chain = [(self.maker or Maker()).attest(own, self.model)]
        return {"alg": -7, "sig": own.sign(message, ec.ECDSA(hashes.SHA256())), "x5c": chain}


def _public_key_of(options: object) -> dict[str, object]:
    """Return the options proper, whether or not they are wrapped as browsers want them."""
    outer = table(options)
    return table(outer, "publicKey") if "publicKey" in outer else outer


def _public_key(credential: Credential, response: Json) -> Json:
    return {
        "id": encode(credential.id),
        "rawId": encode(credential.id),
        "type": "public-key",
        "authenticatorAttachment": "cross-platform",
        "clientExtensionResults": {},
        "response": response,
    }


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    model: bytes = b"",
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if model:
        extension = x509.UnrecognizedExtension(_AAGUID, b"\x04\x10" + model)
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256())
