"""A small journal in memory, its reading key known, for tests of whatever writes or reads one."""

from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ironkeep.core.event import NODE, Entry
from ironkeep.core.logport import LogFiles
from ironkeep.core.secret import Secret
from ironkeep.journal.journal import Frame, Journal, Receipt
from ironkeep.journal.recovery import open_journal
from ironkeep.testing.memory import START_NS, SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.checkpoint import Checkpoint

SAMPLE_ORIGIN: Final = "vault.example/audit/node-a/0"
READING_SECRET: Final = Secret(b"\x05" * 32)
READING_KEY: Final = (
    X25519PrivateKey.from_private_bytes(READING_SECRET.reveal()).public_key().public_bytes_raw()
)

SMALL_SEGMENT: Final = 1 << 14
"""Bytes of a segment that holds some fifty entries."""


def sample_entry(number: int) -> Entry:
    """Return an entry that tells its number."""
    return Entry(
        kind="request", time_ns=START_NS + number, op="read", path=f"kv/data/{number}", node=NODE
    )


def open_sample(
    files: LogDisk | LogFiles,
    *,
    seed: int = 0,
    witnessed: Sequence[Checkpoint] = (),
    file_bytes: int = SMALL_SEGMENT,
) -> Journal:
    """Open the sample journal; a seed per start, as no two starts share a run key."""
    if isinstance(files, LogDisk):
        files = MemoryLogFiles(files)
    entropy = SeededEntropy(seed)
    return open_journal(
        files,
        entropy,
        SAMPLE_ORIGIN,
        READING_KEY,
        witnessed=witnessed,
        file_bytes=file_bytes,
    )


def write_batch(journal: Journal, count: int) -> list[Receipt]:
    """Append count sample entries and make them durable as one batch."""
    receipts = [journal.append(sample_entry(journal.next_index)) for _ in range(count)]
    flush(journal)
    return receipts


def flush(journal: Journal) -> Frame:
    """Make the open batch, which must not be empty, durable."""
    frame = journal.close_batch()
    assert frame is not None
    journal.write(frame)
    journal.written(frame)
    return frame
