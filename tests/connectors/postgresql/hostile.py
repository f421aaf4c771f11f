"""A database server that was taken over: it holds the verifiers, and answers as it likes."""

import base64
import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ironkeep.connectors.postgresql.scram import ITERATIONS
from ironkeep.core.credential.connector import Target, Tls
from ironkeep.core.secret import Secret

PASSWORD: Final = b"the administrator's"
READY: Final = b"Z\0\0\0\x05I"
TLS_ASKED: Final = 80877103
"""The code of a request for TLS, in place of the protocol's version."""

Answer = Callable[[socket.socket, str], None]
"""Answers a statement."""


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Return a message of the protocol."""
    return kind + struct.pack("!i", 4 + len(body)) + body


DONE: Final = message(b"C", b"SELECT 1\0") + READY
COLUMN: Final = message(
    b"T", struct.pack("!h", 1) + b"name\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
)


def row(value: bytes) -> bytes:
    """Return a row of one value."""
    return message(b"D", struct.pack("!hi", 1, len(value)) + value)


def endless(part: bytes) -> Answer:
    """Return an answer that sends part again and again, for as long as it is taken."""

    def answer(connection: socket.socket, _query: str) -> None:
        connection.sendall(COLUMN)
        while True:
            connection.sendall(part * 100)

    return answer


def nothing(connection: socket.socket, _query: str) -> None:
    """Answer with no rows."""
    connection.sendall(COLUMN + DONE)


class Server:
    """Listens on loopback; each connection is served in a thread of its own.

    `asks` is sent in place of the request for a SCRAM login, when there is one.
    """

    def __init__(self, answer: Answer, *, password: bytes = PASSWORD, asks: bytes = b"") -> None:
        self.received: Final[list[bytes]] = []
        """Every message of every client, in the order in which they came."""
        self._answer: Final = answer
        self._password: Final = password
        self._asks: Final = asks
        self._listening: Final = socket.create_server(("127.0.0.1", 0))
        self.port: Final[int] = self._listening.getsockname()[1]
        self._open: Final[list[socket.socket]] = []
        self._threads: Final = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    @property
    def target(self) -> Target:
        """Where it is, for the administrator whom it believes."""
        password = Secret(self._password)
        return Target("127.0.0.1", self.port, "db", "admin", password, Tls.DISABLE)

    def close(self) -> None:
        """Hang up on everybody."""
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            thread = threading.Thread(target=self._client, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _client(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, EOFError, ValueError):
            self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        while self._start(connection)[:4] == struct.pack("!i", TLS_ASKED):
            connection.sendall(b"N")
        if self._asks:
            connection.sendall(self._asks)
            while True:
                self._message(connection)
        connection.sendall(message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
        bare = self._message(connection)[1].partition(b"n,,")[2]
        first = b"r=" + bare.partition(b"r=")[2] + b"x,s=AAAA,i=%d" % ITERATIONS
        connection.sendall(message(b"R", struct.pack("!i", 11) + first))
        final = self._message(connection)[1]
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode("AAAA"), ITERATIONS)
        key = hmac.digest(salted, b"Server Key", "sha256")
        text = b",".join((bare, first, final[: final.rindex(b",p=")]))
        proof = base64.b64encode(hmac.digest(key, text, "sha256"))
        connection.sendall(message(b"R", struct.pack("!i", 12) + b"v=" + proof))
        connection.sendall(message(b"R", struct.pack("!i", 0)) + READY)
        while True:
            kind, body = self._message(connection)
            if kind == b"Q" and body.startswith(b"SET"):
                connection.sendall(DONE)
            elif kind in {b"Q", b"P"}:
                self._answer(connection, body.decode())

    def _start(self, connection: socket.socket) -> bytes:
        (size,) = struct.unpack("!i", _exactly(connection, 4))
        self.received.append(_exactly(connection, size - 4))
        return self.received[-1]

    def _message(self, connection: socket.socket) -> tuple[bytes, bytes]:
        kind = _exactly(connection, 1)
        (size,) = struct.unpack("!i", _exactly(connection, 4))
        body = _exactly(connection, size - 4)
        self.received.append(body)
        return kind, body


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


@contextmanager
def serving(answer: Answer) -> Iterator[Target]:
    """Have a server for a while; give where it is."""
    server = Server(answer)
    try:
        yield server.target
    finally:
        server.close()
