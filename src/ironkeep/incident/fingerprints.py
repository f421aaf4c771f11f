"""Known secrets in a leaked text, found without any secret at hand: keyed fingerprints.

A fingerprint is (anchor, length, digest): keyed BLAKE2b over the first ANCHOR bytes of a value, and
over all of it. Whoever searches slides one window of ANCHOR bytes along the text and compares, and
holds no value. The text is searched as it is and as what is encoded inside it: base64 (both
alphabets), hexadecimal, percent escapes, escaped line ends; two layers deep.
"""

import re
from base64 import urlsafe_b64decode
from binascii import Error, unhexlify
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Final

from ironkeep.core.node import NodeId
from ironkeep.core.secret import Secret

ANCHOR: Final = 8
"""Bytes of the window: a shorter secret is found in any text, and so in none."""

DIGEST: Final = 16
LAYERS: Final = 2
MAX_SEARCHED: Final = 4 << 20
"""Bytes searched in all layers together: some seconds of one worker."""

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{11,}")
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_BREAKS: Final = re.compile(rb"(?<=[A-Za-z0-9+/_-]{60})\r?\n[ \t]*")


@dataclass(frozen=True, slots=True)
class Prints:
    """The fingerprints of many secrets, by anchor; `key` is fresh for each search."""

    key: bytes
    by_anchor: dict[bytes, dict[int, dict[bytes, set[NodeId]]]] = field(default_factory=dict)

    def add(self, version: NodeId, value: Secret) -> None:
        """Take in one value of a secret version; one shorter than ANCHOR is left out."""
        plain = normal(value.reveal())
        if len(plain) >= ANCHOR:
            lengths = self.by_anchor.setdefault(self._digest(plain[:ANCHOR]), {})
            lengths.setdefault(len(plain), {}).setdefault(self._digest(plain), set()).add(version)

    def found_in(self, text: bytes) -> set[NodeId]:
        """Return the secret versions that text holds as they are."""
        found: set[NodeId] = set()
        base = blake2b(digest_size=DIGEST, key=self.key)
        for start in range(len(text) - ANCHOR + 1):
            window = base.copy()
            window.update(text[start : start + ANCHOR])
            for length, digests in self.by_anchor.get(window.digest(), {}).items():
                candidate = text[start : start + length]
                if len(candidate) == length:
                    found |= digests.get(self._digest(candidate), set())
        return found

    def _digest(self, data: bytes) -> bytes:
        return blake2b(data, digest_size=DIGEST, key=self.key).digest()


@dataclass(frozen=True, slots=True)
class Found:
    """What a document holds: secret versions, and registered copies by their SHA-256 (hex).

    `complete` is false when there was more inside it than is searched.
    """

    versions: frozenset[NodeId]
    copies: frozenset[str]
    complete: bool


def search(document: bytes, prints: Prints, copies: Iterable[str]) -> Found:
    """Search a document, and all that is encoded in it."""
    known = frozenset(copies)
    versions: set[NodeId] = set()
    seen: set[str] = set()
    left, complete = MAX_SEARCHED, True
    for part in layers(document):
        if len(part) > left:
            complete = False
            continue
        left -= len(part)
        seen.add(sha256(part).hexdigest())
        versions |= prints.found_in(normal(part))
    return Found(frozenset(versions), known & seen, complete)


def layers(document: bytes) -> Iterator[bytes]:
    """Yield the document and what is encoded in it, each once."""
    known: set[bytes] = set()
    current = [document]
    for _ in range(LAYERS + 1):
        following: list[bytes] = []
        for part in current:
            if part not in known:
                known.add(part)
                yield part
                following.extend(_decoded(part))
        current = following


def normal(data: bytes) -> bytes:
    """Return data as it is compared: LF line ends, no white space around it."""
    return data.replace(b"\r\n", b"\n").strip()


def _decoded(part: bytes) -> Iterator[bytes]:
    """Yield everything in part that reads as an encoding."""
    if b"%" in part:
        yield _ESCAPE.sub(lambda found: unhexlify(found[1]), part)
    if b"\\n" in part:
        yield part.replace(b"\\r", b"").replace(b"\\n", b"\n")
    joined = _BREAKS.sub(b"", part)
    for run in _HEX.findall(joined):
        yield unhexlify(run)
    for run in _BASE64.findall(joined):
        yield from _from_base64(run)


def _from_base64(run: bytes) -> Iterator[bytes]:
    """Yield what a run decodes to; a byte too many at its end is not part of it."""
    text = run.replace(b"+", b"-").replace(b"/", b"_")
    usable = len(text) - (len(text) % 4 == 1)
    try:
        yield urlsafe_b64decode(text[:usable] + b"=" * (-usable % 4))
    except (Error, ValueError):
        return
