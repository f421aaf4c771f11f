"""The HTTP side of a witness or mirror (c2sp.org/tlog-witness, c2sp.org/tlog-mirror).

    POST /add-checkpoint                 a newer checkpoint of a log
    GET  /<hex sha256(origin)>/checkpoint
    POST /add-entries                    a mirror only
    GET  /<hex sha256(origin)>/tile/…    a mirror only

No secret passes here: the log's signature authorises a write, and leaves are sealed.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from ironkeep.api.witness.mirror import Mirror
from ironkeep.api.witness.state import Witness
from ironkeep.api.witness.uploads import Slot, Uploads
from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge, Unavailable
from ironkeep.tlog.mirror import ENTRIES
from ironkeep.tlog.tile import Tile
from ironkeep.tlog.witness import MAX_REQUEST, Answer

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

BODY_SECONDS: Final = 30.0
"""Time for a body to arrive and be processed; packages that a mirror stored by then are kept."""

MAX_UPLOAD: Final = 1 << 26
"""Bytes read of one upload; the client continues in its next request."""

MAX_RATIO: Final = 64
"""Largest ratio of unpacked to packed bytes of a gzip body, beyond the first chunk. Sealed entries
do not compress, and entries of other logs compress to about a third."""

_CHUNK: Final = 1 << 20
"""Bytes of an upload that are passed to its session together."""

_GZIP: Final = 31
"""The zlib window bits that accept the gzip format only."""

_KEEP: Final = frozenset({200, 202, 404, 409, 422})
"""Statuses after which the connection stays open."""

_READ: Final = re.compile(r"/([0-9a-f]{64})/(checkpoint|tile/[0-9a-z/.]{1,60})", re.ASCII)


class WitnessApp:
    """The ASGI 3 application. Disk work runs on threads, so that other requests are not blocked."""

    def __init__(self, witness: Witness, mirror: Mirror | None = None) -> None:
        self._witness: Final = witness
        self._mirror: Final = mirror
        self._uploads: Final = Uploads(lambda: asyncio.get_running_loop().time())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; ignore other ASGI scopes."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except TimeoutError:
            answer = Answer(408, b"the request took too long\n")
        except Unavailable as error:
            answer = Answer(503, f"{error}\n".encode())
        except OSError:
            answer = Answer(503, b"the disk failed; nothing was promised\n")
        await _send(send, answer, scope["method"])

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"]
        if method == "POST" and path == "/add-checkpoint":
            body = await _read(receive)
            if body is None:
                return Answer(413, b"longer than any add-checkpoint request\n")
            return await asyncio.to_thread(self._witness.add_checkpoint, body)
        if method == "POST" and path == "/add-entries" and self._mirror is not None:
            slot = self._uploads.enter(self._mirror.upload())
            try:
                return await _upload(self._uploads, slot, scope["headers"], receive)
            finally:
                self._uploads.leave(slot)
        if method in {"GET", "HEAD"}:
            found = _READ.fullmatch(path)
            if found is not None:
                return await asyncio.to_thread(self._get, found[1], found[2])
        return Answer(404, b"no such resource\n")

    def _get(self, tag: str, path: str) -> Answer:
        if path == "checkpoint":
            source = self._mirror or self._witness
            note = source.checkpoint(tag)
            return Answer(404, b"unknown log\n") if note is None else Answer(200, note)
        try:
            data = self._mirror.tile(tag, Tile.parse(path)) if self._mirror is not None else None
        except InvalidRequest:
            data = None
        except IntegrityError as error:
            return Answer(500, f"{error}\n".encode())
        return Answer(404, b"no such tile\n") if data is None else Answer(200, data, ENTRIES)


async def _read(receive: Receive) -> bytes | None:
    """Return the body; None if it is longer than any add-checkpoint request."""
    body = bytearray()
    async for chunk in _chunks(receive):
        body += chunk
        if len(body) > MAX_REQUEST:
            return None
    return bytes(body)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield a body as it arrives; raise TimeoutError when it takes too long.

    The body ends early when the client disconnects.
    """
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS
    more = True
    while more:
        # The timeout covers the wait alone, because it could not cancel work on a thread.
        async with asyncio.timeout_at(deadline):
            message = await receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _upload(
    uploads: Uploads, slot: Slot, headers: list[tuple[bytes, bytes]], receive: Receive
) -> Answer:
    """Pass a body to a session; return its answer to the part that arrived in time."""
    encoding = dict(headers).get(b"content-encoding", b"identity").lower()
    if encoding not in {b"identity", b"gzip"}:
        return Answer(415, b"the encodings are identity and gzip\n")
    try:
        early = await _feed(uploads, slot, _unpacked(receive, gzip=encoding == b"gzip"))
    except TimeoutError:
        early = None
    except zlib.error:
        return Answer(400, b"not gzip\n")
    except TooLarge as error:
        return Answer(413, f"{error}\n".encode())
    if early is not None:
        return early
    return await asyncio.to_thread(slot.require().finish)


async def _feed(uploads: Uploads, slot: Slot, chunks: AsyncIterator[bytes]) -> Answer | None:
    """Join chunks, pass them to the session, up to MAX_UPLOAD bytes; return an early answer."""
    total = 0
    async for chunk in chunks:
        uploads.take(slot, chunk)
        total += len(chunk)
        if len(slot.pending) >= _CHUNK:
            early = await _hand_on(uploads, slot)
            if early is not None or total >= MAX_UPLOAD:
                return early
    return await _hand_on(uploads, slot)


async def _hand_on(uploads: Uploads, slot: Slot) -> Answer | None:
    session, pending = slot.require(), bytes(slot.pending)
    slot.pending.clear()
    packages = session.packages
    early = await asyncio.to_thread(session.feed, pending)
    uploads.fed(slot, session, packages)
    return early


async def _unpacked(receive: Receive, *, gzip: bool) -> AsyncIterator[bytes]:
    """Yield a body, decompressed piece by piece if `gzip` is set.

    Raise zlib.error for malformed gzip, TooLarge when its ratio exceeds MAX_RATIO.
    """
    unpack = zlib.decompressobj(wbits=_GZIP)
    packed = unpacked = 0
    async for chunk in _chunks(receive):
        if not gzip:
            yield chunk
            continue
        rest = chunk
        packed += len(chunk)
        while rest:
            piece = unpack.decompress(rest, _CHUNK)
            unpacked += len(piece)
            if unpacked > _CHUNK + MAX_RATIO * packed:
                raise TooLarge(f"an upload unpacks to at most {MAX_RATIO} times its size")
            yield piece
            rest = unpack.unconsumed_tail


async def _send(send: Send, answer: Answer, method: str) -> None:
    """Send an answer; close the connection after a refusal, whose body may be unread."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"accept-encoding", b"gzip"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if answer.status not in _KEEP:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
