"""What every attacker does: sends requests to an address, counts them, and keeps the answers."""

import contextlib
import http.client
import json
import re
import socket
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from tests.support.devices.tls_client import TlsClient

PATIENCE: Final = 20
"""Seconds without a byte after which a raw connection is given up; it is counted as no answer."""
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3})")


@dataclass
class Row:
    """What one step brought."""

    step: str
    what: str
    tried: int = 0
    let_in: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    """How often each status came; 0 stands for no answer."""


class Attempts:
    """An address, what was brought along, and the report."""

    def __init__(self, loot: Path) -> None:
        self.loot: Final = loot
        self.target: Final[dict[str, Any]] = json.loads((loot / "target.json").read_text())
        self.rows: Final[list[Row]] = []
        self.answers: Final[list[str]] = []
        self.stack: Final = contextlib.ExitStack()
        self.nowhere: Final = self.connect()
        at = urlsplit(self.target["address"])
        self.host: Final = str(at.hostname)
        self.port: Final = at.port or 0
        self._context: Final = ssl.create_default_context(cafile=self.target["ca"])
        self._wire: Final = http.client.HTTPSConnection(
            self.host, self.port, timeout=PATIENCE, context=self._context
        )
        self.stack.callback(self._wire.close)

    def connect(self, *files: Path) -> TlsClient:
        """Return a connection, with a client certificate or without."""
        client = TlsClient(self.target["address"], Path(self.target["ca"]), *files)
        return self.stack.enter_context(client)

    def row(self, step: str, what: str) -> Row:
        """Return a new row of the report."""
        self.rows.append(Row(step, what))
        return self.rows[-1]

    def ask(
        self,
        row: Row,
        client: TlsClient,
        method: str,
        path: str,
        data: Any = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request, keep its answer, and count it; return the answer, None if refused."""
        row.tried += 1
        try:
            status, body = client.send(method, path, data, token, headers)
        except OSError:
            row.statuses[0] += 1
            return None  # not even a connection
        row.statuses[status] += 1
        text = body.decode("latin-1") if isinstance(body, bytes) else json.dumps(body)
        self.answers.append(text)
        if status >= 300:
            return None
        row.let_in += 1
        return body

    # -- below a client's manners

    def post(
        self, row: Row, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send bytes as a body, over one connection that is kept, and count the answer."""
        row.tried += 1
        try:
            self._wire.request("POST", f"/v1/{quote(path)}", body, dict(headers or {}))
            answer = self._wire.getresponse()
            got = answer.read()
        except (OSError, http.client.HTTPException):
            self._wire.close()
            row.statuses[0] += 1
            return
        row.statuses[answer.status] += 1
        row.let_in += answer.status < 300
        self.answers.append(got.decode("latin-1"))

    def reach(self, source: str = "") -> socket.socket:
        """Return a connection without TLS; `source` is an address of this machine to come from."""
        raw = socket.create_connection(
            (self.host, self.port), PATIENCE, (source, 0) if source else None
        )
        return self.stack.enter_context(raw)

    def dial(self, source: str = "") -> ssl.SSLSocket:
        """Return a connection over TLS; `source` as in `reach`."""
        raw = self._context.wrap_socket(self.reach(source), server_hostname=self.host)
        return self.stack.enter_context(raw)

    def exchange(self, row: Row, data: bytes, most: int = 9, source: str = "") -> bytes:
        """Send bytes, count each answer up to `most`; an answer of success is let in."""
        row.tried += 1
        got = b""
        with contextlib.suppress(OSError), self.dial(source) as raw:
            with contextlib.suppress(OSError):
                raw.sendall(data)
            while (part := raw.recv(65_536)) and len(_STATUS.findall(got := got + part)) < most:
                """More may come."""
        found = [int(each) for each in _STATUS.findall(got)]
        row.statuses.update(found or [0])
        row.let_in += sum(status < 300 for status in found)
        self.answers.append(got.decode("latin-1"))
        return got
