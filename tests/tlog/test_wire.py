"""Strict encodings: one value, one spelling."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.wire import (
    MAX_SIZE,
    decode_base64,
    decode_decimal,
    decode_hash,
    decode_text,
    encode_base64,
    is_line,
)


@given(st.binary(max_size=80))
def test_base64_round_trip(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize(
    "text",
    ["AA", "AAA", "AB==", "AAB=", "AA==\n", " AA==", "AA= =", "A-_A", "AA==AA==", "é", "====", "A"],
)
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        decode_base64(text)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_hash_has_32_bytes(length: int) -> None:
    assert decode_hash(encode_base64(bytes(32))) == bytes(32)
    with pytest.raises(IntegrityError, match="32 bytes"):
        decode_hash(encode_base64(bytes(length)))


@given(st.integers(0, MAX_SIZE))
def test_decimal_round_trip(value: int) -> None:
    assert decode_decimal(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "1.0", "1\n", "\u0661", "\u00b2",
        "9" * 5000, str(MAX_SIZE + 1),
    ],
)  # fmt: skip
def test_other_spellings_of_numbers_are_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        decode_decimal(text)


@pytest.mark.parametrize("data", [b"a\rb", b"\x00", b"\t", b"\x1f", b"\xff", b"\xed\xa0\x80"])
def test_text_without_control_characters(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_text(data, 10)


def test_text_limit() -> None:
    assert decode_text(b"12345\n", 6) == "12345\n"
    with pytest.raises(IntegrityError, match="longer than 5"):
        decode_text(b"12345\n", 5)


@pytest.mark.parametrize(
    ("text", "good"),
    [("a b", True), ("é", True), ("", False), ("a\nb", False), ("\r", False), ("\ud800", False)],
)
def test_lines(text: str, good: bool) -> None:
    assert is_line(text) is good
