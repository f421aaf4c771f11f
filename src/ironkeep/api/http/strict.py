"""uvicorn's HTTP protocol, held to what RFC 9112 demands and to limits that it does not have.

Both servers speak it: the vault's own and the witness's. Refused here, before an application is
called: a request of HTTP/1.1 without exactly one Host (3.2), other versions than 1.0 and 1.1 (2.3),
transfer codings other than chunked (6.1), too many headers, and chunked framing (extensions,
trailers) that goes on without a body. Trailers are read past and dropped (RFC 9110, 6.5.1): no
token and no other header is taken from there.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ironkeep.api.service import refusal

MAX_HEAD: Final = 16_384
"""Bytes of a request head, as in Go's servers within a factor of a few; of its trailers too."""
MAX_HEADERS: Final = 128
"""Header lines of a request: clients send a dozen, proxies add as many."""
MAX_LENGTH: Final = 12
"""Digits of a Content-Length, leading zeros included."""
LOOKED_AT: Final = 64
"""Connections looked at to find one to close when there are too many: the cost of a look is fixed,
however many there are."""

_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,64}\]|[A-Za-z0-9\-._~%!$&'()*+,;=]{0,255})(?::[0-9]{0,5})?"
)
"""RFC 9110, 7.2: a name, an address, or nothing, and a port."""
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_NOT_HTTP: Final = (400, "not a valid HTTP request")


class Strict(HttpToolsProtocol):
    """One connection. A subclass says when it waits for its client, and how it refuses."""

    _in_body = False
    """Whether the head of the request that is being received is complete."""
    _quiet = 0
    """Bytes of a request that came after its head and were no body, since the last that were."""
    _trailing = 0
    _why: tuple[int, str] | None = None

    def data_received(self, data: bytes) -> None:
        """Give the parser what arrived; refuse framing that goes on without end."""
        parser: Any = self.parser
        if parser is None:
            return  # the connection was lost meanwhile
        self._quiet += len(data)
        super().data_received(data)
        if self._in_body and self._quiet > MAX_HEAD and not self.transport.is_closing():
            self._refuse(431, "the request's trailers are too large")

    def on_message_begin(self) -> None:
        """Begin a request with nothing counted."""
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
        """Refuse the versions that we do not speak, and a head that does not name its host once."""
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
        """Refuse a transfer coding that is not undone here, and any in HTTP/1.0 (9112, 6.1).

        The RFC suggests 501 for a coding that is unknown; here it is a framing that another reader
        takes otherwise, and refused as all of these are.
        """
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and version != "1.1":
            self._stop(400, "HTTP/1.0 has no Transfer-Encoding")
        if codings not in ([], [b"chunked"]):
            self._stop(400, "the server takes the transfer coding chunked, and no other")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._quiet = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that what follows is no trailer."""
        self._in_body = False
        super().on_message_complete()

    def _stop(self, status: int, text: str) -> None:
        """Refuse from within the parser: what a callback raises ends in `send_400_response`."""
        self._why = (status, text)
        raise ValueError(text)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the form of every other error."""
        del msg
        self._refuse(*(self._why or _NOT_HTTP))

    def _refuse(self, status: int, message: str) -> None:
        """Refuse and close; where an answer is due, this would be taken for it: only close."""
        cycle: Any = self.cycle
        due = cycle is not None and not cycle.response_complete and not cycle.more_body
        answered = self._in_body and cycle is not None and cycle.response_started
        if not (due or answered or self.pipeline or self.transport.is_closing()):
            self.transport.write(self._refusal(status, message))
        self.transport.close()

    def _refusal(self, status: int, message: str) -> bytes:
        """Return the answer that refuses a request."""
        return refusal(status, message)

    def waits_since(self) -> tuple[bool, float] | None:
        """Return whether a first request is still to come, and since when; None while one runs."""
        raise NotImplementedError

    def admitted(self, limit: int) -> bool:
        """Return whether this new connection may stay; one that only waits makes room for it.

        So connections that say nothing shut nobody out: the next ones push them away.
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
    """Return whether value may stand in a Host header."""
    return _HOST.fullmatch(value) is not None
