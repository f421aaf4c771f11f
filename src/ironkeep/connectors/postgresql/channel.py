"""The connection to one server: a socket, TLS when it is demanded, and a budget.

Every operation has one budget of time, bytes and messages, which all its connections share: a
compromised server might send without end, or one byte at a time.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ironkeep.connectors.postgresql import trust, wire
from ironkeep.core.credential.connector import Target, Tls
from ironkeep.core.errors import IntegrityError

CONNECT_SECONDS: Final = 5
"""Time for each address of the host; a slower server would be of no use to its application."""

SILENCE_SECONDS: Final = 20
"""The longest wait for a byte; the server itself ends a statement after half of that."""

SMALL_BYTES: Final = 256
"""A budget's bytes divided by this are its messages: an empty message costs as much processor
time as a long one, and a million of them cost seconds."""

_CHUNK: Final = 64 * 1024


def _now() -> float:
    """Return seconds, only to limit waits: the Clock stands still while it is set back."""
    return time.monotonic()  # noqa: TID251 - see above


class Flooded(IntegrityError):
    """The server sent more than the operation's budget allows."""


class Budget:
    """The time, bytes and messages left to one operation."""

    def __init__(self, seconds: float, limit: int) -> None:
        self._until: Final = _now() + seconds
        self._limit: Final = limit
        self._left = limit
        self._messages = limit // SMALL_BYTES

    def part(self, limit: int) -> "Budget":
        """Return a budget of the same time for at most `limit` of these bytes, which it uses up."""
        return _Part(self, limit)

    def seconds(self) -> float:
        """Return the seconds left, more than zero; raise TimeoutError when the time is up."""
        left = self._until - _now()
        if left <= 0:
            raise TimeoutError
        return left

    def spend(self, received: int) -> None:
        """Count received bytes; raise Flooded past the budget."""
        self._left -= received
        if self._left < 0:
            raise Flooded(f"the server sent more than {self._limit} bytes")

    def count(self) -> None:
        """Count one message; raise Flooded past the budget."""
        self._messages -= 1
        if self._messages < 0:
            raise Flooded(f"the server sent more than {self._limit // SMALL_BYTES} messages")


class _Part(Budget):
    """A share of another budget."""

    def __init__(self, whole: Budget, limit: int) -> None:
        super().__init__(whole.seconds(), limit)
        self._whole = whole

    def spend(self, received: int) -> None:
        self._whole.spend(received)
        super().spend(received)

    def count(self) -> None:
        self._whole.count()
        super().count()


class Channel:
    """An open connection that carries messages."""

    def __init__(self, stream: socket.socket, budget: Budget, *, long_rows: bool = False) -> None:
        self._stream: Final = stream
        self._budget: Final = budget
        self._reader: Final = wire.Reader(long_rows=long_rows)
        self._pending: Iterator[wire.Message] = iter(())

    def certificate(self) -> bytes:
        """Return the server's certificate in DER; raise IntegrityError without TLS."""
        stream = self._stream
        found = stream.getpeercert(binary_form=True) if isinstance(stream, ssl.SSLSocket) else None
        if found is None:
            raise IntegrityError("the connection has no TLS, whose certificate a proof could cover")
        return found

    def send(self, data: bytes) -> None:
        """Send all of data."""
        if data:
            self._stream.settimeout(self._budget.seconds())
            self._stream.sendall(data)

    def next(self) -> wire.Message:
        """Return the next message; raise ConnectionError at the end of the stream."""
        while True:
            for message in self._pending:
                self._budget.count()
                return message
            self._stream.settimeout(min(SILENCE_SECONDS, self._budget.seconds()))
            data = self._stream.recv(_CHUNK)
            if not data:
                raise ConnectionResetError(None, "the server closed the connection")
            self._budget.spend(len(data))
            self._pending = self._reader.feed(data)


@contextmanager
def opened(target: Target, budget: Budget, *, long_rows: bool = False) -> Iterator[Channel]:
    """Connect to target, under TLS if demanded; raise OSError or IntegrityError on failure."""
    patience = min(CONNECT_SECONDS, budget.seconds())
    with (
        socket.create_connection((target.address or target.host, target.port), patience) as raw,
        _secured(raw, target, budget) as stream,
    ):
        yield Channel(stream, budget, long_rows=long_rows)


def _secured(raw: socket.socket, target: Target, budget: Budget) -> socket.socket:
    """Return raw, or raw under TLS when target demands it; raise IntegrityError when refused."""
    raw.settimeout(budget.seconds())
    if target.tls is Tls.DISABLE:
        return raw
    context = trust.context(target.ca_file)
    raw.sendall(wire.SSL_REQUEST)
    # Read exactly one byte: any further plaintext must go to TLS and fail there, and must not be
    # taken for an answer that came under TLS (as in CVE-2021-23222).
    if raw.recv(1) != b"S":
        raise IntegrityError("the server does not offer TLS")
    return context.wrap_socket(raw, server_hostname=target.host)
