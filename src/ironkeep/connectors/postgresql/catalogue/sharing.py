"""Sources of what brings code in or carries data out: extensions, foreign servers, publications."""

from typing import Final

from ironkeep.connectors.postgresql.catalogue.source import Big, Source, rows
from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

SOURCES: Final[tuple[Source, ...]] = (
    rows(
        "extension",
        Kind.HOOK,
        "pg_extension",
        name="extname",
        columns="extversion AS version, pg_get_userbyid(extowner) AS owner",
        where="true",
        big=Big(code=("extconfig", "extcondition"), shown=("extversion",)),
    ),
    rows(
        "foreign_data_wrapper",
        Kind.HOOK,
        "pg_foreign_data_wrapper",
        name="fdwname",
        columns="pg_get_userbyid(fdwowner) AS owner, fdwacl::text AS acl,"
        " fdwhandler::regproc::text AS handler, array_to_json(fdwoptions)::text AS options",
        where="true",
        without=("oid", "fdwoptions"),
        big=Big(shown=("fdwacl", "fdwoptions")),
        shapes={"options": Shape.OPTIONS},
    ),
    rows(
        "foreign_server",
        Kind.HOOK,
        "pg_foreign_server",
        name="srvname",
        columns="pg_get_userbyid(srvowner) AS owner, srvacl::text AS acl,"
        " array_to_json(srvoptions)::text AS options",
        where="true",
        without=("oid", "srvoptions"),
        big=Big(code=("srvtype", "srvversion"), shown=("srvacl", "srvoptions")),
        shapes={"options": Shape.OPTIONS},
    ),
    # The view, because the table is for superusers alone; it has each row of the table.
    Source(
        "user_mapping",
        Kind.KEY,
        """
        SELECT coalesce(quote_ident(usename), 'PUBLIC') || ' at ' || quote_ident(srvname),
            CASE WHEN octet_length(umoptions::text) <= 262144
                THEN array_to_json(umoptions)::text END AS options,
            CASE WHEN octet_length(umoptions::text) > 262144
                THEN 'it is too large to be looked at' END AS gap
        FROM pg_user_mappings""",
        reads=("pg_user_mapping",),
        shapes={"options": Shape.OPTIONS},
    ),
    rows(
        "publication",
        Kind.HOOK,
        "pg_publication",
        name="pubname",
        columns="pg_get_userbyid(pubowner) AS owner, puballtables AS all_tables",
        where="true",
    ),
    rows("published_table", Kind.HOOK, "pg_publication_rel", big=Big(late="prqual")),
    rows(
        "published_schema",
        Kind.HOOK,
        "pg_publication_namespace",
        needs="pg_publication_namespace",
    ),
)
"""Ways in and out of one database."""
