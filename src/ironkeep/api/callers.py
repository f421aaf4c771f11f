"""Which requests of browsers are taken: those of our own pages, at a name that is ours.

A browser asks for whatever page is open in it. Two kinds of page are not ours:

    (1) one at a name of its own that resolves to this machine (DNS rebinding): to the browser it is
        of our origin, and reads every answer. On loopback, and everywhere in development mode, a
        Host that is not configured is refused with 421. An address in digits was resolved by nobody
        and is no such name.
    (2) one of another origin: it cannot read answers, but what a form can send arrives, and ten
        wrong passwords lock somebody out. Browsers say so themselves in Sec-Fetch-Site and Origin,
        which no page can change; such requests are refused with 403.

Programs send neither header and are not concerned by (2). Sources: Fetch Metadata Request Headers
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
"""Characters of a name in the DNS."""

PAGES_ONLY: Final = frozenset({b"origin", b"sec-fetch-site"})
"""Headers that browsers send and programs do not."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^:\[\]\s]{1,253})(?::[0-9]{1,5})?", re.ASCII)
_OURS: Final = frozenset({b"same-origin", b"none"})
"""`none` is a person at the address bar, not a page."""

Refusal = tuple[int, str]


class Callers:
    """Judges the Host of a request, and where the page that sent it is from."""

    def __init__(
        self, api_addr: str = "", names: Iterable[str] = (), *, everywhere: bool = False
    ) -> None:
        """`names` are hosts without a port; `everywhere` asks for them beyond loopback too."""
        self._authority: Final = _authority(api_addr)
        named = (*names, _name(self._authority), "localhost")
        self._names: Final = frozenset(each.lower().rstrip(".") for each in named if each)
        self._everywhere: Final = everywhere

    def guards(self, local: str) -> bool:
        """Return whether connections to our address `local` are asked for a configured Host."""
        return self._everywhere or _is_loopback(local)

    def knows(self, host: bytes) -> bool:
        """Return whether a Host header names us: a configured name, or an address in digits."""
        name = _name(host.decode("latin-1")).lower().rstrip(".")
        wider = "*." + name.partition(".")[2]
        return name in self._names or wider in self._names or _is_address(name)

    def refusal(self, headers: Mapping[bytes, bytes], local: str, *, page: bool) -> Refusal | None:
        """Return how a request is refused, None when it is taken; `page` is one for a page of ours.

        Pages are files that change nothing, and links to them come from everywhere: mails, chats.
        """
        host = headers.get(b"host")
        if host is not None and self.guards(local) and not self.knows(host):
            return 421, (
                "the Host header names no configured host: call this server by localhost or by its "
                "address, or set api_addr (-dev: VAULT_API_ADDR) to the name it is called by"
            )
        if page or self._is_ours(headers):
            return None
        return 403, (
            "a page of another origin sent this: the API answers programs, and pages of this server"
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
    """Return the names that a listener's certificate is for; raise InvalidRequest if unreadable.

    A browser that reached us by one of these over TLS did so because its owner wanted that.
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
    """Return host and port of a URL as a Host header has them; "" when it is none."""
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
        return True  # no address: a socket of this machine
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
