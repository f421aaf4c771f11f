"""How to reach the server: flags first, then Vault's environment variables, then its defaults."""

import argparse
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ironkeep.cli import tokenfile
from ironkeep.config import environment
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret

DEFAULT_ADDRESS: Final = "https://127.0.0.1:8200"
"""Vault's own. A development server speaks plain HTTP and prints its address."""

_PORTS: Final = {"http": 80, "https": 443}
_TOKEN: Final = re.compile(rb"[\x21-\x7e]{1,8192}")
_TRUE: Final = frozenset({"1", "t", "true", "T", "TRUE", "True"})


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that a client needs to know of a server, and who calls."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    base: str
    token: Secret | None
    namespace: str = ""
    wrap_ttl: str = ""
    only_print: bool = False

    @property
    def address(self) -> str:
        """The address as a URL without a path."""
        scheme = "http" if self.tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def connection_of(args: argparse.Namespace) -> Connection:
    """Return what args and the environment say; raise InvalidRequest for what cannot be used."""
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
    )


def current_token() -> Secret | None:
    """Return the token of VAULT_TOKEN, or the one that `login` kept; None without either."""
    given = environment("VAULT_TOKEN").strip()
    token = Secret(given.encode()) if given else tokenfile.load(tokenfile.home())
    if token is not None:
        require_token(token)
    return token


def require_token(token: Secret) -> None:
    """Raise InvalidRequest, quoting nothing, unless token can stand in a header."""
    if _TOKEN.fullmatch(token.reveal()) is None:
        raise InvalidRequest(
            "the token is empty or has characters that no token has (spaces, newlines): look at "
            "VAULT_TOKEN and ~/.vault-token, or log in again"
        )


def _split(address: str) -> SplitResult:
    wrong = InvalidRequest(
        f"{address!r} is not an address like https://host:8200: set VAULT_ADDR or give -address"
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


def _tls(args: argparse.Namespace) -> ssl.SSLContext:
    ca = args.ca_cert or environment("VAULT_CACERT") or None
    folder = args.ca_path or environment("VAULT_CAPATH") or None
    cert = args.client_cert or environment("VAULT_CLIENT_CERT")
    key = args.client_key or environment("VAULT_CLIENT_KEY")
    for name in (ca, folder, cert, key):
        if name and not Path(name).exists():
            raise InvalidRequest(f"{name}: there is no such file (CA, client certificate or key)")
    try:
        context = ssl.create_default_context(cafile=ca, capath=folder)
        if cert:
            context.load_cert_chain(cert, key or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequest(f"cannot use the CA or client certificate given: {error}") from None
    if args.tls_skip_verify or environment("VAULT_SKIP_VERIFY") in _TRUE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
