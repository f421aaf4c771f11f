"""Listening sockets and the uvicorn set-up that the vault's and the witness's servers share."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from ironkeep.config.settings import Listener
from ironkeep.core.errors import Unavailable

BACKLOG: Final = 2_048
"""Connections that may wait for accept."""
GRACE_SECONDS: Final = 5
"""Time for running requests to finish after the server was told to stop."""


class UnsignalledServer(uvicorn.Server):
    """A uvicorn server that leaves signals to its owner: one process may run several servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def configure(
    app: Any,
    protocol: type[Any],
    keep_alive_seconds: int,
    *,
    date_header: bool = False,
    log_config: dict[str, Any] | None = None,
) -> uvicorn.Config:
    """Return a loaded uvicorn configuration with every feature off that no server here needs."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=log_config,
        access_log=False,
        server_header=False,
        date_header=date_header,
        proxy_headers=False,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    config.load()
    return config


def url_of(sock: socket.socket, *, tls: bool) -> str:
    """Return the URL at which clients reach a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{host_and_port(host, port)}"


def host_and_port(host: str, port: int) -> str:
    """Return host:port, an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether a listener's host is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(listener: Listener) -> socket.socket:
    """Return a listening socket; raise Unavailable with the reason when the address is not free."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((listener.host, listener.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        where = host_and_port(listener.host, listener.port)
        raise Unavailable(f"cannot listen on {where}: {error}") from None
    return sock
