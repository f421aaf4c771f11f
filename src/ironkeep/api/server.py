"""Runs uvicorn on our listeners: sockets, TLS, limits, and a stop that loses nothing."""

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final

import uvicorn

from ironkeep.api.asgi import App, Pages
from ironkeep.api.head import Heads
from ironkeep.api.protocol import MAX_CONNECTIONS, Protocol
from ironkeep.api.service import Service
from ironkeep.config import Listener
from ironkeep.core.errors import InvalidRequest

BACKLOG: Final = 2_048
"""Connections that may wait for accept."""
SPARE_FILES: Final = 256
"""Descriptors for everything that is no connection: the database, the journal, connectors."""
GRACE_SECONDS: Final = 5
"""What requests under way get to finish when the server is told to stop."""
KEEP_ALIVE_SECONDS: Final = 120
SWEEP_SECONDS: Final = 1.0

_SILENT: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"none": {"class": "logging.NullHandler"}},
    "loggers": {"uvicorn": {"handlers": ["none"], "propagate": False}},
}
"""uvicorn would write a line for every malformed request: strangers could fill a disk with them."""


class _Server(uvicorn.Server):
    """A server that leaves signals to its owner: there may be several in one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


class Servers:
    """All listeners of one process."""

    def __init__(
        self, service: Service, listeners: Sequence[Listener], pages: Pages | None = None
    ) -> None:
        self._servers: Final[list[tuple[_Server, socket.socket]]] = []
        app, protocol = App(service, pages), protocol_of(service)
        for listener in listeners:
            config = configure(app, protocol)
            if listener.tls:
                config.ssl = tls_context(listener)
            self._servers.append((_Server(config), bind(listener)))

    @property
    def addresses(self) -> list[str]:
        """The addresses as bound, with the real port where 0 was asked for."""
        return [url_of(sock, tls=server.config.ssl is not None) for server, sock in self._servers]

    def trust(self, certificate: bytes) -> None:
        """Accept client certificates of this CA (DER) in handshakes from now on.

        Before the first one none is asked for, so a client that shows one all the same gets in, as
        with Vault. From then on OpenSSL ends the handshake of one that it cannot verify.
        """
        for server, _ in self._servers:
            context = server.config.ssl
            if context is not None:
                context.load_verify_locations(cadata=certificate)
                if context.verify_mode is ssl.CERT_NONE:
                    context.verify_mode = ssl.CERT_OPTIONAL

    async def run(self) -> None:
        """Serve until `stop`."""
        sweeping = asyncio.create_task(self._sweep())
        try:
            await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in self._servers))
        finally:
            sweeping.cancel()

    def stop(self) -> None:
        """Accept nothing more, finish what is under way, and let `run` return."""
        for server, _ in self._servers:
            server.should_exit = True

    async def _sweep(self) -> None:
        """Close connections whose clients are too slow."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for server, _ in self._servers:
                for connection in list(server.server_state.connections):
                    if isinstance(connection, Protocol):
                        connection.sweep(now)


def configure(app: App, protocol: type[Protocol]) -> uvicorn.Config:
    """Return how uvicorn is to run: nothing of it that a vault does not need."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=_SILENT,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    config.load()
    return config


def protocol_of(service: Service) -> type[Protocol]:
    """Return the protocol with what uvicorn, which makes the connections, does not know."""
    heads = Heads(service.callers)

    class Connection(Protocol):
        """A connection to one service."""

        def __init__(self, **rest: Any) -> None:
            super().__init__(service, heads, **rest)

    return Connection


def url_of(sock: socket.socket, *, tls: bool) -> str:
    """Return the address of a listening socket as a client gives it."""
    host, port = sock.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{host_and_port(host, port)}"


def host_and_port(host: str, port: int) -> str:
    """Return host:port, an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def raise_file_limit() -> None:
    """Let this process have as many connections as we allow, if the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def bind(listener: Listener) -> socket.socket:
    """Return a listening socket; raise InvalidRequest saying why the address cannot be had."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((listener.host, listener.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        where = host_and_port(listener.host, listener.port)
        raise InvalidRequest(f"cannot listen on {where}: {error}") from None
    return sock


def tls_context(listener: Listener) -> ssl.SSLContext:
    """Return the server side of TLS 1.3 and, unless forbidden, 1.2 with forward secrecy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if listener.min_version == "tls13" else ssl.TLSVersion.TLSv1_2
    )
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(str(listener.cert_file), str(listener.key_file))
        if listener.client_ca_file is not None:
            context.load_verify_locations(str(listener.client_ca_file))
            required = listener.require_client_cert
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequest(f"cannot load the listener's certificate or key: {error}") from None
    return context
