"""Runs a witness on one listener: uvicorn, with limits on who is slow or sends too much."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from ironkeep.api import tls
from ironkeep.api.http.strict import MAX_HEAD, Strict
from ironkeep.api.listening import UnsignalledServer, bind, configure, url_of
from ironkeep.api.service import Rendered, message as response
from ironkeep.api.witness.witness import WitnessApp
from ironkeep.config import Listener
from ironkeep.core.errors import InvalidRequest

MAX_CONNECTIONS: Final = 256
"""Beyond it a new connection takes the place of one that only waits, or gets 503 when none does: a
witness serves some logs and their auditors."""

HEAD_SECONDS: Final = 10.0
"""From a connection, or an answer on it, to the end of the next request's head."""


class _Protocol(Strict):
    """A connection that ends when a request's head takes too long or is too big.

    uvicorn bounds neither. The application bounds bodies, in bytes and time.
    """

    _timer: asyncio.TimerHandle | None = None
    _unread: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a head; take the place of a connection that only waits."""
        super().connection_made(transport)
        self._wait()
        if not self.admitted(MAX_CONNECTIONS):
            self._refuse(503, "too many connections: try again shortly")

    def data_received(self, data: bytes) -> None:
        """Parse data; close when a head that is too big is still not whole."""
        if self._timer is not None:
            if self._unread > MAX_HEAD:
                self.transport.close()
                return
            self._unread += len(data)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was sent whole before the client closed its half (RFC 9112, 9.6)."""
        cycle: Any = self.cycle
        due = cycle is not None and not cycle.response_complete and not cycle.more_body
        if due:
            cycle.keep_alive = False
        return due and self.scheme == "http"

    def on_headers_complete(self) -> None:
        """Stop waiting for a head."""
        super().on_headers_complete()
        self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next head, unless it came already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop everything."""
        self._stop_waiting()
        super().connection_lost(exc)

    def waits_since(self) -> tuple[bool, float] | None:
        """Return whether a first request is still to come, and since when; None while one runs."""
        return None if self._timer is None else (self.cycle is None, self._timer.when())

    def _refusal(self, status: int, message: str) -> bytes:
        text = f"{message}\n".encode()
        kind = (b"content-type", b"text/plain; charset=utf-8")
        return response(Rendered(status, [kind, (b"connection", b"close")], text))

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        self._unread = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


Watch = Callable[[Callable[[], None], Callable[[], None]], None]
"""Given what to do to stop and to reload: does it when a signal asks for it."""


def serve(
    app: WitnessApp,
    listener: Listener,
    ready: Callable[[str], None],
    watch: Watch,
    say: Callable[[str], None],
) -> None:
    """Serve until told to stop; call ready with the address as bound.

    A reload takes the certificate that is in the listener's files then.
    """
    sock = bind(listener)
    try:
        asyncio.run(_serve(app, listener, sock, ready, watch, say))
    finally:
        sock.close()


async def _serve(
    app: WitnessApp,
    listener: Listener,
    sock: socket.socket,
    ready: Callable[[str], None],
    watch: Watch,
    say: Callable[[str], None],
) -> None:
    server = UnsignalledServer(_configure(app, listener))

    def stop() -> None:
        server.should_exit = True

    def reload() -> None:
        context = server.config.ssl
        if context is None:
            return
        try:
            tls.load(context, listener)
        except InvalidRequest as error:
            say(f"goes on with the certificate that it has: {error}")

    watch(stop, reload)
    ready(url_of(sock, tls=listener.tls))
    await server.serve(sockets=[sock])


def _configure(app: WitnessApp, listener: Listener) -> uvicorn.Config:
    config = configure(app, _Protocol, int(HEAD_SECONDS), date_header=True)
    if listener.tls:
        config.ssl = tls.tls_context(listener)
    return config
