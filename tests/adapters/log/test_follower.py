"""A log is read by another process while its writer goes on: rotates, bundles and deletes."""

import random
import threading

import pytest

from ironkeep.adapters.log.follower import CACHED, Follower
from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.journal.entries import Reader
from ironkeep.journal.frame import FILE_HEADER, GENESIS, frame_digest, split_frames
from ironkeep.journal.journal import Journal
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from tests.support.log.old_frames import frame_of_version_1
from tests.support.log.sample_journal import (
    READING_SECRET,
    SAMPLE_ORIGIN,
    open_sample,
    write_batch,
)


def follower_of(disk: LogDisk, size: int = 0) -> Follower:
    follower = Follower(MemoryLogFiles(disk, readonly=True), SAMPLE_ORIGIN)
    follower.grow(size)
    return follower


def bundle_all(journal: Journal) -> None:
    journal.checkpoint()
    while journal.rotate_wal():
        pass


@pytest.mark.parametrize("batch", [1, 7, 300, 3_000])
def test_it_reads_what_the_log_reads(batch: int) -> None:
    disk = LogDisk()
    journal = open_sample(disk, file_bytes=1 << 18)
    follower = follower_of(disk)
    for _ in range(max(2, 2_000 // batch)):
        write_batch(journal, batch)
        follower.grow(journal.durable_size)
        if journal.durable_size % 3 == 0:
            bundle_all(journal)
    size = journal.durable_size
    assert follower.leaves(0, size) == journal.log.leaves(0, size)
    chosen = random.Random(1)
    for _ in range(200):
        first = chosen.randrange(size)
        last = min(size, first + chosen.randrange(400))
        assert follower.leaves(first, last) == journal.log.leaves(first, last)


def test_it_reads_the_frames_that_an_earlier_release_wrote() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    for count in (3, 1, 40):
        write_batch(journal, count)
    (name,) = [name for name in disk.files if name.endswith(".wal")]
    data = bytes(disk.files[name])
    frames = list(split_frames(data, FILE_HEADER, GENESIS))
    old, digest = data[:FILE_HEADER], GENESIS
    for frame in frames:
        form = frame_of_version_1(digest, frame.first, frame.payload, frame.count)
        digest = frame_digest(form)
        old += form
    disk.files[name][:] = old + bytes(len(data) - len(old))
    size = journal.durable_size
    disk.crash()
    again = open_sample(disk)
    write_batch(again, 7)
    follower = follower_of(disk, again.durable_size)
    assert again.durable_size > size
    assert follower.leaves(size - 1, size) == again.log.leaves(size - 1, size)
    assert follower.leaves(0, again.durable_size) == again.log.leaves(0, again.durable_size)


def test_it_reads_in_any_order_at_first_sight() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    for _ in range(60):
        write_batch(journal, 10)
    expected = journal.log.leaves(0, journal.durable_size)
    order = list(range(journal.durable_size))
    random.Random(2).shuffle(order)
    follower = follower_of(disk, journal.durable_size)
    assert [follower.leaves(each, each + 1)[0] for each in order] == [expected[n] for n in order]


def test_it_keeps_reading_while_files_are_bundled_and_deleted() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    for _ in range(100):
        write_batch(journal, 10)
    follower = follower_of(disk, journal.durable_size)
    assert len(follower.leaves(0, 1)) == 1, "its WAL file is known from now on"
    before = MemoryLogFiles(disk, readonly=True).names("wal")
    bundle_all(journal)
    assert set(before) - set(MemoryLogFiles(disk, readonly=True).names("wal"))
    expected = journal.log.leaves(0, journal.durable_size)
    assert follower.leaves(0, journal.durable_size) == expected


def test_a_writer_at_work_and_a_reader_on_another_thread() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 5)
    sizes = [journal.durable_size]
    wrong: list[object] = []
    over = threading.Event()

    def read() -> None:
        follower = follower_of(disk)
        chosen = random.Random(3)
        try:
            while not over.is_set():
                follower.grow(sizes[0])
                first = chosen.randrange(follower.size)
                last = min(follower.size, first + 64)
                if len(follower.leaves(first, last)) != last - first:
                    wrong.append((first, last))
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            wrong.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    for _ in range(300):
        write_batch(journal, 7)
        sizes[0] = journal.durable_size
        journal.checkpoint()
        journal.rotate_wal()
    over.set()
    reading.join()
    assert wrong == []


def test_entries_open_through_it() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    for _ in range(40):
        write_batch(journal, 10)
    bundle_all(journal)
    reader = Reader(follower_of(disk, journal.durable_size), READING_SECRET)
    assert list(reader.entries(0, 10_000)) == list(
        Reader(journal.log, READING_SECRET).entries(0, 10_000)
    )


def test_nothing_beyond_the_durable_size_is_read() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    write_batch(journal, 10)
    follower = follower_of(disk, 5)
    assert len(follower.leaves(0, 5)) == 5
    for first, last in ((0, 6), (-1, 2), (4, 3)):
        with pytest.raises(NotFound):
            follower.leaves(first, last)
    follower.grow(3)
    assert follower.size == 5, "a size that was told is never taken back"


def test_a_log_that_was_cut_is_named_as_damaged() -> None:
    disk = LogDisk()
    journal = open_sample(disk)
    for _ in range(40):
        write_batch(journal, 10)
    size = journal.durable_size
    bundle_all(journal)
    with pytest.raises(IntegrityError, match="missing from wal/"):
        follower_of(disk, size + 10).leaves(size, size + 1)
    for name in [name for name in disk.files if name.startswith("tile/entries/")]:
        del disk.files[name]
    with pytest.raises(IntegrityError, match="tile/entries/000 is missing"):
        follower_of(disk, size).leaves(0, 1)
    for name in [name for name in disk.files if name.startswith("wal/")]:
        del disk.files[name]
    with pytest.raises(IntegrityError, match="WAL files"):
        follower_of(disk, size).leaves(0, 1)


def test_a_log_of_another_name_is_refused() -> None:
    disk = LogDisk()
    write_batch(open_sample(disk), 10)
    other = Follower(MemoryLogFiles(disk, readonly=True), "vault.example/audit/other/1")
    other.grow(5)
    with pytest.raises(IntegrityError, match="another log"):
        other.leaves(0, 1)


def test_it_keeps_a_bounded_number_of_bundles_decoded() -> None:
    disk = LogDisk()
    journal = open_sample(disk, file_bytes=1 << 18)
    for _ in range(300):
        write_batch(journal, 100)
    bundle_all(journal)
    follower = follower_of(disk, journal.durable_size)
    follower.leaves(0, journal.durable_size)
    kept = sum(len(leaves) for _, leaves in follower._cached.values())
    assert CACHED - 300 < kept <= CACHED


def test_many_small_frames_are_read_and_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = LogDisk()
    journal = open_sample(disk, file_bytes=1 << 20)
    for _ in range(500):
        write_batch(journal, 2)
    size = journal.durable_size
    follower, reads = follower_of(disk, size), list[int]()
    read = MemoryLogFiles.read

    def counted(self: MemoryLogFiles, name: str, at: int, length: int) -> bytes:
        reads.append(length)
        return read(self, name, at, length)

    monkeypatch.setattr(MemoryLogFiles, "read", counted)
    found = follower.leaves(0, size)
    assert len(reads) < 10, "the file's header, the frames' headers, and their leaves"
    assert follower.leaves(100, size) == found[100:]
    assert len(reads) < 10, "they are still decoded"
    follower_of(disk, size).leaves(17, 18)
    assert reads[-1] < 10_000, "one leaf brings its own frame alone"
