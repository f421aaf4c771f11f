"""Sources of tables, views and what is attached to them: privileges, and expressions that run."""
# ruff: noqa: S608 - every part of every query is a literal of this package, as its type says

from typing import Final, LiteralString

from ironkeep.connectors.postgresql.catalogue.source import (
    FIRST_OWN,
    Big,
    Source,
    identity,
    labelled,
    lasting,
    of_lasting,
    own,
    rows,
)
from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

STATE_OF_CLASS: Final[tuple[LiteralString, ...]] = (
    "oid", "reltype", "relfilenode", "relpages", "reltuples", "relallvisible", "relallfrozen",
    "reltoastrelid", "relhasindex", "relhasrules", "relhastriggers", "relhassubclass", "relnatts",
    "relchecks", "relispopulated", "relrewrite", "relfrozenxid", "relminmxid", "relacl",
)  # fmt: skip
"""Columns of pg_class that change by themselves, follow from other catalogues or are shown."""

STATE_OF_INDEX: Final[tuple[LiteralString, ...]] = (
    "indexrelid", "indisclustered", "indisvalid", "indcheckxmin", "indisready", "indislive",
)  # fmt: skip
"""Columns of pg_index that REINDEX CONCURRENTLY and CLUSTER change."""

STATE_OF_ATTRIBUTE: Final[tuple[LiteralString, ...]] = (
    "attacl", "attstattarget", "attcacheoff", "attmissingval", "attfdwoptions",
)  # fmt: skip

SOURCES: Final[tuple[Source, ...]] = (
    # Every kind of relation but indexes and the storage of large values; a view's query is a rule.
    rows(
        "relation",
        Kind.GRANT,
        "pg_class",
        columns="""
            relkind::text AS type, pg_get_userbyid(relowner) AS owner, relacl::text AS acl,
            relrowsecurity AS row_security, relforcerowsecurity AS row_security_forced,
            array_to_json(reloptions)::text AS options,
            (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
                FROM pg_inherits i WHERE i.inhrelid = t.oid) AS parents""",
        where=f"""
            relkind NOT IN ('i', 'I', 't', 'c') AND (relacl IS NOT NULL OR {own()})
            AND relnamespace <> 'pg_toast'::regnamespace AND {lasting("relnamespace")}""",
        without=STATE_OF_CLASS,
        big=Big(code=("relpartbound",), shown=("reloptions", "relacl")),
    ),
    rows(
        "partitioned_table",
        Kind.HOOK,
        "pg_partitioned_table",
        name=identity("pg_class", "t.partrelid"),
        where=f"{own('t.partrelid')} AND {of_lasting('t.partrelid')}",
        without=("partdefid",),
        big=Big(code=("partexprs",)),
    ),
    rows(
        "column",
        Kind.GRANT,
        "pg_attribute",
        name="(pg_identify_object('pg_class'::regclass, t.attrelid, t.attnum)).identity",
        columns="attacl::text AS acl, array_to_json(attfdwoptions)::text AS options",
        where="(attacl IS NOT NULL OR attfdwoptions IS NOT NULL) AND NOT attisdropped"
        f" AND {of_lasting('t.attrelid')}",
        without=STATE_OF_ATTRIBUTE,
        big=Big(shown=("attacl", "attfdwoptions")),
        shapes={"options": Shape.OPTIONS},
    ),
    # Defaults, and the expressions of generated columns.
    rows(
        "column_default",
        Kind.HOOK,
        "pg_attrdef",
        where=f"{own()} AND {of_lasting('t.adrelid')}",
        columns="(SELECT attgenerated <> '' FROM pg_attribute a"
        " WHERE a.attrelid = t.adrelid AND a.attnum = t.adnum) AS generated",
        big=Big(code=("adbin",)),
    ),
    # Of tables and domains; those without an expression or an operator of their own are left out.
    rows(
        "constraint",
        Kind.HOOK,
        "pg_constraint",
        columns="contype::text AS type, convalidated AS validated",
        where=f"{own()} AND contype NOT IN ('p', 'u', 'n') AND {lasting('connamespace')}",
        without=("oid", "conindid"),
        big=Big(code=("conbin",)),
    ),
    rows(
        "index",
        Kind.HOOK,
        "pg_index",
        name=identity("pg_class", "t.indexrelid"),
        where=f"""
            {own("t.indexrelid")} AND {of_lasting("t.indrelid")}
            AND (indexprs IS NOT NULL OR indpred IS NOT NULL
                OR EXISTS (SELECT FROM unnest(indclass::oid[]) o WHERE o >= {FIRST_OWN})
                OR EXISTS (SELECT FROM pg_class c
                    WHERE c.oid = t.indexrelid AND c.relam >= {FIRST_OWN}))""",
        without=STATE_OF_INDEX,
        big=Big(code=("indexprs", "indpred")),
    ),
    rows(
        "trigger",
        Kind.HOOK,
        "pg_trigger",
        columns="tgfoid::regprocedure::text AS function, tgenabled::text AS enabled",
        # PostgreSQL's own are left out by what they call, not by what they say of themselves.
        where=f"""
            {of_lasting("t.tgrelid")} AND NOT (tgisinternal AND EXISTS (
                SELECT FROM pg_proc p WHERE p.oid = t.tgfoid AND p.oid < {FIRST_OWN}
                    AND (p.proname ~ '^RI_FKey_' OR p.proname = 'unique_key_recheck')))""",
        without=("oid", "tgconstrindid"),
        big=Big(code=("tgqual", "tgargs")),
    ),
    rows(
        "rule",
        Kind.HOOK,
        "pg_rewrite",
        columns="ev_enabled::text AS enabled",
        where=f"{own()} AND {of_lasting('t.ev_class')}",
        big=Big(code=("ev_qual", "ev_action")),
    ),
    rows(
        "policy",
        Kind.GRANT,
        "pg_policy",
        columns="""
            polcmd::text AS command, polpermissive AS permissive,
            (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
                FROM unnest(polroles) r) AS roles""",
        where=f"{own()} AND {of_lasting('t.polrelid')}",
        big=Big(code=("polqual", "polwithcheck"), shown=("polroles",)),
    ),
    rows(
        "extended_statistics",
        Kind.HOOK,
        "pg_statistic_ext",
        where=f"{own()} AND {of_lasting('t.stxrelid')}",
        without=("oid", "stxstattarget"),
        big=Big(late="stxexprs"),
    ),
    rows(
        "foreign_table",
        Kind.HOOK,
        "pg_foreign_table",
        name=identity("pg_class", "t.ftrelid"),
        columns="(SELECT srvname FROM pg_foreign_server s WHERE s.oid = t.ftserver) AS server,"
        " array_to_json(ftoptions)::text AS options",
        where=own("t.ftrelid"),
        without=("ftoptions",),
        big=Big(shown=("ftoptions",)),
        shapes={"options": Shape.OPTIONS},
    ),
    rows(
        "schema",
        Kind.GRANT,
        "pg_namespace",
        name="nspname",
        columns="pg_get_userbyid(nspowner) AS owner, nspacl::text AS acl",
        where="nspname !~ '^pg_(toast|temp)'",
        without=("oid", "nspname", "nspacl"),
        big=Big(shown=("nspacl",)),
    ),
    rows(
        "default_acl",
        Kind.GRANT,
        "pg_default_acl",
        columns="defaclacl::text AS acl",
        where="true",
        big=Big(shown=("defaclacl",)),
    ),
    rows(
        "large_object",
        Kind.GRANT,
        "pg_largeobject_metadata",
        name="oid::text",
        columns="pg_get_userbyid(lomowner) AS owner, lomacl::text AS acl",
        where="true",
        big=Big(shown=("lomacl",)),
    ),
    rows(
        "security_label",
        Kind.GRANT,
        "pg_seclabel",
        name=labelled("t.objsubid"),
        where="true",
        big=Big(code=("label",)),
    ),
)
"""Everything of tables and schemas in one database."""
