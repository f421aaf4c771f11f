"""The agent's own addresses: a unix socket for this user alone, and loopback TCP on request.

The file mode of the socket keeps other users out. In case the mode is changed, the user id of each
peer is checked too (SO_PEERCRED, unix(7)).
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
"""Connections. Past it a new one replaces the longest idle one: this is one person's machine."""
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
"""HEAD_SECONDS limits the time from the connection, or a request's first byte, to the end of its
head; BODY_SECONDS limits the time from there to the end of its body."""
WRITE_SECONDS: Final = 30.0
"""Time that a client may leave a response unread."""
MAX_HEAD: Final = 16_384
IDLE_SECONDS: Final = 60
GRACE_SECONDS: Final = 5
_SECONDS: Final = {"head": HEAD_SECONDS, "body": BODY_SECONDS}
_UCRED: Final = struct.Struct("3i")


class Protocol(H11Protocol):
    """One connection with time limits; over the socket only this user's connections are accepted.

    uvicorn itself limits neither the time of a head or body nor that of a client that stops
    reading.
    """

    _timer: asyncio.TimerHandle | None = None
    _choked: asyncio.TimerHandle | None = None
    _phase = ""
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start; close at once a connection of another user, or one above MAX_CLIENTS."""
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
        """Answer a request sent whole before the client closed its half (RFC 9112, 9.6)."""
        cycle: Any = self.cycle
        due = cycle is not None and not cycle.response_complete and not cycle.more_body
        if due:
            cycle.keep_alive = False
        return due

    def on_response_complete(self) -> None:
        """Watch the next request, part of which may have arrived."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Start the time limit of a client that stopped reading."""
        super().pause_writing()
        self._choked = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the time limit: the client reads again."""
        super().resume_writing()
        if self._choked is not None:
            self._choked.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all time limits."""
        self._enter("")
        super().connection_lost(exc)
        if self._choked is not None:
            self._choked.cancel()

    @property
    def waits(self) -> bool:
        """Return whether the client has no request under way."""
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
        """Start the time limit of a phase, unless it runs already."""
        if phase == self._phase:
            return
        self._phase, self._since = phase, self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if phase:
            self._timer = self.loop.call_later(_SECONDS[phase], self.transport.abort)

    def _admitted(self) -> bool:
        """Return whether there is room, if need be after closing the longest idle connection."""
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
    """A uvicorn server that leaves signals to the agent."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers as they are."""
        yield


def is_ours(connection: Any) -> bool:
    """Return whether the peer of a unix socket is this user; True for TCP, which cannot tell."""
    if connection.family != socket.AF_UNIX:
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return cast("int", _UCRED.unpack(raw)[1]) == os.geteuid()


def server(proxy: Proxy) -> Server:
    """Return a server of proxy, to be started with its sockets."""
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
    """Listen at path, created with mode 0600; raise Unavailable when another agent listens there.

    A socket without a listener was left behind by an agent, and is replaced.
    """
    around = path.parent.stat().st_mode
    if around & stat.S_IWOTH and not around & stat.S_ISVTX:
        raise InvalidRequest(f"{path.parent} is open to others: run `chmod o-w {path.parent}`")
    if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
        raise InvalidRequest(f"{path} exists and is not a socket")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise Unavailable(f"an agent already listens at {path}")
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
        raise InvalidRequest("-listen must be 127.0.0.1:port: an agent serves only this machine")
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
