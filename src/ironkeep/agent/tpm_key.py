"""A device key inside a TPM 2.0: it is created there and never leaves it (fixedTPM, fixedParent).

A file holds the key wrapped by the TPM's own storage key, in the TSS2 private key format that
tpm2-openssl also reads; it is useless on any other machine. The key has no PIN, because the agent
renews its certificate unattended. Each use loads the key and flushes it again, because a TPM
without a resource manager has only three slots for objects.

Sources: TCG TPM 2.0 Library, part 3; ASN.1 Specification for TPM 2.0 Key Files.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from ironkeep.agent import private_files
from ironkeep.agent.keys import KeyKind
from ironkeep.core.errors import InvalidRequest, Unavailable

RESOURCE_MANAGER: Final = "device:/dev/tpmrm0"
"""The TCTI of Linux's resource manager, which lets other programs use the TPM at the same time."""

MAX_FILE: Final = 8_192
"""Bytes; a key file has about 400."""


class TpmKey:
    """A key that signs inside the TPM."""

    kind: Final = KeyKind.TPM

    def __init__(self, tpm: "Tpm", pem: bytes) -> None:
        self._tpm: Final = tpm
        self._pem: Final = pem
        self.spki: Final = tpm.public(pem)

    def sign(self, message: bytes) -> bytes:
        """Return the DER ECDSA signature over the SHA-256 of message; raise Unavailable."""
        return self._tpm.sign(self._pem, message)


class TpmKeyStore:
    """Keeps the wrapped key in one file; only the TPM at `tcti` can use it."""

    kind: Final = KeyKind.TPM

    def __init__(self, path: Path, tcti: str = RESOURCE_MANAGER) -> None:
        self._path: Final = path
        self._tpm: Final = Tpm(tcti)

    def create(self) -> TpmKey:
        """Create the key; raise Conflict when its file exists, Unavailable without a TPM."""
        pem = self._tpm.create()
        private_files.create(self._path, pem)
        return TpmKey(self._tpm, pem)

    def load(self) -> TpmKey:
        """Return the key; raise NotFound, InvalidRequest for another file, Unavailable."""
        return TpmKey(self._tpm, private_files.read(self._path, MAX_FILE))


class Tpm:
    """The TPM at one TCTI, such as `device:/dev/tpmrm0`."""

    def __init__(self, tcti: str) -> None:
        self._tcti: Final = tcti

    def create(self) -> bytes:
        """Create a P-256 signing key; return it wrapped, as PEM. Raise Unavailable."""
        library = _library()
        with self._session() as session:
            made = library.tsskey.TSSPrivKey.create_ecc(session)
        return bytes(made.to_pem())

    def public(self, pem: bytes) -> bytes:
        """Return the public key as DER SubjectPublicKeyInfo; raise InvalidRequest."""
        library = _library()
        key = _parse(library, pem)
        attributes = key.public.publicArea.objectAttributes
        kept = library.TPMA_OBJECT.FIXEDTPM | library.TPMA_OBJECT.SENSITIVEDATAORIGIN
        if attributes & kept != kept:
            raise InvalidRequest("the key was not created inside this TPM, or may leave it")
        public = load_pem_public_key(key.public.to_pem())
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, pem: bytes, message: bytes) -> bytes:
        """Return the DER ECDSA signature over the SHA-256 of message; raise Unavailable."""
        library = _library()
        key = _parse(library, pem)
        digest = Hash(SHA256())
        digest.update(message)
        scheme = library.TPMT_SIG_SCHEME(scheme=library.TPM2_ALG.ECDSA)
        scheme.details.any.hashAlg = library.TPM2_ALG.SHA256
        with self._session() as session:
            handle = key.load(session)
            try:
                made = session.sign(handle, digest.finalize(), scheme)
            finally:
                session.flush_context(handle)
        parts = (made.signature.ecdsa.signatureR, made.signature.ecdsa.signatureS)
        return encode_dss_signature(*(int.from_bytes(bytes(part), "big") for part in parts))

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """Yield a connection to the TPM; its errors become Unavailable."""
        library = _library()
        try:
            with library.ESAPI(self._tcti) as session:
                yield session
        except library.TSS2_Exception as error:
            raise Unavailable(f"the TPM at {self._tcti} failed: {error}") from None


def _library() -> Any:
    """Return tpm2-pytss, which only devices with a TPM need; raise Unavailable if missing."""
    try:
        importlib.import_module("tpm2_pytss.tsskey")
        return importlib.import_module("tpm2_pytss")
    except ImportError:
        raise Unavailable("a TPM needs tpm2-pytss: pip install 'ironkeep[tpm]'") from None


def _parse(library: Any, pem: bytes) -> Any:
    try:
        return library.tsskey.TSSPrivKey.from_pem(pem)
    except (ValueError, TypeError, library.TSS2_Exception):
        raise InvalidRequest("the file holds no TPM key") from None
