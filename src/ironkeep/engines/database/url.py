"""The address of a database, from Vault's `connection_url` or from separate fields.

    postgresql://{{username}}:{{password}}@host:5432,other:5432/db?sslmode=verify-full

A URL with a literal username or password is refused, because anyone who may read the configuration
would see it. Several hosts form one system: changes go to the first, and all verify logins. Source:
libpq's connection URIs, PostgreSQL documentation 34.1.1.2.
"""

import re
from dataclasses import dataclass
from typing import Final

from ironkeep.core.credential.connector import Tls
from ironkeep.core.errors import InvalidRequest

DEFAULT_PORT: Final = 5432
POOLER_PORT: Final = 6432
ADDED_POOLER: Final = (
    "give the password again to add a pooler: it is presented there. If only the vault knows it "
    "(rotate-root), set one at the database as another superuser, and write it"
)
MAX_PORT: Final = 65_535
MAX_HOSTS: Final = 16
"""Every probe asks each host in turn, which takes some ten seconds if one does not answer."""
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
    """The hosts of one system, its database, and the TLS settings of the connection."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    tls: Tls
    ca_file: str


def parse_url(text: str) -> Whereabouts:
    """Parse a connection URL; raise an InvalidRequest that states what to write instead."""
    found = _URL.fullmatch(text)
    if len(text) > MAX_URL or found is None:
        raise InvalidRequest(
            "connection_url: postgresql://{{username}}:{{password}}@host:port/database?sslmode=…"
        )
    if (found["who"] or _WHO) != _WHO:
        raise InvalidRequest(
            "write {{username}}:{{password}} literally in connection_url, "
            "and give both values as separate fields"
        )
    options = _options(found["options"] or "")
    hosts = tuple(parse_host(host) for host in found["hosts"].split(","))
    return whereabouts(
        hosts,
        found["database"] or "postgres",
        options.get("sslmode", ""),
        options.get("sslrootcert", ""),
    )


def whereabouts(
    hosts: tuple[tuple[str, int], ...], database: str, sslmode: str, ca_file: str
) -> Whereabouts:
    """Return checked whereabouts; raise InvalidRequest."""
    if not 1 <= len(hosts) <= MAX_HOSTS:
        raise InvalidRequest(f"a connection has 1 to {MAX_HOSTS} hosts")
    if _DATABASE.fullmatch(database) is None:
        raise InvalidRequest("a database name has 1 to 63 characters without % / ? #")
    tls = _TLS.get(sslmode)
    if tls is None:
        raise InvalidRequest(
            "sslmode must be verify-full or disable: other modes do not verify the server"
        )
    if ca_file and not (ca_file.startswith("/") and ca_file.isprintable()):
        raise InvalidRequest("sslrootcert must be the absolute path of a file on this server")
    return Whereabouts(hosts, database, tls, ca_file)


def parse_host(text: str, default: int = DEFAULT_PORT) -> tuple[str, int]:
    """Return the host and port of `host`, `host:port` or `[v6]:port`; raise InvalidRequest."""
    found = _HOST.fullmatch(text)
    port = default if found is None or found["port"] is None else int(found["port"])
    if found is None or not 1 <= port <= MAX_PORT:
        raise InvalidRequest("write a host as host, host:port or [v6 address]:port")
    return found["v6"] or found["name"], port


def parse_poolers(names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Return the hosts and ports of poolers, () for `none`; raise InvalidRequest."""
    if names == ("none",):
        return ()
    if not 1 <= len(names) <= MAX_HOSTS:
        raise InvalidRequest(f"poolers: write 1 to {MAX_HOSTS} as host:port, or none")
    return tuple(parse_host(name, POOLER_PORT) for name in names)


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        if name not in _OPTIONS or name in options:
            raise InvalidRequest("connection_url allows the options sslmode and sslrootcert, once")
        options[name] = value
    return options
