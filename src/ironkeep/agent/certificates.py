"""The short-lived client certificate and its key, which never touches a disk.

The process uses one key as long as it runs, because tokens may be bound to it. Python's ssl loads
keys from files only, so the key is passed in an anonymous in-memory file (memfd_create(2)), which
is gone once it was read.
"""

import os
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ironkeep.agent.keys import DeviceKey
from ironkeep.agent.vault import Vault
from ironkeep.core.device.proof import certificate_message
from ironkeep.core.errors import UpstreamFailed
from ironkeep.core.units import SECOND_NS


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate in use: the TLS context that presents it, and its life in POSIX ns."""

    context: ssl.SSLContext
    obtained_ns: int
    until_ns: int

    @property
    def renew_ns(self) -> int:
        """Return the time to renew it, at two thirds of its life."""
        return self.obtained_ns + (self.until_ns - self.obtained_ns) * 2 // 3


class Certificates:
    """Gets certificates for one device."""

    def __init__(
        self, vault: Vault, device: str, key: DeviceKey, report: Callable[[str, str], str]
    ) -> None:
        self._vault: Final = vault
        self._device: Final = device
        self._key: Final = key
        self._report: Final = report
        self._connection: Final = generate_private_key(SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        signed = request.sign(self._connection, SHA256())
        self._csr: Final = signed.public_bytes(Encoding.PEM).decode()

    def obtain(self, now_ns: int) -> Credential:
        """Return a new certificate for a new report; errors of server and key are passed on."""
        nonce = str(self._vault.post("device/nonce", {"id": self._device}).get("nonce", ""))
        report = self._report(self._device, nonce)
        message = certificate_message(self._device, nonce, self._csr, report)
        answer = self._vault.post(
            "device/certificate",
            {
                "id": self._device,
                "csr": self._csr,
                "nonce": nonce,
                "report": report,
                "signature": b64encode(self._key.sign(message)).decode(),
            },
        )
        return self._credential(str(answer.get("certificate", "")).encode(), now_ns)

    def _credential(self, pem: bytes, now_ns: int) -> Credential:
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise UpstreamFailed("the server's answer holds no certificate") from None
        if certificate.public_key() != self._connection.public_key():
            raise UpstreamFailed("the server's certificate is for another key")
        key = self._connection.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context = self._vault.context()
        fd = os.memfd_create("ironkeep-agent", os.MFD_CLOEXEC)
        with os.fdopen(fd, "wb") as file:
            file.write(pem + b"\n" + key)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{fd}")
        return Credential(context, now_ns, _ns(certificate.not_valid_after_utc))


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND_NS
