"""The order of software versions; comparing an unreadable version raises Unparsable.

    dotted   1.19.3.2764-ef515a800   whole numbers between dots; "-" or "+" begins a build name
    deb      1:2.36-9+deb12u3        the order of Debian Policy 5.6.12

Trailing zeros of a dotted version do not count: 1.19 is 1.19.0. Build names are not compared.
General version libraries are not used: a widely used one treats 1.9 as newer than 1.19, which would
let an old version pass as fixed.
"""

import re
from itertools import zip_longest
from typing import Final, Literal

from ironkeep.core.errors import InvalidRequest

Scheme = Literal["dotted", "deb"]

MAX_VERSION: Final = 64
"""Characters of a version; real ones have up to some forty."""

_DOTTED: Final = re.compile(r"(\d{1,10}(?:\.\d{1,10}){0,7})(?:[-+][0-9A-Za-z.+~_-]*)?", re.ASCII)
_DEB: Final = re.compile(r"(?:(\d{1,9}):)?(\d[0-9A-Za-z.+~-]*?)(?:-([0-9A-Za-z.+~]+))?", re.ASCII)
_PIECES: Final = re.compile(r"(\D*)(\d*)")


class Unparsable(InvalidRequest):
    """The text is not a version of that scheme."""


def compare(scheme: Scheme, left: str, right: str) -> int:
    """Return -1, 0 or 1 as left is older than, equal to or newer than right; raise Unparsable."""
    if scheme == "deb":
        return _compare_deb(_deb(left), _deb(right))
    return _sign(_dotted(left), _dotted(right))


def is_older(scheme: Scheme, installed: str, fixed: str) -> bool:
    """Return whether installed is older than fixed; raise Unparsable."""
    return compare(scheme, installed, fixed) < 0


def begins_with(version: str, cycle: str) -> bool:
    """Return whether a dotted version is in a cycle, as 15.7.4 is in 15; raise Unparsable.

    Zeros count here: 10 is not in the cycle 10.0.19045.
    """
    whole, part = _numbers(version), _numbers(cycle)
    return whole[: len(part)] == part


def _sign(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    return (left > right) - (left < right)


def _numbers(text: str) -> tuple[int, ...]:
    found = _DOTTED.fullmatch(text) if len(text) <= MAX_VERSION else None
    if found is None:
        raise Unparsable("a version is whole numbers between dots, like 1.19.3")
    return tuple(int(part) for part in found[1].split("."))


def _dotted(text: str) -> tuple[int, ...]:
    numbers = _numbers(text)
    end = len(numbers)
    while end and numbers[end - 1] == 0:
        end -= 1
    return numbers[:end]


def _deb(text: str) -> tuple[int, str, str]:
    found = _DEB.fullmatch(text) if len(text) <= MAX_VERSION else None
    if found is None:
        raise Unparsable("a Debian version is [epoch:]upstream[-revision]")
    return int(found[1] or 0), found[2], found[3] or "0"


def _compare_deb(left: tuple[int, str, str], right: tuple[int, str, str]) -> int:
    return (
        _sign((left[0],), (right[0],))
        or _compare_part(left[1], right[1])
        or _compare_part(left[2], right[2])
    )


def _compare_part(left: str, right: str) -> int:
    """Compare as in Debian Policy: alternately a run of non-digits, then a number."""
    pieces = zip_longest(_PIECES.findall(left), _PIECES.findall(right), fillvalue=("", ""))
    for (text, number), (other_text, other_number) in pieces:
        verdict = _compare_text(text, other_text) or _sign(
            (int(number or 0),), (int(other_number or 0),)
        )
        if verdict:
            return verdict
    return 0


def _compare_text(left: str, right: str) -> int:
    """Compare by character: tildes sort before the end, then letters, then other characters."""
    return _sign(_ranks(left), _ranks(right))


def _ranks(text: str) -> tuple[int, ...]:
    # The appended 0 marks the end; a tilde is -1 and sorts before it.
    return (*(_rank(char) for char in text), 0)


def _rank(char: str) -> int:
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256
