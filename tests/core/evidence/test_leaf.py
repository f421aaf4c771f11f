"""Journal leaves: sealing, disclosing, wrapping keys; and what none of it gives away."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, TooLarge
from ironkeep.core.evidence.leaf import (
    MAX_BODY,
    MAX_LEAF,
    SALT_SIZE,
    Disclosed,
    EpochStart,
    LeafKey,
    check_disclosed,
    epoch_leaf,
    epoch_start,
    is_entry,
    is_key,
    unwrap_key,
    wrap_key,
)
from ironkeep.core.secret import Secret

ORIGIN = "vault.example/audit/a/0"
RUN_KEY = Secret(bytes(range(32)))
READER = X25519PrivateKey.from_private_bytes(b"\x05" * 32)
READER_PUBLIC = READER.public_key().public_bytes_raw()
READER_SECRET = Secret(b"\x05" * 32)

indexes = st.integers(0, 2**63 - 1)


@given(indexes, st.binary(max_size=600))
def test_what_was_sealed_opens_and_can_be_disclosed_without_a_key(index: int, body: bytes) -> None:
    leaf = LeafKey(RUN_KEY, ORIGIN).encrypt(index, body)
    disclosed = LeafKey(RUN_KEY, ORIGIN).open(index, leaf)
    assert disclosed == Disclosed(index, disclosed.salt, body)
    check_disclosed(leaf, disclosed)
    assert is_entry(leaf)
    assert not is_key(leaf)


@given(indexes, st.binary(min_size=1, max_size=80), st.data())
def test_no_changed_byte_opens(index: int, body: bytes, data: st.DataObject) -> None:
    key = LeafKey(RUN_KEY, ORIGIN)
    leaf = bytearray(key.encrypt(index, body))
    leaf[data.draw(st.integers(0, len(leaf) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        key.open(index, bytes(leaf))


@given(indexes, indexes)
def test_a_leaf_opens_only_where_it_was_sealed(index: int, other: int) -> None:
    leaf = LeafKey(RUN_KEY, ORIGIN).encrypt(index, b"body")
    with pytest.raises(IntegrityError):
        LeafKey(RUN_KEY, ORIGIN + "x").open(index, leaf)
    if other != index:
        with pytest.raises(IntegrityError):
            LeafKey(RUN_KEY, ORIGIN).open(other, leaf)


def test_salts_differ_by_index_and_by_run() -> None:
    def salt(run_key: bytes, index: int) -> bytes:
        key = LeafKey(Secret(run_key), ORIGIN)
        return key.open(index, key.encrypt(index, b"")).salt

    salts = {salt(bytes([run]) * 32, index) for run in range(4) for index in range(64)}
    assert len(salts) == 256


def test_a_leaf_shows_neither_body_nor_salt() -> None:
    body = b"kv/data/payments" * 20
    key = LeafKey(RUN_KEY, ORIGIN)
    leaf = key.encrypt(3, body)
    assert body[:8] not in leaf
    assert key.open(3, leaf).salt not in leaf
    assert len(leaf) == 2 + 32 + SALT_SIZE + len(body) + 16


def test_another_body_or_salt_is_not_what_the_leaf_commits_to() -> None:
    key = LeafKey(RUN_KEY, ORIGIN)
    leaf = key.encrypt(3, b"read")
    disclosed = key.open(3, leaf)
    shifted = Disclosed(3, disclosed.salt[:-1], disclosed.salt[-1:] + b"read")
    for lie in (replace(disclosed, body=b"list"), replace(disclosed, salt=bytes(16)), shifted):
        with pytest.raises(IntegrityError):
            check_disclosed(leaf, lie)
    with pytest.raises(IntegrityError):
        check_disclosed(b"\x01\x02" + leaf[2:], disclosed)


def test_a_body_at_the_limit_fits_a_bundle_and_one_more_byte_does_not() -> None:
    key = LeafKey(RUN_KEY, ORIGIN)
    assert len(key.encrypt(0, bytes(MAX_BODY))) == MAX_LEAF
    with pytest.raises(TooLarge):
        key.encrypt(0, bytes(MAX_BODY + 1))


def test_only_the_reading_key_unwraps_a_run_key() -> None:
    leaf = wrap_key(RUN_KEY, 9, ORIGIN, READER_PUBLIC, Secret(b"\x07" * 32))
    assert is_key(leaf)
    assert RUN_KEY.reveal() not in leaf
    sealed = LeafKey(RUN_KEY, ORIGIN).encrypt(10, b"body")
    assert unwrap_key(leaf, 9, ORIGIN, READER_SECRET).open(10, sealed).body == b"body"
    for bad_leaf, index, origin, secret in (
        (leaf, 9, ORIGIN, Secret(b"\x06" * 32)),
        (leaf, 8, ORIGIN, READER_SECRET),
        (leaf, 9, "other", READER_SECRET),
        (leaf[:-1], 9, ORIGIN, READER_SECRET),
        (b"\x01\x01" + leaf[2:], 9, ORIGIN, READER_SECRET),
        (leaf[:2] + bytes(32) + leaf[34:], 9, ORIGIN, READER_SECRET),
    ):
        with pytest.raises(IntegrityError):
            unwrap_key(bad_leaf, index, origin, secret)


def test_a_reading_key_of_low_order_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        wrap_key(RUN_KEY, 0, ORIGIN, bytes(32), Secret(b"\x07" * 32))


def test_what_an_epoch_starts_from_is_readable_by_anyone() -> None:
    start = EpochStart(7, b"\x0b" * 32, b"old note")
    leaf = epoch_leaf(start)
    assert epoch_start(leaf) == start
    assert not is_entry(leaf)
    assert not is_key(leaf)
    assert epoch_start(LeafKey(RUN_KEY, ORIGIN).encrypt(0, b"x")) is None
    with pytest.raises(IntegrityError, match="cut short"):
        epoch_start(leaf[:41])
    longest = EpochStart(7, bytes(32), bytes(MAX_LEAF - 42))
    assert len(epoch_leaf(longest)) == MAX_LEAF
    with pytest.raises(TooLarge):
        epoch_leaf(EpochStart(7, bytes(32), bytes(MAX_LEAF - 41)))


def test_a_run_key_has_one_size() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        LeafKey(Secret(bytes(16)), ORIGIN)
