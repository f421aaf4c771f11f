"""Take the inventory of a PostgreSQL cluster: run the catalogue's queries in every database.

One flawed row never fails the whole inventory: a row that is too long or not valid in its encoding,
a duplicate name, and everything past a limit is listed in the inventory's gaps. The texts of gaps
are stored with baselines and compared with later ones, so they must not change between releases.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Final

from ironkeep.connectors.postgresql.administration.entrance import administer
from ironkeep.connectors.postgresql.catalogue import CLUSTER, DATABASE, Source
from ironkeep.connectors.postgresql.channel import Budget
from ironkeep.connectors.postgresql.link import Link, Row, Value, connect
from ironkeep.connectors.postgresql.redaction import Redaction, Shape
from ironkeep.core.credential.connector import ConnectorError, Rejected, Target
from ironkeep.core.credential.inventory import Inventory, InventoryItem, collect, item
from ironkeep.core.ports import Entropy

MAX_DATABASES: Final = 256
"""Databases visited; each takes a login and about a second. Further ones are listed as gaps."""

STOCK_SECONDS: Final = 300
"""Time for all databases together, on one worker."""

STOCK_BYTES: Final = 128 * 1024 * 1024
"""Bytes received in all; a cluster of 100,000 relations sends about 20 MB."""

MAX_ITEMS: Final = 200_000
"""Rows that are read; a million small ones would cost a minute of processor time."""

MAX_KEPT: Final = 32 * 1024 * 1024
"""Characters of all items together; core.credential.inventory encodes no more than twice that."""

MAX_GAPS: Final = 1_000
MAX_NAME: Final = 1_024
"""Characters of an item's name; role names have at most 63 bytes, function signatures hundreds."""

SYSTEM: Final = "postgresql"


class _Full(Exception):
    """A limit is reached: the inventory ends with the items found so far."""


class _Stock:
    """The items and gaps found so far."""

    def __init__(self, redaction: Redaction) -> None:
        self.redaction: Final = redaction
        self.found: Final[dict[tuple[str, str, str], InventoryItem]] = {}
        self.gaps: Final[list[str]] = []
        self._room = MAX_KEPT
        self._seen = 0

    def gap(self, words: str) -> None:
        """Record a gap: something that could not be read."""
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(words)
        elif len(self.gaps) == MAX_GAPS:
            self.gaps.append("more could not be looked at than is named here")

    def add(self, each: InventoryItem) -> None:
        """Keep an item; raise _Full when there is no room for it."""
        self._seen += 1
        size = len(each.name) + sum(len(name) + len(value) for name, value in each.attributes)
        if self._seen > MAX_ITEMS or size > self._room:
            raise _Full
        if each.identity in self.found:
            self.gap(f"{each.source} {each.name[:MAX_NAME]}: two are called so")
            return
        self._room -= size
        self.found[each.identity] = each


def take(target: Target, entropy: Entropy) -> Inventory:
    """Return everything that the catalogue's queries find, and the gaps."""
    budget = Budget(STOCK_SECONDS, STOCK_BYTES)
    stock = _Stock(Redaction(target.digest_key))

    def enter(database: str) -> AbstractContextManager[Link]:
        return connect(
            target,
            target.admin_username,
            target.admin_password,
            entropy,
            database=database,
            budget=budget,
        )

    with administer(target, entropy, budget) as link:
        release = link.release
        databases = _databases(link, stock.gap)
        try:
            _visit(link, CLUSTER, "", stock)
        except _Full:
            databases = []
    for database, shown in databases:
        try:
            with enter(database) as link:
                _visit(link, DATABASE, f"{shown}: ", stock)
        except _Full:
            break
        except ConnectorError:
            stock.gap(f"database {shown}: cannot log in to it, or it did not answer")
    return collect(SYSTEM, target.endpoint, release, stock.found.values(), stock.gaps)


def attributes(
    names: Iterable[str],
    values: Iterable[Value],
    redaction: Redaction,
    source: Source | None = None,
    name: str = "",
) -> dict[str, str]:
    """Return the non-null values as text, by column name, each redacted as source demands."""
    shapes = {} if source is None else source.shapes
    return {
        column: redaction.shown(shapes.get(column, Shape.TEXT), text_of(value), name)
        for column, value in zip(names, values, strict=False)
        if value is not None
    }


def text_of(value: Value) -> str:
    """Return value as text, truth values as in SQL."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _databases(link: Link, gap: Callable[[str], None]) -> list[tuple[str, str]]:
    """Return names and quoted names of databases that accept connections; others become gaps."""
    rows = link.rows(
        "SELECT datname, quote_ident(datname), datallowconn FROM pg_database ORDER BY datname",
        width=3,
    )
    # template0 accepts no connections either, but contains only what initdb created: not a gap.
    for name, shown, takes in rows:
        if not takes and name != "template0":
            gap(f"database {shown}: takes no connections")
    names = [(str(name), str(shown)) for name, shown, takes in rows if takes]
    for _, shown in names[MAX_DATABASES:]:
        gap(f"database {shown}: past the limit")
    return names[:MAX_DATABASES]


def _visit(link: Link, sources: Iterable[Source], prefix: str, stock: _Stock) -> None:
    """Run the queries of the sources whose tables exist on this server."""
    for source in sources:
        if source.needs and not link.value("SELECT to_regclass(%s)::oid", source.needs):
            continue
        try:
            if source.role and not link.value("SELECT pg_has_role(%s, 'USAGE')", source.role):
                stock.gap(f"{prefix}{source.name}: needs membership of {source.role}")
                continue
            for each, flaw in _found(link, source, prefix, stock.redaction):
                if flaw:
                    stock.gap(f"{prefix}{source.name}: {each.name[:MAX_NAME]}: {flaw}")
                stock.add(each)
        except _Full:
            stock.gap(f"{prefix}{source.name}: there is more than can be kept, from here on")
            raise
        except Rejected as refusal:
            stock.gap(f"{prefix}{source.name}: refused ({refusal.upstream_code})")


def _found(
    link: Link, source: Source, prefix: str, redaction: Redaction
) -> Iterator[tuple[InventoryItem, str]]:
    """Yield the items of a source, each with its flaw, "" for none."""
    for row in link.stream(source.query):
        name = _name(row)
        given = attributes(link.columns[1:], row.values[1:], redaction, source, name)
        if row.digest:
            given = {"row": redaction.digest(row.digest)}
        yield item(source.kind, source.name, prefix + name[:MAX_NAME], given), row.flaw


def _name(row: Row) -> str:
    return text_of(row.values[0]) if row.values else "a thing without a name that can be read"
