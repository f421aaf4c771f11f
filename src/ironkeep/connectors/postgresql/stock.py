"""Take stock of a PostgreSQL cluster: run the catalogue's queries in every database."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ironkeep.connectors.postgresql.catalogue import CLUSTER, DATABASE, Source
from ironkeep.connectors.postgresql.link import Link, connect
from ironkeep.core.connector import ConnectorError, Rejected, Target
from ironkeep.core.inventory import Inventory, InventoryItem, collect, item

MAX_DATABASES: Final = 256
"""Each takes a login and a second or so; past this the rest are named as gaps."""

SYSTEM: Final = "postgresql"

_PASSWORD: Final = re.compile(
    r"(?P<key>\b\w*pass(?:word|wd|phrase)?\w*\s*=\s*|://[^:/@\s]*:)"
    r"(?:'(?:[^']|'')*'|[^\s@;,\"]+)",
    re.IGNORECASE,
)
"""A password in a connection string, a URI or an option list."""


def take(target: Target) -> Inventory:
    """Return everything the catalogue's queries find; what could not be seen is in its gaps."""
    items: list[InventoryItem] = []
    gaps: list[str] = []
    with connect(target, target.admin_username, target.admin_password) as link:
        release = link.release
        _visit(link, CLUSTER, "", items, gaps)
        databases = _databases(link, gaps)
    for database in databases:
        try:
            with connect(target, target.admin_username, target.admin_password, database) as link:
                _visit(link, DATABASE, f"{database}: ", items, gaps)
        except ConnectorError:
            gaps.append(f"database {database}: cannot log in to it, or it did not answer")
    return collect(SYSTEM, target.endpoint, release, items, gaps)


def attributes(names: Sequence[str], values: Sequence[object]) -> dict[str, str]:
    """Return the values that are not null as text, by name, with passwords cut out."""
    return {
        name: _redacted(value)
        for name, value in zip(names, values, strict=True)
        if value is not None
    }


def _databases(link: Link, gaps: list[str]) -> list[str]:
    """Return the databases that take connections; add those that do not to gaps."""
    rows = link.rows("SELECT datname, datallowconn FROM pg_database ORDER BY datname")
    # template0 takes none, so that nothing can be in it that initdb did not put there.
    closed = [name for name, takes in rows if not takes and name != "template0"]
    names = [name for name, takes in rows if takes]
    gaps += [f"database {name}: takes no connections" for name in closed]
    gaps += [f"database {name}: past the limit" for name in names[MAX_DATABASES:]]
    return names[:MAX_DATABASES]


def _visit(
    link: Link, sources: Iterable[Source], prefix: str, items: list[InventoryItem], gaps: list[str]
) -> None:
    """Run the queries of sources that this server has the tables for."""
    for source in sources:
        if source.needs and not link.rows("SELECT to_regclass(%s)::oid", source.needs)[0][0]:
            continue
        try:
            if source.role and not link.rows("SELECT pg_has_role(%s, 'USAGE')", source.role)[0][0]:
                gaps.append(f"{prefix}{source.name}: needs membership of {source.role}")
                continue
            items += _found(link, source, prefix)
        except Rejected as refusal:
            gaps.append(f"{prefix}{source.name}: refused ({refusal.upstream_code})")


def _found(link: Link, source: Source, prefix: str) -> Iterator[InventoryItem]:
    columns, rows = link.table(source.query)
    for row in rows:
        name = prefix + _redacted(row[0])
        yield item(source.kind, source.name, name, attributes(columns[1:], row[1:]))


def _redacted(value: object) -> str:
    """Return value as text, booleans as SQL spells them, passwords cut out."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _PASSWORD.sub(r"\g<key>…", text)
