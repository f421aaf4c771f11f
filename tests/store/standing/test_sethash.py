import hashlib

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.ports import Entropy, Row, StoreHead
from ironkeep.core.secret import Secret
from ironkeep.store.ciphers import Ciphers
from ironkeep.store.keyring import HOUSE, Keyring, SegmentId, new_keyring
from ironkeep.store.standing.sethash import (
    MODULUS,
    RowTotals,
    SetHash,
    decode_totals,
    verify_last,
    verify_not_older,
)

KEY = bytes(range(32))
HASH = SetHash(Secret(KEY))
ROW = st.builds(Row, st.binary(max_size=8), st.none() | st.integers(0, 2**63 - 1))
KEYS = st.binary(min_size=1, max_size=3)
ROWS = st.dictionaries(KEYS, ROW)


@pytest.fixture
def ciphers(entropy: Entropy) -> Ciphers:
    return Ciphers(new_keyring(HOUSE, entropy, 0), entropy)


def test_the_sum_is_that_of_the_written_out_elements() -> None:
    def element(data: bytes) -> int:
        digest = hashlib.blake2b(data, digest_size=32, key=KEY, person=b"ironkeep-rows-v1")
        return int.from_bytes(digest.digest(), "big")

    rows = [(b"\x00key", Row(b"value")), (b"\x01k", Row(b"v", 258))]
    want = (
        element(b"\x00\x00\x00\x04" + b"\x00" + bytes(8) + b"\x00key" + b"value")
        + element(b"\x00\x00\x00\x02" + b"\x01" + bytes(6) + b"\x01\x02" + b"\x01k" + b"v")
    ) % MODULUS
    assert HASH.of(rows) == want


@given(st.lists(st.tuples(KEYS, ROW), min_size=2, max_size=6, unique_by=repr))
def test_different_rows_have_different_elements(rows: list[tuple[bytes, Row]]) -> None:
    assert len({HASH.of([row]) for row in rows}) == len(rows)


def test_the_parts_of_a_row_cannot_slide() -> None:
    assert HASH.of([(b"ab", Row(b"c"))]) != HASH.of([(b"a", Row(b"bc"))])
    assert HASH.of([(b"a", Row(b"", 0))]) != HASH.of([(b"a", Row(b""))])
    assert HASH.of([]) == 0


# -- the totals ---------------------------------------------------------------------------------


def head_of_schema_1(ciphers: Ciphers, seq: int, total: int) -> bytes:
    """Return the state of a head as releases with one sum over all rows wrote it."""
    plain = seq.to_bytes(8, "big") + total.to_bytes(32, "big")
    return ciphers.encrypt(plain, b"ironkeep/head/v1" + ciphers.keyring.segment.encode())


@pytest.mark.parametrize(("seq", "total"), [(1, 0), (7, 1), (2**64 - 1, MODULUS - 1)])
def test_a_head_of_schema_1_is_read(ciphers: Ciphers, seq: int, total: int) -> None:
    state = head_of_schema_1(ciphers, seq, total)
    assert decode_totals(StoreHead(seq, state), ciphers) == RowTotals(seq, total)


def test_a_head_that_does_not_fit_its_state_is_refused(ciphers: Ciphers, entropy: Entropy) -> None:
    state = head_of_schema_1(ciphers, 7, 1)
    with pytest.raises(IntegrityError, match=r"commit 8.*of commit 7"):
        decode_totals(StoreHead(8, state), ciphers)
    for damaged in (b"", state[:-1], state[:-1] + bytes([state[-1] ^ 1])):
        with pytest.raises(IntegrityError):
            decode_totals(StoreHead(7, damaged), ciphers)
    same_keys = ciphers.keyring
    other = Keyring(SegmentId("other"), same_keys.terms, same_keys.name_key, same_keys.row_hash_key)
    with pytest.raises(IntegrityError):
        decode_totals(StoreHead(7, state), Ciphers(other, entropy))


def test_links_are_of_their_content_and_key() -> None:
    assert HASH.link(b"a") == HASH.link(b"a") != HASH.link(b"b")
    assert HASH.link(b"a") != SetHash(Secret(bytes(32))).link(b"a")
    assert len(HASH.link(b"")) == 32


def test_the_total_does_not_show() -> None:
    assert "1234567" not in repr(RowTotals(1, 1234567))


def test_marks_are_equal_for_equal_totals_only() -> None:
    mark = HASH.mark(RowTotals(1, 2))
    assert len(mark) == 32
    assert mark == HASH.mark(RowTotals(1, 2))
    assert mark != HASH.mark(RowTotals(2, 2))
    assert mark != HASH.mark(RowTotals(1, 3))
    assert mark != SetHash(Secret(bytes(32))).mark(RowTotals(1, 2))


def test_a_store_older_than_the_journal_is_refused() -> None:
    totals = RowTotals(7, 1)
    verify_not_older(totals, 7, HASH.mark(totals), HASH)
    verify_not_older(totals, 6, HASH.mark(RowTotals(6, 5)), HASH)
    with pytest.raises(RolledBack, match=r"commit 7.*commit 8"):
        verify_not_older(totals, 8, HASH.mark(totals), HASH)
    with pytest.raises(IntegrityError, match="not those journalled at commit 7") as error:
        verify_not_older(totals, 7, HASH.mark(RowTotals(7, 2)), HASH)
    assert not isinstance(error.value, RolledBack)


def test_a_store_ahead_of_a_journal_that_was_drained_is_refused() -> None:
    totals = RowTotals(7, 1)
    verify_last(totals, 7, HASH.mark(totals), HASH)
    with pytest.raises(IntegrityError, match=r"commit 7.*journalled is 6.*removed from the outbox"):
        verify_last(totals, 6, HASH.mark(RowTotals(6, 5)), HASH)
    with pytest.raises(RolledBack):
        verify_last(totals, 8, HASH.mark(totals), HASH)
