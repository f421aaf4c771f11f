"""Epochs: a log that must not be continued is succeeded by a new log that refers to it.

    <cluster>/audit/<node>/<epoch>     an origin; the first epoch is 1

Appending to a log that was lost, forked or restored would be a fork, which witnesses refuse for
ever. So the next log has another origin and key. Its first leaf (`core.evidence.leaf.EpochStart`)
binds it to the newest known checkpoint of the older log, and to the database of that moment: the
number of its last commit and the digest of its outbox. While the database still has that commit and
that outbox, the outbox's frames belong to the older log and are not drained into the new one.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from ironkeep.core.errors import IntegrityError, InvalidRequest, RolledBack
from ironkeep.core.event import Entry
from ironkeep.core.evidence.leaf import EpochStart, epoch_leaf, epoch_start
from ironkeep.core.logport import LogFiles
from ironkeep.core.ports import Entropy, Storage
from ironkeep.journal.journal import Journal
from ironkeep.journal.log import Log
from ironkeep.journal.recovery import open_journal
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.note import Note

FIRST_EPOCH: Final = 1

OPENED: Final = "epoch"
"""The operation of two notices: one records why an epoch was begun, one that it is in use."""

_LENGTH: Final = 8


def split_origin(origin: str) -> tuple[str, int]:
    """Return (stem, epoch) of an origin; raise InvalidRequest if it does not end in a number."""
    stem, slash, number = origin.rpartition("/")
    if not (stem and slash and number.isascii() and number.isdigit()):
        raise InvalidRequest("an origin ends in /<epoch>, a number")
    return stem, int(number)


def start_of(log: Log) -> EpochStart | None:
    """Return the start recorded in a log; None if it continues no other log, or is empty."""
    return epoch_start(log.leaf(0)) if log.size else None


def continued(start: EpochStart) -> Checkpoint | None:
    """Return the older log's checkpoint, its signatures unverified; None if none was known."""
    return Checkpoint.parse(Note.parse(start.checkpoint).text) if start.checkpoint else None


def start_from(storage: Storage, checkpoint: bytes) -> EpochStart:
    """Return the start of a log that continues one with this checkpoint note, from storage."""
    return EpochStart(storage.head().seq, outbox_digest(_frames(storage)), checkpoint)


def begin_epoch(
    files: LogFiles,
    entropy: Entropy,
    origin: str,
    reading_key: bytes,
    start: EpochStart,
    notice: Entry,
) -> Journal:
    """Start a log that continues another one, and record why in notice.

    The epoch leaf and the notice are one durable batch. Raises InvalidRequest if the log has
    leaves.
    """
    journal = open_journal(files, entropy, origin, reading_key)
    if journal.next_index:
        raise InvalidRequest(f"{origin} is in use already; choose the epoch after it")
    journal.append_leaf(epoch_leaf(start))
    journal.append(notice)
    frame = journal.close_batch()
    assert frame is not None
    journal.write(frame)
    journal.written(frame)
    journal.checkpoint()
    return journal


def outbox_digest(frames: Sequence[bytes]) -> bytes:
    """Return the SHA-256 over frames in order, each preceded by its length."""
    digest = sha256()
    for frame in frames:
        digest.update(len(frame).to_bytes(_LENGTH, "big") + frame)
    return digest.digest()


def is_inherited(log: Log, storage: Storage) -> bool:
    """Return whether storage is still exactly as it was when this epoch was begun.

    Its outbox then belongs to the older log. Raises RolledBack if storage is older than that.
    """
    start = start_of(log)
    if start is None:
        return False
    commit = storage.head().seq
    if commit < start.commit:
        raise RolledBack(
            f"the database is at commit {commit}, but the log {log.origin} was begun at commit "
            f"{start.commit}: an older database was restored"
        )
    return commit == start.commit and outbox_digest(_frames(storage)) == start.outbox


def drain_outbox(journal: Journal, storage: Storage) -> None:
    """Write the outbox of storage into journal; raise IntegrityError if the two do not match."""
    inherited = is_inherited(journal.log, storage)
    try:
        frames = [] if inherited else [journal.vouched(frame) for frame in _frames(storage)]
        journal.drain(frames)
    except IntegrityError as error:
        raise IntegrityError(
            f"the database and the log {journal.origin} do not belong together: {error}"
        ) from None


def _frames(storage: Storage) -> list[bytes]:
    return [frame for _, frame in storage.outbox()]
