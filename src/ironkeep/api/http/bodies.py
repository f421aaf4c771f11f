"""Bodies of requests as they arrive: bounded one by one, and all together.

A body is held, and then parsed while nobody else is served, before anything is known of its sender.
So a large one is taken only from a client that shows a valid token or a client certificate, and
those of strangers have a small share of the room.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ironkeep.api.http import wire
from ironkeep.api.http.strict import MAX_LENGTH
from ironkeep.core.errors import TooLarge, Unavailable

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

MAX_BODIES: Final = 8 * wire.MAX_BODY
"""Bytes of all bodies of known clients being received."""
MAX_STRANGERS_BODY: Final = 1 << 20
"""Bytes of a body without a valid token or a client certificate: a login has some thousand."""
MAX_STRANGERS_BODIES: Final = 64 << 20
"""Bytes of all such bodies being received: they leave the room of known clients alone."""
SMALL_BODY: Final = 16 << 10
"""Bytes that are taken all the same: large bodies keep out nobody's small ones."""


class Gone(Exception):
    """The client left before its request was complete."""


class Bodies:
    """All bodies being received by one server."""

    def __init__(self) -> None:
        self._known: Final = _Share(wire.MAX_BODY, MAX_BODIES)
        self._strangers: Final = _Share(MAX_STRANGERS_BODY, MAX_STRANGERS_BODIES)

    async def read(
        self, receive: Receive, headers: Mapping[bytes, bytes], is_known: Callable[[], bool]
    ) -> bytes:
        """Return a whole body; raise TooLarge as soon as it is known to be past the limit.

        `is_known` is asked at most once, for a body that is not small. Raise Unavailable while
        other bodies take all the room, Gone when the rest never comes.
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
    """What one kind of client may have of the room: bytes of one body, and of all."""

    def __init__(self, limit: int, most: int) -> None:
        self._limit: Final = limit
        self._most: Final = most
        self.held = 0

    def take(self, more: int, size: int) -> None:
        """Take more bytes for a body of size; raise TooLarge or Unavailable."""
        if size > self._limit:
            raise _too_large(self._limit)
        if self.held + more > self._most:
            raise Unavailable("too many large requests at once: try again shortly")
        self.held += more


def _too_large(limit: int) -> TooLarge:
    known = "" if limit == wire.MAX_BODY else f": without a valid token, at most {limit} bytes"
    return TooLarge(f"http: request body too large{known}")
