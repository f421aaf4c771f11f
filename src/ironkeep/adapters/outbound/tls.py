"""The trusted authorities for outgoing TLS: a named file, given certificates, or the system's.

No environment variable decides: unlike ssl.create_default_context, this ignores SSL_CERT_FILE and
SSL_CERT_DIR, and writes no keys to SSLKEYLOGFILE.
"""

import ssl
from pathlib import Path

from ironkeep.core.errors import InvalidRequest


def context(ca_file: Path | None = None, ca_pem: str = "") -> ssl.SSLContext:
    """Return a client context that trusts the given authorities, or else the system's."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None or ca_pem:
        try:
            made.load_verify_locations(cafile=ca_file, cadata=ca_pem or None)
        except OSError as error:
            raise InvalidRequest(f"no CA certificates in {ca_file}: {error}") from None
        return made
    paths = ssl.get_default_verify_paths()
    if Path(paths.openssl_cafile).is_file():
        made.load_verify_locations(cafile=paths.openssl_cafile)
    if Path(paths.openssl_capath).is_dir():
        made.load_verify_locations(capath=paths.openssl_capath)
    return made
