"""The ASGI application: bodies, verbs and everything else that is not the short way.

It has no routes of its own: `/v1/` is the pipeline's, and nothing else exists.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from ironkeep.api import wire
from ironkeep.api.errors import status_of
from ironkeep.api.service import Rendered, Service
from ironkeep.core.errors import IronkeepError, TooLarge
from ironkeep.kernel.answer import Answer

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

DEADLINE_SECONDS: Final = 90.0
"""Vault's default request timeout: past it the client is told to look for the outcome itself."""

_HEALTH: Final = b"/v1/sys/health"


class App:
    """Callable as ASGI 3."""

    def __init__(self, service: Service) -> None:
        self._service: Final = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; HTTP is all that is spoken."""
        if scope["type"] != "http":
            return
        secure = scope["scheme"] == "https"
        try:
            answer = await self._answer(scope, receive)
            rendered = self._service.rendered(answer, secure=secure)
        except IronkeepError as error:
            rendered = _refusal(error)
        if scope["raw_path"] == _HEALTH and rendered.status in (200, 501, 503):
            rendered = _health(rendered, scope["query_string"])
        await _send(send, rendered, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        headers = _headers(scope["headers"])
        body = await _read(receive, headers)
        client = scope["client"]
        remote = f"{client[0]}:{client[1]}" if client else ""
        request = wire.parse(
            scope["method"], scope["raw_path"], scope["query_string"], headers, body, remote
        )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer | None] = loop.create_future()

        def resolve(answer: Answer | None) -> None:
            if not future.done():
                future.set_result(answer)

        self._service.submit(request, resolve)
        try:
            return await asyncio.wait_for(future, DEADLINE_SECONDS)
        except TimeoutError:
            return None


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in raw:
        headers.setdefault(name, value)
    return headers


async def _read(receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
    """Return the whole body; raise TooLarge as soon as it is known to be past the limit."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or int(announced) > wire.MAX_BODY:
        raise TooLarge("http: request body too large")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > wire.MAX_BODY:
            raise TooLarge("http: request body too large")
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def _refusal(error: IronkeepError) -> Rendered:
    message = str(error)
    body = json.dumps({"errors": [message] if message else []}, separators=(",", ":")).encode()
    headers = [(b"cache-control", b"no-store"), (b"content-type", b"application/json")]
    return Rendered(status_of(type(error)), headers, body)


def _health(rendered: Rendered, query: bytes) -> Rendered:
    """Return the answer of sys/health with the status that its caller asks for.

    Source: the Vault HTTP API, sys/health: 200 active, 501 not initialised, 503 sealed.
    """
    health = json.loads(rendered.body)
    wanted = parse_qs(query.decode("latin-1"), max_num_fields=wire.MAX_PARAMETERS)
    if not health.get("initialized"):
        name, status = "uninitcode", 501
    elif health.get("sealed"):
        name, status = "sealedcode", 503
    else:
        name, status = "activecode", 200
    given = wanted.get(name, [""])[0]
    if given.isascii() and given.isdigit() and 100 <= int(given) <= 599:  # noqa: PLR2004 - HTTP's range
        status = int(given)
    return Rendered(status, rendered.headers, rendered.body)


async def _send(send: Send, rendered: Rendered, *, head: bool) -> None:
    length = (b"content-length", str(len(rendered.body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": rendered.status,
            "headers": [*rendered.headers, length],
        }
    )
    await send({"type": "http.response.body", "body": b"" if head else rendered.body})
