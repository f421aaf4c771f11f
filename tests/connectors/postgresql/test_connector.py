"""The connector against real servers: set, probe in every state, lock, kill, leak nothing."""

import os
import re
import secrets
import signal
import socket
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ironkeep.adapters.process.system import SystemEntropy
from ironkeep.connectors.postgresql import PostgreSQL, probe as probes
from ironkeep.connectors.postgresql.channel import Budget
from ironkeep.connectors.postgresql.link import connect
from ironkeep.core.credential.connector import (
    Ambiguous,
    Connector,
    Probe,
    ProbeResult,
    Rejected,
    Target,
    Tls,
    Unreachable,
)
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer, debian_binaries

FIRST = Secret(b"first")
SECOND = Secret("zweites Paßwort ½".encode())


def test_it_is_a_connector(connector: PostgreSQL) -> None:
    typed: Connector = connector
    assert typed.refusals_per_minute > 1


@pytest.mark.parametrize("current", [FIRST, None], ids=["by itself", "by admin"])
def test_a_new_password_replaces_the_old(
    postgres: PostgresServer, connector: PostgreSQL, role: str, current: Secret | None
) -> None:
    target = postgres.target()
    connector.set_password(target, role, SECOND, current)
    connector.set_password(target, role, SECOND, None)
    found = connector.probe(target, role, SECOND)
    assert found.state is Probe.ALIVE
    assert found.endpoint == f"127.0.0.1:{postgres.port}"
    refused = connector.probe(target, role, FIRST)
    assert (refused.state, refused.code) == (Probe.DEAD, "28P01")
    # The driver, which prepares the password by itself, gets in with what the verifier was made of.
    with postgres.connect(role, SECOND.reveal().decode()) as session:
        assert session.execute("SELECT current_user").fetchone() == (role,)


def test_no_password_reaches_the_server_log(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    planted = Secret(secrets.token_urlsafe(24).encode())
    connector.set_password(postgres.target(), role, planted, FIRST)
    connector.probe(postgres.target(), role, planted)
    log = postgres.log()
    assert f'ALTER ROLE "{role}" PASSWORD' in log
    assert planted.reveal().decode() not in log
    assert postgres.password.reveal().decode() not in log


def test_an_unknown_role_cannot_be_told_from_a_wrong_password(
    postgres: PostgresServer, connector: PostgreSQL
) -> None:
    found = connector.probe(postgres.target(), "nobody here", FIRST)
    assert (found.state, found.code) == (Probe.DEAD, "28P01")
    with pytest.raises(Rejected) as refused:
        connector.set_password(postgres.target(), "nobody here", SECOND, None)
    assert refused.value.upstream_code == "42704"


def test_the_password_of_a_locked_role_is_right_and_the_lock_is_told(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    target = postgres.target()
    connector.lock(target, role)
    found = connector.probe(target, role, FIRST)
    assert (found.state, found.code, found.blocked) == (Probe.ALIVE, "28000", True)
    assert connector.probe(target, role, SECOND).code == "28P01"
    connector.unlock(target, role)
    assert connector.probe(target, role, FIRST).state is Probe.ALIVE


def test_a_refusal_for_the_sake_of_the_role_says_nothing_of_the_password(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    postgres.execute(f"ALTER ROLE \"{role}\" VALID UNTIL '2001-01-01'")
    for password in (FIRST, SECOND):
        found = connector.probe(postgres.target(), role, password)
        assert (found.state, found.code) == (Probe.UNKNOWN, "28P01")
        assert "VALID UNTIL" in found.reason
    postgres.execute(f"ALTER ROLE \"{role}\" VALID UNTIL 'infinity'")
    assert connector.probe(postgres.target(), role, SECOND).state is Probe.DEAD


def test_a_refusal_that_nobody_could_look_into_is_unknown(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    blind = replace(postgres.target(), admin_password=SECOND)
    assert connector.probe(blind, role, SECOND).state is Probe.UNKNOWN
    admin = connector.probe(blind, blind.admin_username, SECOND)
    assert admin.state is Probe.DEAD


def test_a_password_that_may_not_use_the_database_is_alive(
    postgres: PostgresServer, connector: PostgreSQL, role: str, database: str
) -> None:
    postgres.execute(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    found = connector.probe(postgres.target(database), role, FIRST)
    assert (found.state, found.code, found.blocked) == (Probe.ALIVE, "42501", True)
    gone = connector.probe(postgres.target("no such database"), role, FIRST)
    assert (gone.state, gone.code) == (Probe.ALIVE, "3D000")


def test_no_room_for_the_role_is_told_after_its_password_is_right(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    postgres.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT 1')
    with postgres.connect(role, "first"):
        found = connector.probe(postgres.target(), role, FIRST)
        assert (found.state, found.code) == (Probe.ALIVE, "53300")
        assert found.blocked
        assert found.full
        assert connector.probe(postgres.target(), role, SECOND).state is Probe.DEAD


def test_a_full_server_never_makes_a_right_password_dead(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    with ExitStack() as sessions:
        with suppress(psycopg.OperationalError):
            while True:
                sessions.enter_context(postgres.connect(role, "first"))
        found = connector.probe(postgres.target(), role, FIRST)
        assert found.state is not Probe.DEAD
        assert (found.code, found.full) == ("53300", True)
        assert connector.probe(postgres.target(), role, SECOND).state is not Probe.ALIVE


@contextmanager
def rules(postgres: PostgresServer, text: str) -> Iterator[None]:
    """Put text in front of the server's pg_hba.conf."""
    path = postgres.data / "pg_hba.conf"
    before = path.read_text()
    path.write_text(text + before)
    postgres.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        path.write_text(before)
        postgres.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("line", "unknown"),
    [
        ('host other "{role}" 127.0.0.1/32 trust', True),
        ("host other all 127.0.0.0 255.0.0.0 trust", True),
        ("hostnossl all,other +everybody samehost trust", True),
        ('host other all 127.0.0.1/32 scram-sha-256\nhost other "{role}" all trust', False),
        ('host other "{role}" 10.0.0.0/8 trust', False),
        ("host other somebody all trust", False),
        ("host replication all all trust", False),
    ],
)
def test_a_refusal_where_another_database_asks_for_no_password_is_unknown(
    postgres: PostgresServer, connector: PostgreSQL, role: str, line: str, *, unknown: bool
) -> None:
    postgres.execute("CREATE ROLE everybody", f'GRANT everybody TO "{role}"')
    if "+" in line:
        line = "host postgres all all scram-sha-256\n" + line.replace("all,other", "other")
    try:
        with rules(postgres, line.format(role=role) + "\n"):
            assert connector.probe(postgres.target(), role, FIRST).state is Probe.ALIVE
            found = connector.probe(postgres.target(), role, SECOND)
            assert found.state is (Probe.UNKNOWN if unknown else Probe.DEAD)
            assert ("pg_hba.conf lets the role into other" in found.reason) == unknown
    finally:
        postgres.execute("DROP ROLE everybody")


@pytest.mark.parametrize("method", ["trust", "reject", "password", "md5"])
def test_a_server_that_does_not_try_the_password_says_nothing_of_it(
    postgres: PostgresServer, connector: PostgreSQL, role: str, method: str
) -> None:
    with rules(postgres, f'host all "{role}" 127.0.0.1/32 {method}\n'):
        for password in (FIRST, SECOND):
            found = connector.probe(postgres.target(), role, password)
            if method == "md5":  # with a SCRAM verifier stored, this is a SCRAM login
                assert found.state is (Probe.ALIVE if password is FIRST else Probe.DEAD)
            else:
                assert found.state is Probe.UNKNOWN


def test_the_admin_password_is_not_given_to_a_server_that_asks_for_it_in_the_clear(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    in_clear = rules(postgres, f'host all "{role}" 127.0.0.1/32 password\n')
    with in_clear, pytest.raises(Unreachable):
        connector.set_password(postgres.target(), role, SECOND, FIRST)
    assert connector.probe(postgres.target(), role, FIRST).state is Probe.ALIVE


def test_a_role_that_may_not_alter_roles_is_rejected_and_nothing_changes(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    weak = replace(postgres.target(), admin_username=role, admin_password=FIRST)
    postgres.execute("CREATE ROLE \"other one\" LOGIN PASSWORD 'first'")
    try:
        with pytest.raises(Rejected) as refused:
            connector.set_password(weak, "other one", SECOND, None)
        assert refused.value.upstream_code == "42501"
        assert connector.probe(postgres.target(), "other one", FIRST).state is Probe.ALIVE
    finally:
        postgres.execute('DROP ROLE "other one"')


@pytest.mark.parametrize("name", ["", "x" * 64, "ä" * 32, "a\0b", "\ud800"])
def test_a_name_that_postgresql_would_cut_or_not_take_is_refused(
    postgres: PostgresServer, connector: PostgreSQL, name: str
) -> None:
    target = postgres.target()
    calls: list[Callable[[], object]] = [
        lambda: connector.set_password(target, name, SECOND, None),
        lambda: connector.probe(target, name, FIRST),
        lambda: connector.lock(target, name),
        lambda: connector.unlock(target, name),
        lambda: connector.kill_sessions(target, name),
        lambda: connector.sessions(target, name),
    ]
    for call in calls:
        with pytest.raises(InvalidRequest):
            call()


@pytest.mark.parametrize(
    "name", ['a"; DROP ROLE x; --', "it's", "x" * 63, "%s {} \\", "öffentlich"]
)
def test_any_other_name_is_taken_as_it_is(
    postgres: PostgresServer, connector: PostgreSQL, name: str
) -> None:
    quoted = name.replace('"', '""')
    postgres.execute(f"CREATE ROLE \"{quoted}\" LOGIN PASSWORD 'first'")
    try:
        connector.set_password(postgres.target(), name, SECOND, None)
        assert connector.probe(postgres.target(), name, SECOND).state is Probe.ALIVE
        connector.kill_sessions(postgres.target(), name)
        assert connector.sessions(postgres.target(), name) == ()
    finally:
        postgres.execute(f'DROP ROLE "{quoted}"')


def test_a_server_that_is_down_is_unknown_and_unreachable(connector: PostgreSQL) -> None:
    with PostgresServer() as server:
        server.execute("CREATE ROLE app LOGIN PASSWORD 'first'")
        server.stop()
        found = connector.probe(server.target(), "app", FIRST)
        assert (found.state, found.code) == (Probe.UNKNOWN, "")
        with pytest.raises(Unreachable):
            connector.set_password(server.target(), "app", SECOND, None)
        server.start()
        assert connector.probe(server.target(), "app", FIRST).state is Probe.ALIVE


def test_a_server_that_stops_answering_is_let_go(postgres: PostgresServer) -> None:
    target = postgres.target()
    with connect(
        target, target.admin_username, target.admin_password, SystemEntropy(),
        budget=Budget(0.5, 1 << 20),
    ) as link:  # fmt: skip
        pid = int(str(link.value("SELECT pg_backend_pid()")))
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Ambiguous, match="did not answer"):
                link.effects("SELECT 1", width=1)
        finally:
            os.kill(pid, signal.SIGCONT)


def listening(answer: bytes) -> tuple[socket.socket, threading.Thread, Target]:
    """Return a server that takes one connection, reads once, answers and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return server, thread, Target("127.0.0.1", port, "db", "admin", FIRST, Tls.DISABLE)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"E\0\0\0\x05\0", b"R\0\0\0\x05\0", b"\xff" * 99],
)
def test_what_does_not_speak_postgresql_is_unknown(connector: PostgreSQL, answer: bytes) -> None:
    server, thread, target = listening(answer)
    assert connector.probe(target, "app", FIRST).state is Probe.UNKNOWN
    thread.join()
    server.close()


@pytest.mark.parametrize("answer", [b"N", b"", b"Sgarbage that is not TLS at all"])
def test_without_tls_nothing_is_sent(connector: PostgreSQL, answer: bytes) -> None:
    server, thread, target = listening(answer)
    found = connector.probe(replace(target, tls=Tls.VERIFY_FULL), "app", FIRST)
    assert found.state is Probe.UNKNOWN
    thread.join()
    server.close()


def test_a_server_that_says_nothing_is_let_go(
    connector: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "PROBE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = Target("127.0.0.1", silent.getsockname()[1], "db", "admin", FIRST, Tls.DISABLE)
        found = connector.probe(target, "app", FIRST)
    assert found.state is Probe.UNKNOWN
    assert 900 <= found.took_ms < 5000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, and its key beside it."""
    path = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", f"{path}/server.key"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", f"{path}/server.crt"]
    subprocess.run(command, check=True, capture_output=True)
    return path / "server.crt"


@pytest.mark.skipif(not debian_binaries(), reason="the wheel is built without TLS")
def test_tls_is_verified_on_both_ways_in(connector: PostgreSQL, certificate: Path) -> None:
    with PostgresServer(binaries=debian_binaries()[-1]) as server:
        for name in ("server.crt", "server.key"):
            copy = server.data / name
            copy.write_bytes(certificate.with_name(name).read_bytes())
            copy.chmod(0o600)
            owner = server.data.stat()
            os.chown(copy, owner.st_uid, owner.st_gid)
        server.execute("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        server.execute("CREATE ROLE app LOGIN PASSWORD 'first'")
        good = replace(
            server.target(), host="localhost", tls=Tls.VERIFY_FULL, ca_file=str(certificate)
        )
        connector.set_password(good, "app", SECOND, None)
        assert connector.probe(good, "app", SECOND).state is Probe.ALIVE
        wrong_name = replace(good, host="127.0.0.1")
        stranger = replace(good, ca_file="")
        for bad in (wrong_name, stranger):
            found = connector.probe(bad, "app", SECOND)
            assert found.state is Probe.UNKNOWN
            assert "TLS" in found.reason
            with pytest.raises(Unreachable):
                connector.set_password(bad, "app", FIRST, None)


def test_the_documented_privileges_are_enough(
    postgres: PostgresServer, connector: PostgreSQL
) -> None:
    page = (Path(__file__).parents[3] / "docs/connectors/postgresql.md").read_text()
    (block,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    postgres.execute("CREATE ROLE app LOGIN PASSWORD 'first'", *block.strip().splitlines())
    try:
        admin = Secret(re.findall("PASSWORD '(.*)'", block)[0].encode())
        target = replace(postgres.target(), admin_username="ironkeep", admin_password=admin)
        held = [postgres.connect("app", "first") for _ in range(5)]
        assert len({each.name for each in connector.sessions(target, "app")}) == len(held)
        connector.set_password(target, "app", SECOND, None)
        connector.lock(target, "app")
        assert connector.kill_sessions(target, "app") == len(held)
        for session in held:
            session.close()
        connector.unlock(target, "app")
        assert connector.probe(target, "app", SECOND).state is Probe.ALIVE
        assert connector.sessions(target, "app") == ()
        gaps = {gap.split(":")[0] for gap in connector.inventory(target).gaps}
        files = {"file", "data_file", "library_file", "extension_files"}
        assert gaps == {"password", "hba", "ident", "subscription", "file_setting"} | files
    finally:
        postgres.execute("DROP ROLE app", "DROP ROLE ironkeep")


def test_no_error_shows_a_password_or_its_verifier(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    planted = Secret(secrets.token_urlsafe(24).encode())
    target = postgres.target()
    failing: list[Callable[[], object]] = [
        lambda: connector.set_password(target, "missing", planted, None),
        lambda: connector.set_password(target, role, planted, planted),
        lambda: connector.set_password(replace(target, port=1), role, planted, None),
        lambda: connector.lock(replace(target, admin_password=planted), role),
    ]
    shown = []
    for call in failing:
        with pytest.raises((Rejected, Unreachable)) as failure:
            call()
        assert failure.value.__context__ is None
        shown.append("".join(traceback.format_exception(failure.value)))
    for text in shown:
        assert planted.reveal().decode() not in text
        assert "SCRAM-SHA-256$" not in text
    assert planted.reveal().decode() not in repr(replace(target, admin_password=planted))


def test_a_probe_result_is_evidence_without_secrets() -> None:
    assert ProbeResult.__struct_fields__ == (
        "state", "reason", "endpoint", "code", "took_ms", "blocked", "full", "unreached",
    )  # fmt: skip
