"""Offline verification: what it accepts, and what it says of each kind of change."""

import pytest

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.journal.journal import Journal
from ironkeep.journal.verify import verify_log
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.cosignature import Cosigner
from ironkeep.tlog.note import KeyType, VerifierKey
from ironkeep.tlog.policy import Policy
from tests.support.log.sample_journal import open_sample, write_batch
from tests.support.log.sample_log import SAMPLE_TIME, sample_key

WITNESS = sample_key("w.example")
POLICY = Policy.parse(
    f"witness w {WITNESS.verifier_key(KeyType.COSIGNATURE).format()}\nquorum w\n".encode()
)


def history() -> tuple[LogDisk, Journal]:
    """Return a log with bundles and segments, a cosigned head, a newer one, and unsigned leaves."""
    disk = LogDisk()
    journal = open_sample(disk)
    while journal.next_index < 900:
        write_batch(journal, 23)
        if journal.next_index < 850:
            journal.checkpoint()
        if journal.next_index < 700:
            journal.rotate_wal()
        if 300 < journal.next_index < 330:
            assert journal.log.published is not None
            head = journal.log.published.checkpoint
            journal.add_cosignatures(head, [Cosigner(WITNESS).cosign(head, SAMPLE_TIME)])
    return disk, journal


DISK, JOURNAL = history()
KEY = VerifierKey.parse(bytes(DISK.files["vkey"]).decode().strip())


def readonly(disk: LogDisk) -> MemoryLogFiles:
    return MemoryLogFiles(disk, readonly=True)


def test_a_log_in_use_verifies_and_is_not_touched() -> None:
    before = {name: bytes(data) for name, data in DISK.files.items()}
    verified = verify_log(readonly(DISK), KEY, POLICY)
    assert JOURNAL.log.published is not None
    assert verified.size == JOURNAL.durable_size
    assert verified.checkpoint == JOURNAL.log.published.checkpoint
    assert verified.checkpoint.size < verified.size
    assert verified.cosigners == ("w",)
    assert verified.torn == 0
    assert {name: bytes(data) for name, data in DISK.files.items()} == before


def test_a_quorum_that_is_missing_is_said() -> None:
    disk = DISK.copy()
    del disk.files["cosigned"]
    with pytest.raises(IntegrityError, match="has not cosigned"):
        verify_log(readonly(disk), KEY, POLICY)
    assert verify_log(readonly(disk), KEY).cosigners == ()


def test_another_key_or_no_head_is_refused() -> None:
    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        verify_log(readonly(DISK), sample_key(KEY.name).verifier_key(KeyType.ED25519))
    disk = DISK.copy()
    del disk.files["signed"]
    with pytest.raises(IntegrityError, match="signed is missing"):
        verify_log(readonly(disk), KEY)


def test_a_log_cut_below_a_head_is_rolled_back() -> None:
    disk = DISK.copy()
    for name in sorted(name for name in disk.files if name.endswith(".wal"))[1:]:
        del disk.files[name]
    with pytest.raises(RolledBack, match="but signed is at"):
        verify_log(readonly(disk), KEY)


def test_a_torn_tail_is_counted() -> None:
    disk = DISK.copy()
    last = max(name for name in disk.files if name.endswith(".wal"))
    used = len(bytes(disk.files[last]).rstrip(b"\x00"))
    disk.files[last][used + 1 : used + 31] = b"\xaa" * 30
    assert 30 <= verify_log(readonly(disk), KEY).torn <= 34


def test_every_file_of_leaves_and_hashes_counts() -> None:
    names = [name for name in DISK.files if name.startswith(("tile/", "hash/"))]
    assert {"tile/entries/000", "tile/entries/001", "hash/L0", "hash/L1"} <= set(names)
    for name in names:
        for at in (0, len(DISK.files[name]) // 2, len(DISK.files[name]) - 1):
            disk = DISK.copy()
            disk.files[name][at] ^= 1
            with pytest.raises(IntegrityError):
                verify_log(readonly(disk), KEY)
        disk = DISK.copy()
        del disk.files[name]
        with pytest.raises(IntegrityError, match=name):
            verify_log(readonly(disk), KEY)


def test_an_empty_log_is_refused_for_nothing_was_signed() -> None:
    disk = LogDisk()
    open_sample(disk)
    with pytest.raises(IntegrityError, match="signed is missing"):
        verify_log(readonly(disk), KEY)
