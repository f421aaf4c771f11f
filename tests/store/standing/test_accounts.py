"""The accounts over a real ledger: any change to what is stored of them is refused at a start."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core import envelope
from ironkeep.core.errors import IntegrityError, Sealed
from ironkeep.core.ports import Commit, Record, Row, StoreHead
from ironkeep.core.secret import Secret
from ironkeep.store.ciphers import Ciphers, Encryption
from ironkeep.store.keyring import HOUSE, new_keyring
from ironkeep.store.standing import accounts as module
from ironkeep.store.standing.accounts import Accounts, RowsDiffer, is_upgraded
from ironkeep.store.standing.buckets import BUCKETS, SUM_BYTES, bucket_of
from ironkeep.store.standing.sethash import SetHash
from ironkeep.store.state import State
from ironkeep.testing.memory import MemoryStorage, SeededEntropy
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

HASH = SetHash(Secret(bytes(range(32))))
KEYS = st.sampled_from([b"\x01%d" % n + bytes([0, n % 3]) for n in range(8)])
WRITES = st.dictionaries(KEYS, st.none() | st.builds(Row, st.binary(max_size=4)), min_size=1)


class Shop:
    """Commits over a storage in memory, by the accounts alone."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        entropy = SeededEntropy(1)
        self.ciphers = Ciphers(new_keyring(HOUSE, SeededEntropy(2), 0), entropy)
        self.storage = storage or MemoryStorage()
        self.accounts = Accounts(HASH, self.ciphers)
        self.accounts.load(self.storage)

    def commit(self, writes: dict[bytes, Row | None]) -> None:
        """Make one commit durable."""
        state = State(self.storage)
        tx = state.begin()
        for key, row in writes.items():
            if row is None:
                tx.delete(key)
            else:
                tx.put(key, row)
        tx.merge()
        batch = state.close_batch()
        assert batch is not None
        seq = self.storage.head().seq + 1
        sums = self.accounts.add(seq, batch)
        frame = b"%032d" % seq
        stored = self.accounts.state(frame)
        self.storage.commit(Commit(seq, batch.stored, stored, frame, seq - 1, sums))
        self.accounts.settled()

    def loaded(self) -> Accounts:
        """Return accounts that read what is stored."""
        accounts = Accounts(HASH, self.ciphers)
        accounts.load(self.storage)
        return accounts


def sums_of(storage: MemoryStorage) -> dict[int, int]:
    sums: dict[int, int] = {}
    for key, row in storage.scan(b""):
        sums[bucket_of(key)] = (sums.get(bucket_of(key), 0) + HASH.of([(key, row)])) % 2**256
    return sums


@settings(deadline=None, max_examples=40)
@given(st.lists(WRITES, max_size=12), st.integers(1, 4), st.integers(1, 4))
def test_what_is_stored_is_what_the_rows_add_up_to(
    batches: list[dict[bytes, Row | None]], every: int, parts: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SNAPSHOT_COMMITS", every)
        patch.setattr(module, "SNAPSHOT_PARTS", parts)
        shop = Shop()
        for writes in batches:
            shop.commit(writes)
            again = shop.loaded()
            assert again.totals == shop.accounts.totals
            assert again.frame == shop.accounts.frame
            rows = sums_of(shop.storage)
            assert {b: t for b in range(3) if (t := again.sums.get(b))} == {
                b: t for b, t in rows.items() if t
            }


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Seven commits, the newest snapshot with the fifth."""
    monkeypatch.setattr(module, "SNAPSHOT_COMMITS", 5)
    monkeypatch.setattr(module, "SNAPSHOT_PARTS", 1)
    shop = Shop()
    for number in range(1, 8):
        shop.commit({b"\x01row" + bytes([number % 2, number]): Row(b"%d" % number)})
    assert shop.storage.sums()
    return shop


def altered(at: int, **change: bytes) -> Callable[[list[Record]], None]:
    def alter(records: list[Record]) -> None:
        records[at] = replace(records[at], **change)  # type: ignore[arg-type]

    return alter


def swapped(records: list[Record]) -> None:
    records[5], records[6] = (
        replace(records[5], state=records[6].state),
        replace(records[6], state=records[5].state),
    )


def lost(records: list[Record]) -> None:
    del records[5]


def inserted(records: list[Record]) -> None:
    records.insert(6, records[5])


DAMAGES = {
    "the keys of the last": altered(6, keys=b""),
    "the keys of one between": altered(5, keys=b"\x01\x00\x01a"),
    "the keys of that with the snapshot": altered(4, keys=b""),
    "a state": altered(5, state=b"\x02" + bytes(200)),
    "a state of an unknown version": altered(5, state=b"\x03"),
    "two states swapped": swapped,
    "one removed": lost,
    "one added": inserted,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_changed_log_of_commits_is_refused(shop: Shop, name: str) -> None:
    known = shop.accounts.totals
    DAMAGES[name](shop.storage._records)
    with suppress(IntegrityError):
        assert shop.loaded().totals != known, "the journal's mark tells"
    if name != "the keys of that with the snapshot":
        with pytest.raises(IntegrityError):
            shop.accounts.vouch(shop.storage.records(4))


def test_an_untouched_log_is_vouched_for(shop: Shop) -> None:
    for after in range(8):
        shop.accounts.vouch(shop.storage.records(after))


def test_an_older_head_is_another_total(shop: Shop) -> None:
    """The journal then says RolledBack; a head of the same number would have another mark."""
    copy = shop.storage.snapshot()
    shop.commit({b"\x01x": Row(b"x")})
    after = shop.accounts.totals
    shop.storage.restore(copy)
    assert shop.loaded().totals.seq == after.seq - 1


def test_another_snapshot_is_refused(shop: Shop) -> None:
    older = shop.storage._sums
    for number in range(5):
        shop.commit({b"\x01y%d" % number: Row(b"y")})
    assert shop.storage._sums != older
    newest = shop.storage._sums
    middle = len(newest) // 2
    flipped = newest[:middle] + bytes([newest[middle] ^ 1]) + newest[middle + 1 :]
    for sums in (older, b"", newest[:-1], flipped, newest[:-40] + newest[-16:]):
        shop.storage._sums = sums
        with pytest.raises(IntegrityError):
            shop.loaded()
    shop.storage._sums = newest
    assert shop.loaded().totals == shop.accounts.totals


def test_large_commits_bring_a_snapshot_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_SUMS", 3)
    monkeypatch.setattr(module, "SNAPSHOT_PARTS", 1)
    shop = Shop()
    shop.commit({b"\x01%d" % n: Row(b"") for n in range(3)})
    assert shop.storage.sums() == b""
    shop.commit({b"\x014": Row(b"")})
    assert shop.storage.sums()
    assert shop.loaded().totals == shop.accounts.totals


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Four commits; the next four encrypt a snapshot, and the eighth brings it."""
    monkeypatch.setattr(module, "SNAPSHOT_COMMITS", 8)
    monkeypatch.setattr(module, "SNAPSHOT_PARTS", 4)
    shop = Shop()
    for number in range(1, 5):
        shop.commit({b"\x01row%d" % number: Row(b"%d" % number)})
    return shop


def test_a_snapshot_is_encrypted_in_parts_and_has_what_changed_meanwhile(
    parted: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    add = Encryption.add

    def counted(self: Encryption, plaintext: bytes) -> None:
        sizes.append(len(plaintext))
        add(self, plaintext)

    monkeypatch.setattr(Encryption, "add", counted)
    for number in range(5, 9):
        assert parted.storage.sums() == b""
        # The same row each time: the snapshot has its first state, the record its last.
        parted.commit({b"\x01row1": Row(b"again %d" % number), b"\x01n%d" % number: Row(b"")})
        assert parted.loaded().totals == parted.accounts.totals
    assert parted.storage.sums()
    assert sizes == [BUCKETS * SUM_BYTES // 4] * 4
    parted.commit({b"\x01row2": None})
    again = parted.loaded()
    assert {b: t for b in range(BUCKETS) if (t := again.sums.get(b))} == {
        bucket: total for bucket, total in sums_of(parted.storage).items() if total
    }


def test_a_snapshot_that_a_restart_cut_off_is_begun_again(parted: Shop) -> None:
    parted.commit({b"\x01row5": Row(b"5")})
    parted.accounts = parted.loaded()
    for number in range(6, 9):
        parted.commit({b"\x01row%d" % number: Row(b"6")})
        assert parted.storage.sums() == b""
    parted.commit({b"\x01row9": Row(b"9")})
    assert parted.storage.sums()
    assert parted.loaded().totals == parted.accounts.totals


def test_a_snapshot_is_begun_again_with_newer_keys(parted: Shop) -> None:
    parted.commit({b"\x01row5": Row(b"5")})
    keyring = parted.ciphers.keyring.rotate(SeededEntropy(3), 1)
    parted.ciphers = parted.accounts.ciphers = Ciphers(keyring, parted.ciphers.entropy)
    for number in range(6, 10):
        assert parted.storage.sums() == b""
        parted.commit({b"\x01row%d" % number: Row(b"6")})
    assert envelope.term_of(parted.storage.sums()) == keyring.current.number
    assert parted.loaded().totals == parted.accounts.totals


def test_the_sums_are_not_readable_in_the_store(shop: Shop) -> None:
    stored = shop.storage.sums() + b"".join(each.state for each in shop.storage.records(0))
    for bucket in range(BUCKETS):
        if total := shop.accounts.sums.get(bucket):
            assert total.to_bytes(32, "big") not in stored


def old_store(rows: dict[bytes, Row | None], shop: Shop) -> MemoryStorage:
    """Return a store as schema 1 left it: one sum over all rows in the head."""
    storage = MemoryStorage()
    whole = HASH.of((key, row) for key, row in rows.items() if row is not None)
    plain = (1).to_bytes(8, "big") + whole.to_bytes(32, "big")
    state = shop.ciphers.encrypt(plain, b"ironkeep/head/v1house")
    storage.commit(Commit(1, rows, state, b"frame", 0))
    return storage


def test_a_store_of_schema_1_is_read_once_and_brings_a_snapshot() -> None:
    rows: dict[bytes, Row | None] = {b"\x01%d" % n: Row(b"%d" % n) for n in range(20)}
    shop = Shop(old_store(rows, Shop()))
    assert is_upgraded(shop.storage.head())
    assert shop.accounts.upgraded
    # Nothing has been stored yet: a crash here leaves the store as it was.
    assert shop.loaded().upgraded
    shop.commit({b"\x013": None, b"\x01new": Row(b"")})
    again = shop.loaded()
    assert not again.upgraded
    assert not is_upgraded(shop.storage.head())
    assert {b: t for b in range(BUCKETS) if (t := again.sums.get(b))} == sums_of(shop.storage)


@pytest.mark.parametrize("row", [None, Row(b"other")])
def test_a_wrong_row_of_schema_1_is_refused(row: Row | None) -> None:
    storage = old_store({b"\x01%d" % n: Row(b"%d" % n) for n in range(20)}, Shop())
    storage.tamper(b"\x017", row)
    with pytest.raises(RowsDiffer, match="not those of commit 1"):
        Shop(storage)


def test_a_new_store_is_no_old_one() -> None:
    assert not is_upgraded(StoreHead(0, b""))


# -- through the ledger ---------------------------------------------------------------------------


def test_changes_are_vouched_for() -> None:
    vault = Vault.started(PLUGINS)
    seq = vault.house.ledger.seq
    vault.write("secret/data/a", {"data": {"x": "1"}})
    changes = vault.house.ledger.changes(seq, 100)
    assert changes == vault.storage.changes(seq, 100) != []
    records = vault.storage._records
    records[-1] = replace(records[-1], keys=records[-1].keys[: len(records[-1].keys) // 2])
    with pytest.raises(IntegrityError):
        vault.house.ledger.changes(seq, 100)
    vault.write("sys/seal")
    with pytest.raises(Sealed):
        vault.house.ledger.changes(seq, 100)
