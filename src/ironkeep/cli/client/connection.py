"""Connection settings: from flags, then Vault's environment variables, then Vault's defaults."""

import argparse
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ironkeep.cli.client import tokenfile
from ironkeep.config.environment import environment
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret

TIMEOUT_SECONDS: Final = 60.0
"""The default of Vault's client."""
DEFAULT_ADDRESS: Final = "https://127.0.0.1:8200"
"""Vault's default. A development server speaks plain HTTP and prints its address."""

MAX_TIMEOUT_SECONDS: Final = 86_400.0
"""A day. Longer timeouts serve no purpose, and far longer ones overflow a socket's timeout."""
MAX_CA_BYTES: Final = 1 << 22
"""Bytes of one CA file: ten times the CA bundle of a system."""

_UNITS: Final = {"": 1.0, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"([0-9.]+)(ns|us|ms|s|m|h|)")
_DURATION: Final = re.compile(
    r"[0-9]{1,12}|(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ns|us|ms|s|m|h)){1,8}"
)
_PORTS: Final = {"http": 80, "https": 443}
_TOKEN: Final = re.compile(rb"[\x21-\x7e]{1,8192}")
_TRUE: Final = frozenset({"1", "t", "true", "T", "TRUE", "True"})


@dataclass(frozen=True, slots=True)
class Connection:
    """The settings of a client: server address, TLS, token, namespace and timeout."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    base: str
    token: Secret | None
    namespace: str = ""
    wrap_ttl: str = ""
    only_print: bool = False
    timeout_seconds: float | None = 60.0

    @property
    def address(self) -> str:
        """The address as a URL without a path."""
        scheme = "http" if self.tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def connection_of(args: argparse.Namespace) -> Connection:
    """Return the settings of args and the environment; raise InvalidRequest for unusable ones."""
    address = str(args.address or environment("VAULT_ADDR") or DEFAULT_ADDRESS)
    parts = _split(address)
    return Connection(
        host=parts.hostname or "",
        port=parts.port or _PORTS[parts.scheme],
        tls=_tls(args) if parts.scheme == "https" else None,
        base=parts.path.rstrip("/"),
        token=current_token(),
        namespace=args.namespace or environment("VAULT_NAMESPACE"),
        wrap_ttl=args.wrap_ttl or environment("VAULT_WRAP_TTL"),
        only_print=args.output_curl_string,
        timeout_seconds=timeout_of(environment("VAULT_CLIENT_TIMEOUT")),
    )


def timeout_of(text: str) -> float | None:
    """Return VAULT_CLIENT_TIMEOUT (`90`, `90s`, `1m30s`) in seconds; None (no limit) for 0."""
    if not text:
        return TIMEOUT_SECONDS
    if _DURATION.fullmatch(text) is None:
        raise InvalidRequest("VAULT_CLIENT_TIMEOUT is a length of time such as 60s or 1m30s")
    seconds = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))
    return min(seconds, MAX_TIMEOUT_SECONDS) or None


def current_token() -> Secret | None:
    """Return the token of VAULT_TOKEN, or else the one that `login` stored; None without both."""
    given = environment("VAULT_TOKEN").strip()
    token = Secret(given.encode()) if given else tokenfile.load(tokenfile.home())
    if token is not None:
        require_token(token)
    return token


def require_token(token: Secret) -> None:
    """Raise InvalidRequest, without quoting the token, unless it is valid in a header."""
    if _TOKEN.fullmatch(token.reveal()) is None:
        raise InvalidRequest(
            "the token is empty or contains characters that no token has (spaces, newlines): check "
            "VAULT_TOKEN and ~/.vault-token, or log in again"
        )


def _split(address: str) -> SplitResult:
    wrong = InvalidRequest(
        f"{address!r} is not an address such as https://host:8200: set VAULT_ADDR or give -address"
    )
    try:
        parts = urlsplit(address)
        usable = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:
        raise wrong from None
    # A password in the address would show up in errors and in the process list.
    if not usable or "@" in parts.netloc or parts.query or parts.fragment:
        raise wrong
    return parts


def _load_folder(context: ssl.SSLContext, folder: Path) -> None:
    """Trust the certificates of all PEM files in folder, with any names.

    OpenSSL itself finds only files named by the hash of their subject (c_rehash). Raise
    InvalidRequest if there is no certificate.
    """
    found = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else [folder]:
        if not path.is_file() or path.stat().st_size > MAX_CA_BYTES:
            continue
        if b"-----BEGIN CERTIFICATE-----" in path.read_bytes():
            context.load_verify_locations(cafile=path)
            found += 1
    if not found:
        raise InvalidRequest(f"{folder} contains no PEM certificate: check VAULT_CAPATH")


def _tls(args: argparse.Namespace) -> ssl.SSLContext:
    ca = args.ca_cert or environment("VAULT_CACERT") or None
    folder = args.ca_path or environment("VAULT_CAPATH") or None
    cert = args.client_cert or environment("VAULT_CLIENT_CERT")
    key = args.client_key or environment("VAULT_CLIENT_KEY")
    for name in (ca, folder, cert, key):
        if name and not Path(name).exists():
            raise InvalidRequest(f"{name}: no such file (CA, client certificate or key)")
    try:
        # Not ssl.create_default_context: it would write the session's keys to SSLKEYLOGFILE.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca:
            context.load_verify_locations(cafile=ca)
        elif not folder:
            context.load_default_certs()
        if folder:
            _load_folder(context, Path(folder))
        if cert:
            context.load_cert_chain(cert, key or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequest(f"cannot use the given CA or client certificate: {error}") from None
    if args.tls_skip_verify or environment("VAULT_SKIP_VERIFY") in _TRUE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
