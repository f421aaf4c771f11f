"""First starts, next epochs, and the journal on a real disk: killed, shared, exported."""

import random
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as TheirCheckpoint, InclusionProof

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.core.errors import IntegrityError
from ironkeep.journal.entries import Reader
from ironkeep.journal.recovery import open_journal
from ironkeep.journal.verify import verify_log
from ironkeep.testing.memory import SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.note import VerifierKey
from ironkeep.tlog.tile import tiles_of
from tests.support.log.sample_journal import (
    READING_KEY,
    READING_SECRET,
    SAMPLE_ORIGIN,
    open_sample,
    sample_entry,
    write_batch,
)


def vkey_in(root: Path) -> VerifierKey:
    return VerifierKey.parse((root / "vkey").read_text().strip())


def test_each_start_finds_what_the_one_before_left() -> None:
    disk = LogDisk()
    size = 0
    for start in range(5):
        journal = open_sample(disk, seed=start)
        assert journal.durable_size == journal.next_index == size
        write_batch(journal, 40)
        if start % 2:
            journal.checkpoint()
        size = journal.durable_size
        journal.close()
    # A key leaf for each start: no run key outlives its process.
    assert size == 5 * 41


def test_a_directory_belongs_to_one_log() -> None:
    disk = LogDisk()
    write_batch(open_sample(disk), 1)
    disk.crash()
    with pytest.raises(IntegrityError, match="belongs to the log"):
        open_journal(MemoryLogFiles(disk), SeededEntropy(), "other/0", READING_KEY)


def test_an_independent_reader_reads_the_log_and_checks_our_proof(tmp_path: Path) -> None:
    journal = open_sample(DirectoryLogFiles(tmp_path / "log"))
    while journal.next_index < 1_000:
        write_batch(journal, 33)
        journal.checkpoint()
        journal.rotate_wal()
    assert (tmp_path / "log" / "tile" / "entries" / "000").exists()
    assert journal.log.published is not None
    size = journal.log.published.checkpoint.size
    static = tmp_path / "static"
    for tile in tiles_of(size):
        path = static / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(journal.log.tile(tile))
    (static / "checkpoint").write_bytes((tmp_path / "log" / "checkpoint").read_bytes())
    theirs = TilesReader(LocalBackend(static))
    head = theirs.get_checkpoint()
    head.verify(Vkey.from_string(vkey_in(tmp_path / "log").format()))
    assert (head.origin, head.size) == (SAMPLE_ORIGIN, size)
    assert theirs.calculate_root_hash() == head.root_hash
    for index in (0, 255, 256, 700, size - 1):
        proof = journal.log.proof(index)
        entry = theirs.get_entry(index)
        assert entry == journal.log.leaf(index)
        their_head = TheirCheckpoint.from_text(proof.checkpoint.decode())
        InclusionProof(index, size, list(proof.hashes)).check(
            leaf_hash(entry), their_head.root_hash
        )
        assert theirs.get_inclusion_proof(index, size).node_hashes == list(proof.hashes)


WRITER = """
import sys
from pathlib import Path
from ironkeep.adapters.log.files import DirectoryLogFiles
from tests.support.log.sample_journal import open_sample, write_batch
journal = open_sample(DirectoryLogFiles(Path(sys.argv[1])), seed=int(sys.argv[2]))
while True:
    receipts = write_batch(journal, 7)
    sys.stdout.write("".join(receipt.header + "\\n" for receipt in receipts))
    sys.stdout.flush()
    if receipts[-1].index % 3 == 0:
        journal.checkpoint()
        journal.rotate_wal()
"""


def test_killed_at_any_moment_no_receipt_is_broken(tmp_path: Path) -> None:
    chance = random.Random(7)
    headers: list[str] = []
    for start in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        headers += [next(writer.stdout).strip() for _ in range(chance.randrange(20, 300))]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
        writer.stdout.close()
        headers += [line for line in rest[:-1] if line]
        assert writer.wait() == -signal.SIGKILL
    journal = open_sample(DirectoryLogFiles(tmp_path), seed=99)
    journal.checkpoint()
    assert len(headers) > 80
    for header in headers:
        _, index, encoded = header.split("/", 2)
        assert b64decode(encoded) == leaf_hash(journal.log.leaf(int(index)))
    journal.close()
    files = DirectoryLogFiles(tmp_path, readonly=True)
    assert verify_log(files, vkey_in(tmp_path)).size == journal.durable_size


def test_writer_worker_and_readers_share_a_journal(tmp_path: Path) -> None:
    journal = open_sample(DirectoryLogFiles(tmp_path))
    write_batch(journal, 1)
    journal.checkpoint()
    done = Event()
    problems: list[BaseException] = []

    def until_done(step: Callable[[], object]) -> Thread:
        def run() -> None:
            try:
                while not done.is_set():
                    step()
            except BaseException as problem:  # noqa: BLE001 - shown by the assert below
                problems.append(problem)

        thread = Thread(target=run)
        thread.start()
        return thread

    def work() -> None:
        journal.checkpoint()
        journal.rotate_wal()

    def read() -> None:
        size = journal.durable_size
        assert len(journal.log.leaves(0, size)) == size
        head = journal.log.published
        assert head is not None
        journal.log.proof(head.checkpoint.size - 1)

    threads = [until_done(step) for step in (work, read, read)]
    while journal.next_index < 3_000 and not problems:
        write_batch(journal, 17)
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert not (tmp_path / "wal" / f"{0:020d}.wal").exists(), "segments were moved meanwhile"
    found = list(Reader(journal.log, READING_SECRET).entries(0, journal.durable_size))
    assert [entry for index, entry in found[1:]] == [sample_entry(i) for i, _ in found[1:]]
