"""Ways back into PostgreSQL, each with the sources of the inventory in which it must show.

LOCAL is done one after another in one database that SETUP prepared; CLUSTER is undone each time.
"""

from typing import Final, NamedTuple

PLANTED: Final = "planted-canary-7f3a"


class Act(NamedTuple):
    """Statements, the sources that differ after them, and the first version that has it."""

    does: str
    sources: str
    since: int = 13
    undo: str = ""


SETUP: Final = """
CREATE SCHEMA s; CREATE SCHEMA s2;
CREATE TABLE s.t (n int, note text); CREATE TABLE s.k (n int PRIMARY KEY);
CREATE TABLE s.heir (n int, note text); CREATE TABLE s.parts (n int) PARTITION BY RANGE (n);
CREATE VIEW s.v AS SELECT n FROM s.t; CREATE SEQUENCE s.seq;
CREATE DOMAIN s.dom AS text; CREATE TYPE s.c AS (n int); CREATE TYPE s.mood AS ENUM ('a');
CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION s.f2(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION s.tc(text) RETURNS s.c LANGUAGE sql IMMUTABLE AS 'SELECT NULL::s.c';
CREATE FUNCTION s.same(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION s.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION s.evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION s.cmp(int, "char") RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
CREATE FUNCTION s.change() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE s.b;
CREATE FUNCTION s.b_in(cstring) RETURNS s.b LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION s.b_out(s.b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE FUNCTION s.b_send(s.b) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
CREATE TYPE s.b (INPUT = s.b_in, OUTPUT = s.b_out, LIKE = int4);
CREATE TRIGGER old BEFORE UPDATE ON s.k FOR EACH ROW EXECUTE FUNCTION s.trg();
CREATE POLICY old ON s.k USING (true);
CREATE PUBLICATION pub; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER srv FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE s.ft (n int) SERVER srv;
CREATE OPERATOR FAMILY s.family USING btree;
CREATE TEXT SEARCH CONFIGURATION s.config (COPY = pg_catalog.simple);
CREATE TEXT SEARCH DICTIONARY s.dictionary (TEMPLATE = simple);
CREATE TABLE s.jobs (n int);
UPDATE pg_extension SET extconfig = ARRAY['s.jobs'::regclass::oid], extcondition = '{""}';
SELECT lo_create(1000)
"""

RELATIONS: Final = {
    "a table": Act("CREATE TABLE s.extra (n int)", "relation"),
    "an heir": Act("ALTER TABLE s.heir INHERIT s.t", "relation"),
    "a column default": Act(
        "ALTER TABLE s.t ALTER note SET DEFAULT lo_export(4711, 'x')::text", "column_default"
    ),
    "a generated column": Act(
        "ALTER TABLE s.t ADD g int GENERATED ALWAYS AS (s.f(n)) STORED", "column_default"
    ),
    "a check": Act(
        "ALTER TABLE s.t ADD CONSTRAINT c CHECK (pg_reload_conf()) NOT VALID", "constraint"
    ),
    "a check of a domain": Act(
        "ALTER DOMAIN s.dom ADD CONSTRAINT c CHECK (pg_reload_conf()) NOT VALID", "constraint"
    ),
    "a default of a domain": Act("ALTER DOMAIN s.dom SET DEFAULT 'x'", "type"),
    "a foreign key that deletes": Act(
        "ALTER TABLE s.t ADD FOREIGN KEY (n) REFERENCES s.k ON DELETE CASCADE", "constraint"
    ),
    "an exclusion": Act("ALTER TABLE s.t ADD EXCLUDE (note WITH =)", "constraint"),
    "an index's expression": Act("CREATE INDEX e ON s.t (s.f(n))", "index"),
    "an index's predicate": Act("CREATE INDEX p ON s.t (n) WHERE s.f(n) > 1", "index"),
    "a partition's expression": Act(
        "CREATE TABLE s.px (n int) PARTITION BY RANGE (s.f(n))", "relation partitioned_table"
    ),
    "a partition": Act("CREATE TABLE s.p1 PARTITION OF s.parts DEFAULT", "relation"),
    "a trigger": Act(
        "CREATE TRIGGER g BEFORE UPDATE ON s.t FOR EACH ROW EXECUTE FUNCTION s.trg()", "trigger"
    ),
    "a trigger that says it is internal": Act(
        "UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'g'", "trigger"
    ),
    "a trigger that is off": Act("ALTER TABLE s.k DISABLE TRIGGER old", "trigger"),
    "a rule": Act("CREATE RULE g AS ON DELETE TO s.t DO INSTEAD NOTHING", "rule"),
    "a view": Act("CREATE VIEW s.v2 AS SELECT n FROM s.t", "relation rule"),
    "a view's query": Act("CREATE OR REPLACE VIEW s.v AS SELECT n + 1 AS n FROM s.t", "rule"),
    "a view's option": Act("ALTER VIEW s.v SET (security_barrier = true)", "relation"),
    "a materialized view": Act("CREATE MATERIALIZED VIEW s.m AS SELECT 1", "relation rule"),
    "an altered built-in view": Act(
        "CREATE OR REPLACE VIEW information_schema.enabled_roles AS"
        " SELECT rolname::information_schema.sql_identifier AS role_name FROM pg_roles",
        "builtin",
    ),
    "a policy": Act("CREATE POLICY g ON s.t USING (s.f(n) = 1)", "policy"),
    "an altered policy": Act("ALTER POLICY old ON s.k USING (n = 1)", "policy"),
    "row security": Act("ALTER TABLE s.t ENABLE ROW LEVEL SECURITY", "relation"),
    "statistics": Act(
        "CREATE STATISTICS s.st ON (s.f(n)), note FROM s.t", "extended_statistics", 14
    ),
    "an owner": Act("ALTER TABLE s.k OWNER TO pg_monitor", "relation"),
    "a privilege": Act("GRANT SELECT ON s.t TO PUBLIC", "relation"),
    "a privilege on a column": Act("GRANT SELECT (n) ON s.k TO PUBLIC", "column"),
    "a privilege on a sequence": Act("GRANT ALL ON s.seq TO PUBLIC", "relation"),
    "a privilege on a system table": Act("GRANT SELECT ON pg_authid TO PUBLIC", "relation"),
    "a privilege on a system column": Act(
        "GRANT SELECT (rolpassword) ON pg_authid TO PUBLIC", "column"
    ),
    "a privilege on a schema": Act("GRANT CREATE ON SCHEMA s TO PUBLIC", "schema"),
    "a schema": Act("CREATE SCHEMA extra", "schema"),
    "a default privilege": Act(
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC", "default_acl"
    ),
    "a large object without an ACL": Act("SELECT lo_create(4711)", "large_object"),
    "a privilege on a large object": Act(
        "GRANT SELECT ON LARGE OBJECT 1000 TO PUBLIC", "large_object"
    ),
    "a security label": Act(
        "INSERT INTO pg_seclabel VALUES ('s.t'::regclass, 'pg_class'::regclass, 0, 'p', 'l')",
        "security_label",
    ),
}

CODE: Final = {
    "a function": Act(
        "CREATE FUNCTION s.extra() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "function",
    ),
    "a body": Act(
        "CREATE OR REPLACE FUNCTION s.change() RETURNS int LANGUAGE sql AS 'SELECT 2'", "function"
    ),
    "a function's setting": Act("ALTER FUNCTION s.f2(int) SET search_path = s", "function"),
    "a leakproof function": Act("ALTER FUNCTION s.f2(int) LEAKPROOF", "function"),
    "a procedure": Act("CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1'", "function"),
    "a privilege on a function": Act("REVOKE ALL ON FUNCTION s.f2(int) FROM PUBLIC", "function"),
    "a privilege on a built-in function": Act(
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC", "function"
    ),
    "a function among the built-in ones": Act(
        "CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function"
    ),
    "a built-in function replaced": Act(
        "CREATE OR REPLACE FUNCTION pg_catalog.lpad(text, integer) RETURNS text"
        " LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT COST 1 AS 'SELECT $1'",
        "builtin",
    ),
    "a built-in function given away": Act(
        "ALTER FUNCTION pg_catalog.rpad(text, integer) OWNER TO pg_monitor", "builtin"
    ),
    "an aggregate": Act(
        "CREATE AGGREGATE s.a (int) (SFUNC = int4pl, STYPE = int)", "function aggregate"
    ),
    "a cast": Act("CREATE CAST (text AS s.c) WITH FUNCTION s.tc(text)", "cast"),
    "an operator": Act(
        "CREATE OPERATOR s.=== (FUNCTION = s.same, LEFTARG = int, RIGHTARG = int)", "operator"
    ),
    "an operator class": Act(
        "CREATE OPERATOR CLASS s.class FOR TYPE int4 USING btree AS OPERATOR 1 <,"
        " FUNCTION 1 btint4cmp(int4, int4)",
        "operator_class operator_family operator_of_family function_of_family",
    ),
    "an operator family": Act("CREATE OPERATOR FAMILY s.more USING hash", "operator_family"),
    "an operator of a family": Act(
        "ALTER OPERATOR FAMILY s.family USING btree ADD OPERATOR 1 < (int4, int8)",
        "operator_of_family",
    ),
    "a function of a built-in family": Act(
        "ALTER OPERATOR FAMILY integer_ops USING btree"
        ' ADD FUNCTION 1 (int4, "char") s.cmp(int4, "char")',
        "function_of_family",
    ),
    "an access method": Act(
        "CREATE ACCESS METHOD am TYPE INDEX HANDLER bthandler", "access_method"
    ),
    "a collation": Act("CREATE COLLATION s.col (locale = 'C')", "collation"),
    "a conversion": Act(
        "CREATE DEFAULT CONVERSION s.cv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "conversion",
    ),
    "a parser": Act(
        "CREATE TEXT SEARCH PARSER s.prs (START = prsd_start, GETTOKEN = prsd_nexttoken,"
        " END = prsd_end, LEXTYPES = prsd_lextype)",
        "text_search_parser",
    ),
    "a template": Act(
        "CREATE TEXT SEARCH TEMPLATE s.tpl (LEXIZE = dsimple_lexize)", "text_search_template"
    ),
    "a dictionary": Act(
        "CREATE TEXT SEARCH DICTIONARY s.d2 (TEMPLATE = simple)", "text_search_dictionary"
    ),
    "a dictionary's option": Act(
        "ALTER TEXT SEARCH DICTIONARY s.dictionary (STOPWORDS = english)",
        "text_search_dictionary",
    ),
    "a text search configuration": Act(
        "CREATE TEXT SEARCH CONFIGURATION s.c2 (PARSER = pg_catalog.default)",
        "text_search_configuration",
    ),
    "a text search mapping": Act(
        "ALTER TEXT SEARCH CONFIGURATION s.config ALTER MAPPING FOR word WITH s.dictionary",
        "text_search_mapping",
    ),
    "a language": Act("CREATE LANGUAGE g HANDLER plpgsql_call_handler", "language"),
    "a language that is trusted": Act(
        "UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'c'", "language"
    ),
    "a transform": Act(
        "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal),"
        " TO SQL WITH FUNCTION int4recv(internal))",
        "transform",
    ),
    "an enumeration": Act("CREATE TYPE s.mood2 AS ENUM ('a')", "type"),
    "a composite type": Act("CREATE TYPE s.c2 AS (n int)", "type"),
    "a range": Act("CREATE TYPE s.span AS RANGE (SUBTYPE = int)", "type range function cast", 14),
    "a domain": Act("CREATE DOMAIN s.dom2 AS text", "type"),
    "a function of a type": Act("ALTER TYPE s.b SET (SEND = s.b_send)", "type"),
    "a function of an array type": Act(
        "UPDATE pg_type SET typinput = 's.b_in'::regproc WHERE typname = '_mood'", "type"
    ),
    "a function of a table's row type": Act(
        "UPDATE pg_type SET typoutput = 's.b_out'::regproc WHERE oid = 's.t'::regtype", "type"
    ),
    "a privilege on a type": Act("REVOKE USAGE ON TYPE s.mood FROM PUBLIC", "type"),
    "a privilege on a built-in type": Act("REVOKE USAGE ON TYPE int8 FROM PUBLIC", "type"),
    "an event trigger": Act(
        "CREATE EVENT TRIGGER g ON ddl_command_end EXECUTE FUNCTION s.evt()", "event_trigger"
    ),
    "an event trigger at login": Act(
        "CREATE EVENT TRIGGER l ON login EXECUTE FUNCTION s.evt()", "event_trigger", 17
    ),
}

SHARING: Final = {
    "an extension's version": Act("UPDATE pg_extension SET extversion = '9'", "extension"),
    "a row of an extension's settings": Act("INSERT INTO s.jobs VALUES (1)", "extension_table"),
    "a foreign data wrapper": Act("CREATE FOREIGN DATA WRAPPER g", "foreign_data_wrapper"),
    "a privilege on a wrapper": Act(
        "GRANT USAGE ON FOREIGN DATA WRAPPER w TO PUBLIC", "foreign_data_wrapper"
    ),
    "a foreign server": Act(
        "CREATE SERVER s2 FOREIGN DATA WRAPPER w OPTIONS (host 'evil.example')", "foreign_server"
    ),
    "a foreign server's option": Act("ALTER SERVER srv OPTIONS (port '77')", "foreign_server"),
    "a user mapping": Act(
        f"CREATE USER MAPPING FOR PUBLIC SERVER srv OPTIONS (\"user\" 'x', password '{PLANTED}')",
        "user_mapping",
    ),
    "another password in a user mapping": Act(
        "ALTER USER MAPPING FOR PUBLIC SERVER srv OPTIONS (SET password 'another one')",
        "user_mapping",
    ),
    "a foreign table": Act(
        "CREATE FOREIGN TABLE s.ft2 (n int) SERVER srv", "relation foreign_table"
    ),
    "a foreign table's option": Act(
        "ALTER FOREIGN TABLE s.ft OPTIONS (table_name 'x')", "foreign_table"
    ),
    "a foreign column's option": Act(
        "ALTER FOREIGN TABLE s.ft ALTER n OPTIONS (column_name 'x')", "column"
    ),
    "a publication": Act("CREATE PUBLICATION g FOR ALL TABLES", "publication"),
    "a table that is published": Act("ALTER PUBLICATION pub ADD TABLE s.t", "published_table"),
    "a filter of a published table": Act(
        "ALTER PUBLICATION pub SET TABLE s.t WHERE (n > 1)", "published_table", 15
    ),
    "a schema that is published": Act(
        "ALTER PUBLICATION pub ADD TABLES IN SCHEMA s2", "published_schema", 15
    ),
    "a publication by another root": Act(
        "ALTER PUBLICATION pub SET (publish_via_partition_root = true)", "publication"
    ),
    "a subscription": Act(
        f"CREATE SUBSCRIPTION g CONNECTION 'host=evil.example password={PLANTED}' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
        "subscription replication_origin",
        undo="DROP SUBSCRIPTION g",
    ),
    "a job of pg_cron": Act(
        "CREATE SCHEMA cron; CREATE TABLE cron.job (jobid bigint, schedule text, command text,"
        " nodename text, nodeport int, database text, username text, active boolean);"
        "INSERT INTO cron.job VALUES (1, '* * * * *', 'SELECT 1', '', 0, 'd', 'u', true)",
        "schema relation cron_job",
    ),
}

CLUSTER: Final = {
    "a role": Act("CREATE ROLE backdoor", "role", undo="DROP ROLE backdoor"),
    **{
        f"an account that is {change}": Act(
            f"ALTER ROLE plain {change}", "role", undo=f"ALTER ROLE plain {back}"
        )
        for change, back in (
            ("SUPERUSER", "NOSUPERUSER"),
            ("CREATEROLE", "NOCREATEROLE"),
            ("CREATEDB", "NOCREATEDB"),
            ("LOGIN", "NOLOGIN"),
            ("REPLICATION", "NOREPLICATION"),
            ("BYPASSRLS", "NOBYPASSRLS"),
            ("NOINHERIT", "INHERIT"),
            ("CONNECTION LIMIT 7", "CONNECTION LIMIT -1"),
            ("VALID UNTIL '2030-01-01'", "VALID UNTIL 'infinity'"),
        )
    },
    "a password": Act(
        f"ALTER ROLE plain PASSWORD '{PLANTED}'", "password", undo="ALTER ROLE plain PASSWORD NULL"
    ),
    "a membership": Act(
        "GRANT pg_execute_server_program TO plain",
        "membership",
        undo="REVOKE pg_execute_server_program FROM plain",
    ),
    "an option of a membership": Act(
        "GRANT pg_monitor TO plain WITH ADMIN OPTION",
        "membership",
        undo="REVOKE pg_monitor FROM plain",
    ),
    "a setting of a role": Act(
        "ALTER ROLE plain SET session_preload_libraries = 'evil'",
        "role_setting",
        undo="ALTER ROLE plain RESET ALL",
    ),
    "a library at login": Act(
        "ALTER ROLE ironkeep_admin SET session_preload_libraries = 'plpgsql'",
        "role_setting loaded_module",
        18,
        "ALTER ROLE ironkeep_admin RESET ALL",
    ),
    "a setting of a database": Act(
        "ALTER DATABASE postgres SET work_mem = '5MB'",
        "role_setting",
        undo="ALTER DATABASE postgres RESET ALL",
    ),
    "a setting of a role in a database": Act(
        "ALTER ROLE plain IN DATABASE postgres SET work_mem = '5MB'",
        "role_setting",
        undo="ALTER ROLE plain IN DATABASE postgres RESET ALL",
    ),
    "a privilege on a parameter": Act(
        "GRANT SET ON PARAMETER log_statement TO plain",
        "parameter_acl",
        15,
        "REVOKE ALL ON PARAMETER log_statement FROM plain",
    ),
    "a privilege on a database": Act(
        "GRANT CREATE ON DATABASE template1 TO plain",
        "database",
        undo="REVOKE CREATE ON DATABASE template1 FROM plain",
    ),
    "a privilege on a tablespace": Act(
        "GRANT CREATE ON TABLESPACE pg_default TO plain",
        "tablespace",
        undo="REVOKE CREATE ON TABLESPACE pg_default FROM plain",
    ),
    "a server setting that waits for a reload": Act(
        "ALTER SYSTEM SET archive_command = 'false'",
        "file_setting file",
        undo="ALTER SYSTEM RESET archive_command",
    ),
    "a server setting that waits for a restart": Act(
        "ALTER SYSTEM SET shared_preload_libraries = 'evil'; SELECT pg_reload_conf()",
        "file_setting file setting",
        undo="ALTER SYSTEM RESET shared_preload_libraries; SELECT pg_reload_conf()",
    ),
    "a server setting": Act(
        "ALTER SYSTEM SET log_min_duration_statement = 77; SELECT pg_reload_conf()",
        "file_setting file setting",
        undo="ALTER SYSTEM RESET log_min_duration_statement; SELECT pg_reload_conf()",
    ),
    "a replication slot": Act(
        "SELECT pg_create_physical_replication_slot('backdoor')",
        "replication_slot",
        undo="SELECT pg_drop_replication_slot('backdoor')",
    ),
    "a replication origin": Act(
        "SELECT pg_replication_origin_create('backdoor')",
        "replication_origin",
        undo="SELECT pg_replication_origin_drop('backdoor')",
    ),
    "a prepared transaction": Act(
        "BEGIN; SELECT txid_current(); PREPARE TRANSACTION 'backdoor'",
        "prepared_transaction",
        undo="ROLLBACK PREPARED 'backdoor'",
    ),
    "a label of a role": Act(
        "INSERT INTO pg_shseclabel VALUES ('plain'::regrole, 'pg_authid'::regclass, 'p', 'l')",
        "shared_security_label",
        undo="DELETE FROM pg_shseclabel",
    ),
}
