"""Rules for new names: every character must be visible, and people must be able to type the name.

Two names that look alike can deceive the person who approves one of them, and a space at the end of
a name is lost in the next form or shell. So a new name is refused if

1. it contains an invisible character, a control or formatting character, or white space other than
   U+0020;
2. a segment is empty, `.` or `..`, or begins or ends in white space;
3. it is not in Unicode normal form C, in which texts that look the same by composition have one
   spelling.

Other names from older versions can be read, listed and removed as before. Look-alike letters of
different scripts are not detected here: pages show names in a fixed-width font, with unusual
characters escaped.

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
    # The Braille pattern without dots.
    (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB),
    # Hieroglyphic and Khitan fillers, the musical null notehead, shorthand format controls.
    (0x13441, 0x13442), (0x16FE4, 0x16FE4), (0x1BCA0, 0x1BCA3), (0x1D159, 0x1D159),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""First and last code points of the ranges of invisible characters, in order."""

_NOTHING: Final = " \t\r\n/"
"""The characters of a blank name."""
EMPTY_SEGMENT: Final = "it has an empty, '.' or '..' segment"

_STARTS: Final = [first for first, _ in _INVISIBLE]


def draws_nothing(char: str) -> bool:
    """Return whether a character is invisible; a plain space counts as visible."""
    code = ord(char)
    at = bisect_right(_STARTS, code) - 1
    hidden = at >= 0 and code <= _INVISIBLE[at][1]
    return hidden or not char.isprintable()


def fault_of(name: str) -> str | None:
    """Return the reason why a new name, or a path of names, is refused; None if it is allowed."""
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
    """Return whether text is blank, for example because a script's variable was not set."""
    return not text.strip(_NOTHING)
