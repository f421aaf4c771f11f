"""A device key in a file, mode 0600: for machines without TPM or token, and ranked below both.

Anything that reads the file once, an infostealer for example, has the key forever.
"""

from pathlib import Path
from typing import Final

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
    load_pem_private_key,
)

from ironkeep.agent import private_files
from ironkeep.agent.keys import KeyKind
from ironkeep.core.errors import InvalidRequest

MAX_FILE: Final = 4_096
"""Bytes; a PKCS#8 P-256 key in PEM has about 240."""


class FileKey:
    """A key read from a file."""

    kind: Final = KeyKind.FILE

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self._key: Final = key
        self.spki: Final = key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        """Return the DER ECDSA signature over the SHA-256 of message."""
        return self._key.sign(message, ECDSA(SHA256()))


class FileKeyStore:
    """Keeps the key in one file."""

    kind: Final = KeyKind.FILE

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def create(self) -> FileKey:
        """Create the key and its file; raise Conflict when the file exists."""
        key = generate_private_key(SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        private_files.create(self._path, pem)
        return FileKey(key)

    def load(self) -> FileKey:
        """Return the key; raise NotFound, or InvalidRequest for another kind of file."""
        pem = private_files.read(self._path, MAX_FILE)
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise InvalidRequest(f"{self._path} holds no private key") from None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise InvalidRequest(f"{self._path} holds no P-256 key")
        return FileKey(key)
