"""Text of others: what is not seen as itself is spelt, and nothing else is touched."""

import sys
import unicodedata

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.text.visible import is_drawn, is_visible, visible

UNSEEN = [
    "\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\xa0", "\xad", "\u034f", "\u061c",
    "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e", "\u2000", "\u2003", "\u200b", "\u200d",
    "\u200e", "\u2028", "\u202e", "\u2060", "\u2065", "\u2066", "\u2800", "\u3000", "\u3164",
    "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\ue000", "\ud800", "\U000e0001",
    "\U000e0080", "\U000e0100", "\U0001d173", "\U0010ffff",
]  # fmt: skip
"""Controls, formats, separators, private and unassigned ones, and letters that draw nothing."""


@pytest.mark.parametrize("char", UNSEEN)
def test_what_is_not_seen_is_spelt(char: str) -> None:
    assert not is_drawn(char)
    assert not is_visible(f"a{char}b")
    shown = visible(f"a{char}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert visible("a\u200b" + char, keep=char).endswith(char)


@pytest.mark.parametrize("text", ["", "secret/data/app", "пароль", "日本語", "é", "a b", "ⵣ", "🔑"])
def test_what_is_seen_stays(text: str) -> None:
    assert is_visible(text)
    assert visible(text) == text


def test_no_format_control_separator_or_ignorable_letter_is_left_out() -> None:
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    for number in range(sys.maxunicode + 1):
        char = chr(number)
        kind, name = unicodedata.category(char), unicodedata.name(char, "")
        if (
            kind in hidden
            or (kind == "Zs" and char != " ")
            or ("HANGUL" in name and "FILLER" in name)
        ):
            assert not is_drawn(char), hex(number)


@given(st.text(), st.text())
def test_two_texts_that_differ_by_what_is_not_seen_are_shown_apart(one: str, other: str) -> None:
    """Where no backslash stands in them, which spelling could be mistaken for."""
    if one != other and "\\" not in one + other:
        assert visible(one) != visible(other)
