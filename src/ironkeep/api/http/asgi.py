"""The ASGI application: every request that protocol.py does not answer the short way.

It has no routes of its own: the pipeline handles `/v1/`, a table of packaged files serves `/ui/`,
and every other path is not found.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from ironkeep.api.date import DATE, Header
from ironkeep.api.errors import DEFECT, status_of
from ironkeep.api.http import wire
from ironkeep.api.http.bodies import Bodies, Gone, Receive
from ironkeep.api.service import (
    BODILESS,
    NO_STORE,
    STRICT,
    Rendered,
    Service,
    errors_body,
    length_of,
)
from ironkeep.core.errors import (
    InvalidRequest,
    IronkeepError,
    NotFound,
    UnsupportedOperation,
)
from ironkeep.plugin.cidr import remote_of
from ironkeep.plugin.effects.answer import JSON, Answer
from ironkeep.plugin.request import Request

Scope = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Pages = Callable[[str], tuple[list[Header], bytes] | None]
"""Maps a raw URL path under /ui/ to the headers and body of a file; None if there is none."""

DEADLINE_SECONDS: Final = 90.0
"""Vault's default request timeout: past it the client is told that the outcome is unknown."""
_ONCE: Final = frozenset(
    {b"authorization", b"content-length", b"content-type", b"x-vault-namespace", b"x-vault-token",
     b"x-vault-wrap-ttl"}
)  # fmt: skip
"""Headers refused when repeated: a proxy and this server could read different values."""
PEER: Final = "ironkeep.peer"
"""The scope extension that holds the client certificate's `Peer`: see api/http/protocol.py."""
CONNECTION: Final = "ironkeep.connection"
"""The scope extension that holds the `Connection`, to learn whether the client is gone."""
_UI: Final = b"/ui/"
_HEALTH: Final = "sys/health"
_OK: Final = 200
_STATUS: Final = re.compile(r"[2-5][0-9]{2}")
"""A status code that a caller of sys/health may choose."""


class App:
    """Callable as ASGI 3."""

    def __init__(self, service: Service, pages: Pages | None = None) -> None:
        self._service: Final = service
        self._pages: Final = pages
        self._bodies: Final = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; ignore other ASGI scopes."""
        if scope["type"] != "http":
            return
        try:
            page = self._pages is not None and scope["raw_path"].startswith(_UI)
            refused = self._refused(scope, page=page)
            if refused is not None:
                rendered = refused
            elif self._pages is not None and page:
                rendered = _page(self._pages, scope)
            else:
                rendered = await self._executed(scope, receive)
        except Gone:
            return
        except asyncio.CancelledError:
            # The server is stopping, and this request outlasted the grace period.
            stopping = "the server stopped before it answered this request: its outcome is unknown"
            await _send(send, _refusal(503, stopping), head=scope["method"] == "HEAD")
            raise
        except IronkeepError as error:
            rendered = _refusal(status_of(type(error)), str(error))
        except Exception as error:  # noqa: BLE001 - a defect of the server
            self._service.defect(error)
            rendered = _refusal(DEFECT, "internal error")
        await _send(send, rendered, head=scope["method"] == "HEAD")

    def _refused(self, scope: Scope, *, page: bool) -> Rendered | None:
        """Return the refusal of a request from a foreign page, before its body is read."""
        local = scope["server"]
        refusal = self._service.callers.refusal(
            dict(reversed(scope["headers"])), local[0] if local else "", page=page
        )
        return None if refusal is None else _refusal(*refusal)

    async def _executed(self, scope: Scope, receive: Receive) -> Rendered:
        request = await self._request(scope, receive)
        answer = await self._answer(request)
        rendered = self._service.rendered(answer, secure=scope["scheme"] == "https")
        if request.path == _HEALTH and rendered.status == _OK:
            return _health(rendered, scope["query_string"])
        return rendered

    async def _request(self, scope: Scope, receive: Receive) -> Request:
        headers = _headers(scope["headers"])
        remote = remote_of(scope["client"])
        extensions = scope.get("extensions", {})
        peer = extensions.get(PEER)

        def is_known() -> bool:
            token = wire.from_headers(headers)["token"]
            return peer is not None or self._service.recognises(token, remote)

        body = await self._bodies.read(receive, headers, is_known)
        request = wire.parse(
            scope["method"], scope["raw_path"], scope["query_string"], headers, body, remote
        )
        request.peer = peer
        request.connection = extensions.get(CONNECTION)
        return request

    async def _answer(self, request: Request) -> Answer | None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer | None] = loop.create_future()

        def resolve(answer: Answer | None) -> None:
            if not future.done():
                future.set_result(answer)

        timer = loop.call_later(DEADLINE_SECONDS, resolve, None)
        try:
            self._service.submit(request, resolve)
            return await future
        finally:
            timer.cancel()


def _page(pages: Pages, scope: Scope) -> Rendered:
    """Return a file of the console; raise UnsupportedOperation or NotFound if there is none."""
    if scope["method"] not in ("GET", "HEAD"):
        raise UnsupportedOperation("")
    found = pages(scope["raw_path"].decode("latin-1"))
    if found is None:
        raise NotFound("")
    headers, body = found
    return Rendered(_OK, [*headers, STRICT] if scope["scheme"] == "https" else headers, body)


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in raw:
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            raise InvalidRequest(f"the header {name.decode('ascii')} is given twice")
    return headers


def _refusal(status: int, text: str) -> Rendered:
    headers = [NO_STORE, (b"content-type", JSON.encode())]
    return Rendered(status, headers, errors_body(text))


def _health(rendered: Rendered, query: bytes) -> Rendered:
    """Return the answer of sys/health with the status code that its caller chose.

    Source: the Vault HTTP API, sys/health: 200 active, 501 not initialised, 503 sealed.
    """
    health = json.loads(rendered.body)
    if "initialized" not in health:
        return rendered  # the route's help text
    wanted = parse_qs(query.decode("latin-1"), max_num_fields=wire.MAX_PARAMETERS)
    if not health.get("initialized"):
        name, status = "uninitcode", 501
    elif health.get("sealed") or health.get("failure"):
        name, status = "sealedcode", 503
    else:
        name, status = "activecode", 200
    given = wanted.get(name, [""])[0]
    if _STATUS.fullmatch(given):
        status = int(given)
    return Rendered(status, rendered.headers, rendered.body)


async def _send(send: Send, rendered: Rendered, *, head: bool) -> None:
    bare = rendered.status in BODILESS
    headers = [DATE.header(), *rendered.headers]
    if not bare:
        headers.append(length_of(rendered))
    await send({"type": "http.response.start", "status": rendered.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head or bare else rendered.body})
