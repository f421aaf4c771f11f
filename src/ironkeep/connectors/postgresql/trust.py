"""The CAs that verify a server: those in a named file, or the operating system's.

Environment variables have no influence: SSL_CERT_FILE and SSL_CERT_DIR are ignored, and no session
keys are written to SSLKEYLOGFILE, as ssl.create_default_context would do.
"""

import os
import ssl
import stat
from pathlib import Path
from typing import Final

from ironkeep.core.errors import IntegrityError

MAX_CA_BYTES: Final = 1024 * 1024
"""Size of a CA file; the operating system's bundle of all public CAs takes a quarter of it."""


def context(ca_file: str) -> ssl.SSLContext:
    """Return a TLS context that verifies a server by the CAs in ca_file, or the system's for ""."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        made.load_verify_locations(cadata=_pem(ca_file))
        return made
    paths = ssl.get_default_verify_paths()
    if Path(paths.openssl_cafile).is_file():
        made.load_verify_locations(cafile=paths.openssl_cafile)
    if Path(paths.openssl_capath).is_dir():
        made.load_verify_locations(capath=paths.openssl_capath)
    return made


def _pem(path: str) -> str:
    """Return the text of a regular file of bounded size; raise IntegrityError for anything else.

    The file is opened without blocking: a FIFO without a writer would block the worker forever.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as failure:
        raise IntegrityError(f"sslrootcert cannot be read: {failure.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise IntegrityError("sslrootcert is not a regular file")
        raw = file.read(MAX_CA_BYTES + 1)
    if len(raw) > MAX_CA_BYTES:
        raise IntegrityError(f"sslrootcert is longer than {MAX_CA_BYTES} bytes")
    text = raw.decode("ascii", "replace")
    if "-----BEGIN" not in text:
        raise IntegrityError("sslrootcert holds no certificate in PEM")
    return text
