"""Forwards requests unchanged as the device, and waits for the touch that an answer asks for.

It adds nothing but the certificate of the connection: no token, no header. A client that may
connect acts as this device and gains nothing else. On loopback TCP, which browsers can reach too,
`X-Vault-Request: true` (which no form can send) and a loopback Host (against DNS rebinding) are
required.

Sources: RFC 9110, 7.6.1 (hop-by-hop headers); RFC 9470, 3 (step-up).
"""

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import httpx
import msgspec

from ironkeep.agent.upstream import Upstream
from ironkeep.core.errors import TooLarge, Unavailable
from ironkeep.core.ports import Clock

MAX_BODY: Final = 32 << 20
"""Bytes of a request: the server's own limit."""
MAX_REPEATABLE: Final = 1 << 18
"""Bytes of a request that can be repeated after a touch; larger bodies are not kept."""
MAX_REFUSAL: Final = 1 << 16
"""Bytes of an answer that asks for a touch."""
TOUCH_SECONDS: Final = 25.0
"""Time that a client waits for a touch: hvac gives up after 30 seconds, without the answer."""
FORWARD_SECONDS: Final = 300.0
"""Time for a whole exchange, the touch included: a slow server cannot hold a connection forever.
"""
POLL_SECONDS: Final = 1.0

STATUS: Final = "/agent/v1/status"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP: Final = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_CHALLENGE: Final = 'error="insufficient_user_authentication"'
_LINK: Final = re.compile(
    r'error_description="((?:https?://[^"\s]{1,256})?/ui/step-up/([\w-]{1,128}))"', re.ASCII
)
_FORBIDDEN: Final = 403
_OK: Final = 200


class Proxy:
    """The ASGI application at the agent's own addresses; `guarded` on loopback TCP."""

    def __init__(
        self,
        upstream: Upstream,
        clock: Clock,
        status: Callable[[], Mapping[str, Any]],
        prompt: Callable[[str], None],
        *,
        guarded: bool,
    ) -> None:
        self._upstream: Final = upstream
        self._clock: Final = clock
        self._status: Final = status
        self._prompt: Final = prompt
        self._guarded: Final = guarded

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: Headers = list(scope["headers"])
        if self._guarded and (refusal := _refusal(dict(headers))):
            await _say(send, *refusal)
        elif scope["path"] == STATUS:
            await _answer(send, _OK, msgspec.json.encode(self._status()))
        elif not scope["path"].startswith("/v1/"):
            await _say(send, 404, f"the agent forwards /v1/ and answers {STATUS}")
        else:
            await self._forward(scope, headers, receive, send)

    async def _forward(
        self, scope: Message, headers: Headers, receive: Receive, send: Send
    ) -> None:
        body = _Body(receive)
        started = _Started(send)
        try:
            await body.begin()
            async with self._upstream.client(self._clock.now_ns()) as client:
                exchange = _Exchange(client, self._upstream.address, scope, headers)
                async with asyncio.timeout(FORWARD_SECONDS):
                    await self._exchange(exchange, body, started)
        except TooLarge as error:
            await started.fail(413, str(error))
        except Unavailable as error:
            await started.fail(503, str(error))
        except TimeoutError:
            await started.fail(504, f"the server took longer than {FORWARD_SECONDS:.0f} seconds")
        except httpx.HTTPError as error:
            await started.fail(502, f"the agent cannot reach the server: {type(error).__name__}")

    async def _exchange(self, exchange: "_Exchange", body: "_Body", send: Send) -> None:
        response = await exchange.send(body)
        try:
            link = _step_up(response)
            if link is None or not body.whole:
                await _hand_on(response, send)
                return
            refusal = await _bounded(response)
        finally:
            await response.aclose()
        url, demand = link
        # A server without a configured address sends a path alone.
        self._prompt(self._upstream.address + url if url.startswith("/") else url)
        if not await self._touched(exchange, demand, body):
            await _answer(send, _FORBIDDEN, refusal, _end_to_end(response))
            return
        response = await exchange.send(body)
        try:
            await _hand_on(response, send)
        finally:
            await response.aclose()

    async def _touched(self, exchange: "_Exchange", demand: str, body: "_Body") -> bool:
        """Return whether the touch came in time, with the client still connected."""
        gone = asyncio.ensure_future(body.disconnected())
        try:
            for _ in range(int(TOUCH_SECONDS / POLL_SECONDS)):
                await asyncio.wait({gone}, timeout=POLL_SECONDS)
                if gone.done():
                    return False
                # The demand exists while it waits for a touch; the repeated request shows whether
                # the touch was given or refused.
                if not await exchange.waits(demand):
                    return True
            return False
        finally:
            gone.cancel()


class _Body:
    """A request's body: kept whole when it is small, else streamed, up to MAX_BODY."""

    def __init__(self, receive: Receive) -> None:
        self._receive: Final = receive
        self._kept = b""
        self.whole = False

    async def begin(self) -> None:
        """Read the body, up to MAX_REPEATABLE."""
        while not self.whole and len(self._kept) <= MAX_REPEATABLE:
            self._kept += await self._more()

    def content(self) -> bytes | AsyncIterator[bytes]:
        """Return the body to send, whole or as a stream."""
        return self._kept if self.whole else self._stream()

    async def disconnected(self) -> None:
        """Return when the client has disconnected."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _stream(self) -> AsyncIterator[bytes]:
        size = len(self._kept)
        yield self._kept
        while not self.whole:
            chunk = await self._more()
            size += len(chunk)
            if size > MAX_BODY:
                raise TooLarge(f"a request has at most {MAX_BODY} bytes")
            yield chunk

    async def _more(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise Unavailable("the client has disconnected")
        self.whole = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


class _Started:
    """Passes a response on and tracks whether it has started: a second one cannot be sent."""

    def __init__(self, send: Send) -> None:
        self._send: Final = send
        self._begun = False

    async def __call__(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def fail(self, status: int, text: str) -> None:
        """Send an error; leave a started response unfinished, so that the client notices."""
        if not self._begun:
            await _say(self._send, status, text)


class _Exchange:
    """A request that can be sent again: method, target and headers as received."""

    def __init__(
        self, client: httpx.AsyncClient, address: str, scope: Message, headers: Headers
    ) -> None:
        self._client: Final = client
        self._address: Final = address
        self._method: Final[str] = scope["method"]
        query: bytes = scope["query_string"]
        self._target: Final[bytes] = scope["raw_path"] + (b"?" + query if query else b"")
        self._headers: Final = _forwarded(headers)

    async def send(self, body: _Body) -> httpx.Response:
        """Send the request; return the response, whose body is still to be read."""
        content = body.content()
        headers = list(self._headers)
        if isinstance(content, bytes) and content:
            headers = [each for each in headers if each[0] != b"content-length"]
            headers.append((b"content-length", str(len(content)).encode()))
        base = httpx.URL(self._address)
        request = httpx.Request(
            self._method,
            self._address,
            headers=[(b"host", base.netloc), *headers],
            content=content,
            # Without this httpx would normalise the path, which only the server may do.
            extensions={"target": base.raw_path.rstrip(b"/") + self._target},
        )
        return await self._client.send(request, stream=True)

    async def waits(self, demand: str) -> bool:
        """Return whether a demand still waits for a touch."""
        answer = await self._client.get(f"{self._address}/v1/auth/passkey/step-up/{demand}")
        return answer.status_code == _OK


def _forwarded(headers: Headers) -> Headers:
    """Return the headers to pass on: all but hop-by-hop ones, Host and Expect (RFC 9110, 7.6.1)."""
    listed = b",".join(value for name, value in headers if name == b"connection")
    named = {part.strip().lower() for part in listed.split(b",")}
    dropped = _HOP_BY_HOP | named | {b"host", b"expect"}
    return [(name, value) for name, value in headers if name not in dropped]


def _end_to_end(response: httpx.Response) -> Headers:
    raw = [(name.lower(), value) for name, value in response.headers.raw]
    return [(name, value) for name, value in raw if name not in _HOP_BY_HOP]


def _step_up(response: httpx.Response) -> tuple[str, str] | None:
    """Return link and id of the demand in a response that asks for a touch, else None."""
    challenge = response.headers.get("www-authenticate", "")
    if response.status_code != _FORBIDDEN or _CHALLENGE not in challenge:
        return None
    found = _LINK.search(challenge)
    return None if found is None else (found[1], found[2])


def _refusal(headers: Mapping[bytes, bytes]) -> tuple[int, str] | None:
    """Return the refusal of a request on loopback TCP, None when a Vault client sent it."""
    if headers.get(b"x-vault-request", b"").lower() != b"true":
        return 412, "send the header X-Vault-Request: true"
    if not is_loopback(headers.get(b"host", b"").decode("latin-1")):
        return 403, "the Host header does not name this machine: call the agent at 127.0.0.1"
    return None


def is_loopback(host: str) -> bool:
    """Return whether the host of `host:port` is localhost or a loopback address."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    name = name.strip("[]")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


async def _bounded(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_REFUSAL:
            raise httpx.DecodingError("the refusal is too long")
    return body


async def _hand_on(response: httpx.Response, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": _end_to_end(response),
        }
    )
    async for chunk in response.aiter_raw():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _answer(send: Send, status: int, body: bytes, headers: Headers | None = None) -> None:
    if headers is None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _say(send: Send, status: int, text: str) -> None:
    await _answer(send, status, msgspec.json.encode({"errors": [text]}))
