"""uvicorn's HTTP protocol with a short way for the commonest requests: one packet, nothing odd.

Half of the cost of a read is its coroutine, its future and its scope. When the bytes that arrive
are exactly one whole request to /v1/, nothing is half parsed and nothing is under way on the
connection, it is answered by the same pipeline function without them. Everything else goes through
the parser to ASGI. A test shows that both ways give equal answers and equal entries.

A client has HEAD_SECONDS for a head and READ_SECONDS for a whole request, whatever it dribbles.
"""

import asyncio
import re
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ironkeep.api import wire
from ironkeep.api.head import Heads
from ironkeep.api.service import Service, refusal
from ironkeep.core.errors import IronkeepError
from ironkeep.core.operation import Operation
from ironkeep.kernel.answer import Answer
from ironkeep.kernel.plugin import Request

HEAD_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
"""From the first byte of a request to the end of its head, and to its last; Vault's defaults."""
WRITE_SECONDS: Final = 30.0
"""How long a client may leave what we sent unread."""
IDLE_SECONDS: Final = 120.0
"""Between two requests on a connection that is kept alive."""
MAX_HEAD: Final = 16_384
"""Bytes of a request head, as in Go's servers within a factor of a few."""
MAX_CONNECTIONS: Final = 10_000
"""Beyond it a connection gets 503: each costs about 20 KiB."""

_TARGET: Final = re.compile(
    rb"(GET|LIST|POST|PUT) /v1/((?!/*sys/health)[A-Za-z0-9_\-./~]+) HTTP/1\.1\r\n"
)
_OPERATIONS: Final = {
    b"GET": Operation.READ,
    b"LIST": Operation.LIST,
    b"POST": Operation.UPDATE,
    b"PUT": Operation.UPDATE,
}
_LIST: Final = b"LIST "
_LINK: Final = b"LINK "


class Protocol(HttpToolsProtocol):
    """One connection. Its clock is read when bytes arrive; `sweep` closes what takes too long."""

    def __init__(self, service: Service, heads: Heads, **rest: Any) -> None:
        super().__init__(**rest)
        self._service: Final = service
        self._heads: Final = heads
        self._remote = ""
        self._secure = False
        # A request answered the short way is under way; what came meanwhile is held.
        self._pending = False
        self._held = b""
        self._ending = False
        # A request is half there: since when, how much of its head, and whether it is a LIST.
        self._half = True
        self._in_head = True
        self._began = self._heard = 0.0
        self._size = 0
        self._ended = False
        self._listing = False
        self._choked_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start a connection; its first head is due soon."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._remote = f"{self.client[0]}:{self.client[1]}" if self.client else ""
        self._secure = self.scheme == "https"
        self._began = self._heard = self.loop.time()
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, "too many connections: try again shortly")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was held: nobody is there to be answered."""
        self._held = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer a whole plain request at once, or hand the bytes to the parser."""
        self._heard = self.loop.time()
        if self._pending or self._choked_at is not None:
            self._hold(data)
            return
        cycle: Any = self.cycle
        idle = not self._in_parser() and (cycle is None or cycle.response_complete)
        if idle and not self._held and self._answer(data):
            return
        if self.transport.is_closing():
            return
        if not self._in_parser():
            data = self._disguise(self._held + data)
        self._ended = False
        if data:
            super().data_received(data)
        if self._half and self._in_head and not self._ended:
            self._size += len(data)
            if self._size > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("")

    def _in_parser(self) -> bool:
        """Whether the parser is in the middle of a request."""
        return self._half and self._size > 0

    def _answer(self, data: bytes) -> bool:
        """Answer data the short way; return False if it has to go the other one."""
        target = _TARGET.match(data)
        if target is None:
            return False
        begin = target.end()
        end = data.find(b"\r\n\r\n", begin - 2)
        head = self._heads.find(data[begin : end + 2]) if end > 0 else None
        if head is None or len(data) != end + 4 + head.length:
            return False
        method, raw = target.groups()
        op = _OPERATIONS[method]
        path = raw.decode("ascii").lstrip("/")
        if op is Operation.LIST and not path.endswith("/"):
            path += "/"
        body: dict[str, Any] = {}
        if op is Operation.UPDATE and head.length:
            try:
                body = wire.parse_body(data[end + 4 :], head.content_type)
            except IronkeepError:
                return False
        self._unset_keepalive_if_required()
        self._half = False
        self._pending = True
        request = Request(
            op, path, body, head.token, self._remote, head.wrap_ttl_seconds, head.namespace
        )
        self._service.submit(request, self._reply)
        return True

    def _reply(self, answer: Answer | None) -> None:
        self._pending = False
        transport = self.transport
        if transport.is_closing():
            return
        transport.write(self._service.render(answer, secure=self._secure))
        if self._ending:
            transport.close()
        elif self._held:
            self._take_up()

    def _hold(self, data: bytes) -> None:
        """Keep what a pipelining client sends before its answer came."""
        self._held += data
        if len(self._held) > MAX_HEAD:
            self.flow.pause_reading()

    def _take_up(self) -> None:
        """Go on with what was held."""
        held, self._held = self._held, b""
        self.flow.resume_reading()
        self.data_received(held)

    def _disguise(self, data: bytes) -> bytes:
        """Spell the verb LIST, which the parser does not know, as one that it does and nobody uses.

        A first packet of less than a verb is held until the rest comes. A LIST in the middle of a
        packet, behind another request, is not found, and refused as malformed.
        """
        self._held = b""
        if not self._half:
            self._begin()
        if data.startswith(_LIST):
            self._listing = True
            return _LINK + data[len(_LIST) :]
        if _LIST.startswith(data):
            self._held = data
            return b""
        return data

    def _begin(self) -> None:
        self._half = self._in_head = True
        self._began = self._heard
        self._size = 0

    def on_message_begin(self) -> None:
        """Note that a head is half there."""
        super().on_message_begin()
        self._begin()
        self._size = 1

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large; give LIST its name back."""
        self._in_head = False
        self._size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._size > MAX_HEAD:
            raise ValueError("the request's head is too large")
        super().on_headers_complete()
        if self._listing:
            # The task that reads the scope has not run yet.
            self._listing = False
            self.scope["method"] = "LIST"

    def on_message_complete(self) -> None:
        """Note that nothing is half parsed any more."""
        self._half = False
        self._size = 0
        self._ended = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the form of every other error."""
        del msg
        if self._size > MAX_HEAD:
            self._refuse(431, "the request's head is too large")
        else:
            self._refuse(400, "not a valid HTTP request")

    def _refuse(self, status: int, message: str) -> None:
        """Refuse and close; but let an answer that is due go first, and nothing after it."""
        if not self._answering():
            self.transport.write(refusal(status, message))
            self.transport.close()
        elif self.cycle.more_body:
            self.transport.close()
        else:
            self.cycle.keep_alive = False
            self.flow.pause_reading()

    def _answering(self) -> bool:
        """Whether an answer is due to a request that is here as a whole."""
        cycle: Any = self.cycle
        return (
            self._pending
            or bool(self.pipeline)
            or (cycle is not None and not cycle.response_complete and not cycle.more_body)
        )

    def pause_writing(self) -> None:
        """Stop taking requests from a client that does not read its answers."""
        super().pause_writing()
        self._choked_at = self.loop.time()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._choked_at = None
        if self._held and not self._pending:
            self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._held and not self._pending and not self.transport.is_closing():
            self._take_up()

    def sweep(self, now: float) -> None:
        """Close the connection when its client is too slow, or idle for too long."""
        if self._choked_at is not None:
            if now - self._choked_at > WRITE_SECONDS:
                self.transport.abort()
        elif self._answering():
            return
        elif self._half:
            if now - self._began > (HEAD_SECONDS if self._in_head else READ_SECONDS):
                self.transport.abort()
        elif now - self._heard > IDLE_SECONDS:
            self.transport.close()

    def shutdown(self) -> None:
        """End the connection, after the answer that is due."""
        if self._pending:
            self._ending = True
        else:
            super().shutdown()
