"""Sources of the cluster: accounts, databases, settings, and what runs beside the sessions."""
# ruff: noqa: S608 - every part of every query is a literal of this package, as its type says

from typing import Final, LiteralString

from ironkeep.connectors.postgresql.catalogue.source import (
    Big,
    Source,
    labelled,
    row_digest,
    rows,
)
from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

_CORE_WORKERS: Final[LiteralString] = """
    'archiver', 'autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer',
    'client backend', 'io worker', 'logical replication apply worker',
    'logical replication launcher', 'logical replication parallel worker',
    'logical replication tablesync worker', 'logical replication worker', 'parallel worker',
    'slotsync worker', 'standalone backend', 'startup', 'walreceiver', 'walsender',
    'walsummarizer', 'walwriter'"""
"""PostgreSQL's own processes; what they are told to do stands in other sources."""

SOURCES: Final[tuple[Source, ...]] = (
    Source(
        "role",
        Kind.PRINCIPAL,
        """
        SELECT rolname, oid::text AS number, rolsuper AS superuser, rolinherit AS inherits,
            rolcreaterole AS creates_roles, rolcreatedb AS creates_databases,
            rolcanlogin AS may_log_in, rolreplication AS replicates, rolbypassrls AS bypasses_rls,
            rolconnlimit AS connection_limit, rolvaliduntil::text AS valid_until, """
        + row_digest("oid", "rolname", "rolpassword", "rolconfig")
        + " AS row_digest FROM pg_roles t",
        reads=("pg_authid",),
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
        reads=("pg_authid",),
    ),
    rows(
        "membership",
        Kind.GRANT,
        "pg_auth_members",
        name="quote_ident(pg_get_userbyid(member)) || ' in '"
        " || quote_ident(pg_get_userbyid(roleid))"
        " || ' by ' || quote_ident(pg_get_userbyid(grantor))",
        columns="admin_option, to_jsonb(t) ->> 'inherit_option' AS inherit_option,"
        " to_jsonb(t) ->> 'set_option' AS set_option",
        where="true",
    ),
    # Opening a closed database for a while leaves its row another transaction's number.
    rows(
        "database",
        Kind.GRANT,
        "pg_database",
        name="datname",
        columns="oid::text AS number, pg_get_userbyid(datdba) AS owner, datacl::text AS acl,"
        " datallowconn AS open, datistemplate AS template,"
        " CASE WHEN NOT datallowconn THEN xmin::text END AS closed_by",
        where="true",
        without=(
            "oid",
            "datname",
            "datacl",
            "datlastsysoid",
            "datfrozenxid",
            "datminmxid",
            "dathasloginevt",
        ),
    ),
    rows(
        "tablespace",
        Kind.GRANT,
        "pg_tablespace",
        name="spcname",
        columns="pg_get_userbyid(spcowner) AS owner, spcacl::text AS acl,"
        " pg_tablespace_location(oid) AS location",
        where="true",
        without=("oid", "spcname"),
    ),
    rows(
        "parameter_acl",
        Kind.GRANT,
        "pg_parameter_acl",
        name="parname",
        columns="paracl::text AS acl",
        where="true",
        needs="pg_parameter_acl",
    ),
    rows(
        "role_setting",
        Kind.HOOK,
        "pg_db_role_setting",
        name="""
            coalesce((SELECT quote_ident(rolname) FROM pg_roles WHERE oid = t.setrole),
                CASE t.setrole WHEN 0 THEN 'every role' ELSE 'role number ' || t.setrole END)
            || ' in '
            || coalesce((SELECT quote_ident(datname) FROM pg_database WHERE oid = t.setdatabase),
                CASE t.setdatabase WHEN 0 THEN 'every database'
                    ELSE 'database number ' || t.setdatabase END)""",
        columns="array_to_json(setconfig)::text AS settings",
        where="true",
        without=("setconfig",),
        big=Big(shown=("setconfig",)),
        shapes={"settings": Shape.SETTINGS},
    ),
    Source(
        "setting",
        Kind.SETTING,
        """
        SELECT name, setting AS value, source AS set_in, sourcefile AS file,
            nullif(pending_restart, false) AS pending_restart
        FROM pg_settings
        WHERE source NOT IN ('default', 'override', 'client', 'session', 'user', 'database',
                'database user')
            OR pending_restart
            OR name IN ('archive_command', 'archive_library', 'restore_command',
                'archive_cleanup_command', 'recovery_end_command', 'shared_preload_libraries',
                'ssl_passphrase_command', 'hba_file', 'ident_file', 'config_file',
                'data_directory', 'dynamic_library_path', 'extension_control_path',
                'allow_system_table_mods', 'ssl', 'ssl_ca_file', 'ssl_cert_file', 'ssl_crl_file',
                'primary_conninfo')""",
        role="pg_read_all_settings",
        shapes={"value": Shape.SETTING},
    ),
    # Also of lines that wait for a reload or a restart, or that another line overrides.
    Source(
        "file_setting",
        Kind.SETTING,
        """
        SELECT name || ' in ' || sourcefile || ' #'
                || row_number() OVER (PARTITION BY sourcefile, name ORDER BY seqno),
            json_build_array(name || '=' || setting)::text AS setting, applied, error
        FROM pg_file_settings""",
        shapes={"setting": Shape.SETTINGS, "error": Shape.FREE},
    ),
    Source(
        "hba",
        Kind.SETTING,
        """
        SELECT rule || ' #' || row_number() OVER (PARTITION BY rule ORDER BY place), place, file,
            error, options
        FROM (
            SELECT concat_ws(' ', type, array_to_json(database)::text,
                    array_to_json(user_name)::text, address, netmask, auth_method) AS rule,
                row_number() OVER () AS place, to_jsonb(h) ->> 'file_name' AS file, error,
                array_to_json(options)::text AS options
            FROM pg_hba_file_rules h) r""",
        shapes={"options": Shape.OPTIONS, "error": Shape.FREE},
    ),
    Source(
        "ident",
        Kind.SETTING,
        """
        SELECT rule || ' #' || row_number() OVER (PARTITION BY rule ORDER BY place), place, file,
            error
        FROM (
            SELECT json_build_array(map_name, sys_name, pg_username)::text AS rule,
                row_number() OVER () AS place, to_jsonb(i) ->> 'file_name' AS file, error
            FROM pg_ident_file_mappings i) r""",
        needs="pg_ident_file_mappings",
        shapes={"error": Shape.FREE},
    ),
    Source(
        "replication_slot",
        Kind.HOOK,
        """
        SELECT slot_name, slot_type AS type, plugin, database, temporary,
            to_jsonb(s) ->> 'two_phase' AS two_phase, to_jsonb(s) ->> 'failover' AS failover
        FROM pg_replication_slots s""",
    ),
    rows(
        "replication_origin",
        Kind.HOOK,
        "pg_replication_origin",
        name="roname",
        where="true",
    ),
    rows(
        "subscription",
        Kind.HOOK,
        "pg_subscription",
        name="(SELECT quote_ident(datname) FROM pg_database d WHERE d.oid = subdbid)"
        " || '.' || quote_ident(subname)",
        columns="pg_get_userbyid(subowner) AS owner, subenabled AS enabled,"
        " subconninfo AS connection, array_to_string(subpublications, ', ') AS publications",
        where="true",
        without=("oid", "subconninfo", "subskiplsn"),
        big=Big(shown=("subconninfo", "subpublications")),
        shapes={"connection": Shape.CONNECTION},
    ),
    rows(
        "shared_security_label",
        Kind.GRANT,
        "pg_shseclabel",
        name=labelled("0"),
        where="true",
        big=Big(code=("label",)),
    ),
    Source(
        "prepared_transaction",
        Kind.HOOK,
        "SELECT gid, owner, database, prepared::text AS since FROM pg_prepared_xacts",
    ),
    Source(
        "background_worker",
        Kind.HOOK,
        "SELECT DISTINCT backend_type, 'runs' AS state FROM pg_stat_activity"
        f" WHERE backend_type NOT IN ({_CORE_WORKERS})",
        role="pg_read_all_stats",
    ),
)
