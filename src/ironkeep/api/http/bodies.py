"""Request bodies as they arrive, with limits for each and for all together.

A body is buffered, and then parsed on the loop thread, before its sender is authenticated. So a
large body is accepted only from a client that shows a valid token or a client certificate, and
unauthenticated bodies get a small share of the memory.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ironkeep.api.http import wire
from ironkeep.api.http.strict import MAX_LENGTH
from ironkeep.core.errors import TooLarge, Unavailable

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

MAX_BODIES: Final = 8 * wire.MAX_BODY
"""Bytes of all bodies of authenticated clients that are being received."""
MAX_STRANGERS_BODY: Final = 1 << 20
"""Bytes of a body without a valid token or a client certificate: a login has a few thousand."""
MAX_STRANGERS_BODIES: Final = 64 << 20
"""Bytes of all such bodies being received; they do not count against MAX_BODIES."""
SMALL_BODY: Final = 16 << 10
"""Bodies up to this many bytes are always accepted, however many large ones are being received."""


class Gone(Exception):
    """The client disconnected before its request was complete."""


class Bodies:
    """All bodies being received by one server."""

    def __init__(self) -> None:
        self._known: Final = _Share(wire.MAX_BODY, MAX_BODIES)
        self._strangers: Final = _Share(MAX_STRANGERS_BODY, MAX_STRANGERS_BODIES)

    async def read(
        self, receive: Receive, headers: Mapping[bytes, bytes], is_known: Callable[[], bool]
    ) -> bytes:
        """Return the whole body; raise TooLarge as soon as it is known to exceed the limit.

        `is_known` tells whether the client is authenticated; it is called at most once, and only
        for a large body. Raise Unavailable while other bodies use up the memory, Gone when the
        client disconnects.
        """
        announced = headers.get(b"content-length", b"0")
        if len(announced) > MAX_LENGTH or not announced.isdigit():
            raise _too_large(wire.MAX_BODY)
        expected = int(announced)
        if expected > wire.MAX_BODY:
            raise _too_large(wire.MAX_BODY)
        share: _Share | None = None
        chunks: list[bytes] = []
        size = held = 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                chunk: bytes = message.get("body", b"")
                chunks.append(chunk)
                size += len(chunk)
                if max(size, expected) > SMALL_BODY:
                    share = share or (self._known if is_known() else self._strangers)
                    share.take(size - held, max(size, expected))
                    held = size
                if not message.get("more_body", False):
                    return b"".join(chunks)
        finally:
            if share is not None:
                share.held -= held


class _Share:
    """The memory for one kind of client: a limit for one body, and one for all together."""

    def __init__(self, limit: int, most: int) -> None:
        self._limit: Final = limit
        self._most: Final = most
        self.held = 0

    def take(self, more: int, size: int) -> None:
        """Reserve `more` bytes for a body of `size`; raise TooLarge or Unavailable."""
        if size > self._limit:
            raise _too_large(self._limit)
        if self.held + more > self._most:
            raise Unavailable("too many large requests at once: try again shortly")
        self.held += more


def _too_large(limit: int) -> TooLarge:
    known = "" if limit == wire.MAX_BODY else f": without a valid token, at most {limit} bytes"
    return TooLarge(f"http: request body too large{known}")
