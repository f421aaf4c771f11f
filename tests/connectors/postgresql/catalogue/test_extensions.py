"""Reading an extension's table runs nobody's code, and a table that could is a gap."""

import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.testing.postgres import PostgresServer

EVIL = """
    CREATE SCHEMA cron; CREATE TABLE public.ran (n int);
    CREATE FUNCTION public.evil() RETURNS text LANGUAGE sql
        AS 'INSERT INTO public.ran VALUES (1) RETURNING ''* * * * *'''
"""
COLUMNS = "1::bigint AS jobid, {} AS schedule, ''::text AS command, ''::text AS username"
REST = "''::text AS database, true AS active"

TRAPS = {
    "a view": f"CREATE VIEW cron.job AS SELECT {COLUMNS.format('public.evil()')}, {REST}",
    "a table of somebody else": (
        f"CREATE TABLE cron.job AS SELECT {COLUMNS.format('1')}, {REST};"
        "ALTER TABLE cron.job OWNER TO pg_monitor"
    ),
    "a type of one's own": (
        "CREATE TYPE public.c AS (n int);"
        "CREATE TABLE cron.job (jobid public.c, schedule text, command text, username text,"
        " database text, active bool)"
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_table_of_jobs_that_may_run_code_is_a_gap(
    postgres: PostgresServer, connector: PostgreSQL, database: str, name: str
) -> None:
    postgres.execute(EVIL, TRAPS[name], database=database)
    postgres.execute(
        "UPDATE pg_extension SET extconfig = ARRAY['cron.job'::regclass::oid],"
        " extcondition = '{\"\"}'",
        database=database,
    )
    found = connector.inventory(postgres.target())
    plain = "is not a plain table of a superuser"
    assert found.gaps == (
        f"{database}: cron_job: cron.job {plain}",
        f"{database}: extension_table: cron.job: it {plain}",
    )
    assert postgres.execute("SELECT count(*) FROM public.ran", database=database) == [(0,)]


def test_a_row_type_that_casts_to_text_is_not_cast(
    postgres: PostgresServer, connector: PostgreSQL, database: str
) -> None:
    postgres.execute(
        EVIL,
        "CREATE TABLE public.jobs AS SELECT 1 AS n",
        "CREATE FUNCTION public.trap(public.jobs) RETURNS text LANGUAGE sql"
        " AS 'SELECT public.evil()'",
        "CREATE CAST (public.jobs AS text) WITH FUNCTION public.trap(public.jobs)",
        "UPDATE pg_extension SET extconfig = ARRAY['public.jobs'::regclass::oid],"
        " extcondition = '{\"\"}'",
        database=database,
    )
    found = connector.inventory(postgres.target())
    assert found.gaps == ()
    assert postgres.execute("SELECT count(*) FROM public.ran", database=database) == [(0,)]
