"""Find stored secrets in a leaked text by keyed fingerprints, without holding the secrets.

A fingerprint is (anchor, length, digest): the interpreter's keyed hash (SipHash) of the first
ANCHOR bytes of a value, and keyed BLAKE2b of the whole value. The search slides a window of ANCHOR
bytes along the text and computes a digest only where the window's hash is that of a known anchor.
It never handles a secret value. The text is searched as it is and after decoding what is encoded
inside it, two layers deep: base64 (both alphabets, at any offset), hexadecimal, percent escapes,
JSON escapes, escaped line ends.
"""

import re
from base64 import urlsafe_b64decode
from binascii import Error, unhexlify
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Final

from ironkeep.core.evidence.node import NodeId
from ironkeep.core.secret import Secret

ANCHOR: Final = 8
"""Bytes of the window; shorter secrets are skipped, since they would match by chance."""

DIGEST: Final = 16
LAYERS: Final = 2
MAX_SEARCHED: Final = 16 << 20
"""Bytes searched in all layers together, which takes a worker some seconds."""

MAX_COMPARED: Final = 1_000_000
"""Comparisons in one search, about a second; a value counts once per COMPARED_BYTES of its length.
Without this limit, a user who stores thousands of values with the same beginning could make one
search last for hours."""

COMPARED_BYTES: Final = 1 << 12

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{11,}")
_HEX: Final = re.compile(rb"[0-9a-fA-F]{16,}")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_JSON: Final = re.compile(rb"\\(u[0-9a-fA-F]{4}|[\"\\/bfnrt])")
_PLAIN: Final = dict(zip(b'bfnrt"\\/', b'\b\f\n\r\t"\\/', strict=True))
_SURROGATES: Final = range(0xD800, 0xE000)
_BREAKS: Final = re.compile(rb"(?<=[A-Za-z0-9+/_-]{60})\r?\n[ \t]*")


@dataclass(frozen=True, slots=True)
class Prints:
    """Fingerprints of many secrets by anchor; `key` is generated anew for each search."""

    key: bytes
    by_anchor: dict[int, dict[int, dict[bytes, set[NodeId]]]] = field(default_factory=dict)

    def add(self, version: NodeId, value: Secret) -> None:
        """Add one value of a secret version; a value shorter than ANCHOR is skipped."""
        plain = normal(value.reveal())
        if len(plain) >= ANCHOR:
            lengths = self.by_anchor.setdefault(hash(plain[:ANCHOR]), {})
            lengths.setdefault(len(plain), {}).setdefault(self._digest(plain), set()).add(version)

    def found_in(self, text: bytes, budget: "Budget") -> set[NodeId]:
        """Return the secret versions whose values occur in text, as far as budget allows."""
        found: set[NodeId] = set()
        known = self.by_anchor
        last = len(text) - ANCHOR + 1
        for start in [at for at in range(last) if hash(text[at : at + ANCHOR]) in known]:
            for length, digests in known[hash(text[start : start + ANCHOR])].items():
                if length <= len(text) - start:
                    if not budget.spend(1 + length // COMPARED_BYTES):
                        return found
                    found |= digests.get(self._digest(text[start : start + length]), set())
        return found

    def _digest(self, data: bytes) -> bytes:
        return blake2b(data, digest_size=DIGEST, key=self.key).digest()


@dataclass(slots=True)
class Budget:
    """The comparisons left in one search; `spent` is true once a comparison was skipped."""

    left: int = MAX_COMPARED
    spent: bool = False

    def spend(self, count: int) -> bool:
        """Use up count comparisons; return whether the budget allows them."""
        self.left -= count
        self.spent = self.spent or self.left < 0
        return not self.spent


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search: secret versions, and registered copies by their SHA-256 (hex).

    `hidden` are versions that must not be reported to the submitter. `complete` is false when the
    search stopped at a limit; it does not cover the hidden versions, for which `thorough` has the
    same meaning.
    """

    versions: frozenset[NodeId]
    copies: frozenset[str]
    complete: bool
    hidden: frozenset[NodeId] = frozenset()
    thorough: bool = True


def search(
    document: bytes, prints: Prints, copies: Iterable[str], hidden: Prints | None = None
) -> Found:
    """Search a document and everything encoded in it.

    The hidden fingerprints have a separate budget: with a common one, `complete` would tell the
    submitter whether the text contains the beginning of a hidden secret.
    """
    known = frozenset(copies)
    versions: set[NodeId] = set()
    others: set[NodeId] = set()
    seen: set[str] = set()
    left, complete = MAX_SEARCHED, True
    budget, hidden_budget = Budget(MAX_COMPARED), Budget(MAX_COMPARED)
    for part in layers(document):
        if len(part) > left:
            complete = False
            continue
        left -= len(part)
        seen.add(sha256(part).hexdigest())
        plain = normal(part)
        versions |= prints.found_in(plain, budget)
        if hidden is not None and hidden.by_anchor:
            others |= hidden.found_in(plain, hidden_budget)
    return Found(
        frozenset(versions),
        known & seen,
        complete and not budget.spent,
        frozenset(others),
        complete and not hidden_budget.spent,
    )


def layers(document: bytes) -> Iterator[bytes]:
    """Yield the document and everything encoded in it, each once."""
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
    """Return data in the compared form: LF line ends, no surrounding white space."""
    return data.replace(b"\r\n", b"\n").strip()


def unquoted(data: bytes) -> bytes:
    """Return data with its percent escapes decoded."""
    return _ESCAPE.sub(lambda found: unhexlify(found[1]), data)


def _decoded(part: bytes) -> Iterator[bytes]:
    """Yield the decoded form of every encoding in part."""
    if b"%" in part:
        yield unquoted(part)
    if b"\\" in part:
        yield _JSON.sub(_from_json, part)
    joined = _BREAKS.sub(b"", part)
    for run in _HEX.findall(joined):
        # A stray digit before or after the data shifts the pairs: try both nibble alignments.
        for start in (0, 1):
            yield unhexlify(run[start : start + (len(run) - start) // 2 * 2])
    for run in _BASE64.findall(joined):
        # A path or prefix before the data may use the same alphabet: try all four alignments.
        for start in range(4):
            yield from _from_base64(run[start:])


def _from_json(found: re.Match[bytes]) -> bytes:
    """Return the character of a JSON escape; a surrogate escape stays as it is."""
    escape = found[1]
    if escape[:1] != b"u":
        return bytes([_PLAIN[escape[0]]])
    number = int(escape[1:], 16)
    return found[0] if number in _SURROGATES else chr(number).encode()


def _from_base64(run: bytes) -> Iterator[bytes]:
    """Yield the decoded run, without a surplus last character."""
    text = run.replace(b"+", b"-").replace(b"/", b"_")
    usable = len(text) - (len(text) % 4 == 1)
    try:
        yield urlsafe_b64decode(text[:usable] + b"=" * (-usable % 4))
    except (Error, ValueError):
        return
