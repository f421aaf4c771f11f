"""A device in software: its key, its enrolment and its certificates, over whatever carries a call.

`Send` is (method-like path, data) -> the data of the answer; an in-memory vault and a real server
both have one.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ironkeep.core.device.posture_report import Report, Software, System, encode
from ironkeep.core.device.proof import certificate_message, enrol_message

Send = Callable[[str, Mapping[str, Any]], Any]
WINDOWS: Final = System(name="windows", version="10.0.26100", build="26100", arch="64-bit")


class SoftDevice:
    """A device key, and what it signs."""

    def __init__(self, key: EllipticCurvePrivateKey | None = None) -> None:
        self.key: Final = key or generate_private_key(SECP256R1())
        self.connection_key = generate_private_key(SECP256R1())
        """Of its certificates; an agent has it in memory, and a new one when it starts again."""
        self.id = ""
        self.kind = "file"
        self.software: tuple[Software, ...] = ()

    @property
    def spki(self) -> str:
        """The public key, as it is enrolled."""
        public = self.key.public_key()
        return b64encode(
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()

    def key_pem(self) -> bytes:
        """Return the private key as a file would hold it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> str:
        """Return the signature over message, as it is sent."""
        return b64encode(self.key.sign(message, ECDSA(SHA256()))).decode()

    def enrol(self, send: Send, name: str, ownership: str = "corporate") -> str:
        """Begin and prove an enrolment as whoever send speaks for; return the device's id."""
        wish = {
            "name": name,
            "ownership": ownership,
            "key_kind": self.kind,
            "key_spki": self.spki,
        }
        begun = send("device/enrol/start", wish)
        self.id = begun["id"]
        signature = self.sign(enrol_message(self.id, begun["nonce"]))
        send("device/enrol/prove", {"id": self.id, "signature": signature})
        return self.id

    def report(self, nonce: str) -> str:
        """Return the report of a device in good order, or with what is in `software` beside."""
        report = Report(
            v=1, device_id=self.id, nonce=nonce, ts=0, os=WINDOWS, disk_encrypted=True,
            screen_lock_s=300, firewall=True, secure_boot=True, os_auto_update=True,
            admin_user=False, edr=("Defender",), software=self.software, listening=(),
            agent_version="test",
        )  # fmt: skip
        return encode(report).decode()

    def asked(self, nonce: str, csr: str, report: str = "", device: str = "") -> dict[str, str]:
        """Return the request for a certificate, signed."""
        device, report = device or self.id, report or self.report(nonce)
        return {
            "id": device,
            "csr": csr,
            "nonce": nonce,
            "report": report,
            "signature": self.sign(certificate_message(device, nonce, csr, report)),
        }

    def certificate(self, send: Send) -> tuple[bytes, bytes]:
        """Return a fresh certificate of the connection's key, and that key (PEM)."""
        nonce = send("device/nonce", {"id": self.id})["nonce"]
        key = self.connection_key
        made = send("device/certificate", self.asked(nonce, csr_of(key)))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return made["certificate"].encode(), pem


def csr_of(key: EllipticCurvePrivateKey, *names: x509.GeneralName) -> str:
    """Return a signing request for key in PEM; names are what it wishes to be called."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def fresh_csr(*names: x509.GeneralName) -> str:
    """Return a signing request for a key of its own; names as in `csr_of`."""
    return csr_of(generate_private_key(SECP256R1()), *names)
