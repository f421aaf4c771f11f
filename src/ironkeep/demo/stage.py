"""The processes of the story: PostgreSQL, two witnesses and a server."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.rows import TupleRow

from ironkeep.demo.witness_process import WitnessProcess, witness
from ironkeep.testing.parts import number, table, text, texts
from ironkeep.testing.postgres import PostgresServer
from ironkeep.testing.server import ServerProcess
from ironkeep.tlog.note import VerifierKey

WITNESS_SECONDS: Final = 60.0
"""Time for the witnesses to cosign; they need one or two seconds."""

_POLL_SECONDS: Final = 0.1
_ANSWER_SECONDS: Final = 180


class Answer:
    """An HTTP answer: its status and document."""

    def __init__(self, status: int, document: dict[str, object], body: bytes) -> None:
        self.status: Final = status
        self.body: Final = body
        self.data: Final = table(document.get("data") or {})
        self.auth: Final = table(document.get("auth") or {})
        self.errors: Final = texts(document.get("errors") or [])


class Stage:
    """The running processes, and the requests and logins to them."""

    def __init__(self, folder: Path, server: ServerProcess, database: PostgresServer) -> None:
        self.folder: Final = folder
        self.server: Final = server
        self.database: Final = database

    def send(
        self, method: str, path: str, token: str = "", data: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send one request with a token; return the answer of any status."""
        request = urllib.request.Request(
            f"{self.server.address}/v1/{path}",
            None if data is None else json.dumps(data).encode(),
            {"X-Vault-Token": token} if token else {},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read()
        try:
            document = table(json.loads(body)) if body else {}
        except ValueError:
            document = {}
        return Answer(status, document, body)

    def login(self, name: str, password: str) -> str:
        """Log a user in; return the token."""
        answer = self.send("PUT", f"auth/userpass/login/{name}", data={"password": password})
        return text(answer.auth, "client_token")

    def connect(self, username: str, password: str) -> psycopg.Connection[TupleRow]:
        """Open a database session past Ironkeep, with nothing but the password."""
        return self.database.connect(username, password)

    def await_witnesses(self, case: str, token: str) -> dict[str, object]:
        """Return the verdict of a case once the witnesses have cosigned the log up to it."""
        first = self.send("GET", f"incident/cases/{case}/verdict", token).data
        wanted = number(first, "log_size")
        deadline = time.monotonic() + WITNESS_SECONDS
        while time.monotonic() < deadline:
            verdict = self.send("GET", f"incident/cases/{case}/verdict", token).data
            if number(verdict, "witnessed_size") >= wanted:
                return verdict
            time.sleep(_POLL_SECONDS)
        raise TimeoutError("the witnesses did not cosign in time")


@contextmanager
def built(folder: Path) -> Iterator[Stage]:
    """Start all processes, and stop them at the end."""
    with ExitStack() as stack:
        database = stack.enter_context(PostgresServer())
        vkey = _log_key(folder)
        towers = [
            stack.enter_context(_witness(folder / name, vkey, name)) for name in ("north", "south")
        ]
        blocks = "".join(
            f'witness "{tower.folder.name}" {{\n  address = "{tower.address}"\n'
            f'  vkey = "{tower.key.format()}"\n}}\n'
            for tower in towers
        )
        more = f"{blocks}quorum = 2\n"
        server = stack.enter_context(ServerProcess.configured(folder, more=more))
        server.initialise()
        yield Stage(folder, server, database)


def _log_key(folder: Path) -> VerifierKey:
    """Start the server once, so that its log has the key that the witnesses need."""
    with ServerProcess.configured(folder):
        """The key is made before the server reports its start."""
    (path,) = (folder / "data" / "audit").glob("*/vkey")
    return VerifierKey.parse(path.read_text().strip())


@contextmanager
def _witness(folder: Path, vkey: VerifierKey, name: str) -> Iterator[WitnessProcess]:
    folder.mkdir()
    with witness(folder, [vkey], more=["-name", f"{name}.example/witness"]) as running:
        yield running
