"""One query of the inventory on PostgreSQL's catalogues, and how such queries are composed.

The first column of a query names an object uniquely within its source; the others are attributes.
A composed name quotes each of its parts, so that no two objects have one name. `row_digest` is the
SHA-256 of a whole catalogue row, columns of later versions included, without those that change by
themselves. The other columns only say in words which part of it differs. A column `gap` says
that the object was not read whole, and why.
"""
# ruff: noqa: S608 - every part of every query is a literal of this package, as its type says

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, LiteralString

import msgspec

from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

FIRST_OWN: Final[LiteralString] = "16384"
"""The first object number that initdb does not assign: built-in objects have lower ones."""

MAX_SHOWN: Final[LiteralString] = "262144"
"""Bytes of a row's values that are sent; a longer row is a gap, so that none fills the budget."""

MAX_DIGESTED: Final[LiteralString] = "16777216"
"""Bytes of a row's code that the server digests, which takes it about a tenth of a second."""

_MIB: Final[LiteralString] = "1048576"

_DIGESTED: Final[Mapping[str, Shape]] = MappingProxyType({"row_digest": Shape.CODE})


class Source(msgspec.Struct, frozen=True):
    """One query; skipped when the relation `needs` is missing; `role` is needed to see all rows.

    `reads` names the system catalogues whose rows it reads. `shapes` tells for columns that may
    hold a secret how they are shown. With `foreign`, `needs` is a table of an extension, and is
    read only while nobody but a superuser can have defined it. `follow` names a column with a query
    that the server composed: its value takes the query's place.
    """

    name: str
    kind: Kind
    query: LiteralString
    reads: tuple[str, ...] = ()
    needs: str = ""
    role: str = ""
    shapes: Mapping[str, Shape] = _DIGESTED
    foreign: bool = False
    follow: str = ""


class Big(msgspec.Struct, frozen=True):
    """The columns of a catalogue whose values may be long.

    `code` is only digested, `shown` is sent. `late` is a column of code that only later versions of
    PostgreSQL have, in a catalogue with object numbers.
    """

    code: tuple[LiteralString, ...] = ()
    shown: tuple[LiteralString, ...] = ()
    late: LiteralString = ""


def digest(expression: LiteralString) -> LiteralString:
    """Return the SQL of the hexadecimal SHA-256 of a text expression; null stays null.

    textsend, unlike convert_to, takes text that is not valid in the database's encoding.
    """
    return "encode(sha256(textsend(" + expression + ")), 'hex')"


def row_digest(*without: LiteralString) -> LiteralString:
    """Return the SQL of the digest of a row `t`, without some of its columns, present or not."""
    if not without:
        return digest("t::text")
    nulls: LiteralString = ", ".join(f'"{each}": null' for each in without)
    return digest("jsonb_populate_record(t, '{" + nulls + "}')::text")


def identity(catalogue: LiteralString, number: LiteralString = "t.oid") -> LiteralString:
    """Return the SQL of an object's name, in which each part is qualified and quoted."""
    named = f"(pg_identify_object('{catalogue}'::regclass, {number}, 0)).identity"
    return f"coalesce({named}, 'number ' || {number})"


def labelled(part: LiteralString) -> LiteralString:
    """Return the SQL of the name of a security label on an object, or on a part of it."""
    return (
        "(SELECT concat_ws(' ', o.type, o.identity, 'by', quote_ident(t.provider))"
        f" FROM pg_identify_object(t.classoid, t.objoid, {part}) o)"
    )


def own(number: LiteralString = "t.oid") -> LiteralString:
    """Return the condition that an object is not built in."""
    return f"{number} >= {FIRST_OWN}"


def lasting(namespace: LiteralString) -> LiteralString:
    """Return the condition that a schema, given by its number, does not end with a session."""
    return (
        f"NOT coalesce(({namespace}) = ANY (ARRAY(SELECT n.oid FROM pg_namespace n"
        " WHERE n.nspname ~ '^pg_(toast_)?temp_')), false)"
    )


def of_lasting(table: LiteralString) -> LiteralString:
    """Return the condition that a table, given by its number, does not end with a session."""
    return lasting(f"SELECT c.relnamespace FROM pg_class c WHERE c.oid = {table}")


def rows(
    source: str,
    kind: Kind,
    catalogue: LiteralString,
    *,
    name: LiteralString = "",
    columns: LiteralString = "",
    where: LiteralString = "",
    without: tuple[LiteralString, ...] = ("oid",),
    big: Big | None = None,
    shapes: Mapping[str, Shape] | None = None,
    needs: str = "",
) -> Source:
    """Return the source of a catalogue's rows `t`, by default of those that are not built in."""
    what = (f"{columns}, " if columns else "") + row_digest(*without) + " AS row_digest"
    query: LiteralString = f"SELECT {name or identity(catalogue)}, "
    if big is None:
        query += f"{what} FROM {catalogue} t"
    else:
        query += _guarded(what, catalogue, big)
    return Source(
        source,
        kind,
        f"{query} WHERE {where or own()}",
        reads=(catalogue,),
        needs=needs,
        shapes={**_DIGESTED, **(shapes or {})},
    )


def _guarded(what: LiteralString, catalogue: LiteralString, big: Big) -> LiteralString:
    """Return columns and tables of a query that does not look into a row that is too long.

    OFFSET 0 keeps the planner from evaluating the columns before the condition.
    """
    code: LiteralString = _sizes(big.code)
    missing: LiteralString = ""
    if big.late:
        # The inner name means the catalogue's column where it exists, else the outer null.
        missing = f"(SELECT NULL::text AS {big.late}) missing CROSS JOIN "
        code += (
            f" + coalesce((SELECT octet_length({big.late}::text) FROM {catalogue} x"
            " WHERE x.oid = t.oid), 0)"
        )
    fits: LiteralString = f"z.code <= {MAX_DIGESTED} AND z.shown <= {MAX_SHOWN}"
    return (
        f"r.*, CASE WHEN NOT ({fits}) THEN 'it is too large to be looked at' END AS gap"
        f" FROM {missing}{catalogue} t CROSS JOIN LATERAL"
        f" (SELECT {code} AS code, {_sizes(big.shown)} AS shown OFFSET 0) z"
        f" LEFT JOIN LATERAL (SELECT {what} WHERE {fits} OFFSET 0) r ON true"
    )


def _sizes(columns: tuple[LiteralString, ...]) -> LiteralString:
    """Return the SQL of the bytes of columns of `t` together."""
    return "0" + "".join(f" + coalesce(octet_length(t.{each}::text), 0)" for each in columns)


def file_digest(path: LiteralString, size: LiteralString) -> LiteralString:
    """Return the SQL of a digest of a file, which is read and digested by the mebibyte."""
    piece = f"sha256(pg_read_binary_file({path}, piece, {_MIB}, true))"
    return (
        f"(SELECT encode(sha256(string_agg({piece}, '' ORDER BY piece)), 'hex')"
        f" FROM generate_series(0, {size}, {_MIB}) piece)"
    )
