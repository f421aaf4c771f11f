"""The agent's own addresses: a unix socket of this user alone, and loopback TCP when asked for.

Whoever connects to the socket is asked for by the kernel (SO_PEERCRED, unix(7)): the mode of the
file keeps others out, and this does so too should somebody change the mode.
"""

import asyncio
import contextlib
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ironkeep.agent.proxy import Proxy, is_loopback
from ironkeep.core.errors import InvalidRequest, Unavailable

MAX_CLIENTS: Final = 128
"""Beyond it a connection gets 503: this is one person's machine."""
MAX_HEAD: Final = 16_384
IDLE_SECONDS: Final = 60
GRACE_SECONDS: Final = 5
_UCRED: Final = struct.Struct("3i")


class Protocol(H11Protocol):
    """One connection; over the socket, of this user or of nobody."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start it; close at once when it is somebody else's."""
        if not is_ours(transport.get_extra_info("socket")):
            transport.abort()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Parse data, unless the connection was refused."""
        if not self.transport.is_closing():
            super().data_received(data)


class Server(uvicorn.Server):
    """A server that leaves signals to its owner."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def is_ours(connection: Any) -> bool:
    """Return whether a unix socket's other end is this user; a TCP one has no such thing."""
    if connection.family != socket.AF_UNIX:
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return cast("int", _UCRED.unpack(raw)[1]) == os.geteuid()


def server(proxy: Proxy) -> Server:
    """Return a server of proxy; whoever starts it gives it its sockets."""
    config = uvicorn.Config(
        proxy,
        http=Protocol,
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CLIENTS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    return Server(config)


def bind_socket(path: Path) -> socket.socket:
    """Listen at path, mode 0600 from its first instant; raise Unavailable when another agent does.

    A socket that nobody listens at is one that an agent left behind, and is replaced.
    """
    if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
        raise InvalidRequest(f"{path} is there, and no socket")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise Unavailable(f"an agent listens at {path} already")
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    try:
        mask = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
        sock.listen()
    except BaseException:
        sock.close()
        raise
    return sock


def bind_loopback(address: str) -> socket.socket:
    """Listen at host:port; raise InvalidRequest unless that is loopback."""
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16 and is_loopback(address)):
        raise InvalidRequest("-listen is 127.0.0.1:port: an agent serves this machine alone")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen()
    except BaseException:
        sock.close()
        raise
    return sock
