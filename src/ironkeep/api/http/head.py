"""Parses request heads on the short way, and caches the result by the bytes of the header lines.

Clients send the same lines with every request, so most blocks are found in the cache. Only plain
blocks are parsed here. A block with a repeated or folded header, without a host, with a header that
changes the framing of the message, or with headers that browsers send is left to the parser.
"""

import re
from typing import Final

import msgspec

from ironkeep.api.callers import PAGES_ONLY, Callers
from ironkeep.api.http import wire
from ironkeep.api.http.strict import MAX_HEADERS, MAX_LENGTH, is_host
from ironkeep.core.errors import IronkeepError
from ironkeep.core.secret import Secret

MAX_BLOCK: Final = 2_048
"""Bytes of a block that is cached; the few longer ones go through the parser."""
MAX_BLOCKS: Final = 4_096
"""Blocks in the cache, at most some 10 MB; when it is full, the older half is dropped."""

_HEADER: Final = re.compile(rb"([A-Za-z0-9\-]++):[ \t]*+([\x20-\x7e]*+)[ \t]*+\r\n")
"""One header line. Its quantifiers are possessive, and it is matched where the last line ended,
never searched for, so that a block costs time linear in its bytes."""
_NO_HOST: Final = b" "
_FRAMING: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"trailer", b"te"})


class RequestHead(msgspec.Struct, frozen=True):
    """The parsed headers of one request. `length` is the body's, in bytes.

    `known_host` is whether the Host names this server, for connections that must check it.
    """

    token: Secret | None
    wrap_ttl_seconds: int | None
    namespace: str
    content_type: bytes
    length: int
    known_host: bool


class RequestHeads:
    """The cache of parsed blocks. The blocks hold tokens and must never be logged."""

    def __init__(self, callers: Callers | None = None) -> None:
        self._callers: Final = callers or Callers()
        self._known: Final[dict[bytes, RequestHead]] = {}

    def find(self, block: bytes) -> RequestHead | None:
        """Return the parsed block, whose lines each end in CRLF; None leaves it to the parser."""
        head = self._known.get(block)
        if head is None and len(block) <= MAX_BLOCK:
            head = _parse(block, self._callers)
            if head is not None:
                self._keep(block, head)
        return head

    def _keep(self, block: bytes, head: RequestHead) -> None:
        if len(self._known) >= MAX_BLOCKS:
            for old in list(self._known)[: MAX_BLOCKS // 2]:
                del self._known[old]
        self._known[block] = head


def _parse(block: bytes, callers: Callers) -> RequestHead | None:
    headers: dict[bytes, bytes] = {}
    end = 0
    while found := _HEADER.match(block, end):
        name = found[1].lower()
        if name in _FRAMING or name in headers:
            return None
        headers[name] = found[2].rstrip(b" ")
        end = found.end()
    length = headers.get(b"content-length", b"0")
    keeps = headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    known = len(headers) <= MAX_HEADERS and is_host(headers.get(b"host", _NO_HOST))
    whole = len(length) <= MAX_LENGTH and length.isdigit()
    if end != len(block) or not known or not keeps or not whole:
        return None
    if not PAGES_ONLY.isdisjoint(headers):
        return None
    try:
        fields = wire.from_headers(headers)
    except IronkeepError:
        return None
    return RequestHead(
        **fields,
        content_type=headers.get(b"content-type", b""),
        length=int(length),
        known_host=callers.knows(headers[b"host"]),
    )
