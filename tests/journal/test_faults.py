"""Every call of the journal to its disk fails in every way, and a restart keeps the promises.

The promises: what was acknowledged is there; what is there is a prefix of what was written; what
was signed is reached, and led to; nothing is done again after a failure.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ironkeep.core.errors import IntegrityError, RolledBack, Unavailable
from ironkeep.core.logport import TRANSIENT
from ironkeep.journal.journal import Journal
from ironkeep.journal.verify import verify_log
from ironkeep.journal.wal import RESERVE
from ironkeep.testing.memory import Fault
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.cosignature import Cosigner
from ironkeep.tlog.merkle import Frontier, leaf_hash
from ironkeep.tlog.note import NoteVerifier, VerifierKey
from tests.support.log.sample_journal import (
    SAMPLE_ORIGIN,
    SMALL_SEGMENT,
    open_sample,
    sample_entry,
    write_batch,
)
from tests.support.log.sample_log import SAMPLE_TIME, sample_key

WITNESS = Cosigner(sample_key("w.example"))


@dataclass
class Outside:
    """What the world has seen of a journal: it must never be contradicted."""

    acknowledged: list[bytes] = field(default_factory=list)
    handed: list[bytes] = field(default_factory=list)
    published: list[Checkpoint] = field(default_factory=list)


def work(journal: Journal, outside: Outside) -> None:
    """Fill some segments, with checkpoints, cosignatures and bundles in between."""
    for turn in range(12):
        for _ in range(31):
            journal.append(sample_entry(journal.next_index))
        frame = journal.close_batch()
        assert frame is not None
        outside.handed = [*outside.handed[: frame.first], *frame.leaf_hashes]
        journal.write(frame)
        journal.written(frame)
        outside.acknowledged = list(outside.handed)
        if turn % 2:
            tick(journal, outside)


def tick(journal: Journal, outside: Outside) -> None:
    """Do what is done once a second."""
    note = journal.checkpoint()
    assert note is not None
    assert journal.log.published is not None
    head = journal.log.published.checkpoint
    outside.published.append(head)
    journal.add_cosignatures(head, [WITNESS.cosign(head, SAMPLE_TIME)])
    journal.rotate_wal()


def check_promises(disk: LogDisk, outside: Outside) -> Journal:
    """Start again and compare with what the world has seen."""
    journal = open_sample(disk, seed=1)
    hashes = [leaf_hash(leaf) for leaf in journal.log.leaves(0, journal.durable_size)]
    assert hashes == outside.handed[: len(hashes)]
    assert hashes[: len(outside.acknowledged)] == outside.acknowledged
    for checkpoint in outside.published:
        tree = Frontier()
        tree.append(hashes[: checkpoint.size])
        assert (tree.size, tree.root()) == (checkpoint.size, checkpoint.root)
    signed = journal.log.published
    if outside.published:
        assert signed is not None
        assert signed.checkpoint.size >= outside.published[-1].size
    return journal


def calls_of_a_whole_life() -> list[tuple[str, str]]:
    files = MemoryLogFiles(LogDisk())
    work(open_sample(files), Outside())
    return files.calls


LIFE = calls_of_a_whole_life()


def faults() -> Iterator[tuple[int, Fault, int | None]]:
    for call, (method, _) in enumerate(LIFE):
        yield call, Fault.NOT_PERSISTED, None
        yield call, Fault.PERSISTED_ANYWAY, None
        if method == "write_through":
            for torn in (1, 40, 600):
                yield call, Fault.NOT_PERSISTED, torn


@pytest.mark.parametrize("keep_unsynced", [False, True])
def test_every_call_fails_in_every_way(*, keep_unsynced: bool) -> None:
    assert {"replace", "allocate", "rename", "remove", "write_through", "write", "sync"} == {
        method for method, _ in LIFE
    }
    for call, fault, torn in faults():
        disk = LogDisk()
        files = MemoryLogFiles(disk)
        files.fail(call, fault, torn=torn)
        outside = Outside()
        journals: list[Journal] = []
        with pytest.raises(OSError, match=r"Input/output"):
            live(files, outside, journals)
        for journal in journals:
            require_dead(journal)
        assert len(files.calls) == call + 1, "nothing is tried again"
        disk.crash(keep_unsynced=keep_unsynced)
        again = check_promises(disk, outside)
        outside.handed = [leaf_hash(leaf) for leaf in again.log.leaves(0, again.durable_size)]
        work(again, outside)
        again.close()
        check_promises(disk, outside).close()
        key = VerifierKey.parse(bytes(disk.files["vkey"]).decode().strip())
        assert verify_log(MemoryLogFiles(disk, readonly=True), key).size == len(outside.handed)


def test_what_a_disk_may_have_lost_does_not_pass() -> None:
    assert not {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOENT} & TRANSIENT


def test_a_refusal_that_passes_costs_a_batch_and_nothing_else() -> None:
    """Whichever call it hits, and whether that call had its effect or not, the journal goes on."""
    for call, fault, torn in faults():
        disk = LogDisk()
        files = MemoryLogFiles(disk)
        journal = open_sample(files)
        number = sorted(TRANSIENT)[call % len(TRANSIENT)]
        files.fail(call - len(files.calls), fault, torn=torn, number=number)
        outside = Outside()
        if not does_all(journal, outside):
            assert journal.failed is None
            journal.discard()
            journal.rotate_wal()
            journal.require_room()
            work(journal, outside)
        disk.crash()
        check_promises(disk, outside).close()
        key = VerifierKey.parse(bytes(disk.files["vkey"]).decode().strip())
        assert verify_log(MemoryLogFiles(disk, readonly=True), key).size >= len(outside.handed)


def does_all(journal: Journal, outside: Outside) -> bool:
    try:
        work(journal, outside)
    except OSError:
        return False
    return True


def live(files: MemoryLogFiles, outside: Outside, journals: list[Journal]) -> None:
    """Open a journal, which is put into journals, and let it work."""
    journals.append(open_sample(files))
    work(journals[0], outside)


def require_dead(journal: Journal) -> None:
    """Check that a journal that has failed takes nothing and says so."""
    assert journal.failed is not None
    with pytest.raises(Unavailable, match="restart"):
        journal.append(sample_entry(0))
    with pytest.raises(Unavailable, match="restart"):
        journal.checkpoint()
    frame = journal.close_batch()
    if frame is not None:
        with pytest.raises(Unavailable, match="restart"):
            journal.write(frame)


def test_what_is_signed_is_durable_before_it_is_published() -> None:
    files = MemoryLogFiles(LogDisk())
    journal = open_sample(files)
    write_batch(journal, 3)
    del files.calls[:]
    journal.checkpoint()
    assert files.calls == [
        ("write", "hash/L0"),
        ("sync", "hash/L0"),
        ("replace", "signed"),
        ("replace", "checkpoint"),
    ]


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("step", range(4))
def test_killed_between_the_steps_of_a_checkpoint_the_log_goes_on_without_a_fork(
    step: int, fault: Fault
) -> None:
    disk = LogDisk()
    files = MemoryLogFiles(disk)
    journal = open_sample(files)
    write_batch(journal, 3)
    files.fail(step, fault)
    with pytest.raises(OSError, match=r"Input/output"):
        journal.checkpoint()
    assert journal.log.published is None, "what did not get that far is not shown"
    disk.crash()
    if "checkpoint" in disk.files:
        assert disk.files["signed"] == disk.files["checkpoint"]
    again = open_sample(disk, seed=1)
    signed = again.log.published
    assert (signed is not None) == ("signed" in disk.files)
    if signed is not None:
        assert disk.files["checkpoint"] == disk.files["signed"]
    write_batch(again, 1)
    note = again.checkpoint()
    assert note is not None
    key = VerifierKey.parse(bytes(disk.files["vkey"]).decode().strip())
    assert open_checkpoint(note, [NoteVerifier(key)]).checkpoint.size == again.durable_size


def test_a_second_writer_is_refused() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    with pytest.raises(Unavailable, match="another process"):
        open_sample(disk)
    journal.close()
    open_sample(disk)


def test_a_log_that_is_deleted_under_us_is_noticed() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 1)
    journal.check_files()
    name = next(name for name in disk.files if name.endswith(".wal"))
    disk.files[name] = bytearray(disk.files[name])
    with pytest.raises(Unavailable, match="moved or deleted"):
        journal.check_files()
    require_dead(journal)


def full_disk() -> tuple[LogDisk, Journal]:
    """Return a disk on which nothing is left but the reserve, and a journal on it."""
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 3)
    journal.rotate_wal()
    disk.capacity = sum(map(len, disk.files.values())) + 600
    return disk, journal


def require_full(journal: Journal) -> None:
    """Check that a journal says that its reserve is gone, and works on."""
    assert journal.disk_full
    assert journal.failed is None


def write_for_a_while(journal: Journal) -> None:
    """Write more than a segment."""
    for _ in range(40):
        write_batch(journal, 5)


def write_for_ever(journal: Journal) -> None:
    """Write until the disk refuses."""
    while True:
        write_batch(journal, 5)


def test_a_full_disk_costs_the_reserve_and_the_last_entries_are_kept() -> None:
    disk, journal = full_disk()
    assert RESERVE in disk.files
    while RESERVE in disk.files:
        assert not journal.disk_full
        write_batch(journal, 5)
    write_batch(journal, 5)
    require_full(journal)
    with pytest.raises(OSError, match=r"No space") as caught:
        write_for_ever(journal)
    assert caught.value.errno == errno.ENOSPC
    kept = journal.durable_size
    with pytest.raises(OSError, match=r"No space"):
        journal.require_room()
    twin = disk.copy()
    disk.capacity = None
    # The disk is freed: the same journal goes on, and takes its reserve back.
    journal.discard()
    journal.rotate_wal()
    journal.require_room()
    write_for_a_while(journal)
    assert journal.durable_size > kept
    journal.rotate_wal()
    assert not journal.disk_full
    assert RESERVE in disk.files
    # Or the machine was restarted before that.
    twin.crash()
    twin.capacity = None
    again = open_sample(twin, seed=1)
    assert again.durable_size == kept
    again.rotate_wal()
    assert RESERVE in twin.files


def test_the_worker_gives_up_the_reserve_too() -> None:
    disk, journal = full_disk()
    while "wal/spare" in disk.files:
        write_batch(journal, 5)
    journal.rotate_wal()
    assert journal.disk_full
    assert RESERVE not in disk.files
    assert "wal/spare" in disk.files
    assert journal.failed is None


def test_an_older_copy_is_refused_by_what_it_signed_or_a_witness_saw() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 3)
    journal.checkpoint()
    backup = disk.copy()
    write_batch(journal, 3)
    journal.checkpoint()
    assert journal.log.published is not None
    seen = journal.log.published.checkpoint
    # All of it put back: only who kept the head elsewhere can tell.
    with pytest.raises(RolledBack, match="a witness's head is at 7"):
        open_sample(backup.copy(), witnessed=[seen])
    # The entries put back, the head forgotten.
    mixed = disk.copy()
    mixed.files |= {name: data for name, data in backup.files.items() if name.startswith("wal/")}
    with pytest.raises(RolledBack, match="the checkpoint it signed is at 7"):
        open_sample(mixed)
    mixed.crash()
    mixed.files["signed"] = backup.files["signed"]
    with pytest.raises(RolledBack, match="older than the checkpoint published"):
        open_sample(mixed)
    open_sample(disk.copy(), seed=1, witnessed=[seen]).close()


def test_a_history_that_differs_from_what_a_witness_saw_is_refused() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 3)
    journal.checkpoint()
    journal.close()
    fork = Checkpoint(SAMPLE_ORIGIN, 2, bytes(32))
    with pytest.raises(IntegrityError, match="does not lead to a witness's head at size 2"):
        open_sample(disk.copy(), seed=1, witnessed=[fork])
    with pytest.raises(IntegrityError, match="of other, not of"):
        open_sample(disk.copy(), seed=1, witnessed=[Checkpoint("other", 2, bytes(32))])


def test_segments_are_small_in_these_tests() -> None:
    names = {name for _, name in LIFE if name.startswith("tile/entries/")}
    assert names, "a whole life moves leaves into bundles"
    assert sum(method == "remove" and name.endswith(".wal") for method, name in LIFE) > 0
    assert SMALL_SEGMENT < 1 << 20
