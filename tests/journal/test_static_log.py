"""Copies of logs as static files: what is written, every crash, and damage."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.logport import LogFiles
from ironkeep.journal.static_log import (
    StaticLeaves,
    StaticLog,
    folder_of,
    read_tile,
    verify_static,
)
from ironkeep.testing.memory import Fault
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.policy import Policy
from ironkeep.tlog.tile import Tile, encode_entries, tiles_of
from tests.support.log.sample_log import SampleLog, sample_cosigner

LOG = SampleLog()
LOG.append(str(number).encode() for number in range(70_000))
FOLDER = folder_of(LOG.origin)
WITNESS = sample_cosigner("w.example")


def opened(files: LogFiles) -> StaticLog:
    return StaticLog(files, FOLDER, LOG.signer.key)


def extend(copy: StaticLog, size: int) -> None:
    """Bring a copy up to the checkpoint of size."""
    while copy.next_index < size:
        first = copy.next_index
        copy.append(LOG.entries[first : min(size, first - first % 256 + 256)])
    copy.commit(LOG.checkpoint(size), lambda: LOG.signed(size, [WITNESS]))


def copied(sizes: Sequence[int]) -> LogDisk:
    disk = LogDisk()
    files = MemoryLogFiles(disk)
    copy = opened(files)
    for size in sizes:
        extend(copy, size)
    files.close()
    return disk


def files_of(disk: LogDisk) -> dict[str, bytes]:
    return {name: bytes(data) for name, data in disk.files.items() if name.startswith(FOLDER)}


@pytest.mark.parametrize(
    "sizes", [(1,), (255, 256, 257), (256,), (512, 600), (65_535, 65_536, 65_537), (70_000,)]
)
def test_a_copy_is_what_the_log_would_publish(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    disk = copied(sizes)
    files = files_of(disk)
    note = LOG.signed(sizes[-1], [WITNESS])
    LOG.publish(tmp_path, note)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert files[f"{FOLDER}/{path.relative_to(tmp_path)}"] == path.read_bytes()
    # Every size it went through can still be read, partial tiles from full ones if need be.
    for size in sizes:
        for tile in tiles_of(size):
            data = read_tile(MemoryLogFiles(disk, readonly=True), FOLDER, tile)
            if tile.level is None:
                wanted = encode_entries(LOG.entries[tile.start : tile.end])
            else:
                wanted = b"".join(LOG.read(tile.level, at) for at in range(tile.start, tile.end))
            assert data == wanted
    assert opened(MemoryLogFiles(disk)).next_index == sizes[-1]


def test_partial_tiles_go_when_there_is_the_full_one() -> None:
    files = files_of(copied((10, 200, 256)))
    assert [name for name in files if ".p/" in name] == [f"{FOLDER}/tile/1/000.p/1"]


def test_a_copy_verifies_and_says_who_cosigned() -> None:
    disk = copied((300, 1000))
    files = MemoryLogFiles(disk, readonly=True)
    assert verify_static(files, FOLDER, LOG.signer.key).size == 1000
    text = f"witness w {WITNESS.key.format()}\nquorum w\n"
    policy = Policy.parse(text.encode())
    assert verify_static(files, FOLDER, LOG.signer.key, policy).cosigners == ("w",)
    text = f"witness v {sample_cosigner('v').key.format()}\nquorum v\n"
    with pytest.raises(IntegrityError):
        verify_static(files, FOLDER, LOG.signer.key, Policy.parse(text.encode()))
    with pytest.raises(IntegrityError, match="not a copy"):
        verify_static(files, "other", LOG.signer.key)


def test_every_changed_or_missing_file_is_found() -> None:
    disk = copied((300, 600))
    names = [f"{FOLDER}/{tile.path}" for tile in tiles_of(600)]
    for name in (*names, f"{FOLDER}/checkpoint"):
        good = bytes(disk.files[name])
        for change in (b"", good[:-1], good + b"x", bytes([good[0] ^ 1]) + good[1:], None):
            bad = disk.copy()
            if change is None:
                del bad.files[name]
            else:
                bad.files[name] = bytearray(change)
            with pytest.raises(IntegrityError):
                verify_static(MemoryLogFiles(bad, readonly=True), FOLDER, LOG.signer.key)


def test_a_copy_that_does_not_lead_to_its_checkpoint_does_not_open() -> None:
    disk = copied((300,))
    name = f"{FOLDER}/tile/0/000"
    disk.files[name][:1] = b"x"
    with pytest.raises(IntegrityError):
        verify_static(MemoryLogFiles(disk, readonly=True), FOLDER, LOG.signer.key)
    disk = copied((300,))
    name = f"{FOLDER}/tile/0/001.p/44"
    disk.files[name][:1] = bytes([disk.files[name][0] ^ 1])
    with pytest.raises(IntegrityError, match="does not match"):
        opened(MemoryLogFiles(disk))


def test_a_copy_is_never_said_to_hold_more_than_it_does() -> None:
    copy = opened(MemoryLogFiles(LogDisk()))
    copy.append(LOG.entries[:9])
    with pytest.raises(IntegrityError, match="differ in size"):
        copy.commit(LOG.checkpoint(10), lambda: LOG.signed(10))
    other = SampleLog()
    other.append([b"x"] * 9)
    with pytest.raises(IntegrityError, match="does not match"):
        copy.commit(other.checkpoint(9), lambda: other.signed(9))
    assert copy.head is None
    with pytest.raises(ValueError, match="past the end of a bundle"):
        copy.append(LOG.entries[9:257])


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_call_leaves_a_copy_that_goes_on(fault: Fault) -> None:
    sizes = (3, 250, 530)
    call = 0
    while True:
        disk = LogDisk()
        files = MemoryLogFiles(disk)
        files.fail(call, fault)
        copy = opened(files)
        reached = 0
        try:
            for size in sizes:
                extend(copy, size)
                reached = size
        except OSError:
            pass
        else:
            break
        files.close()
        disk.crash()
        again = opened(MemoryLogFiles(disk))
        assert again.next_index >= reached
        extend(again, 600)
        assert (
            verify_static(MemoryLogFiles(disk, readonly=True), FOLDER, LOG.signer.key).size == 600
        )
        call += 1
    assert call > 10


@pytest.mark.parametrize("call", [0, 1, 2, 3])
def test_after_a_fault_the_writer_signs_nothing(call: int) -> None:
    files = MemoryLogFiles(LogDisk())
    files.fail(call, Fault.NOT_PERSISTED)
    copy = opened(files)
    with pytest.raises(OSError, match="Input/output"):
        extend(copy, 257)
    with pytest.raises(OSError, match="earlier write"):
        copy.append(LOG.entries[256:257])
    if copy.next_index == 257:
        with pytest.raises(OSError, match="earlier write"):
            copy.commit(LOG.checkpoint(257), lambda: LOG.signed(257))
    assert copy.head is None


def test_leaves_are_read_from_any_place() -> None:
    disk = copied((600,))
    leaves = StaticLeaves(MemoryLogFiles(disk, readonly=True), LOG.checkpoint(600))
    for first, last in ((0, 0), (0, 600), (255, 257), (511, 600), (599, 600), (300, 300)):
        assert leaves.leaves(first, last) == LOG.entries[first:last]
    for first, last in ((0, 601), (-1, 3), (5, 4)):
        with pytest.raises(NotFound):
            leaves.leaves(first, last)


def test_a_tile_that_is_not_there_is_said() -> None:
    disk = copied((300,))
    with pytest.raises(IntegrityError, match="missing"):
        read_tile(MemoryLogFiles(disk, readonly=True), FOLDER, Tile(0, 9))
