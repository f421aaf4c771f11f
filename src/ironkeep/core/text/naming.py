"""Which names may be made: those that everybody can see, type and address again.

Two names that look alike on a screen deceive whoever approves one of them, and a name with a blank
at its end is lost in the next form or shell. So a new name is refused when

1. it is not what it looks like: a character that draws nothing, that only steers others, or that is
   a blank other than U+0020;
2. a segment is empty, `.` or `..`, or begins or ends in a blank;
3. it is not in Unicode's normal form C, in which each text that looks the same by composition has
   one spelling.

What was named otherwise by an older version is read, listed and removed as before. Letters of
several scripts that look alike are not told apart here: screens show names in a fixed-width type,
with what is unusual in them escaped.

Source: Unicode 16, DerivedCoreProperties.txt (Default_Ignorable_Code_Point) and UnicodeData.txt;
`str.isprintable` covers the general categories C* and Z*.
"""

import unicodedata
from bisect import bisect_right
from typing import Final

_INVISIBLE: Final = (
    # Default_Ignorable_Code_Point, unassigned ones included.
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F),
    # A letter of Braille without dots.
    (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB),
    # Blanks among hieroglyphs and Khitan characters, a note head that is not drawn, shorthand.
    (0x13441, 0x13442), (0x16FE4, 0x16FE4), (0x1BCA0, 0x1BCA3), (0x1D159, 0x1D159),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""First and last code points of what draws nothing, in order."""

_NOTHING: Final = " \t\r\n/"
"""What a name that names nothing consists of."""
EMPTY_SEGMENT: Final = "it has an empty, '.' or '..' segment"

_STARTS: Final = [first for first, _ in _INVISIBLE]


def draws_nothing(char: str) -> bool:
    """Return whether a character leaves no mark of its own, a plain blank aside."""
    code = ord(char)
    at = bisect_right(_STARTS, code) - 1
    hidden = at >= 0 and code <= _INVISIBLE[at][1]
    return hidden or not char.isprintable()


def fault_of(name: str) -> str | None:
    """Return why a name, or a path of names, may not be made; None when it may."""
    if not name.isascii():
        hidden = next((char for char in name if draws_nothing(char)), None)
        if hidden is not None:
            return f"it contains U+{ord(hidden):04X}, which cannot be seen"
        if not unicodedata.is_normalized("NFC", name):
            return "it is not in Unicode normal form C: compose its letters and accents"
    elif not name.isprintable():
        return "it contains a control character"
    for part in name.split("/"):
        if part in {"", ".", ".."}:
            return EMPTY_SEGMENT
        if part != part.strip():
            return "a segment begins or ends in a blank"
    return None


def names_nothing(text: str) -> bool:
    """Return whether text is blank, as the variable of a script is that was not set."""
    return not text.strip(_NOTHING)
