"""Sources of what runs: functions, and the types, operators, casts and parsers that call them."""

from typing import Final

from ironkeep.connectors.postgresql.catalogue.source import (
    Big,
    Source,
    identity,
    lasting,
    own,
    rows,
)
from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

SOURCES: Final[tuple[Source, ...]] = (
    rows(
        "function",
        Kind.HOOK,
        "pg_proc",
        columns="""
            pg_get_userbyid(proowner) AS owner,
            (SELECT lanname FROM pg_language l WHERE l.oid = t.prolang) AS language,
            (SELECT lanpltrusted FROM pg_language l WHERE l.oid = t.prolang) AS trusted,
            prosecdef AS security_definer, proacl::text AS acl,
            array_to_json(proconfig)::text AS settings, probin AS library""",
        where=f"({own()} OR prosecdef OR proacl IS NOT NULL) AND {lasting('pronamespace')}",
        without=("oid", "proacl", "proconfig"),
        big=Big(
            code=("prosrc", "proargdefaults"),
            shown=("proacl", "proconfig", "probin"),
            late="prosqlbody",
        ),
        shapes={"settings": Shape.SETTINGS},
    ),
    rows(
        "aggregate",
        Kind.HOOK,
        "pg_aggregate",
        name=identity("pg_proc", "t.aggfnoid::oid"),
        where=own("t.aggfnoid::oid"),
        without=("aggfnoid",),
        big=Big(code=("agginitval", "aggminitval")),
    ),
    # Row types and array types come with each table and type: left out while they use the
    # functions of all row and array types.
    rows(
        "type",
        Kind.HOOK,
        "pg_type",
        columns="typtype::text AS type, pg_get_userbyid(typowner) AS owner, typacl::text AS acl,"
        " typinput::text AS input, typoutput::text AS output",
        where=f"""
            (typacl IS NOT NULL OR {own()} AND NOT (
                typrelid <> 0 AND NOT EXISTS (
                    SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')
                AND concat_ws(' ', typinput, typoutput, typreceive, typsend, typmodin, typanalyze)
                    = 'record_in record_out record_recv record_send - -'
                OR typelem <> 0
                AND concat_ws(' ', typinput, typoutput, typreceive, typsend, typanalyze)
                    = 'array_in array_out array_recv array_send array_typanalyze'))
            AND {lasting("typnamespace")}""",
        without=("oid", "typarray"),
        big=Big(code=("typdefault", "typdefaultbin"), shown=("typacl",)),
    ),
    rows(
        "range",
        Kind.HOOK,
        "pg_range",
        name=identity("pg_type", "t.rngtypid"),
        where=own("t.rngtypid"),
        without=("rngmultitypid",),
    ),
    rows("cast", Kind.HOOK, "pg_cast"),
    rows("operator", Kind.HOOK, "pg_operator", columns="oprcode::text AS function"),
    rows("operator_class", Kind.HOOK, "pg_opclass"),
    rows("operator_family", Kind.HOOK, "pg_opfamily"),
    rows("operator_of_family", Kind.HOOK, "pg_amop"),
    rows("function_of_family", Kind.HOOK, "pg_amproc", columns="amproc::text AS function"),
    rows("access_method", Kind.HOOK, "pg_am", columns="amhandler::text AS handler"),
    rows("collation", Kind.HOOK, "pg_collation", without=("oid", "collversion")),
    rows("conversion", Kind.HOOK, "pg_conversion", columns="conproc::text AS function"),
    rows("transform", Kind.HOOK, "pg_transform"),
    rows("text_search_parser", Kind.HOOK, "pg_ts_parser"),
    rows(
        "text_search_template",
        Kind.HOOK,
        "pg_ts_template",
        columns="tmplinit::text AS init, tmpllexize::text AS function",
    ),
    rows("text_search_dictionary", Kind.HOOK, "pg_ts_dict", big=Big(code=("dictinitoption",))),
    rows("text_search_configuration", Kind.HOOK, "pg_ts_config"),
    rows(
        "text_search_mapping",
        Kind.HOOK,
        "pg_ts_config_map",
        name=identity("pg_ts_config", "t.mapcfg")
        + " || ' token ' || t.maptokentype || ' #' || t.mapseqno",
        where=own("t.mapcfg"),
        without=("mapcfg",),
    ),
    rows(
        "language",
        Kind.HOOK,
        "pg_language",
        name="lanname",
        columns="lanpltrusted AS trusted, pg_get_userbyid(lanowner) AS owner,"
        " lanacl::text AS acl, lanplcallfoid::regproc::text AS handler",
        where="true",
        big=Big(shown=("lanacl",)),
    ),
    rows(
        "event_trigger",
        Kind.HOOK,
        "pg_event_trigger",
        name="evtname",
        columns="""
            evtevent AS event, evtfoid::regprocedure::text AS function,
            evtenabled::text AS enabled, pg_get_userbyid(evtowner) AS owner,
            array_to_string(evttags, ', ') AS tags""",
        where="true",
        big=Big(shown=("evttags",)),
    ),
)
"""Code in one database, and the objects by which PostgreSQL calls it."""
