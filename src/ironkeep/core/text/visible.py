"""Safe display of text from other people: invisible, reordering and control characters are escaped.

Wherever a person reads a name, a path or a reason written by somebody else, these characters are
shown as escapes: controls (C0, C1), formats (bidirectional controls, zero widths, tags), separators
other than the plain space, private-use, unpaired surrogate and unassigned characters, and invisible
letters and marks. Otherwise two paths that differ by one of them would look alike.

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
    """Return whether text can be encoded: JSON escapes can contain unpaired surrogates."""
    return text.isascii() or _SURROGATE.search(text) is None


def is_drawn(char: str) -> bool:
    """Return whether a character is visible as itself."""
    return char.isprintable() and _NOTHING.match(char) is None


def is_visible(text: str) -> bool:
    """Return whether every character of text is visible as itself."""
    return text.isprintable() and (text.isascii() or _NOTHING.search(text) is None)


def visible(text: str, keep: str = "") -> str:
    r"""Return text with characters that are not visible escaped as \x1b, \u202e, \U000e0041.

    Characters in keep stay as they are, such as a newline in a text of several lines.
    """
    if is_visible(text):
        return text
    return "".join(
        char if char in keep or is_drawn(char) else char.encode("unicode_escape").decode()
        for char in text
    )
