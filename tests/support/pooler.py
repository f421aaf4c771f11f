"""PgBouncer in front of a private PostgreSQL server."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ironkeep.testing.postgres import SUPERUSER, UNPRIVILEGED, PostgresServer

PROGRAM: Final = "pgbouncer"
_TRIES: Final = 200
_LOOKUP: Final = "SELECT usename, passwd FROM pg_shadow WHERE usename = $1"


@contextmanager
def pooling(server: PostgresServer) -> Iterator[int]:
    """Run it in transaction mode on a free port, which is yielded.

    It asks the server for the verifiers of roles, and takes the superuser at its console.
    """
    folder = Path(tempfile.mkdtemp(prefix="ironkeep-pooler-"))
    identity: dict[str, Any] = {"cwd": "/"}
    port = _free_port()
    password = server.password.reveal().decode()
    (folder / "users.txt").write_text(f'"{SUPERUSER}" "{password}"\n')
    (folder / "pooler.ini").write_text(
        f"[databases]\n* = host={server.host} port={server.port}\n[pgbouncer]\n"
        f"listen_addr={server.host}\nlisten_port={port}\nunix_socket_dir=\n"
        f"auth_type=scram-sha-256\nauth_file={folder}/users.txt\nauth_user={SUPERUSER}\n"
        f"auth_query={_LOOKUP}\nstats_users={SUPERUSER}\npool_mode=transaction\n"
        f"logfile={folder}/log\n"
    )
    if os.geteuid() == 0:  # it refuses to run as root
        account = pwd.getpwnam(UNPRIVILEGED)
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
        identity |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    command = [_program(), "-q", str(folder / "pooler.ini")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **identity)
    try:
        _await(server.host, port)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def is_installed() -> bool:
    """Return whether there is a PgBouncer here."""
    return bool(_program())


def _program() -> str:
    return shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _await(host: str, port: int) -> None:
    for _ in range(_TRIES):
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the pooler does not listen")
