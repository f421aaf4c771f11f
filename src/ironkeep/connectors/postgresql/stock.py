"""Take the inventory of a PostgreSQL cluster: run the catalogue's queries in every database.

One flawed row never fails the whole inventory: a row that is too long or not valid in its encoding,
a duplicate name, and everything past a limit is listed in the inventory's gaps. The texts of gaps
are stored with baselines and compared with later ones, so they must not change between releases.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from typing import Final, LiteralString

import msgspec

from ironkeep.connectors.postgresql.administration.entrance import (
    administer,
    with_accepted_password,
)
from ironkeep.connectors.postgresql.catalogue import CLUSTER, DATABASE, READ
from ironkeep.connectors.postgresql.catalogue.extensions import IS_SAFE
from ironkeep.connectors.postgresql.catalogue.reviewed import REVIEWED
from ironkeep.connectors.postgresql.catalogue.source import Source
from ironkeep.connectors.postgresql.channel import Budget
from ironkeep.connectors.postgresql.link import Link, Row, Value, connect
from ironkeep.connectors.postgresql.redaction import Redaction, Shape
from ironkeep.core.credential.connector import ConnectorError, Target
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

SOURCE_ITEMS: Final = 100_000
"""Items of one source: any role may make large objects, and they must not hide all the rest."""

MAX_KEPT: Final = 32 * 1024 * 1024
"""Characters of all items together; core.credential.inventory encodes no more than twice that."""

MAX_GAPS: Final = 1_000
MAX_NAME: Final = 1_024
"""Characters of an item's name; role names have at most 63 bytes, function signatures hundreds."""

SYSTEM: Final = "postgresql"

PART_BYTES: Final = 64 * 1024 * 1024
"""Bytes received over one connection: the cluster, or one database, cannot use up all of them."""

CONNECTIONS: Final = 2
"""Connections to one database: one broken item does not hide all that is read after it."""

# Settings of the account or the database would change how values are written; row_security makes
# the server refuse where somebody's policy would run.
_STEADY: Final[LiteralString] = """
    SELECT concat(set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO, YMD', false),
        set_config('IntervalStyle', 'postgres', false), set_config('bytea_output', 'hex', false),
        set_config('extra_float_digits', '1', false), set_config('client_encoding', 'UTF8', false),
        set_config('quote_all_identifiers', 'off', false),
        set_config('row_security', 'off', false))"""

_DATABASES: Final[LiteralString] = """
    SELECT datname, quote_ident(datname), datallowconn, datname = 'template0' AND oid < 16384
    FROM pg_database ORDER BY datname"""

_CATALOGUES: Final[LiteralString] = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND oid < 16384
    ORDER BY relname"""

_EXISTS: Final[LiteralString] = """
    SELECT CASE WHEN right(name, 1) = ')' THEN to_regprocedure(name)::oid
        ELSE to_regclass(name)::oid END IS NOT NULL
    FROM (SELECT %s::text AS name) given"""

Enter = Callable[[], AbstractContextManager[Link]]


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
    """Return everything that the catalogue's queries find, and the gaps.

    Raise a ConnectorError only when the cluster cannot be entered at all.
    """
    budget = Budget(STOCK_SECONDS, STOCK_BYTES)
    target = with_accepted_password(target, entropy) if target.earlier_passwords else target
    stock = _Stock(Redaction(target.digest_key))

    @contextmanager
    def enter(database: str = "") -> Iterator[Link]:
        part = budget.part(PART_BYTES)
        name, password = target.admin_username, target.admin_password
        with (
            connect(target, name, password, entropy, database=database, budget=part)
            if database
            else administer(target, entropy, part)
        ) as link:
            link.rows(_STEADY, width=1)
            yield link

    with enter() as link:
        release = link.release
        databases = _databases(link, stock.gap)
        _check_catalogues(link, stock.gap)
    try:
        _visit(enter, CLUSTER, "", stock)
        for database, shown in databases:
            _visit(partial(enter, database), DATABASE, f"{shown}: ", stock)
    except _Full:
        """The gap is recorded where the limit was reached."""
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
    rows = link.rows(_DATABASES, width=4)
    # template0 accepts no connections either, but contains only what initdb created: not a gap,
    # unless it is another one by that name. That it was opened for a while shows in its item.
    for _, shown, takes, pristine in rows:
        if not takes and not pristine:
            gap(f"database {shown}: takes no connections")
    names = [(str(name), str(shown)) for name, shown, takes, _ in rows if takes]
    for _, shown in names[MAX_DATABASES:]:
        gap(f"database {shown}: past the limit")
    return names[:MAX_DATABASES]


def _check_catalogues(link: Link, gap: Callable[[str], None]) -> None:
    """Record each system catalogue that is neither read nor known to be harmless."""
    for (name,) in link.rows(_CATALOGUES, width=1):
        if name not in READ and name not in REVIEWED:
            gap(f"catalogue {name}: this version of the connector does not read it")


def _visit(enter: Enter, sources: Sequence[Source], prefix: str, stock: _Stock) -> None:
    """Read the sources over one connection, over a second one after it broke."""
    left = list(sources)
    for _ in range(CONNECTIONS):
        try:
            with enter() as link:
                while left:
                    _read(link, left.pop(0), prefix, stock)
                return
        except ConnectorError:
            if len(left) == len(sources):
                place = f"database {prefix.removesuffix(': ')}" if prefix else "the cluster"
                stock.gap(f"{place}: cannot log in to it, or it did not answer")
                return
    for source in left:
        stock.gap(f"{prefix}{source.name}: not read, because the connection broke before it")


def _read(link: Link, source: Source, prefix: str, stock: _Stock) -> None:
    """Run the query of one source, if its relation exists; record what it does not give."""
    where = f"{prefix}{source.name}"
    try:
        if reason := _obstacle(link, source):
            stock.gap(f"{where}: {reason}")
        elif not source.needs or link.value(_EXISTS, source.needs):
            found = _found(link, source, prefix, stock.redaction)
            for each, flaw in islice(found, SOURCE_ITEMS):
                if flaw:
                    name = each.name.removeprefix(prefix)[:MAX_NAME]
                    stock.gap(f"{where}: {name}: {flaw}")
                stock.add(each)
            if sum(1 for _ in found):
                stock.gap(f"{where}: there are more than {SOURCE_ITEMS}")
    except _Full:
        stock.gap(f"{where}: there is more than can be kept, from here on")
        raise
    except ConnectorError as failure:
        # A server that answered with an error goes on; without a code the connection is broken.
        words = f"refused ({failure.upstream_code})" if failure.upstream_code else "it broke off"
        stock.gap(f"{where}: {words}")
        if not failure.upstream_code:
            raise


def _obstacle(link: Link, source: Source) -> str:
    """Return why a source cannot be read, or "" if it can, or if its relation does not exist."""
    if source.role and not link.value("SELECT pg_has_role(%s, 'USAGE')", source.role):
        return f"needs membership of {source.role}"
    if (
        source.foreign
        and link.value(_EXISTS, source.needs)
        and not link.value(IS_SAFE, source.needs)
    ):
        return f"{source.needs} is not a plain table of a superuser"
    return ""


def _found(
    link: Link, source: Source, prefix: str, redaction: Redaction
) -> Iterator[tuple[InventoryItem, str]]:
    """Yield the items of a source, each with its flaw, "" for none."""
    for columns, row in _rows(link, source):
        name = _name(row)
        given = attributes(columns[1:], row.values[1:], redaction, source, name)
        if row.digest:
            given = {"row": redaction.digest(row.digest)}
        flaw = row.flaw or given.pop("gap", "")
        yield item(source.kind, source.name, prefix + name[:MAX_NAME], given), flaw


def _rows(link: Link, source: Source) -> Iterator[tuple[list[str], Row]]:
    """Yield the rows of a source with the names of their columns."""
    if not source.follow:
        for row in link.stream(source.query):
            yield link.columns, row
        return
    rows = list(link.stream(source.query))
    columns = list(link.columns)
    place = columns.index(source.follow) if source.follow in columns else len(columns)
    for row in rows:
        values = list(row.values)
        if place < len(values) and values[place] is not None:
            values[place] = link.value(str(values[place]))
        yield columns, msgspec.structs.replace(row, values=tuple(values))


def _name(row: Row) -> str:
    return text_of(row.values[0]) if row.values else "a thing without a name that can be read"
