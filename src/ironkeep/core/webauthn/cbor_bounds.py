"""Limits on CBOR, checked before a library parses it: few items, flat, of definite lengths.

The library copies the remaining bytes for each item that it reads, so its time grows with the
square of their number. Source: RFC 8949, 3; CTAP 2.1, 8 (canonical CBOR: no indefinite lengths, no
tags).
"""

from typing import Final

MAX_ITEMS: Final = 64
"""Items of an attestation object: three pairs, a signature and certificates are about twenty."""
MAX_DEPTH: Final = 5

_SHORT: Final = 24
_INDEFINITE: Final = 28
_BYTES: Final = 2
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5
_TAG: Final = 6


def require_few(data: bytes) -> None:
    """Raise ValueError unless data begins with one item within the limits; ignore the rest."""
    at = items = 0
    due = [1]
    while due:
        if not due[-1]:
            due.pop()
            continue
        due[-1] -= 1
        items += 1
        kind, value, at = _head(data, at)
        if items > MAX_ITEMS or len(due) > MAX_DEPTH:
            raise ValueError("too many items")
        if kind in (_BYTES, _TEXT):
            at += value
        elif kind in (_ARRAY, _MAP):
            due.append(value * (2 if kind == _MAP else 1))


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the kind and value of the item at an offset, and the offset of its content."""
    if at >= len(data):
        raise ValueError("cut short")
    kind, value = divmod(data[at], 32)
    at += 1
    if kind == _TAG or value >= _INDEFINITE:
        raise ValueError("tags and indefinite lengths are not canonical")
    if value >= _SHORT:
        size = 1 << (value - _SHORT)
        value = int.from_bytes(data[at : at + size], "big")
        at += size
    return kind, value, at
