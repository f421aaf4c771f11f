"""Which words are shown in which colour where somebody watches: good, not yet, bad."""

from collections.abc import Mapping
from typing import Final

GOOD: Final = "green"
NOT_YET: Final = "yellow"
BAD: Final = "red"

WORDS: Final[Mapping[str, str]] = {
    "PROVEN": GOOD,
    "VERIFIED": GOOD,
    "closed": GOOD,
    "verified-dead": GOOD,
    "dead": GOOD,
    "NOT PROVEN": NOT_YET,
    "SELF-CONSISTENT": NOT_YET,
    "open": NOT_YET,
    "unknown": NOT_YET,
    "revoked": NOT_YET,
    "exempt": NOT_YET,
    "waiting": NOT_YET,
    "DISPROVEN": BAD,
    "REFUSED": BAD,
    "failed": BAD,
    "exposed": BAD,
    "alive": BAD,
    "lost": BAD,
    "ACTING": BAD,
    "EXPOSED": BAD,
}

_ANSI: Final = {GOOD: "32", NOT_YET: "33", BAD: "31"}


def ansi(word: str) -> str:
    """Return word in its colour, as a terminal takes it; as it is when it has none."""
    colour = WORDS.get(word)
    return f"\x1b[1;{_ANSI[colour]}m{word}\x1b[0m" if colour else word
