"""Names that may be made: seen, typed and addressed again by everybody."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.text.naming import draws_nothing, fault_of

HIDDEN = re.compile(
    "VARIATION SELECTOR|FILLER|ZERO WIDTH|GRAPHEME JOINER|WORD JOINER|INVISIBLE|VOWEL INHERENT|"
    "BRAILLE PATTERN BLANK|NULL NOTEHEAD|FULL BLANK|HALF BLANK|^TAG |EMBEDDING|OVERRIDE|"
    "SOFT HYPHEN|SHORTHAND FORMAT|SPACE"
)
DRAWN = re.compile(
    "MONOSPACE|SIGNWRITING|GAP FILLER|LINE FILLER|SYMBOL FOR|WORDSPACE|TODO SOFT HYPHEN|HALF FILL"
)
"""Of those the ones with a glyph."""


def test_no_character_that_draws_nothing_is_let_through() -> None:
    """By the names that Unicode gives them, whatever their category."""
    named = ((chr(code), unicodedata.name(chr(code), "")) for code in range(0x21, sys.maxunicode))
    hidden = [(char, name) for char, name in named if HIDDEN.search(name)]
    assert len(hidden) > 300
    missed = [name for char, name in hidden if not draws_nothing(char) and not DRAWN.search(name)]
    assert missed == []


@pytest.mark.parametrize(
    "char", "\x00\x1f\x7f\x85\xa0\xad\u2000\u3000\u2028\ufeff\ue000\U000e0080\u2065"
)
def test_controls_blanks_and_what_is_not_assigned_are_refused(char: str) -> None:
    assert draws_nothing(char)
    assert fault_of(f"a{char}b") is not None


@pytest.mark.parametrize(
    "name", ["", "a//b", "/a", "a/", "a/./b", "..", " a", "a ", "a/ b", "a /b", " ", "e\u0301"]
)
def test_what_cannot_be_addressed_again_is_refused(name: str) -> None:
    assert fault_of(name) is not None


@pytest.mark.parametrize(
    "name",
    ["app", "a b", "ключ", "🔑", "a%2Fb", "%", "a+b", "*", "\u00e9", "prod/db.1", "…"],
)
def test_what_can_be_seen_is_taken(name: str) -> None:
    assert fault_of(name) is None


@given(st.text(max_size=8))
def test_a_name_that_is_taken_is_one_line_of_visible_text(name: str) -> None:
    if fault_of(name) is None:
        assert name.isprintable()
        assert unicodedata.normalize("NFC", name) == name
        assert [part.strip() for part in name.split("/")] == name.split("/")
        assert all(part.strip(".") or len(part) > 2 for part in name.split("/"))
