"""A real `ironkeep server` in a process of its own, for as long as a test needs it.

    with ServerProcess.development(folder) as server:
        server.cli("status")

    with ServerProcess.configured(folder, tls=make_tls(folder)) as server:
        keys = server.initialise()

It listens on a free port of this machine, is waited for with a bound, and is stopped by its pid.
"""

import json
import os
import queue
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ironkeep.testing.tls import Tls

START_SECONDS: Final = 120
"""Time to start on a busy machine; an idle one needs well below a second."""
STOP_SECONDS: Final = 60
COMMAND_SECONDS: Final = 180
ROOT: Final = "root"
"""The root token of a development server."""
PROGRAM: Final = ("-m", "ironkeep")

_STARTED: Final = "==> Ironkeep server started!"
_LISTENER: Final = "Listener 1: "


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


class ServerProcess:
    """One server, up and answering."""

    def __init__(
        self, process: subprocess.Popen[str], address: str, home: Path, tls: Tls | None, pid: int
    ) -> None:
        self.process: Final = process
        self.pid: Final = pid
        self.address: Final = address
        self.home: Final = home
        self.tls: Final = tls
        self.token = ""

    @classmethod
    @contextmanager
    def development(cls, home: Path, token: str = ROOT) -> Iterator["ServerProcess"]:
        """Start a development server whose commands have home as HOME; stop it in the end."""
        words = ["-dev", f"-dev-root-token-id={token}", "-dev-listen-address=127.0.0.1:0"]
        with cls._running(words, home, None) as server:
            server.token = token
            yield server

    @classmethod
    @contextmanager
    def configured(
        cls,
        folder: Path,
        *,
        tls: Tls | None = None,
        more: str = "",
        program: Sequence[str] = PROGRAM,
        tracer: Sequence[str] = (),
    ) -> Iterator["ServerProcess"]:
        """Start a server that keeps its data in folder; more is further configuration.

        `program` is what Python runs instead of Ironkeep's own command, `tracer` the start of the
        command line of a process that runs it all, as `strace.recorded` makes one.
        """
        if tls is None:
            listener = "tls_disable = true"
        else:
            listener = (
                f'tls_cert_file = "{tls.cert}"\n  tls_key_file = "{tls.key}"\n'
                f'  tls_client_ca_file = "{tls.ca}"'
            )
        config = folder / "ironkeep.hcl"
        config.write_text(
            f'listener "tcp" {{\n  address = "127.0.0.1:0"\n  {listener}\n}}\n'
            f'storage "sqlite" {{ path = "{folder / "data"}" }}\n{more}\n',
            encoding="utf-8",
        )
        with cls._running([f"-config={config}"], folder, tls, program, tracer) as server:
            yield server

    @classmethod
    @contextmanager
    def _running(
        cls,
        words: Sequence[str],
        home: Path,
        tls: Tls | None,
        program: Sequence[str] = PROGRAM,
        tracer: Sequence[str] = (),
    ) -> Iterator["ServerProcess"]:
        with (home / "server.err").open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [*tracer, sys.executable, *program, "server", *words],
                env=environment(home),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        lines = _Lines(process)
        pid = process.pid
        try:
            address = _await_start(lines, home)
            pid = _only_child(pid) if tracer else pid
            yield cls(process, address, home, tls, pid)
        finally:
            stop(process, pid)
            lines.close()

    def environment(self) -> dict[str, str]:
        """Return the environment in which a command reaches this server."""
        found = {**environment(self.home), "VAULT_ADDR": self.address}
        if self.token:
            found["VAULT_TOKEN"] = self.token
        if self.tls is not None:
            found["VAULT_CACERT"] = str(self.tls.ca)
        return found

    def cli(
        self,
        *words: str,
        given: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Done:
        """Run the `ironkeep` command against this server; given is its standard input."""
        done = subprocess.run(
            [sys.executable, "-m", "ironkeep", *words],
            env={**self.environment(), **(env or {})},
            cwd=cwd or self.home,
            input=given,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def api(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """Send one request past the command; return the answer's JSON, None without any."""
        request = urllib.request.Request(
            f"{self.address}/v1/{path}",
            None if data is None else json.dumps(data).encode(),
            {"X-Vault-Token": self.token} if self.token else {},
            method=method,
        )
        context = None if self.tls is None else ssl.create_default_context(cafile=self.tls.ca)
        with urllib.request.urlopen(request, timeout=COMMAND_SECONDS, context=context) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def initialise(self, shares: int = 1, threshold: int = 1) -> list[str]:
        """Make the keys, unseal, and take the root token; return the shares in hexadecimal."""
        sizes = {"secret_shares": shares, "secret_threshold": threshold}
        made = self.api("PUT", "sys/init", sizes)
        keys: list[str] = made["keys"]
        for key in keys[:threshold]:
            self.api("PUT", "sys/unseal", {"key": key})
        self.token = made["root_token"]
        return keys


def environment(home: Path) -> dict[str, str]:
    """Return this process's environment without Vault's variables, and with home as HOME."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VAULT_")}
    return {**kept, "HOME": str(home), "PYTHONUNBUFFERED": "1"}


def stop(process: subprocess.Popen[str], pid: int = 0) -> None:
    """End a process that was started here, by its pid: politely, and then for certain.

    `pid` is who is asked to stop, when that is a child of the process that ends with it.
    """
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(pid or process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Lines:
    """A process's standard output, read all the time, so that it never has to wait."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._stream: Final = process.stdout
        self._lines: Final[queue.SimpleQueue[str]] = queue.SimpleQueue()
        self._thread: Final = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        for line in self._stream:
            self._lines.put(line)
        self._lines.put("")

    def next(self) -> str:
        """Return the next line; empty when there is no more, or none within START_SECONDS."""
        try:
            return self._lines.get(timeout=START_SECONDS)
        except queue.Empty:
            return ""

    def close(self) -> None:
        """Close it; the process must have ended."""
        self._thread.join()
        self._stream.close()


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii"))


def _await_start(lines: _Lines, home: Path) -> str:
    """Return the address that the server says it listens on; raise RuntimeError with its words."""
    address = ""
    said: list[str] = []
    while line := lines.next():
        said.append(line)
        if _LISTENER in line:
            address = line.partition(_LISTENER)[2].strip()
        if line.startswith(_STARTED):
            return address
    errors = (home / "server.err").read_text(encoding="utf-8")
    raise RuntimeError(f"the server did not start:\n{''.join(said)}\n{errors}")
