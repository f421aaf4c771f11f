"""The inventory's queries on PostgreSQL's catalogues (15 to 18): ways to get in, act or return.

Each source is a query whose first column names an object uniquely within the source; the other
columns are its attributes. Rules for the queries: a composed name quotes each of its parts, so that
no two objects get the same name; code and definitions appear as SHA-256 digests; of a password's
verifier only iterations and salt appear, which the server tells every client that tries to log in
and which change with the password; a column that may hold a secret has a shape (redaction.py); no
column changes by itself (counters, times, activity).
"""
# ruff: noqa: S608 - every part of every query is a literal of this file, as its type says

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, LiteralString

import msgspec

from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

_AS_IT_IS: Final[Mapping[str, Shape]] = MappingProxyType({})


class Source(msgspec.Struct, frozen=True):
    """One query; skipped when the table `needs` does not exist; `role` is needed to see all rows.

    `shapes` tells for columns that may hold a secret how they are shown.
    """

    name: str
    kind: Kind
    query: LiteralString
    needs: str = ""
    role: str = ""
    shapes: Mapping[str, Shape] = _AS_IT_IS


_OUTSIDE: Final[LiteralString] = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
)


def _digest(expression: LiteralString) -> LiteralString:
    """Return the SQL of the hexadecimal SHA-256 of a text expression; null stays null."""
    return "encode(sha256(convert_to(" + expression + ", getdatabaseencoding())), 'hex')"


CLUSTER: Final = (
    Source(
        "role",
        Kind.PRINCIPAL,
        """
        SELECT rolname, oid::text AS number, rolsuper AS superuser, rolinherit AS inherits,
            rolcreaterole AS creates_roles, rolcreatedb AS creates_databases,
            rolcanlogin AS may_log_in, rolreplication AS replicates, rolbypassrls AS bypasses_rls,
            rolconnlimit AS connection_limit, rolvaliduntil::text AS valid_until
        FROM pg_roles""",
    ),
    Source(
        "password",
        Kind.KEY,
        """
        SELECT rolname, CASE
            WHEN rolpassword LIKE 'SCRAM-SHA-256$%'
                THEN split_part(rolpassword, '$', 1) || '$' || split_part(rolpassword, '$', 2)
            ELSE left(rolpassword, 3) END AS verifier
        FROM pg_authid WHERE rolpassword IS NOT NULL""",
    ),
    Source(
        "membership",
        Kind.GRANT,
        """
        SELECT quote_ident(pg_get_userbyid(member)) || ' in '
                || quote_ident(pg_get_userbyid(roleid))
                || ' by ' || quote_ident(pg_get_userbyid(grantor)),
            admin_option, to_jsonb(m) ->> 'inherit_option' AS inherit_option,
            to_jsonb(m) ->> 'set_option' AS set_option
        FROM pg_auth_members m""",
    ),
    Source(
        "database",
        Kind.GRANT,
        """
        SELECT datname, oid::text AS number, pg_get_userbyid(datdba) AS owner,
            datacl::text AS acl, datallowconn AS open, datistemplate AS template
        FROM pg_database""",
    ),
    Source(
        "tablespace",
        Kind.GRANT,
        """
        SELECT spcname, pg_get_userbyid(spcowner) AS owner, spcacl::text AS acl,
            pg_tablespace_location(oid) AS location
        FROM pg_tablespace""",
    ),
    Source(
        "parameter_acl",
        Kind.GRANT,
        "SELECT parname, paracl::text AS acl FROM pg_parameter_acl",
    ),
    Source(
        "role_setting",
        Kind.HOOK,
        """
        SELECT coalesce(quote_ident(r.rolname), 'every role') || ' in '
                || coalesce(quote_ident(d.datname), 'every database'),
            array_to_json(setconfig)::text AS settings
        FROM pg_db_role_setting s
            LEFT JOIN pg_roles r ON r.oid = s.setrole
            LEFT JOIN pg_database d ON d.oid = s.setdatabase""",
        shapes={"settings": Shape.SETTINGS},
    ),
    Source(
        "setting",
        Kind.SETTING,
        """
        SELECT name, setting AS value, source AS set_in, sourcefile AS file FROM pg_settings
        WHERE source NOT IN ('default', 'override', 'client', 'session', 'user', 'database',
                'database user')
            OR name IN ('archive_command', 'archive_library', 'restore_command',
                'archive_cleanup_command', 'recovery_end_command', 'shared_preload_libraries',
                'ssl_passphrase_command', 'hba_file', 'ident_file', 'config_file',
                'data_directory', 'dynamic_library_path', 'allow_system_table_mods', 'ssl',
                'ssl_ca_file', 'ssl_cert_file', 'ssl_crl_file', 'primary_conninfo')""",
        role="pg_read_all_settings",
        shapes={"value": Shape.SETTING},
    ),
    Source(
        "hba",
        Kind.SETTING,
        """
        SELECT rule || ' #' || row_number() OVER (PARTITION BY rule ORDER BY place), place, error,
            options
        FROM (
            SELECT concat_ws(' ', type, array_to_string(database, ','),
                    array_to_string(user_name, ','), address, netmask, auth_method) AS rule,
                row_number() OVER () AS place, error, array_to_json(options)::text AS options
            FROM pg_hba_file_rules) r""",
        shapes={"options": Shape.OPTIONS, "error": Shape.FREE},
    ),
    Source(
        "ident",
        Kind.SETTING,
        """
        SELECT rule || ' #' || row_number() OVER (PARTITION BY rule ORDER BY place), place, error
        FROM (
            SELECT concat_ws(' ', map_name, sys_name, pg_username) AS rule,
                row_number() OVER () AS place, error
            FROM pg_ident_file_mappings) r""",
    ),
    Source(
        "replication_slot",
        Kind.HOOK,
        """
        SELECT slot_name, slot_type AS type, plugin, database, temporary
        FROM pg_replication_slots""",
    ),
    Source(
        "subscription",
        Kind.HOOK,
        """
        SELECT quote_ident(d.datname) || '.' || quote_ident(subname),
            pg_get_userbyid(subowner) AS owner,
            subenabled AS enabled, subconninfo AS connection,
            array_to_string(subpublications, ', ') AS publications
        FROM pg_subscription JOIN pg_database d ON d.oid = subdbid""",
        shapes={"connection": Shape.CONNECTION},
    ),
    Source(
        "prepared_transaction",
        Kind.HOOK,
        "SELECT gid, owner, database, prepared::text AS since FROM pg_prepared_xacts",
    ),
)
"""Objects of the cluster, visible from any of its databases."""

DATABASE: Final = (
    Source(
        "function",
        Kind.HOOK,
        """
        SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname)
                || '(' || pg_get_function_identity_arguments(p.oid) || ')',
            pg_get_userbyid(proowner) AS owner, l.lanname AS language,
            prosecdef AS security_definer, l.lanpltrusted AS trusted,
            proacl::text AS acl, array_to_json(proconfig)::text AS settings, probin AS library,
            """
        + _digest("prosrc || coalesce(pg_get_function_sqlbody(p.oid), '')")
        + """ AS sha256
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            JOIN pg_language l ON l.oid = p.prolang
        WHERE p.oid >= 16384 OR p.prosecdef OR p.proacl IS NOT NULL""",
        shapes={"settings": Shape.SETTINGS},
    ),
    Source(
        "builtin_functions",
        Kind.HOOK,
        "SELECT 'all', count(*) AS count, "
        + _digest(
            "string_agg(concat_ws('|', oid, proname, proowner, prolang, prosecdef, prosrc, probin,"
            " prosqlbody::text, proconfig::text), E'\\n' ORDER BY oid)"
        )
        + " AS sha256 FROM pg_proc WHERE oid < 16384",
    ),
    Source(
        "trigger",
        Kind.HOOK,
        "SELECT tgrelid::regclass || '.' || quote_ident(tgname),"
        " tgfoid::regprocedure::text AS function, tgenabled::text AS enabled, "
        + _digest("pg_get_triggerdef(oid)")
        + " AS sha256 FROM pg_trigger WHERE NOT tgisinternal",
    ),
    Source(
        "event_trigger",
        Kind.HOOK,
        """
        SELECT evtname, evtevent AS event, evtfoid::regprocedure::text AS function,
            evtenabled::text AS enabled, pg_get_userbyid(evtowner) AS owner,
            array_to_string(evttags, ', ') AS tags
        FROM pg_event_trigger""",
    ),
    Source(
        "rule",
        Kind.HOOK,
        "SELECT ev_class::regclass || '.' || quote_ident(rulename), ev_enabled::text AS enabled, "
        + _digest("pg_get_ruledef(r.oid)")
        + " AS sha256 FROM pg_rewrite r WHERE r.oid >= 16384",
    ),
    Source(
        "policy",
        Kind.GRANT,
        """
        SELECT polrelid::regclass || '.' || quote_ident(polname), polcmd::text AS command,
            polpermissive AS permissive,
            (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
                FROM unnest(polroles) r) AS roles, """
        + _digest("pg_get_expr(polqual, polrelid)")
        + " AS visible_sha256, "
        + _digest("pg_get_expr(polwithcheck, polrelid)")
        + " AS allowed_sha256 FROM pg_policy",
    ),
    Source(
        "relation",
        Kind.GRANT,
        """
        SELECT c.oid::regclass::text, relkind::text AS type, pg_get_userbyid(relowner) AS owner,
            relacl::text AS acl, relrowsecurity AS row_security,
            relforcerowsecurity AS row_security_forced
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
            AND (relacl IS NOT NULL AND n.nspname !~ '^pg_(toast_)?temp_' OR """
        + _OUTSIDE
        + ")",
    ),
    Source(
        "column",
        Kind.GRANT,
        """
        SELECT attrelid::regclass || '.' || quote_ident(attname), attacl::text AS acl
        FROM pg_attribute WHERE attacl IS NOT NULL""",
    ),
    Source(
        "schema",
        Kind.GRANT,
        """
        SELECT nspname, pg_get_userbyid(nspowner) AS owner, nspacl::text AS acl
        FROM pg_namespace n WHERE nspname !~ '^pg_(toast|temp)'""",
    ),
    Source(
        "default_acl",
        Kind.GRANT,
        """
        SELECT quote_ident(pg_get_userbyid(defaclrole)) || ' in '
                || coalesce(nullif(defaclnamespace, 0)::regnamespace::text, 'every schema')
                || ' for ' || defaclobjtype::text,
            defaclacl::text AS acl
        FROM pg_default_acl""",
    ),
    Source(
        "large_object",
        Kind.GRANT,
        """
        SELECT oid::text, pg_get_userbyid(lomowner) AS owner, lomacl::text AS acl
        FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL""",
    ),
    Source(
        "language",
        Kind.HOOK,
        """
        SELECT lanname, lanpltrusted AS trusted, pg_get_userbyid(lanowner) AS owner,
            lanacl::text AS acl, lanplcallfoid::regproc::text AS handler
        FROM pg_language""",
    ),
    Source(
        "extension",
        Kind.HOOK,
        """
        SELECT extname, extversion AS version, pg_get_userbyid(extowner) AS owner
        FROM pg_extension""",
    ),
    Source(
        "foreign_data_wrapper",
        Kind.HOOK,
        """
        SELECT fdwname, pg_get_userbyid(fdwowner) AS owner, fdwacl::text AS acl,
            fdwhandler::regproc::text AS handler, array_to_json(fdwoptions)::text AS options
        FROM pg_foreign_data_wrapper""",
        shapes={"options": Shape.OPTIONS},
    ),
    Source(
        "foreign_server",
        Kind.HOOK,
        """
        SELECT srvname, pg_get_userbyid(srvowner) AS owner, srvacl::text AS acl,
            array_to_json(srvoptions)::text AS options
        FROM pg_foreign_server""",
        shapes={"options": Shape.OPTIONS},
    ),
    Source(
        "user_mapping",
        Kind.KEY,
        """
        SELECT coalesce(quote_ident(usename), 'PUBLIC') || ' at ' || quote_ident(srvname),
            array_to_json(umoptions)::text AS options
        FROM pg_user_mappings""",
        shapes={"options": Shape.OPTIONS},
    ),
    Source(
        "publication",
        Kind.HOOK,
        """
        SELECT pubname, pg_get_userbyid(pubowner) AS owner, puballtables AS all_tables,
            (SELECT string_agg(prrelid::regclass::text, ', ' ORDER BY prrelid)
                FROM pg_publication_rel r WHERE r.prpubid = p.oid) AS tables
        FROM pg_publication p""",
    ),
    Source(
        "cron_job",
        Kind.HOOK,
        """
        SELECT jobid::text, schedule, username AS role, database, active, """
        + _digest("command")
        + " AS sha256 FROM cron.job",
        needs="cron.job",
    ),
)
"""Objects of one database."""
