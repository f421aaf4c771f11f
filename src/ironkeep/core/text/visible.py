"""Text of others, shown as what it is: what draws nothing, reorders or drives a terminal is spelt.

Everywhere that a person reads a name, a path or a reason of somebody else, these characters are
shown by their number: controls (C0, C1), formats (bidirectional controls, zero widths, tags),
separators other than the plain space, private, lone surrogates and unassigned ones, and those that
are drawn as nothing although they are letters or marks: two paths that differ by one of them would
look alike.

Source: Unicode 15, DerivedCoreProperties (Default_Ignorable_Code_Point); U+2800 is drawn blank.
"""

import re
from typing import Final

_DRAWN_AS_NOTHING: Final = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff"
)
"""Default-ignorable characters that Python calls printable, and the empty braille pattern."""

_NOTHING: Final = re.compile(f"[{_DRAWN_AS_NOTHING}]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def is_text(text: str) -> bool:
    """Return whether text can be written: JSON can spell half of a surrogate pair, which cannot."""
    return text.isascii() or _SURROGATE.search(text) is None


def is_drawn(char: str) -> bool:
    """Return whether a character is seen as itself where it stands."""
    return char.isprintable() and _NOTHING.match(char) is None


def is_visible(text: str) -> bool:
    """Return whether every character of text is seen as itself."""
    return text.isprintable() and (text.isascii() or _NOTHING.search(text) is None)


def visible(text: str, keep: str = "") -> str:
    r"""Return text with what would not be seen spelt as Python does: \x1b, \u202e, \U000e0041.

    Characters in keep stay: a newline where several lines are meant.
    """
    if is_visible(text):
        return text
    return "".join(
        char if char in keep or is_drawn(char) else char.encode("unicode_escape").decode()
        for char in text
    )
