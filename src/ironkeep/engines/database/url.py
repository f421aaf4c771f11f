"""Where a database is, from Vault's `connection_url` or from fields.

    postgresql://{{username}}:{{password}}@host:5432,other:5432/db?sslmode=verify-full

A URL with a name or password written into it is refused: it would be shown to whoever may read the
configuration. Several hosts are one system: the first takes changes, all verify logins. Source:
libpq's connection URIs, PostgreSQL documentation 34.1.1.2.
"""

import re
from dataclasses import dataclass
from typing import Final

from ironkeep.core.credential.connector import Tls
from ironkeep.core.errors import InvalidRequest

DEFAULT_PORT: Final = 5432
MAX_PORT: Final = 65_535
MAX_HOSTS: Final = 16
"""Each is asked in turn at every probe, some ten seconds when it does not answer."""
MAX_URL: Final = 4_096

_URL: Final = re.compile(
    r"postgres(?:ql)?://(?P<who>[^@/?]*@)?(?P<hosts>[^/?@]+)(?:/(?P<database>[^?]*))?"
    r"(?:\?(?P<options>.*))?"
)
_WHO: Final = "{{username}}:{{password}}@"
_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::(?P<port>\d{1,5}))?"
)
_DATABASE: Final = re.compile(r"[^\x00-\x1f%/?#]{1,63}")
_TLS: Final = {"verify-full": Tls.VERIFY_FULL, "": Tls.VERIFY_FULL, "disable": Tls.DISABLE}
_OPTIONS: Final = frozenset({"sslmode", "sslrootcert"})


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The hosts of one system, its database, and how the way there is protected."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    tls: Tls
    ca_file: str


def parse_url(text: str) -> Whereabouts:
    """Return what a connection URL says; raise InvalidRequest saying what to write instead."""
    found = _URL.fullmatch(text)
    if len(text) > MAX_URL or found is None:
        raise InvalidRequest(
            "connection_url is postgresql://{{username}}:{{password}}@host:port/database?sslmode=…"
        )
    if (found["who"] or _WHO) != _WHO:
        raise InvalidRequest(
            "write {{username}}:{{password}} into connection_url, as it stands, "
            "and give both as fields of their own"
        )
    options = _options(found["options"] or "")
    hosts = tuple(parse_host(host) for host in found["hosts"].split(","))
    return whereabouts(
        hosts, found["database"] or "postgres", options.get("sslmode", ""),
        options.get("sslrootcert", ""),
    )  # fmt: skip


def whereabouts(
    hosts: tuple[tuple[str, int], ...], database: str, sslmode: str, ca_file: str
) -> Whereabouts:
    """Return checked whereabouts; raise InvalidRequest."""
    if not 1 <= len(hosts) <= MAX_HOSTS:
        raise InvalidRequest(f"a connection has 1 to {MAX_HOSTS} hosts")
    if _DATABASE.fullmatch(database) is None:
        raise InvalidRequest("a database's name takes 1 to 63 characters, none of them % / ? #")
    tls = _TLS.get(sslmode)
    if tls is None:
        raise InvalidRequest(
            "sslmode is verify-full, or disable: the others do not check who answers"
        )
    if ca_file and not (ca_file.startswith("/") and ca_file.isprintable()):
        raise InvalidRequest("sslrootcert is the absolute path of a file on this server")
    return Whereabouts(hosts, database, tls, ca_file)


def parse_host(text: str, default: int = DEFAULT_PORT) -> tuple[str, int]:
    """Return the host and port of `host`, `host:port` or `[v6]:port`; raise InvalidRequest."""
    found = _HOST.fullmatch(text)
    port = default if found is None or found["port"] is None else int(found["port"])
    if found is None or not 1 <= port <= MAX_PORT:
        raise InvalidRequest("a host is written host, host:port or [v6 address]:port")
    return found["v6"] or found["name"], port


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        if name not in _OPTIONS or name in options:
            raise InvalidRequest("connection_url takes the options sslmode and sslrootcert, once")
        options[name] = value
    return options
