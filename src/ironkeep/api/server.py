"""The vault's listeners: uvicorn with TLS, connection limits and a graceful stop."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

import uvicorn

from ironkeep.api import listening, tls
from ironkeep.api.http.asgi import App, Pages
from ironkeep.api.http.head import RequestHeads
from ironkeep.api.http.protocol import HEAD_SECONDS, MAX_CONNECTIONS, Protocol
from ironkeep.api.listening import BACKLOG, UnsignalledServer, bind, url_of
from ironkeep.api.service import Service
from ironkeep.config.settings import Listener
from ironkeep.core.errors import InvalidRequest

KEEP_ALIVE_SECONDS: Final = 120
SWEEP_SECONDS: Final = 1.0

_SILENT: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"none": {"class": "logging.NullHandler"}},
    "loggers": {"uvicorn": {"handlers": ["none"], "propagate": False}},
}
"""uvicorn logs every malformed request, so unauthenticated clients could fill a disk."""


class _Server(UnsignalledServer):
    """A uvicorn server whose TLS handshakes have the deadline of a request's head.

    A connection that never completes its handshake holds a descriptor, and the limit on
    connections does not count it.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the single socket of `sockets`."""
        assert sockets is not None
        config, loop = self.config, asyncio.get_running_loop()

        def connect() -> asyncio.Protocol:
            protocol: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state={}, _loop=loop
            )
            return protocol

        server = await loop.create_server(
            connect,
            sock=sockets[0],
            ssl=config.ssl,
            backlog=BACKLOG,
            ssl_handshake_timeout=HEAD_SECONDS if config.ssl else None,
        )
        self.servers = [server]
        self.started = True


class Servers:
    """All listeners of one process."""

    def __init__(
        self,
        service: Service,
        listeners: Sequence[Listener],
        pages: Pages | None = None,
        connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._servers: Final[list[tuple[_Server, socket.socket]]] = []
        self._listeners: Final[list[Listener]] = []
        app = App(service, pages)
        # Each listener counts its own connections.
        protocol = protocol_of(service, max(1, connections // max(1, len(listeners))))
        for listener in listeners:
            config = configure(app, protocol)
            if listener.tls:
                config.ssl = tls.tls_context(listener)
            self._servers.append((_Server(config), bind(listener)))
            self._listeners.append(listener)

    @property
    def addresses(self) -> list[str]:
        """The bound addresses, with the real port where port 0 was configured."""
        return [url_of(sock, tls=server.config.ssl is not None) for server, sock in self._servers]

    def trust(self, certificate: bytes) -> None:
        """Request client certificates from now on, and add this CA (DER) to the trusted ones.

        No listener requests them before the first CA is trusted, because browsers then show a
        certificate dialog.
        """
        for server, _ in self._servers:
            context = server.config.ssl
            if context is not None:
                context.load_verify_locations(cadata=certificate)
                if context.verify_mode is ssl.CERT_NONE:
                    tls.ask_for_any_certificate(context)

    def reload(self, say: Callable[[str], None]) -> None:
        """Load each TLS listener's certificate and key again, and report the result through `say`.

        Open connections are unaffected; a listener whose files are broken keeps its certificate.
        """
        for listener, (server, sock) in zip(self._listeners, self._servers, strict=True):
            context = server.config.ssl
            if context is None:
                continue
            host, port = sock.getsockname()[:2]
            try:
                tls.load(context, listener)
            except InvalidRequest as error:
                say(f"{host}:{port} keeps its present certificate: {error}")
            else:
                say(f"{host}:{port} now presents the certificate in {listener.cert_file}")

    async def run(self) -> None:
        """Serve until `stop`."""
        sweeping = asyncio.create_task(self._sweep())
        try:
            await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in self._servers))
        finally:
            sweeping.cancel()

    def stop(self) -> None:
        """Accept no more connections, finish running requests, and let `run` return."""
        for server, _ in self._servers:
            server.should_exit = True

    async def _sweep(self) -> None:
        """Close the connections of slow clients, once every SWEEP_SECONDS."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for server, _ in self._servers:
                for connection in list(server.server_state.connections):
                    if isinstance(connection, Protocol):
                        connection.sweep(now)


def configure(app: App, protocol: type[Protocol]) -> uvicorn.Config:
    """Return the uvicorn configuration of one of the vault's listeners."""
    return listening.configure(app, protocol, KEEP_ALIVE_SECONDS, log_config=_SILENT)


def protocol_of(service: Service, connections: int = MAX_CONNECTIONS) -> type[Protocol]:
    """Return a protocol class bound to service, which uvicorn can instantiate for connections."""
    heads = RequestHeads(service.callers)

    class Connection(Protocol):
        """A connection to one service."""

        most = connections

        def __init__(self, **rest: Any) -> None:
            super().__init__(service, heads, **rest)

    return Connection
