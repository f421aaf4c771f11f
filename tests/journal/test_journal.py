"""The journal at work: batches, receipts, checkpoints, bundles, the outbox, and its limits."""

import errno
from hashlib import sha256

import pytest

from ironkeep.core.errors import IntegrityError, InvalidRequest, NotFound, TooLarge, Unavailable
from ironkeep.core.event import NODE, Entry
from ironkeep.core.evidence.leaf import is_key
from ironkeep.journal import frame as frames, journal as journals
from ironkeep.journal.entries import Reader
from ironkeep.journal.journal import ENTRIES_PER_KEY, Journal
from ironkeep.journal.wal import RESERVE
from ironkeep.testing.memory import START_NS, Fault
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier, Cosigner
from ironkeep.tlog.merkle import (
    Frontier,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from ironkeep.tlog.note import KeyType, NoteVerifier, VerifierKey
from ironkeep.tlog.policy import Policy
from ironkeep.tlog.proof import LogProof, verify_proof
from ironkeep.tlog.tile import Tile, encode_entries, tiles_of
from tests.support.log.sample_journal import (
    READING_SECRET,
    SAMPLE_ORIGIN,
    flush,
    open_sample,
    sample_entry,
    write_batch,
)
from tests.support.log.sample_log import SAMPLE_TIME, sample_key


def log_key(disk: LogDisk) -> VerifierKey:
    return VerifierKey.parse(bytes(disk.files["vkey"]).decode().rstrip("\n"))


def tree_root(leaves: list[bytes]) -> bytes:
    tree = Frontier()
    tree.append([leaf_hash(leaf) for leaf in leaves])
    return tree.root()


def test_a_receipt_says_where_the_entry_stands_and_what_it_is() -> None:
    journal = open_sample(LogDisk())
    receipts = write_batch(journal, 3)
    assert [receipt.index for receipt in receipts] == [1, 2, 3]
    for receipt in receipts:
        assert receipt.leaf_hash == leaf_hash(journal.log.leaf(receipt.index))
        tag, index, encoded = receipt.header.split("/", 2)
        assert tag == sha256(SAMPLE_ORIGIN.encode()).hexdigest()[:8]
        assert index == str(receipt.index)
        assert len(encoded) == 44
    assert is_key(journal.log.leaf(0))


def test_nothing_is_durable_before_it_is_written() -> None:
    journal = open_sample(LogDisk())
    assert journal.close_batch() is None
    journal.append(sample_entry(1))
    frame = journal.close_batch()
    assert frame is not None
    assert (journal.next_index, journal.durable_size) == (2, 0)
    with pytest.raises(IntegrityError):
        journal.written(frame)
    with pytest.raises(NotFound):
        journal.log.leaf(1)
    assert journal.checkpoint() is None
    journal.write(frame)
    journal.written(frame)
    assert journal.durable_size == 2


def test_a_batch_fills_while_the_one_before_is_written() -> None:
    journal = open_sample(LogDisk())
    journal.append(sample_entry(1))
    first = journal.close_batch()
    journal.append(sample_entry(2))
    second = journal.close_batch()
    assert first is not None
    assert second is not None
    with pytest.raises(IntegrityError, match="does not follow"):
        journal.write(second)
    journal.write(first)
    journal.write(second)
    journal.written(first)
    journal.written(second)
    journal.checkpoint()
    assert journal.log.published is not None
    assert journal.log.published.checkpoint.root == tree_root(journal.log.leaves(0, 3))


def test_a_frame_s_payload_is_an_entry_bundle() -> None:
    journal = open_sample(LogDisk())
    journal.append(sample_entry(1))
    frame = flush(journal)
    assert frame.payload == encode_entries(journal.log.leaves(0, 2))


def test_discarding_forgets_the_batch_and_its_key() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 2)
    journal.append(sample_entry(8))
    lost = journal.close_batch()
    journal.append(sample_entry(9))
    journal.discard()
    assert lost is not None
    assert journal.next_index == journal.durable_size == 3
    (receipt,) = write_batch(journal, 1)
    # One index, two bodies: with one key that would be one nonce for both.
    assert is_key(journal.log.leaf(3))
    assert receipt.index == 4
    with pytest.raises(IntegrityError):
        journal.write(lost)
    assert [index for index, _ in Reader(journal.log, READING_SECRET).entries(0, 9)] == [1, 2, 4]


def test_discarding_keeps_what_was_written_but_not_yet_reported() -> None:
    journal = open_sample(LogDisk())
    journal.append(sample_entry(1))
    frame = journal.close_batch()
    assert frame is not None
    journal.write(frame)
    journal.discard()
    assert journal.next_index == 2
    assert journal.checkpoint() is not None
    assert journal.log.published is not None
    assert journal.log.published.checkpoint.size == 2


def test_a_run_key_serves_a_bounded_number_of_entries() -> None:
    journal = open_sample(LogDisk(), file_bytes=1 << 21)
    for number in range(ENTRIES_PER_KEY + 10):
        journal.append(sample_entry(number))
    flush(journal)
    assert is_key(journal.log.leaf(ENTRIES_PER_KEY))
    reader = Reader(journal.log, READING_SECRET)
    assert reader.entry(ENTRIES_PER_KEY - 1).path == f"kv/data/{ENTRIES_PER_KEY - 2}"


def test_the_outbox_is_drained_once_and_compared_afterwards() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 2)
    journal.append(sample_entry(3))
    kept = journal.close_batch()
    journal.append(sample_entry(4))
    lost = journal.close_batch()
    assert kept is not None
    assert lost is not None
    journal.write(kept)
    journal.close()
    again = open_sample(disk, seed=1)
    again.drain([kept.data, lost.data])
    assert again.next_index == again.durable_size == lost.end
    again.drain([kept.data, lost.data])
    assert again.durable_size == lost.end
    write_batch(again, 1)
    again.checkpoint()
    paths = [entry.path for _, entry in Reader(again.log, READING_SECRET).entries(3, 5)]
    assert paths == ["kv/data/3", "kv/data/4"]


def test_after_draining_a_new_key_is_used() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 1)
    twin = open_sample(disk.copy(), seed=1)
    twin.append(sample_entry(2))
    frame = twin.close_batch()
    assert frame is not None
    journal.drain([frame.data])
    write_batch(journal, 1)
    # The twin's key leaf is the last one before: our own key would be looked for in vain.
    reader = Reader(journal.log, READING_SECRET)
    assert [index for index, _ in reader.entries(0, 9)] == [1, 3, 5]


def test_a_frame_of_another_history_is_not_written() -> None:
    journals_ = [open_sample(LogDisk(), seed=seed) for seed in (1, 2)]
    for journal in journals_:
        write_batch(journal, 2)
    journals_[1].append(sample_entry(3))
    foreign = journals_[1].close_batch()
    assert foreign is not None
    assert foreign.first == journals_[0].durable_size
    with pytest.raises(IntegrityError, match="does not follow"):
        journals_[0].write(foreign)


class SealedMeanwhile(MemoryLogFiles):
    """Files under which another thread moves segments just as one is about to be read."""

    journal: Journal | None = None

    def read(self, name: str, at: int, length: int) -> bytes:
        journal, self.journal = self.journal, None
        if journal is not None:
            journal.rotate_wal()
        return super().read(name, at, length)


def test_a_segment_that_is_moved_while_it_is_read_is_read_from_bundles() -> None:
    files = SealedMeanwhile(LogDisk())
    journal = open_sample(files)
    while journal.next_index < 600:
        write_batch(journal, 23)
    journal.checkpoint()
    before = journal.log.leaves(0, 300)
    files.journal = journal
    assert journal.log.leaves(0, 300) == before
    assert len(files.names("tile/entries")) > 0


def test_an_outbox_that_differs_or_leaves_a_gap_is_refused() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    frame = None
    for _ in range(3):
        journal.append(sample_entry(journal.next_index))
        frame = journal.close_batch()
    assert frame is not None
    other = open_sample(LogDisk(), seed=5)
    other.append(sample_entry(1))
    foreign = other.close_batch()
    assert foreign is not None
    with pytest.raises(RuntimeError):
        journal.drain([])
    journal.discard()
    with pytest.raises(IntegrityError, match="does not chain"):
        journal.drain([frame.data])
    with pytest.raises(IntegrityError, match="not one whole frame"):
        journal.drain([frame.data[:-1]])
    write_batch(journal, 1)
    with pytest.raises(IntegrityError, match="differ at entry 0"):
        journal.drain([foreign.data])


def test_checkpoints_grow_and_every_proof_under_them_verifies() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    sizes = []
    while journal.next_index < 700:
        write_batch(journal, 1 + journal.next_index % 37)
        if journal.next_index % 3 == 0:
            note = journal.checkpoint()
            assert note is not None
            sizes.append(open_checkpoint(note, [NoteVerifier(log_key(disk))]).checkpoint.size)
        journal.rotate_wal()
    assert journal.checkpoint() is not None
    assert journal.checkpoint() is None
    assert sizes == sorted(set(sizes))
    log = journal.log
    assert log.published is not None
    head = log.published.checkpoint
    leaves = log.leaves(0, head.size)
    assert head.root == tree_root(leaves)
    for index in range(0, head.size, 41):
        proof = log.inclusion_proof(index, head)
        verify_inclusion(index, head.size, leaf_hash(leaves[index]), proof, head.root)
    for old in sizes:
        hashes = log.consistency_proof(old, head)
        verify_consistency(old, head.size, tree_root(leaves[:old]), head.root, hashes)
        assert log.root_at(old) == tree_root(leaves[:old])
    given = log.leaf_hashes(100, 300)
    verify_range(100, given, head.size, log.range_proof(100, 300, head), head.root)
    assert "tile/entries/000" in disk.files, "segments were moved into bundles"


def test_tiles_of_any_size_are_slices() -> None:
    journal = open_sample(LogDisk())
    while journal.next_index < 600:
        write_batch(journal, 29)
        journal.checkpoint()
        journal.rotate_wal()
    log = journal.log
    assert log.published is not None
    size = log.published.checkpoint.size
    leaves = log.leaves(0, size)
    tree = Frontier()
    levels: list[list[bytes]] = []
    tree.append([leaf_hash(leaf) for leaf in leaves], levels)
    for tile in (*tiles_of(size), *tiles_of(300), Tile(None, 0, 7), Tile(0, 1, 3)):
        if tile.level is None:
            assert log.tile(tile) == encode_entries(leaves[tile.start : tile.end])
        else:
            assert log.tile(tile) == b"".join(levels[tile.level][tile.start : tile.end])
    with pytest.raises(NotFound):
        log.tile(Tile(None, size // 256, size % 256 + 1))


def test_what_no_checkpoint_covers_has_no_proof_yet() -> None:
    journal = open_sample(LogDisk())
    write_batch(journal, 1)
    with pytest.raises(NotFound):
        journal.log.proof(1)
    journal.checkpoint()
    write_batch(journal, 1)
    assert journal.log.proof(1).index == 1
    for ask in (lambda: journal.log.proof(2), lambda: journal.log.leaf_hashes(0, 3)):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(InvalidRequest):
        journal.log.leaves(0, 4)


def test_cosignatures_are_merged_and_proofs_prefer_the_head_that_has_them() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 3)
    journal.checkpoint()
    assert journal.log.published is not None
    head = journal.log.published.checkpoint
    witnesses = [Cosigner(sample_key(name)) for name in ("w1.example", "w2.example")]
    for witness in witnesses:
        journal.add_cosignatures(head, [witness.cosign(head, SAMPLE_TIME)])
    write_batch(journal, 2)
    journal.checkpoint()
    # A quorum's second word comes late: it still joins the head that it speaks of.
    note = journal.add_cosignatures(head, [witnesses[0].cosign(head, SAMPLE_TIME + 9)])
    verifiers = [
        CosignatureVerifier(sample_key(name).verifier_key(KeyType.COSIGNATURE))
        for name in ("w1.example", "w2.example")
    ]
    opened = open_checkpoint(note, [NoteVerifier(log_key(disk))], verifiers)
    assert len(opened.note.signatures) == 3
    assert len(opened.cosignatures) == 2
    assert journal.log.proof(1).checkpoint == note
    assert bytes(disk.files["cosigned"]) == note
    assert (
        open_checkpoint(
            bytes(disk.files["checkpoint"]), [NoteVerifier(log_key(disk))]
        ).checkpoint.size
        > opened.checkpoint.size
    )
    assert open_sample(disk.copy(), seed=1).log.cosigned == journal.log.cosigned


def test_a_proof_file_convinces_a_stranger() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    (receipt,) = write_batch(journal, 1)
    journal.checkpoint()
    assert journal.log.published is not None
    head = journal.log.published.checkpoint
    witness = Cosigner(sample_key("w.example"))
    journal.add_cosignatures(head, [witness.cosign(head, SAMPLE_TIME)])
    vkey = sample_key("w.example").verifier_key(KeyType.COSIGNATURE).format()
    policy = Policy.parse(f"log {log_key(disk).format()}\nwitness w {vkey}\nquorum w\n".encode())
    proof = LogProof.parse(journal.log.proof(receipt.index).serialise())
    logged = verify_proof(proof, receipt.leaf_hash, policy.log_verifiers(), policy)
    assert logged.index == receipt.index
    assert logged.cosigners == {"w": SAMPLE_TIME}


def test_cosignatures_over_something_else_are_refused() -> None:
    journal = open_sample(LogDisk())
    write_batch(journal, 3)
    journal.checkpoint()
    assert journal.log.published is not None
    head = journal.log.published.checkpoint
    for lie in (
        Checkpoint("other.example/log", head.size, head.root),
        Checkpoint(head.origin, head.size, bytes(32)),
    ):
        with pytest.raises(IntegrityError):
            journal.add_cosignatures(lie, [])
    with pytest.raises(NotFound):
        journal.add_cosignatures(Checkpoint(head.origin, 99, head.root), [])


def test_an_entry_too_large_is_refused_before_anything_is_recorded() -> None:
    journal = open_sample(LogDisk())
    with pytest.raises(TooLarge):
        journal.append(Entry(kind="notice", time_ns=1, reason="x" * 70_000))
    assert journal.next_index == 0
    assert journal.close_batch() is None


def fill(journal: Journal, entry: Entry) -> int:
    count = 0
    try:
        while True:
            journal.append(entry)
            count += 1
    except Unavailable:
        return count


def test_a_batch_has_room_for_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_PAYLOAD_ROOM", 10_000)
    journal = open_sample(LogDisk())
    count = fill(journal, sample_entry(1))
    frame = journal.close_batch()
    assert frame is not None
    assert 10_000 < len(frame.payload) < 10_000 + 2 * 65_537
    assert frame.count == count + 1
    assert fill(journal, sample_entry(1)) > 0, "the next batch has room again"


def test_a_batch_has_room_for_so_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAX_FRAME_ENTRIES", 10)
    journal = open_sample(LogDisk())
    fill(journal, sample_entry(1))
    frame = journal.close_batch()
    assert frame is not None
    assert frame.count <= 10
    assert frames.MAX_FRAME_ENTRIES >= 10


def test_a_frame_larger_than_a_segment_gets_one_of_its_own() -> None:
    disk = LogDisk()
    journal = open_sample(disk, file_bytes=1 << 12)
    write_batch(journal, 2)
    write_batch(journal, 60)
    write_batch(journal, 2)
    assert len(MemoryLogFiles(disk, readonly=True).names("wal")) == 3
    journal.checkpoint()
    journal.close()
    assert open_sample(disk, seed=1, file_bytes=1 << 12).durable_size == 65


def test_an_entry_is_sealed_to_the_reading_key_of_the_moment() -> None:
    journal = open_sample(LogDisk())
    write_batch(journal, 1)
    journal.set_reading_key(bytes([9]) + bytes(31))
    write_batch(journal, 1)
    reader = Reader(journal.log, READING_SECRET)
    assert reader.entry(1).path == "kv/data/0"
    with pytest.raises(IntegrityError, match="not wrapped to this reading key"):
        reader.entry(3)


def test_space_is_taken_ahead_and_a_reserve_is_kept() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 1)
    journal.rotate_wal()
    assert {RESERVE, "wal/spare"} <= disk.files.keys()
    while len([name for name in disk.files if name.endswith(".wal")]) < 2:
        write_batch(journal, 5)
    assert "wal/spare" not in disk.files
    journal.checkpoint()
    journal.rotate_wal()
    assert "wal/spare" in disk.files


def test_segments_stay_until_their_leaves_are_signed_and_fill_bundles() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    while journal.next_index < 600:
        write_batch(journal, 23)
    assert not journal.rotate_wal()
    assert "tile/entries/000" not in disk.files, "nothing is signed yet"
    journal.checkpoint()
    while journal.rotate_wal():
        pass
    first = min(name for name in disk.files if name.endswith(".wal"))
    kept = int(first.removeprefix("wal/").removesuffix(".wal"))
    assert 256 < kept <= 512, "leaves from 512 on have no full bundle yet"


def test_bundles_are_written_a_few_at_a_time() -> None:
    files = MemoryLogFiles(LogDisk())
    journal = open_sample(files)
    while journal.next_index < 1_100:
        write_batch(journal, 23)
    journal.checkpoint()
    del files.calls[:]
    more: list[bool] = []
    while not more or more[-1]:
        more.append(journal.rotate_wal())
        assert len(journal.log.leaves(0, journal.durable_size)) == journal.durable_size
    written = [name for method, name in files.calls if method == "replace"]
    assert written == [f"tile/entries/00{number}" for number in range(4)]
    assert len(more) >= 4


def test_an_entry_gets_its_place_in_the_order_of_the_vault() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    journal.commit = 7
    journal.append(Entry("notice", START_NS + 50))
    journal.append(Entry("request", START_NS + 10, at=5, node=NODE))
    journal.append(Entry("notice", START_NS + 60))
    frame = journal.close_batch()
    assert frame is not None
    assert frame.time_ns == journal.latest_ns == START_NS + 60
    journal.write(frame)
    journal.written(frame)
    found = [each for _, each in Reader(journal.log, READING_SECRET).entries(0, 9)]
    assert [each.time_ns - START_NS for each in found] == [50, 50, 60]
    assert [(each.at, each.node) for each in found] == [(7, NODE), (5, NODE), (7, NODE)]
    again = open_sample(disk.copy(), seed=1)
    assert again.latest_ns == START_NS + 60


def test_a_mark_that_cannot_be_written_passes_or_is_final_as_any_write() -> None:
    for number, final in ((errno.ENOSPC, False), (errno.EIO, True)):
        files = MemoryLogFiles(LogDisk())
        journal = open_sample(files)
        files.fail(0, Fault.NOT_PERSISTED, number=number)
        with pytest.raises(OSError, match=f"Errno {number}"):
            journal.mark_time(START_NS + 10**12)
        assert (journal.failed is not None) is final
    files = MemoryLogFiles(LogDisk())
    journal = open_sample(files)
    journal.mark_time(START_NS + 10**12)
    assert journal.durable_size == 0
