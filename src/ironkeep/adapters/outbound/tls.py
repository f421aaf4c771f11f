"""What vouches for the servers that we call: a named file, given certificates, or the system.

No variable of the process decides: SSL_CERT_FILE and SSL_CERT_DIR are not asked, and no keys are
written to SSLKEYLOGFILE, as ssl.create_default_context would.
"""

import ssl
from pathlib import Path

from ironkeep.core.errors import InvalidRequest


def context(ca_file: Path | None = None, ca_pem: str = "") -> ssl.SSLContext:
    """Return what verifies the other end by these authorities, or else by the system's."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None or ca_pem:
        try:
            made.load_verify_locations(cafile=ca_file, cadata=ca_pem or None)
        except OSError as error:
            raise InvalidRequest(f"no certificates of authorities in {ca_file}: {error}") from None
        return made
    paths = ssl.get_default_verify_paths()
    if Path(paths.openssl_cafile).is_file():
        made.load_verify_locations(cafile=paths.openssl_cafile)
    if Path(paths.openssl_capath).is_dir():
        made.load_verify_locations(capath=paths.openssl_capath)
    return made
