"""Numbers keep their spelling."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.text.number_hook import encoded
from ironkeep.core.text.numbers import MAX_NUMBER, Spelt, dumps, loads

SPELLINGS = (
    "1.10", "1e3", "1E3", "1E400", "1e+05", "-0", "-0.0", "0.000", "1.0E-7", "10000000000000000001",
    "1e-999999", "12345678901234567890.12345678901234567890", "9007199254740993", "5", "-7",
)  # fmt: skip
ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=encoded)


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_number_is_written_as_it_was_read(text: str) -> None:
    document = f'{{"a":[{text},{{"b":{text}}}],"c":"{text}"}}'
    assert dumps(loads(document), separators=(",", ":")) == document
    assert ENCODER.encode(loads(document)).decode() == document
    assert loads(text) == Decimal(text)
    assert str(loads(text)) == text


def test_numbers_past_any_use_are_no_json() -> None:
    for text in ("1e99999999999999999999", "1." + "0" * MAX_NUMBER, "1" * (MAX_NUMBER + 1)):
        with pytest.raises(ValueError, match="number"):
            loads(text)


@given(
    st.recursive(
        st.text(alphabet='~"\\1a\n') | st.sampled_from([Spelt(text) for text in SPELLINGS[:9]]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("~1"), inner),
        max_leaves=8,
    )
)
def test_no_text_is_taken_for_a_number(document: object) -> None:
    for shape in ({}, {"indent": 2}, {"ensure_ascii": False}):
        text = dumps(document, **shape)
        assert loads(text) == document
        assert json.loads(text, parse_float=Spelt, parse_int=Spelt) == document


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})
