"""Ids: the right shape, all of the randomness, none of it guessed."""

import uuid as standard
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.ids import BASE62, base62, uuid
from ironkeep.testing.memory import SeededEntropy


@given(st.binary(min_size=16, max_size=16))
def test_uuids_are_version_4(random: bytes) -> None:
    parsed = standard.UUID(uuid(random))
    assert parsed.version == 4
    assert parsed.variant == standard.RFC_4122
    assert str(parsed) == uuid(random) == str(standard.UUID(bytes=random, version=4))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_uuids_take_16_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        uuid(bytes(size))


@given(st.integers(0, 40), st.binary(min_size=80, max_size=80))
def test_base62_has_its_length_and_alphabet(length: int, random: bytes) -> None:
    text = base62(random, length)
    assert len(text) == length
    assert set(text) <= set(BASE62)


def test_base62_needs_two_bytes_a_character() -> None:
    assert len(base62(bytes(20), 10)) == 10
    with pytest.raises(ValueError, match="two random bytes"):
        base62(bytes(19), 10)


def test_base62_is_even() -> None:
    counts = Counter(base62(SeededEntropy().token(2 * 62_000), 62_000))
    assert len(counts) == 62
    assert min(counts.values()) > 850
    assert max(counts.values()) < 1_150
