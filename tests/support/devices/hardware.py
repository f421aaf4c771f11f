"""Real stand-ins for key hardware: a TPM (swtpm) and a PKCS#11 token (SoftHSM), each a test's own.

The TPM is a process on a port of this machine, ended by its pid. SoftHSM is a library that reads
the place of its tokens from the environment when a process first loads it.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

SOFTHSM: Final = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN: Final = "4711"

_SECURITY_OFFICER_PIN: Final = "0815"
_START_SECONDS: Final = 90
_STOP_SECONDS: Final = 20
_TRIES: Final = 10


@contextmanager
def swtpm(folder: Path) -> Iterator[str]:
    """Run a TPM 2.0 whose state is in folder; yield its TCTI."""
    folder.mkdir(exist_ok=True)
    for _ in range(_TRIES):
        port = _free_pair()
        process = subprocess.Popen(
            [
                "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}",
                "--server", f"type=tcp,port={port},bindaddr=127.0.0.1",
                "--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1",
                "--flags", "not-need-init,startup-clear",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            # Its control port answers first; another process may have taken either meanwhile.
            if _listens(port + 1, process):
                yield f"swtpm:host=127.0.0.1,port={port}"
                return
        finally:
            _stop(process)
    raise RuntimeError("swtpm does not start")


def make_softhsm_token(folder: Path, label: str) -> None:
    """Make a token with PIN in folder, and its configuration; `softhsm_environment` names it."""
    tokens = folder / "tokens"
    tokens.mkdir(exist_ok=True)
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n",
        encoding="utf-8",
    )
    subprocess.run(
        [
            "softhsm2-util", "--init-token", "--free", "--label", label,
            "--pin", PIN, "--so-pin", _SECURITY_OFFICER_PIN,
        ],
        env={**os.environ, **softhsm_environment(folder)}, check=True, capture_output=True,
    )  # fmt: skip


def softhsm_environment(folder: Path) -> dict[str, str]:
    """Return what a process's environment must say for SoftHSM to find the tokens in folder."""
    return {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}


def _free_pair() -> int:
    """Return a port such that it and the next one are free now."""
    while True:
        with closing(socket.socket()) as first, closing(socket.socket()) as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()
