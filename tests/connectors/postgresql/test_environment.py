"""No variable of the process, and no file of its user's, changes where or how we connect."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from ironkeep.connectors.postgresql import PostgreSQL, trust
from ironkeep.core.credential.connector import Probe
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer

OTHERS = (
    "PGPASSFILE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGDATESTYLE", "PGTZ", "PGGEQO",
    "PGCLIENTENCODING", "PGREALM", "PGREQUIRESSL", "http_proxy", "https_proxy", "all_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE",
)  # fmt: skip
"""Variables that libpq reads beside those of its parameters, and those of TLS and proxies."""

HOSTILE = ("127.0.0.77", "-c default_transaction_read_only=on", "nosuch", "verify-full", "0")


def variables() -> list[str]:
    """Every variable by which libpq takes a parameter, as it tells them itself."""
    told = [each.envvar for each in psycopg.pq.Conninfo.get_defaults()]
    return sorted({name.decode() for name in told if name} | set(OTHERS))


@pytest.mark.parametrize("value", HOSTILE)
def test_no_variable_of_libpq_reaches_a_connection(
    connector: PostgreSQL,
    postgres: PostgresServer,
    role: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    value: str,
) -> None:
    (tmp_path / ".pgpass").write_text("*:*:*:*:wrong\n")
    (tmp_path / ".pgpass").chmod(0o600)
    (tmp_path / ".pg_service.conf").write_text("[nosuch]\nhost=127.0.0.77\n")
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("no certificate")
    target = postgres.target()
    names = variables()
    assert len(names) > 30
    with monkeypatch.context() as environment:
        for name in names:
            environment.setenv(name, value)
        environment.setenv("HOME", str(tmp_path))
        connector.set_password(target, role, Secret(b"second"), None)
        connector.set_password(target, role, Secret(b"third"), Secret(b"second"))
        assert connector.probe(target, role, Secret(b"third")).state is Probe.ALIVE
        assert connector.probe(target, role, Secret(b"second")).state is Probe.DEAD
        connector.lock(target, role)
        assert connector.sessions(target, role) == ()
        assert connector.inventory(target).gaps == ()


def test_no_variable_says_which_authorities_are_trusted_or_has_keys_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=intruder", "-keyout", f"{tmp_path}/key"]
    subprocess.run([*command, "-out", f"{tmp_path}/ca"], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path}/ca")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", f"{tmp_path}/keys")
    made = trust.context("")
    assert "intruder" not in str(made.get_ca_certs())
    assert not (tmp_path / "keys").exists()
    # The file is read when it is named in the configuration.
    assert "intruder" in str(trust.context(f"{tmp_path}/ca").get_ca_certs())


def test_libpq_is_never_loaded() -> None:
    code = (
        "import sys; from ironkeep.connectors.postgresql import PostgreSQL, connector, stock;"
        "sys.exit(any(name.partition('.')[0].startswith('psycopg') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
