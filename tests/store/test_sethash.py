import hashlib

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.ids import ROOT_NAMESPACE, MountUuid
from ironkeep.core.ports import Entropy, Row, StoreHead
from ironkeep.core.secret import Secret
from ironkeep.store.barrier import Barrier, Store
from ironkeep.store.ciphers import Ciphers
from ironkeep.store.keyring import HOUSE, Keyring, SegmentId, new_keyring
from ironkeep.store.names import Place
from ironkeep.store.rows import RowView
from ironkeep.store.sethash import (
    MODULUS,
    RowTotals,
    SetHash,
    decode_totals,
    encode_totals,
    verify_not_older,
    verify_rows,
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


@given(ROWS, st.lists(st.tuples(KEYS, st.none() | ROW)))
def test_incremental_equals_recomputed(
    rows: dict[bytes, Row], writes: list[tuple[bytes, Row | None]]
) -> None:
    total = HASH.of(rows.items())
    for key, row in writes:
        total = HASH.replace(total, key, rows.get(key), row)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row
    assert total == HASH.of(reversed(list(rows.items())))
    verify_rows(RowTotals(1, total), rows.items(), HASH)


@given(ROWS, KEYS, ROW)
def test_adding_and_removing_cancel(rows: dict[bytes, Row], key: bytes, row: Row) -> None:
    total = HASH.of(rows.items())
    assert HASH.remove(HASH.add(total, key, row), key, row) == total
    assert HASH.add(total, key, row) == HASH.replace(total, key, None, row) != total


@given(st.lists(st.tuples(KEYS, ROW), min_size=2, max_size=6, unique_by=repr))
def test_different_rows_have_different_elements(rows: list[tuple[bytes, Row]]) -> None:
    assert len({HASH.of([row]) for row in rows}) == len(rows)


def test_the_parts_of_a_row_cannot_slide() -> None:
    assert HASH.of([(b"ab", Row(b"c"))]) != HASH.of([(b"a", Row(b"bc"))])
    assert HASH.of([(b"a", Row(b"", 0))]) != HASH.of([(b"a", Row(b""))])
    assert HASH.of([]) == 0


# -- the attacks that encryption alone does not see ------------------------------------------------


@pytest.fixture
def keyring(entropy: Entropy) -> Keyring:
    return new_keyring(HOUSE, entropy, 0)


@pytest.fixture
def store(keyring: Keyring, entropy: Entropy, view: RowView) -> Store:
    place = Place(ROOT_NAMESPACE, MountUuid("uuid"))
    return Store(Barrier(keyring, entropy), place, view)


def test_a_replayed_row_opens_but_is_found(
    keyring: Keyring, store: Store, rows: dict[bytes, Row]
) -> None:
    set_hash = SetHash(keyring.row_hash_key)
    store.put("a", b"old")
    key, old = store.key_of("a"), rows[store.key_of("a")]
    store.put("a", b"new")
    totals = RowTotals(2, set_hash.of(rows.items()))
    verify_rows(totals, rows.items(), set_hash)
    rows[key] = old
    assert store.get("a") == b"old"
    with pytest.raises(IntegrityError, match=r"older copy.*snapshot"):
        verify_rows(totals, rows.items(), set_hash)


def test_a_removed_and_an_added_row_are_found(
    keyring: Keyring, store: Store, rows: dict[bytes, Row]
) -> None:
    set_hash = SetHash(keyring.row_hash_key)
    for name in "abc":
        store.put(name, b"-")
    rows[b"\x00seal"] = Row(b"plain")
    totals = RowTotals(4, set_hash.of(rows.items()))
    for key in list(rows):
        row = rows.pop(key)
        with pytest.raises(IntegrityError):
            verify_rows(totals, rows.items(), set_hash)
        rows[key] = row
    rows[b"\x01more"] = Row(b"")
    with pytest.raises(IntegrityError):
        verify_rows(totals, rows.items(), set_hash)


# -- the totals ---------------------------------------------------------------------------------


@given(st.integers(1, 2**64 - 1), st.integers(0, MODULUS - 1))
def test_a_standing_goes_encrypted_through_the_head(seq: int, total: int) -> None:
    class Fixed:
        def token(self, size: int) -> bytes:
            return bytes(size)

    ciphers = Ciphers(new_keyring(HOUSE, Fixed(), 0), Fixed())
    state = encode_totals(RowTotals(seq, total), ciphers)
    assert total.to_bytes(32, "big") not in state
    assert decode_totals(StoreHead(seq, state), ciphers) == RowTotals(seq, total)


def test_a_new_store_stands_at_nothing(ciphers: Ciphers) -> None:
    assert decode_totals(StoreHead(0, b""), ciphers) == RowTotals(0, 0)
    verify_rows(RowTotals(0, 0), [], HASH)
    with pytest.raises(IntegrityError):
        verify_rows(RowTotals(0, 0), [(b"k", Row(b"v"))], HASH)


def test_a_head_that_does_not_fit_its_state_is_refused(ciphers: Ciphers, entropy: Entropy) -> None:
    state = encode_totals(RowTotals(7, 1), ciphers)
    with pytest.raises(IntegrityError, match=r"commit 8.*of commit 7"):
        decode_totals(StoreHead(8, state), ciphers)
    for damaged in (b"", state[:-1], state[:-1] + bytes([state[-1] ^ 1])):
        with pytest.raises(IntegrityError):
            decode_totals(StoreHead(7, damaged), ciphers)
    with pytest.raises(IntegrityError):
        decode_totals(StoreHead(0, state), ciphers)
    same_keys = ciphers.keyring
    other = Keyring(SegmentId("other"), same_keys.terms, same_keys.name_key, same_keys.row_hash_key)
    with pytest.raises(IntegrityError):
        decode_totals(StoreHead(7, state), Ciphers(other, entropy))


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
