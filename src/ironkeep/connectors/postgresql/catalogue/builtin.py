"""One source of what initdb made: a digest for each catalogue over all its built-in rows.

An altered view or function of pg_catalog or information_schema changes one. Privileges are left
out, because the built-in objects that have any are listed one by one.
"""
# ruff: noqa: S608 - every part of every query is a literal of this package, as its type says

from typing import Final, LiteralString

from ironkeep.connectors.postgresql.catalogue.relations import (
    STATE_OF_ATTRIBUTE,
    STATE_OF_CLASS,
    STATE_OF_INDEX,
)
from ironkeep.connectors.postgresql.catalogue.source import FIRST_OWN, Source, digest, row_digest
from ironkeep.core.credential.inventory import Kind

_WITHOUT: Final[dict[LiteralString, tuple[LiteralString, ...]]] = {
    "pg_attribute": STATE_OF_ATTRIBUTE,
    "pg_class": STATE_OF_CLASS[1:],
    "pg_collation": ("collversion",),
    "pg_index": STATE_OF_INDEX[1:],
    "pg_proc": ("proacl",),
    "pg_type": ("typacl",),
}
"""Columns that change by themselves, or that are listed otherwise."""

_NUMBERS: Final[dict[LiteralString, LiteralString]] = {
    "pg_aggregate": "aggfnoid",
    "pg_attribute": "attrelid",
    "pg_index": "indexrelid",
    "pg_inherits": "inhrelid",
    "pg_partitioned_table": "partrelid",
    "pg_range": "rngtypid",
    "pg_ts_config_map": "mapcfg",
}
"""The number by which a row counts as built in, where it has none of its own."""

_CATALOGUES: Final[tuple[LiteralString, ...]] = (
    "pg_aggregate", "pg_am", "pg_amop", "pg_amproc", "pg_attrdef", "pg_attribute", "pg_cast",
    "pg_class", "pg_collation", "pg_constraint", "pg_conversion", "pg_index", "pg_inherits",
    "pg_opclass", "pg_operator", "pg_opfamily", "pg_partitioned_table", "pg_policy", "pg_proc",
    "pg_range", "pg_rewrite", "pg_statistic_ext", "pg_transform", "pg_trigger", "pg_ts_config",
    "pg_ts_config_map", "pg_ts_dict", "pg_ts_parser", "pg_ts_template", "pg_type",
)  # fmt: skip
"""The catalogues whose built-in rows no other source lists."""


def _query(catalogue: LiteralString) -> LiteralString:
    number = _NUMBERS.get(catalogue, "oid")
    one = row_digest(*_WITHOUT.get(catalogue, ()))
    whole = digest("string_agg(d, '' ORDER BY d)")
    return (
        f"SELECT '{catalogue}', count(*) AS count, {whole} AS row_digest"
        f" FROM (SELECT {one} AS d FROM {catalogue} t"
        f" WHERE t.{number}::oid < {FIRST_OWN}) built_in"
    )


SOURCES: Final[tuple[Source, ...]] = (
    Source(
        "builtin",
        Kind.HOOK,
        " UNION ALL ".join(_query(each) for each in _CATALOGUES),
        reads=_CATALOGUES,
    ),
)
