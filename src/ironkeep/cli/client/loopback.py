"""The listener on 127.0.0.1 that receives a browser login's code, in one request with our state.

Every local process can connect. So each connection has a few seconds in all, even if it sends byte
by byte, and connections do not wait for one another.
"""

import asyncio
import hmac
import socket
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from ironkeep.core.errors import InvalidRequest

WAIT_SECONDS: Final = 180.0
"""Time that the user has to sign in, in the browser."""
READ_SECONDS: Final = 5.0
"""Time for one request, from the connection to its last byte, and its answer."""
MAX_HEAD: Final = 16_384
MAX_CONNECTIONS: Final = 64
"""Concurrent connections; past it, a new one replaces the oldest."""

_END: Final = b"\r\n\r\n"
_PARTS: Final = 3
_PAGE: Final = (
    b"<!doctype html><meta charset=utf-8><title>Ironkeep</title>"
    b"<p>You are signed in at the command. Close this page."
)
_HEADERS: Final = (
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"Cache-Control: no-store\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Connection: close\r\n"
)


class Loopback:
    """Waits on 127.0.0.1 for the request that brings the code."""

    def __init__(self, state: str) -> None:
        self._state: Final = state
        self._code = ""
        self._open: Final[dict[asyncio.Task[None], None]] = {}
        self._socket: Final = socket.socket(socket.AF_INET)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.port: Final[int] = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self) -> str:
        """Return the code; raise InvalidRequest if it does not arrive in time."""
        try:
            asyncio.run(self._serve())
        except TimeoutError:
            text = "the browser sign-in timed out: run this again"
            raise InvalidRequest(text) from None
        return self._code

    async def _serve(self) -> None:
        brought = asyncio.Event()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            if len(self._open) >= MAX_CONNECTIONS:
                next(iter(self._open)).cancel()
            self._open[task] = None
            try:
                async with asyncio.timeout(READ_SECONDS):
                    code = await self._answer(reader, writer)
            except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
                code = ""
            except asyncio.CancelledError:
                code = ""  # a newer connection replaced this one, or the command ends
            finally:
                del self._open[task]
                writer.close()
            if code:
                self._code = code
                brought.set()

        server = await asyncio.start_server(take, sock=self._socket, limit=MAX_HEAD)
        async with asyncio.timeout(WAIT_SECONDS):
            await brought.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Answer one request; return its code, or ""."""
        head = await reader.readuntil(_END)
        code = self.code_in(head)
        status, page = (b"200 OK", _PAGE) if code else (b"404 Not Found", b"")
        length = b"Content-Length: %d\r\n\r\n" % len(page)
        writer.write(b"HTTP/1.1 %b\r\n" % status + _HEADERS + length + page)
        await writer.drain()
        return code

    def code_in(self, head: bytes) -> str:
        """Return the code of a request to this address with our state; "" for any other request.

        The Host must be our address: a page at a name that resolves to this machine sends that
        name instead (DNS rebinding).
        """
        line, *rest = head.decode("latin-1").split("\r\n")
        hosts = [v.strip() for n, _, v in (each.partition(":") for each in rest) if _is_host(n)]
        words = line.split(" ")
        if len(words) != _PARTS or words[0] != "GET" or hosts != [f"127.0.0.1:{self.port}"]:
            return ""
        try:
            parts = urlsplit(words[1])
            given = parse_qs(parts.query, max_num_fields=8)
        except ValueError:
            return ""
        state, code = given.get("state", [""])[0], given.get("code", [""])[0]
        ours = hmac.compare_digest(state.encode(), self._state.encode())
        return code if parts.path == "/cb" and ours else ""


def _is_host(name: str) -> bool:
    return name.lower() == "host"
