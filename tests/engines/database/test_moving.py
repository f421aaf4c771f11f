"""After rotate-root a connection moves only to hosts that prove more than that a login succeeds."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.connectors.postgresql.wire import SSL_REQUEST
from ironkeep.core.credential.connector import Probe, Target, Tls
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.engines.database.moving import Evidence, evidence
from ironkeep.engines.database.url import Whereabouts
from ironkeep.testing.postgres import SUPERUSER, PostgresServer, debian_binaries
from ironkeep.testing.tls import make_tls
from ironkeep.testing.vault import Vault
from tests.engines.database.test_database import PLUGINS

HERE = Whereabouts((("a", 1), ("b", 2)), "db", Tls.VERIFY_FULL, "/ca")
OPEN = Whereabouts((("a", 1),), "db", Tls.DISABLE, "")


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        (None, HERE, Evidence.NONE),
        (HERE, HERE, Evidence.NONE),
        (HERE, Whereabouts((("b", 2), ("a", 1)), "db", HERE.tls, "/ca"), Evidence.PROOF),
        (HERE, Whereabouts((("b", 2),), "other", HERE.tls, "/ca"), Evidence.PROOF),
        (HERE, Whereabouts(HERE.hosts, "db", HERE.tls, "/ca2"), Evidence.BOUND_PROOF),
        (HERE, Whereabouts((("c", 1),), "db", HERE.tls, "/ca"), Evidence.BOUND_PROOF),
        (OPEN, Whereabouts((("c", 1),), "db", Tls.DISABLE, ""), Evidence.APPROVAL),
        (HERE, Whereabouts(HERE.hosts, "db", Tls.DISABLE, ""), Evidence.APPROVAL),
    ],
)
def test_the_evidence_depends_on_what_could_stand_in_between(
    before: Whereabouts | None, after: Whereabouts, needed: Evidence
) -> None:
    assert evidence(before, after, password=False, verify=True) is needed
    assert evidence(before, after, password=True, verify=True) is Evidence.NONE
    unverified = evidence(before, after, password=False, verify=False)
    assert unverified is (Evidence.APPROVAL if needed is Evidence.BOUND_PROOF else needed)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, Path]]:
    """A server with TLS, and the file of its CA."""
    if not debian_binaries():
        pytest.skip("the wheel is built without TLS")
    tls = make_tls(tmp_path_factory.mktemp("tls"))
    with PostgresServer(binaries=debian_binaries()[-1]) as server:
        for name, source in (("server.crt", tls.cert), ("server.key", tls.key)):
            copy = server.data / name
            copy.write_bytes(source.read_bytes())
            copy.chmod(0o600)
            owner = server.data.stat()
            os.chown(copy, owner.st_uid, owner.st_gid)
        server.execute("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        yield server, tls.ca


@contextmanager
def between(port: int, tls_folder: Path) -> Iterator[tuple[int, Path]]:
    """A host with a certificate of its own that passes everything on; its port and CA."""
    own = make_tls(tls_folder)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(own.cert, own.key)
    outside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outside.check_hostname, outside.verify_mode = False, ssl.CERT_NONE

    def copy(source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_RDWR)

    def serve(raw: socket.socket) -> None:
        with suppress(OSError), raw, socket.create_connection(("127.0.0.1", port)) as far:
            raw.recv(len(SSL_REQUEST))
            raw.sendall(b"S")
            with inside.wrap_socket(raw, server_side=True) as client:
                far.sendall(SSL_REQUEST)
                far.recv(1)
                with outside.wrap_socket(far) as server:
                    back = threading.Thread(target=copy, args=(server, client))
                    back.start()
                    copy(client, server)
                    back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], own.ca
        listener.shutdown(socket.SHUT_RDWR)


def test_a_connection_moves_where_the_proof_covers_the_hosts_certificate(
    postgres: tuple[PostgresServer, Path], tmp_path: Path
) -> None:
    server, authority = postgres
    server.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
    vault = Vault.started(
        PLUGINS, connectors={"postgresql": PostgreSQL(SystemClock(), SystemEntropy())}
    )
    vault.write("sys/mounts/database", {"type": "database"})

    def to(hosts: str, ca: Path, query: str = "") -> dict[str, str]:
        place = f"{hosts}/postgres?sslrootcert={ca}{query}"
        return {"connection_url": "postgresql://{{username}}:{{password}}@" + place}

    account = {"username": SUPERUSER, "password": server.password.reveal().decode()}
    kind = {"plugin_name": "postgresql-database-plugin"}
    here = to(f"localhost:{server.port}", authority)
    assert vault.write("database/config/main", {**kind, **here, **account}).error is None
    assert vault.write("database/rotate-root/main").error is None

    renewed = tmp_path / "renewed.pem"
    renewed.write_bytes(authority.read_bytes())
    for moved in (
        to(f"localhost:{server.port}", renewed),
        to(f"127.0.0.1:{server.port}", renewed),
        to(f"127.0.0.1:{server.port},localhost:{server.port}", renewed),
        to(f"localhost:{server.port},127.0.0.1:{server.port}", renewed),
    ):
        reply = vault.write("database/config/main", moved)
        assert reply.error is None, reply.errors
    assert vault.write("database/rotate-root/main").error is None

    with between(server.port, tmp_path) as (port, own):
        connector = PostgreSQL(SystemClock(), SystemEntropy())
        there = Target("localhost", port, "postgres", "plain", Secret(b"x"), ca_file=str(own))
        assert connector.probe(there, "plain", Secret(b"x")).state is Probe.ALIVE
        bound = replace(there, bind=True)
        assert connector.probe(bound, "plain", Secret(b"x")).state is not Probe.ALIVE
        straight = replace(bound, port=server.port, ca_file=str(authority))
        assert connector.probe(straight, "plain", Secret(b"x")).state is Probe.ALIVE
        evil = to(f"localhost:{port}", own)
        reply = vault.write("database/config/main", evil)
        assert reply.error is InvalidRequest
        assert "give the password again" in reply.errors[0]
    shown = vault.read("database/config/main").data["connection_details"]
    assert str(port) not in str(shown)
    assert vault.defects == []
