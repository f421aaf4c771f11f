"""The colours of words on an interactive terminal: good, not yet, bad."""

from collections.abc import Mapping
from typing import Final

from ironkeep.cli.output.terminal import Painted

GOOD: Final = "green"
NOT_YET: Final = "yellow"
BAD: Final = "red"

WORDS: Final[Mapping[str, str]] = {
    "PROVEN": GOOD,
    "VERIFIED": GOOD,
    "closed": GOOD,
    "verified-dead": GOOD,
    "dead": GOOD,
    "PROVEN WITH EXCEPTIONS": NOT_YET,
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

_ANSI: Final = {GOOD: "1;32", NOT_YET: "1;33", BAD: "1;31"}


def painted(word: str, width: int = 0) -> str | Painted:
    """Return word padded to width, in its colour if it has one."""
    colour = WORDS.get(word)
    filled = f"{word:<{width}}"
    return Painted(filled, _ANSI[colour]) if colour else filled
