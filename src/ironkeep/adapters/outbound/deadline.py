"""A deadline for whole HTTP exchanges; the timeouts of httpx apply to each single wait.

With those alone, a server that sends one byte of its head now and then could hold a thread for
days. Here every wait is limited to the remaining time of the exchange, which the calling thread
started with `begin`.
"""

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import httpcore
import httpx

SECONDS: Final = 10.0
"""Time for a whole exchange, from the connection to the last byte."""


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport over connections with a deadline. It uses no proxy."""

    def __init__(self, context: ssl.SSLContext, seconds: float = SECONDS) -> None:
        super().__init__(verify=context, trust_env=False)
        self._backend: Final = _Backend(seconds)
        # HTTPTransport has no parameter for the network backend, so its pool is replaced.
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=self._backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Start the deadline and send the request."""
        self._backend.begin()
        return super().handle_request(request)


class _Backend(httpcore.NetworkBackend):
    """Opens connections, and keeps the deadline of each thread's exchange."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        self._inner: Final = httpcore.SyncBackend()
        self._until: Final = threading.local()

    def begin(self) -> None:
        self._until.time = time.monotonic() + self._seconds

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        """Return the seconds that this wait may take; raise error when no time is left."""
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
    """One connection, whose waits keep the deadline."""

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
