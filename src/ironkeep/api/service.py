"""From request to bytes: execute through the pipeline, wait for the disk, render the answer.

Both the short way (api/http/protocol.py) and ASGI (api/http/asgi.py) end here.
"""

import json
from collections.abc import Callable
from typing import Final

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ironkeep.api.callers import Callers
from ironkeep.api.commit.committer import Committer
from ironkeep.api.commit.trouble import OUTCOME_UNKNOWN
from ironkeep.api.date import DATE, Header
from ironkeep.api.errors import status_of
from ironkeep.api.stretches import NOTED_NS, clock
from ironkeep.core.errors import IronkeepError, Unavailable
from ironkeep.core.secret import Secret
from ironkeep.kernel.health import HEALTH_PATHS
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.plugin.effects.answer import JSON, Answer
from ironkeep.plugin.request import Request

NO_STORE: Final[Header] = (b"cache-control", b"no-store")
STRICT: Final[Header] = (
    b"strict-transport-security",
    b"max-age=31536000; includeSubDomains",
)

BODILESS: Final = frozenset({204, 304})
"""Statuses without a body: a client would read body bytes as the next answer (RFC 9110)."""

_COMMON: Final = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\ncache-control: no-store\r\n%b"
    b"content-type: application/json\r\n"
    b"x-ironkeep-audit: %b\r\ncontent-length: %d\r\n\r\n%b"
)
"""The head of most answers, byte for byte as `message` would build it."""
_STRICT_LINE: Final = b"%b: %b\r\n" % STRICT


class Rendered(msgspec.Struct, frozen=True):
    """An answer in HTTP terms; header names are lower case."""

    status: int
    headers: list[Header]
    body: bytes


class Service:
    """Executes requests through the pipeline and delivers their answers through the committer."""

    def __init__(
        self,
        pipeline: Pipeline,
        committer: Committer,
        on_defect: Callable[[Exception], None],
        callers: Callers | None = None,
    ) -> None:
        self.callers: Final = callers or Callers()
        self._pipeline: Final = pipeline
        self._committer: Final = committer
        self.defect: Final = on_defect

    def recognises(self, token: Secret | None, remote: str) -> bool:
        """Return whether token is valid from this address, so that it may send a large body."""
        return token is not None and self._pipeline.recognises(token, remote)

    def submit(self, request: Request, send: Callable[[Answer | None], None]) -> None:
        """Execute request now; call send when its answer may leave, or with None if it is lost."""
        if request.path in HEALTH_PATHS:
            send = self._or_standing(request, send)
        start = clock()
        try:
            self._committer.require_room()
            outcome = self._pipeline.handle(request)
        except Exception as error:  # noqa: BLE001 - one request must not fail the others
            send(self._failed(error))
            return
        if clock() - start >= NOTED_NS:
            self._committer.stretches.took(lambda: self._pipeline.pattern_of(request), start)
        self._committer.submit(outcome, send)

    def _or_standing(
        self, request: Request, send: Callable[[Answer | None], None]
    ) -> Callable[[Answer | None], None]:
        """Return send for a status request, which is answered even when the disk fails."""

        def answer(usual: Answer | None) -> None:
            if usual is None or usual.error is Unavailable:
                try:
                    usual = self._pipeline.health(request) or usual
                except Exception as error:  # noqa: BLE001 - the usual answer is sent instead
                    self.defect(error)
            send(usual)

        return answer

    def _failed(self, error: Exception) -> Answer:
        """Return the answer to a request that the pipeline refused or could not journal."""
        if isinstance(error, IronkeepError):
            return Answer(None, errors_body(str(error)), type(error))
        self.defect(error)
        return Answer(None, errors_body("internal error"), type(error))

    def rendered(self, answer: Answer | None, *, secure: bool) -> Rendered:
        """Return answer in HTTP terms."""
        status, body = _outcome_of(answer)
        headers = [NO_STORE, STRICT] if secure else [NO_STORE]
        if answer is None:
            headers.append((b"content-type", JSON.encode()))
        else:
            headers.append((b"content-type", answer.content_type.encode()))
            if answer.receipt is not None:
                headers.append((b"x-ironkeep-audit", answer.receipt.header.encode()))
        if answer is not None and answer.step_up:
            headers.append((b"www-authenticate", _step_up(answer.step_up)))
        if status in (429, 503):
            headers.append((b"retry-after", b"1"))
        return Rendered(status, headers, body)

    def render(self, answer: Answer | None, *, secure: bool) -> bytes:
        """Return answer as one HTTP/1.1 message."""
        if answer is None or answer.receipt is None or answer.content_type is not JSON:
            return message(self.rendered(answer, secure=secure))
        body = answer.body
        if answer.error is not None or answer.absent or answer.accepted or body is None:
            return message(self.rendered(answer, secure=secure))
        strict = _STRICT_LINE if secure else b""
        receipt = answer.receipt.header.encode()
        return _COMMON % (DATE.value(), strict, receipt, len(body), body)


def message(rendered: Rendered) -> bytes:
    """Return rendered as one HTTP/1.1 message."""
    bare = rendered.status in BODILESS
    headers = [DATE.header(), *rendered.headers]
    if not bare:
        headers.append(length_of(rendered))
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((STATUS_LINE[rendered.status], *lines, b"\r\n", b"" if bare else rendered.body))


def length_of(rendered: Rendered) -> Header:
    """Return the content-length header of rendered."""
    return b"content-length", b"%d" % len(rendered.body)


def refusal(status: int, text: str) -> bytes:
    """Return the error message for malformed HTTP, sent before the connection is closed."""
    headers = [NO_STORE, (b"content-type", JSON.encode()), (b"connection", b"close")]
    return message(Rendered(status, headers, errors_body(text)))


def errors_body(text: str) -> bytes:
    """Return Vault's error body; without a text its list of errors is empty."""
    return json.dumps({"errors": [text] if text else []}, separators=(",", ":")).encode()


def _step_up(link: str) -> bytes:
    """Return the step-up challenge (RFC 9470) with the link at which the user confirms."""
    text = (
        'Bearer error="insufficient_user_authentication", '
        f'error_description="{link}", acr_values="phr", max_age="60"'
    )
    return text.encode("latin-1", "replace")


_LOST: Final = errors_body(OUTCOME_UNKNOWN)


def _outcome_of(answer: Answer | None) -> tuple[int, bytes]:
    """Return the status and body of an answer; None means that the outcome is unknown."""
    if answer is None:
        return 503, _LOST
    if answer.error is not None:
        return status_of(answer.error), answer.body or errors_body("")
    if answer.absent:
        return 404, answer.body or b""
    if answer.accepted:
        return 202, answer.body or b""
    if answer.body is None:
        return 204, b""
    return 200, answer.body
