"""From request to bytes: executes through the pipeline, waits for the disk, renders the answer.

Both ways in, the short one of api/protocol.py and ASGI, end here.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ironkeep.api.committer import Committer
from ironkeep.api.errors import status_of
from ironkeep.core.errors import IronkeepError
from ironkeep.kernel.answer import Answer
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.kernel.plugin import Request

_REASONS: Final = {
    200: b"OK", 202: b"Accepted", 204: b"No Content", 307: b"Temporary Redirect",
    400: b"Bad Request", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed",
    413: b"Payload Too Large", 415: b"Unsupported Media Type", 429: b"Too Many Requests",
    472: b"", 473: b"", 500: b"Internal Server Error", 501: b"Not Implemented",
    502: b"Bad Gateway", 503: b"Service Unavailable",
}  # fmt: skip
_LOST: Final = json.dumps(
    {"errors": ["the disk failed while this request was made durable: its outcome is unknown"]}
).encode()


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer in HTTP terms; header names are lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Service:
    """The whole server behind the wire."""

    def __init__(self, pipeline: Pipeline, committer: Committer) -> None:
        self._pipeline: Final = pipeline
        self._committer: Final = committer

    def submit(self, request: Request, send: Callable[[Answer | None], None]) -> None:
        """Execute request now; call send when its answer may leave, with None when it is lost."""
        try:
            self._committer.require_room()
        except IronkeepError as error:
            body = json.dumps({"errors": [str(error)]}).encode()
            send(Answer(None, body, error=type(error)))
            return
        self._committer.submit(self._pipeline.handle(request), send)

    def rendered(self, answer: Answer | None, *, secure: bool) -> Rendered:
        """Return answer in HTTP terms."""
        status, body = outcome_of(answer)
        headers = [(b"cache-control", b"no-store")]
        if secure:
            headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
        if answer is not None:
            headers.append((b"content-type", answer.content_type.encode()))
            if answer.receipt is not None:
                headers.append((b"x-ironkeep-audit", answer.receipt.header.encode()))
        if status in (429, 503):
            headers.append((b"retry-after", b"1"))
        return Rendered(status, headers, body)

    def render(self, answer: Answer | None, *, secure: bool) -> bytes:
        """Return answer as one HTTP/1.1 message."""
        rendered = self.rendered(answer, secure=secure)
        lines = [b"HTTP/1.1 %d %b\r\n" % (rendered.status, _REASONS[rendered.status])]
        lines += [b"%b: %b\r\n" % header for header in rendered.headers]
        lines.append(b"content-length: %d\r\n\r\n" % len(rendered.body))
        lines.append(rendered.body)
        return b"".join(lines)


def outcome_of(answer: Answer | None) -> tuple[int, bytes]:
    """Return status and body."""
    if answer is None:
        return 503, _LOST
    if answer.error is not None:
        return status_of(answer.error), answer.body or b'{"errors":[]}'
    if answer.absent:
        return 404, answer.body or b""
    if answer.accepted:
        return 202, answer.body or b""
    if answer.body is None:
        return 204, b""
    return 200, answer.body
