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

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ironkeep.agent.proxy import Proxy, is_loopback
from ironkeep.core.errors import InvalidRequest, Unavailable

MAX_CLIENTS: Final = 128
"""Beyond it a new connection takes the place of one that only waits: it is one person's machine."""
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
"""From a connection, or the first byte of a request, to the end of its head; and on to its last."""
WRITE_SECONDS: Final = 30.0
"""How long a client may leave what we sent unread."""
MAX_HEAD: Final = 16_384
IDLE_SECONDS: Final = 60
GRACE_SECONDS: Final = 5
_SECONDS: Final = {"head": HEAD_SECONDS, "body": BODY_SECONDS}
_UCRED: Final = struct.Struct("3i")


class Protocol(H11Protocol):
    """One connection; over the socket, of this user or of nobody. Nothing on it waits for ever.

    uvicorn bounds no head, no body, and no client that reads nothing.
    """

    _timer: asyncio.TimerHandle | None = None
    _choked: asyncio.TimerHandle | None = None
    _phase = ""
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start it; close at once when it is somebody else's, or when there is no place."""
        super().connection_made(transport)
        if not is_ours(transport.get_extra_info("socket")) or not self._admitted():
            transport.abort()
            return
        self._enter("head")

    def data_received(self, data: bytes) -> None:
        """Parse data, unless the connection was refused."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was sent whole before the client closed its half (RFC 9112, 9.6)."""
        cycle: Any = self.cycle
        due = cycle is not None and not cycle.response_complete and not cycle.more_body
        if due:
            cycle.keep_alive = False
        return due

    def on_response_complete(self) -> None:
        """Turn to the next request, which may have come in part."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Give a client that reads nothing some time."""
        super().pause_writing()
        self._choked = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._choked is not None:
            self._choked.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop everything."""
        self._enter("")
        super().connection_lost(exc)
        if self._choked is not None:
            self._choked.cancel()

    @property
    def waits(self) -> bool:
        """Whether the client has no request under way."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _watch(self) -> None:
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._enter("body")
        else:
            begun = state is h11.IDLE and bool(self.conn.trailing_data[0])
            self._enter("head" if begun else "")

    def _enter(self, phase: str) -> None:
        """Note what is waited for, and for how long at most in all."""
        if phase == self._phase:
            return
        self._phase, self._since = phase, self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if phase:
            self._timer = self.loop.call_later(_SECONDS[phase], self.transport.abort)

    def _admitted(self) -> bool:
        """Return whether there is a place; the connection that only waits the longest makes it."""
        others: list[Any] = [
            each
            for each in self.connections
            if each is not self and not each.transport.is_closing()
        ]
        if len(others) < MAX_CLIENTS:
            return True
        waiting = [each for each in others if each.waits]
        if not waiting:
            return False
        min(waiting, key=lambda each: (each.cycle is not None, each._since)).transport.abort()  # noqa: SLF001 - one of its own kind
        return True


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
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    return Server(config)


def bind_socket(path: Path) -> socket.socket:
    """Listen at path, mode 0600 from its first instant; raise Unavailable when another agent does.

    A socket that nobody listens at is one that an agent left behind, and is replaced.
    """
    around = path.parent.stat().st_mode
    if around & stat.S_IWOTH and not around & stat.S_ISVTX:
        raise InvalidRequest(f"{path.parent} is open to others: run `chmod o-w {path.parent}`")
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
