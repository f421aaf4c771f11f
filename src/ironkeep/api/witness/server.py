"""Runs a witness on one listener, with limits on slow clients and large requests."""

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
from ironkeep.config.settings import Listener
from ironkeep.core.errors import InvalidRequest

MAX_CONNECTIONS: Final = 256
"""Connections: a witness serves a few logs and their auditors. Past it a new one replaces an idle
one, or gets 503 when none is idle."""

HEAD_SECONDS: Final = 10.0
"""Time from a new connection, or the last answer on it, to the end of the next request's head."""


class _Protocol(Strict):
    """A connection that is closed when a request's head takes too long or is too large.

    uvicorn limits neither. The application limits bodies in bytes and time.
    """

    _timer: asyncio.TimerHandle | None = None
    _unread: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head; replace an idle connection if there are too many."""
        super().connection_made(transport)
        self._wait()
        if not self.admitted(MAX_CONNECTIONS):
            self._refuse(503, "too many connections: try again shortly")

    def data_received(self, data: bytes) -> None:
        """Parse data; close the connection when a head exceeds MAX_HEAD and is incomplete."""
        if self._timer is not None:
            if self._unread > MAX_HEAD:
                self.transport.close()
                return
            self._unread += len(data)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a complete request before the client's half-close ends the connection.

        Source: RFC 9112, 9.6.
        """
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
        """Wait for the next head, unless it has already arrived."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def waits_since(self) -> tuple[bool, float] | None:
        """Return whether no request has come yet, and the start of the wait; see Strict."""
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
"""Takes the callbacks `stop` and `reload`, and calls them when a signal asks for it."""


def serve(
    app: WitnessApp,
    listener: Listener,
    ready: Callable[[str], None],
    watch: Watch,
    say: Callable[[str], None],
) -> None:
    """Serve until told to stop; call ready with the bound address.

    A reload loads the listener's certificate and key again.
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
            say(f"keeps its present certificate: {error}")

    watch(stop, reload)
    ready(url_of(sock, tls=listener.tls))
    await server.serve(sockets=[sock])


def _configure(app: WitnessApp, listener: Listener) -> uvicorn.Config:
    config = configure(app, _Protocol, int(HEAD_SECONDS), date_header=True)
    if listener.tls:
        config.ssl = tls.tls_context(listener)
    return config
