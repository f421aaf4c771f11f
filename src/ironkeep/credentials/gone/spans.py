"""The times at which versions of a secret that are gone could be read.

A key that is written all day loses a version with each write. The newest removals are kept one by
one; older ones are joined, so that a key has few spans however often it is written. A joined span
says of each of its versions that a read could release it at some time within the span: it may
name too many versions for a moment, and never too few.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

MAX_SPANS: Final = 16
"""Spans of one secret; they are part of a record that each write of the secret writes again."""


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Versions `first` to `last`, each readable at some time in [from_ns, until_ns).

    Times are POSIX nanoseconds; from_ns 0 means always.
    """

    first: int
    last: int
    from_ns: int
    until_ns: int


def added(spans: tuple[Span, ...], more: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans with more of them after the others, at most MAX_SPANS: old ones are joined."""
    every = (*spans, *more)
    while len(every) > MAX_SPANS:
        # Half of them stay as they are, however many there are, and the older ones are halved.
        old = every[: len(every) - MAX_SPANS // 2]
        pairs = [_joined(old[at : at + 2]) for at in range(0, len(old), 2)]
        every = (*pairs, *every[len(old) :])
    return every


def _joined(some: tuple[Span, ...]) -> Span:
    return Span(
        min(each.first for each in some),
        max(each.last for each in some),
        min(each.from_ns for each in some),
        max(each.until_ns for each in some),
    )
