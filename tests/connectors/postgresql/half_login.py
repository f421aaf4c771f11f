"""A login that is begun and left where the server waits for the client's first message."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from ironkeep.adapters.process.system import SystemEntropy
from ironkeep.connectors.postgresql import scram, wire
from ironkeep.connectors.postgresql.login import Login
from ironkeep.connectors.postgresql.outcome import Outcome
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer


class HalfLogin:
    """The client; the server has read the verifier already, as it sends the salt with it."""

    def __init__(self, server: PostgresServer, username: str, password: str, options: str) -> None:
        self._socket = socket.create_connection((server.host, server.port), 5)
        self._socket.settimeout(20)
        nonce = scram.nonce(SystemEntropy().token(scram.NONCE_BYTES))
        secret = Secret(password.encode())
        self._login = Login(username, secret, "postgres", nonce, options=options)
        self._reader = wire.Reader()
        self._socket.sendall(self._login.start())
        self._pending = list(self._reader.feed(self._socket.recv(8192)))
        self._step()

    def _step(self) -> None:
        """Answer one message, so that the salt comes and the server has the verifier."""
        self._socket.sendall(self._login.receive(self._pending.pop(0)))
        self._pending += self._reader.feed(self._socket.recv(8192))

    def finish(self) -> Outcome | None:
        """Go on until the login is decided; return the outcome, or None if the server hung up."""
        while True:
            while self._pending:
                reply = self._login.receive(self._pending.pop(0))
                if self._login.outcome is not None:
                    return self._login.outcome
                if reply:
                    self._socket.sendall(reply)
            data = self._socket.recv(8192)
            if not data:
                return None
            self._pending += self._reader.feed(data)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextmanager
def begun(
    server: PostgresServer, username: str, password: str, options: str = ""
) -> Iterator[HalfLogin]:
    """Begin a login as username."""
    half = HalfLogin(server, username, password, options)
    try:
        yield half
    finally:
        half.close()
