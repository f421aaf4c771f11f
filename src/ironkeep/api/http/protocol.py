"""uvicorn's HTTP protocol, one request at a time, with a short way for plain requests.

Half of the cost of a read is its coroutine, its future and its ASGI scope. A complete plain request
to /v1/, with no other request running on its connection, is answered by the same pipeline function
without them. All others go through the parser to ASGI. A test shows that both ways give equal
answers and equal journal entries.

Pipelined bytes are held until their turn comes, so answers stay in order, and reading stops for a
client that does not read its answers. The parser alone decides where a request ends: bytes are
only held back from it, and rewritten only where it is about to begin a request.
"""

import _ssl
import asyncio
import re
from itertools import islice
from typing import Any, Final, cast

from ironkeep.api.http import wire
from ironkeep.api.http.asgi import CONNECTION, PEER
from ironkeep.api.http.head import RequestHeads
from ironkeep.api.http.strict import MAX_HEAD, Strict
from ironkeep.api.service import Service
from ironkeep.core.errors import InvalidRequest, IronkeepError
from ironkeep.core.operation import Operation
from ironkeep.plugin.cidr import remote_of
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.peer import MAX_CHAIN, Peer
from ironkeep.plugin.request import Request

HEAD_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
"""HEAD_SECONDS limits the time from the first byte of a request to the end of its head, and
READ_SECONDS the time to its last byte: Vault's defaults. A new connection has HEAD_SECONDS to send
its first head."""
WRITE_SECONDS: Final = 30.0
"""Time that a client may leave an answer unread."""
IDLE_SECONDS: Final = 120.0
"""Time between two requests on a connection that is kept alive."""
MAX_CONNECTIONS: Final = 10_000
"""Connections, about 20 KiB each. Past it a new one replaces an idle one, or gets 503 when none is
idle."""

_TARGET: Final = re.compile(
    rb"(GET|LIST|POST|PUT) /v1/((?!/*sys/health)[A-Za-z0-9_\-./~]+) HTTP/1\.1\r\n"
)
_OPERATIONS: Final = {
    b"GET": Operation.READ,
    b"LIST": Operation.LIST,
    b"POST": Operation.UPDATE,
    b"PUT": Operation.UPDATE,
}
_VERB: Final = re.compile(rb"[A-Z]{1,16}(?:$| )")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding", re.IGNORECASE)
_DER: Final = _ssl.ENCODING_DER
_END: Final = b"\r\n\r\n"
_LIST: Final = b"LIST "
_LINK: Final = b"LINK "
"""Stands in for LIST, which the parser does not know: a verb that it knows and no client uses."""


class Protocol(Strict):
    """One connection. It notes the time when bytes arrive; `sweep` closes it when it is slow."""

    most = MAX_CONNECTIONS

    def __init__(self, service: Service, heads: RequestHeads, **rest: Any) -> None:
        super().__init__(**rest)
        self._service: Final = service
        self._heads: Final = heads
        self._remote = ""
        self._secure = False
        self._peer: Peer | None = None
        self._guarded = True
        self._held = b""
        self._pending = False
        self._ending = False
        self._finished = False
        # State of the request that is being received: whether its head is due, when it began and
        # when bytes last arrived, whether the parser has it, and how many of its bytes are still
        # to come (None when only the parser knows).
        self._due_head = True
        self._began = self._heard = 0.0
        self._parsing = False
        self._left: int | None = None
        self._listing = False
        self._choked_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection and the deadline of its first head."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._remote = remote_of(self.client)
        self._guarded = self._service.callers.guards(self.server[0] if self.server else "")
        self._secure = self.scheme == "https"
        if self._secure:
            self._peer = _peer_of(transport)
        self._began = self._heard = self.loop.time()
        if not self.admitted(self.most):
            self._refuse(503, "too many connections: try again shortly")

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the held bytes: the client is gone."""
        self._held = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Continue a request, begin one, or hold the bytes until their turn comes."""
        self._heard = self.loop.time()
        if self._parsing:
            self._feed(data)
        elif self._pending or self._choked_at is not None or self._in_cycle():
            self._hold(data)
        else:
            self._start(self._held + data if self._held else data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Note that the client sends no more; keep our half open while an answer is due.

        Source: RFC 9112, 9.6. A TLS connection cannot be half-closed, so it ends here.
        """
        self._finished = True
        due = self._pending or self._in_cycle() or (bool(self._held) and not self._due_head)
        return due and not self._parsing and not self._secure

    def is_closing(self) -> bool:
        """Return whether the client is gone: see `Connection`.

        Over plain HTTP a client that is gone looks like one that has closed its sending half.
        """
        return self._finished or self.transport.is_closing()

    def _in_cycle(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _start(self, data: bytes) -> None:
        """Begin the request at the start of data, if its head is complete."""
        end = data.find(_END)
        if end < 0:
            self._await_head(data)
        elif not self._answer(data, end):
            self._parse(data, end)

    def _await_head(self, data: bytes) -> None:
        self._held = data
        if not self._due_head:
            self._due_head = True
            self._began = self._heard
        if len(data) > MAX_HEAD:
            self._refuse(431, "the request's head is too large")
        elif not _VERB.match(data.lstrip(b"\r\n")[:17]) and data.strip(b"\r\n"):
            self.send_400_response("")

    def _answer(self, data: bytes, end: int) -> bool:
        """Answer the request whose head ends at `end` the short way, and hold the bytes after it.

        Return False if it has to go through the parser.
        """
        target = _TARGET.match(data)
        if target is None:
            return False
        head = self._heads.find(data[target.end() : end + 2])
        body_at = end + len(_END)
        if head is None or len(data) < body_at + head.length:
            return False
        if self._guarded and not head.known_host:
            return False
        method, raw = target.groups()
        op = _OPERATIONS[method]
        path = raw.decode("ascii").lstrip("/")
        if op is Operation.LIST and not path.endswith("/"):
            path += "/"
        body: dict[str, Any] = {}
        after = body_at + head.length
        if op is Operation.UPDATE and head.length:
            try:
                body = wire.parse_body(data[body_at:after], head.content_type)
            except IronkeepError:
                return False
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._held = data[after:]
        self._due_head = False
        self._pending = True
        request = Request(
            op,
            path,
            body,
            head.token,
            self._remote,
            head.wrap_ttl_seconds,
            head.namespace,
            "",
            self._peer,
            "",
            self,
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
            self.loop.call_soon(self._take_up)
        elif self._finished:
            transport.close()

    def _parse(self, data: bytes, end: int) -> None:
        """Give the request whose head ends at `end` to the parser."""
        if end > MAX_HEAD:
            self._refuse(431, "the request's head is too large")
            return
        if not self._due_head:
            self._began = self._heard
        self._due_head = False
        data = data.lstrip(b"\r\n")
        if data.startswith(_LIST):
            self._listing = True
            data = _LINK + data[len(_LIST) :]
        end = data.find(_END)
        length = _LENGTH.search(data, 0, end + 2)
        chunked = _CHUNKED.search(data, 0, end)
        self._left = None if chunked else end + len(_END) + int(length[1] if length else 0)
        self._held = b""
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Give the parser the bytes of its request, and hold the rest."""
        left = self._left
        if left is None:
            super().data_received(data)
            return
        self._left = max(0, left - len(data))
        super().data_received(data[:left])
        if self._parsing and self._left == 0:
            self._left = None
        if len(data) > left and not self.transport.is_closing():
            self.data_received(data[left:])

    def _hold(self, data: bytes) -> None:
        """Keep pipelined bytes until their turn comes; stop reading when they are many."""
        self._held += data
        if len(self._held) > MAX_HEAD:
            self.flow.pause_reading()

    def _take_up(self) -> None:
        """Continue with the held bytes, if no request is running."""
        if self.waits_since() is None or not self._held or self.transport.is_closing():
            return
        held, self._held = self._held, b""
        self.flow.resume_reading()
        self._start(held)
        if self._finished and (self._parsing or self._due_head):
            self.transport.close()  # the rest of this request will not come

    def on_message_begin(self) -> None:
        """Note that the parser has begun a request."""
        super().on_message_begin()
        self._parsing = True

    def on_headers_complete(self) -> None:
        """Put the peer and the connection into the scope, and restore the method LIST."""
        super().on_headers_complete()
        extensions: dict[str, Any] = {PEER: self._peer, CONNECTION: self}
        self.scope["extensions"] = extensions
        if self._listing:
            # The task that reads the scope has not run yet.
            self._listing = False
            self.scope["method"] = "LIST"

    def on_message_complete(self) -> None:
        """Note that the parser has ended its request."""
        self._parsing = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Continue with the bytes held meanwhile, or close for a client that sends no more."""
        super().on_response_complete()
        if self._held:
            self.loop.call_soon(self._take_up)
        elif self._finished:
            self.transport.close()

    def pause_writing(self) -> None:
        """Begin no requests of a client that does not read its answers."""
        super().pause_writing()
        self._choked_at = self.loop.time()

    def resume_writing(self) -> None:
        """Begin requests again."""
        super().resume_writing()
        self._choked_at = None
        if self._held:
            self.loop.call_soon(self._take_up)

    def waits_since(self) -> tuple[bool, float] | None:
        """Return whether a request head is due, and the start of the wait; see Strict."""
        if self._pending or self._parsing or self._choked_at is not None or self._in_cycle():
            return None
        return self._due_head, self._began if self._due_head else self._heard

    def sweep(self, now: float) -> None:
        """Close the connection when its client is too slow or idle for too long."""
        if self._choked_at is not None:
            if now - self._choked_at > WRITE_SECONDS:
                self.transport.abort()
        elif self._parsing or self._due_head:
            if now - self._began > (READ_SECONDS if self._parsing else HEAD_SECONDS):
                self.transport.abort()
        elif not self._pending and not self._in_cycle() and now - self._heard > IDLE_SECONDS:
            self.transport.close()

    def shutdown(self) -> None:
        """Close the connection after the pending answer."""
        if self._pending:
            self._ending = True
        else:
            super().shutdown()


def _peer_of(transport: asyncio.BaseTransport) -> Peer | None:
    """Return the peer that proved to hold a client certificate's key; None without a certificate.

    A certificate that cannot be parsed counts as none.
    """
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls is not None else None
    if not certificate:
        return None
    try:
        return Peer.of(certificate, _chain_of(tls))
    except InvalidRequest:
        return None


def _chain_of(tls: Any) -> tuple[bytes, ...]:
    """Return the unverified certificates after the client's own, at most `MAX_CHAIN`.

    Python 3.13 has a method for it; earlier versions have it on the private inner object.
    """
    if hasattr(tls, "get_unverified_chain"):
        chain = tls.get_unverified_chain()
    else:
        inner = getattr(tls, "_sslobj", None)
        chain = inner.get_unverified_chain() if inner is not None else None
    found = (each if isinstance(each, bytes) else each.public_bytes(_DER) for each in chain or ())
    return tuple(islice(found, 1, 1 + MAX_CHAIN))
