"""A deadline over whole exchanges of httpx, whose own timeouts are of each wait alone.

A server that sends a byte of its head now and then would hold a thread for days. Here every wait is
cut to what is left of the exchange that the calling thread has begun with `begin`.
"""

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import httpcore
import httpx

SECONDS: Final = 10.0
"""Of a whole exchange, from the connection to the last byte."""


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport over connections that keep a deadline. No proxy is taken."""

    def __init__(self, context: ssl.SSLContext, seconds: float = SECONDS) -> None:
        super().__init__(verify=context, trust_env=False)
        self._backend: Final = _Backend(seconds)
        # httpx takes a transport of one's own, and gives no way to hand its backend over.
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=self._backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Begin an exchange."""
        self._backend.begin()
        return super().handle_request(request)


class _Backend(httpcore.NetworkBackend):
    """Opens connections, and knows until when each thread's exchange may last."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        self._inner: Final = httpcore.SyncBackend()
        self._until: Final = threading.local()

    def begin(self) -> None:
        self._until.time = time.monotonic() + self._seconds

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        """Return how long this wait may take; raise error when no time is left."""
        left: float = self._until.time - time.monotonic()
        if left <= 0:
            raise error(f"longer than {self._seconds:.0f} seconds in all")
        return left if timeout is None else min(left, timeout)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self.left(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream, self)


class _Stream(httpcore.NetworkStream):
    """One connection."""

    def __init__(self, inner: httpcore.NetworkStream, backend: _Backend) -> None:
        self._inner: Final = inner
        self._backend: Final = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._backend.left(timeout, httpcore.ReadTimeout)
        return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._backend.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._backend.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
