"""uvicorn's HTTP protocol with the requirements of RFC 9112, and limits that uvicorn lacks.

Both the vault's server and the witness's use it. It refuses, before the application is called: an
HTTP/1.1 request without exactly one Host (3.2), versions other than 1.0 and 1.1 (2.3), transfer
codings other than chunked (6.1), too many headers, and chunked framing (extensions, trailers) that
goes on without body bytes. Trailers are read and dropped (RFC 9110, 6.5.1): no token or other
header is accepted from there.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ironkeep.api.service import refusal

MAX_HEAD: Final = 16_384
"""Bytes of a request head, within a small factor of the limit in Go's servers; also of trailers."""
MAX_HEADERS: Final = 128
"""Header lines of a request: clients send a dozen, proxies add as many."""
MAX_LENGTH: Final = 12
"""Digits of a Content-Length, leading zeros included."""
LOOKED_AT: Final = 64
"""Connections examined to find one to close when there are too many, so that the cost is fixed."""

_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,64}\]|[A-Za-z0-9\-._~%!$&'()*+,;=]{0,255})(?::[0-9]{0,5})?"
)
"""RFC 9110, 7.2: a name, an address or nothing, and an optional port."""
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_NOT_HTTP: Final = (400, "not a valid HTTP request")


class Strict(HttpToolsProtocol):
    """One connection. A subclass defines when it is idle and how it refuses a request."""

    _in_body = False
    """Whether the head of the request that is being received is complete."""
    _quiet = 0
    """Bytes received after the head, since the last byte that was part of the body."""
    _trailing = 0
    """Bytes of trailer names and values."""
    _why: tuple[int, str] | None = None

    def data_received(self, data: bytes) -> None:
        """Give data to the parser; refuse framing that goes on without body bytes."""
        parser: Any = self.parser
        if parser is None:
            return  # the connection was lost
        self._quiet += len(data)
        super().data_received(data)
        if self._in_body and self._quiet > MAX_HEAD and not self.transport.is_closing():
            self._refuse(431, "the request's trailers are too large")

    def on_message_begin(self) -> None:
        """Begin a request with its counters at zero."""
        super().on_message_begin()
        self._trailing = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; drop a trailer."""
        if self._in_body:
            self._trailing += len(name) + len(value)
            if self._trailing > MAX_HEAD:
                self._stop(431, "the request's trailers are too large")
            return
        if len(self.headers) >= MAX_HEADERS:
            self._stop(431, f"a request has at most {MAX_HEADERS} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuse unknown versions, and a head without exactly one valid Host."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            self._stop(505, "the server speaks HTTP/1.1 and HTTP/1.0")
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            self._stop(400, "a request names its host once, in the Host header")
        if hosts and not is_host(hosts[0]):
            self._stop(400, "the Host header is not a host and a port")
        self._check_coding(version)
        super().on_headers_complete()
        self._in_body = True
        self._quiet = 0

    def _check_coding(self, version: str) -> None:
        """Refuse transfer codings other than chunked, and all in HTTP/1.0 (RFC 9112, 6.1).

        The RFC suggests 501 for an unknown coding. It is answered with 400 here like all other
        framing that a proxy may read differently.
        """
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and version != "1.1":
            self._stop(400, "HTTP/1.0 has no Transfer-Encoding")
        if codings not in ([], [b"chunked"]):
            self._stop(400, "the server takes the transfer coding chunked, and no other")

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._quiet = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that following header lines are no trailers."""
        self._in_body = False
        super().on_message_complete()

    def _stop(self, status: int, text: str) -> None:
        """Refuse from inside a parser callback: its exception leads to `send_400_response`."""
        self._why = (status, text)
        raise ValueError(text)

    def send_400_response(self, msg: str) -> None:
        """Refuse malformed HTTP in the form of every other error."""
        del msg
        self._refuse(*(self._why or _NOT_HTTP))

    def _refuse(self, status: int, message: str) -> None:
        """Refuse and close.

        Only close while an answer is due: the client would take the refusal for that answer.
        """
        cycle: Any = self.cycle
        due = cycle is not None and not cycle.response_complete and not cycle.more_body
        answered = self._in_body and cycle is not None and cycle.response_started
        if not (due or answered or self.pipeline or self.transport.is_closing()):
            self.transport.write(self._refusal(status, message))
        self.transport.close()

    def _refusal(self, status: int, message: str) -> bytes:
        """Return the message that refuses a request."""
        return refusal(status, message)

    def waits_since(self) -> tuple[bool, float] | None:
        """Return whether a request head is due, and the start of the wait; None while one runs."""
        raise NotImplementedError

    def admitted(self, limit: int) -> bool:
        """Return whether this new connection may stay; past limit, close an idle one for it.

        So silent connections cannot shut out other clients: new ones replace them.
        """
        if len(self.connections) <= limit:
            return True
        others: Iterable[Any] = islice(self.connections, LOOKED_AT)
        waiting = [
            (not since[0], since[1], id(other), other)
            for other in others
            if other is not self
            and not other.transport.is_closing()
            and (since := other.waits_since()) is not None
        ]
        if not waiting:
            return False
        min(waiting)[3].transport.abort()
        return True


def is_host(value: bytes) -> bool:
    """Return whether value is valid in a Host header."""
    return _HOST.fullmatch(value) is not None
