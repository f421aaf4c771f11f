"""Accepts requests of browsers only from this server's own pages, at a configured host name.

Any page that is open in a browser can send requests here. Two kinds of page are refused:

    (1) a page at a foreign name that resolves to this machine (DNS rebinding): the browser counts
        it as our origin and lets it read every answer. On loopback, and everywhere in development
        mode, a Host that is not configured is refused with 421. A numeric address needs no DNS, so
        it cannot be rebound and is accepted.
    (2) a page of another origin: it cannot read answers, but its forms arrive here, and ten wrong
        passwords lock a user out. Browsers name the origin in Sec-Fetch-Site and Origin, which no
        page can change; such requests are refused with 403.

Programs send neither header, so (2) does not affect them. Sources: Fetch Metadata Request Headers
(W3C), 2.4; RFC 6454, 7; RFC 9110, 7.4 and 15.5.20.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from ironkeep.core.errors import InvalidRequest

MAX_HOST: Final = 253
"""Characters of a DNS name."""

PAGES_ONLY: Final = frozenset({b"origin", b"sec-fetch-site"})
"""Headers that browsers send and programs do not."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^:\[\]\s]{1,253})(?::[0-9]{1,5})?", re.ASCII)
_OURS: Final = frozenset({b"same-origin", b"none"})
"""`none` means that the user typed the address: no page sent the request."""

Refusal = tuple[int, str]


class Callers:
    """Checks the Host of a request and the origin of the page that sent it."""

    def __init__(
        self, api_addr: str = "", names: Iterable[str] = (), *, everywhere: bool = False
    ) -> None:
        """`names` are hosts without a port; `everywhere` checks Host beyond loopback too."""
        self._authority: Final = _authority(api_addr)
        named = (*names, _name(self._authority), "localhost")
        self._names: Final = frozenset(each.lower().rstrip(".") for each in named if each)
        self._everywhere: Final = everywhere

    def guards(self, local: str) -> bool:
        """Return whether connections to our address `local` need a configured Host."""
        return self._everywhere or _is_loopback(local)

    def knows(self, host: bytes) -> bool:
        """Return whether a Host header names this server: a configured name or any IP address."""
        name = _name(host.decode("latin-1")).lower().rstrip(".")
        wider = "*." + name.partition(".")[2]
        return name in self._names or wider in self._names or _is_address(name)

    def refusal(self, headers: Mapping[bytes, bytes], local: str, *, page: bool) -> Refusal | None:
        """Return the status and text that refuse a request, None to accept it.

        `page` is true for a page of the console. Those are static files, and links to them come
        from everywhere (mails, chats), so their origin is not checked.
        """
        host = headers.get(b"host")
        if host is not None and self.guards(local) and not self.knows(host):
            return 421, (
                "the Host header names no configured host: use localhost or this server's IP "
                "address, or set api_addr (-dev: VAULT_API_ADDR) to the name that clients use"
            )
        if page or self._is_ours(headers):
            return None
        return 403, (
            "a page of another origin sent this request: the API serves programs and the pages of "
            "this server only"
        )

    def _is_ours(self, headers: Mapping[bytes, bytes]) -> bool:
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return site.strip().lower() in _OURS
        origin = headers.get(b"origin")
        if origin is None:
            return True
        authority = _authority(origin.decode("latin-1"))
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return bool(authority) and authority in (host, self._authority)


def names_in(certificate: Path) -> list[str]:
    """Return the DNS names in a listener's certificate; raise InvalidRequest if unreadable.

    They count as configured: the operator obtained the certificate for them.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"cannot load the listener's certificate: {error}") from None
    return names.get_values_for_type(x509.DNSName)


def _authority(url: str) -> str:
    """Return host and port of a URL in the form of a Host header; "" for other text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


def _name(host: str) -> str:
    found = _HOST.fullmatch(host.strip()) if len(host) <= MAX_HOST + 8 else None
    return found[1].strip("[]") if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1_024)
def _is_loopback(local: str) -> bool:
    try:
        address = ipaddress.ip_address(local)
    except ValueError:
        return True  # not an IP address: a unix socket of this machine
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
