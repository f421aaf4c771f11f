"""Sources of extensions' own tables, which may hold jobs: pg_cron's, and those marked as settings.

Reading a table of somebody else can run that person's code with the reader's rights: a view's
functions, a policy's, a type's. So only a plain table is read, of a superuser, of built-in types,
without generated columns; `SET row_security = off` makes the server refuse where a policy would
run. TABLESAMPLE, which a view does not take, and the table's number keep another relation from
being read that takes its name in the meantime.
"""
# ruff: noqa: S608 - every part of every query is a literal of this package, as its type says

from typing import Final, LiteralString

from ironkeep.connectors.postgresql.catalogue.source import FIRST_OWN, Source, digest
from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

MAX_TABLE: Final[LiteralString] = "8388608"
"""Bytes of an extension's table that is digested."""

SAFE: Final[LiteralString] = f"""
    (c.relkind = 'r' AND c.relowner IN (SELECT oid FROM pg_roles WHERE rolsuper)
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
        AND NOT a.attisdropped AND (a.atttypid >= {FIRST_OWN} OR a.attgenerated <> '')))"""
"""The condition that reading a relation `c` runs nobody's code."""

IS_SAFE: Final[LiteralString] = (
    f"SELECT coalesce(bool_and({SAFE}), false) FROM pg_class c WHERE c.oid = to_regclass(%s)"
)

# ROW() keeps a cast of the table's own row type from being used.
_DIGEST: Final[LiteralString] = (
    "SELECT encode(sha256(textsend(string_agg(d, '''' ORDER BY d COLLATE \"C\"))), ''hex'')"
    " FROM (SELECT ROW(t.*)::text AS d FROM ONLY %s t TABLESAMPLE SYSTEM (100)"
    " WHERE t.tableoid = %s) r"
)

SOURCES: Final[tuple[Source, ...]] = (
    Source(
        "cron_job",
        Kind.HOOK,
        "SELECT jobid::text, schedule, username AS role, database, active, "
        + digest("command")
        + " AS row_digest FROM ONLY cron.job t TABLESAMPLE SYSTEM (100) WHERE t.tableoid ="
        f" (SELECT c.oid FROM pg_class c WHERE c.oid = to_regclass('cron.job') AND {SAFE})",
        needs="cron.job",
        foreign=True,
    ),
    Source(
        "extension_table",
        Kind.HOOK,
        f"""
        SELECT (pg_identify_object('pg_class'::regclass, c.oid, 0)).identity,
            extname AS extension,
            CASE WHEN fits AND {SAFE}
                THEN format('{_DIGEST}', c.oid::regclass, c.oid) END AS content,
            CASE WHEN NOT {SAFE} THEN 'it is not a plain table of a superuser'
                WHEN NOT fits THEN 'it is too large to be looked at' END AS gap
        FROM pg_extension e CROSS JOIN LATERAL unnest(extconfig) AS u(number)
            JOIN pg_class c ON c.oid = u.number
            CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid) <= {MAX_TABLE} AS fits OFFSET 0) s
        WHERE c.relkind <> 'S'""",
        follow="content",
        shapes={"content": Shape.SEALED},
    ),
)
