"""The logs of one node, one for each epoch, under its audit directory.

    audit/<hash of the origin>/        one log; only the newest epoch is written
    audit/<hash>/initialised           marks the log of an initialised vault

A start opens the newest epoch, and refuses if there is evidence that it is not the right log:
    - its directory is missing;
    - the database is empty although the log is that of an initialised vault (a server that was
      never initialised writes a log too, and may start again on an empty database);
    - the database was last opened with a later log;
    - a witness remembers more than this log, or than the log that it continues.
A start creates a log only for an empty database that has none. `epoch_begin.py` begins all others.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import DirectoryLogFiles, log_directory, newest_origin
from ironkeep.adapters.witness.witnesses import Say, Witnesses
from ironkeep.core.errors import IntegrityError, IronkeepError, RolledBack
from ironkeep.core.ports import Entropy, Storage
from ironkeep.journal.entries import Leaves
from ironkeep.journal.epochs import FIRST_EPOCH, continued, drain_outbox, split_origin, start_of
from ironkeep.journal.journal import Journal
from ironkeep.journal.log import SignedHead
from ironkeep.journal.recovery import open_journal
from ironkeep.journal.scan import ClosedLog, replay
from ironkeep.journal.static_log import CHECKPOINT, StaticLeaves, folder_of
from ironkeep.seal.reading_key import stored_origin
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.note import MAX_NOTE, Note

EPOCHS_ASKED: Final = 8
"""Epochs before the newest that witnesses are asked about; a node rarely has that many."""

INITIALISED: Final = "initialised"

_HELP: Final = (
    "Restore it; if it is lost, `ironkeep operator new-epoch` begins the next log "
    "(docs/runbooks/journal-lost.md)"
)


class NodeLogs:
    """Finds, checks and opens the logs whose origins are stem/<epoch>."""

    def __init__(self, audit: Path, stem: str, mirror: Path | None = None) -> None:
        self.audit: Final = audit
        self.stem: Final = stem
        self.mirror: Final = mirror

    def newest(self) -> int:
        """Return the highest epoch that has a directory; 0 for none."""
        return split_origin(newest_origin(self.audit, self.stem))[1]

    def origin(self, epoch: int) -> str:
        """Return the name of an epoch's log."""
        return f"{self.stem}/{epoch}"

    def folder(self, epoch: int) -> Path:
        """Return the directory of an epoch's log."""
        return log_directory(self.audit, self.origin(epoch))

    def open(
        self,
        storage: Storage,
        entropy: Entropy,
        reading_key: bytes,
        witnesses: Witnesses,
        say: Say,
        *,
        lost: bool = False,
    ) -> Journal:
        """Open the newest log and bring it into step with storage.

        The log is locked until it is closed. `lost` means that storage was created where a database
        had been before. Raises IntegrityError or RolledBack if the log must not be continued,
        Unavailable if another process has it open.
        """
        epoch = self._epoch_for(storage, lost=lost)
        oldest = max(FIRST_EPOCH, epoch - EPOCHS_ASKED)
        others = [number for number in range(oldest, epoch + 2) if number != epoch]
        # The log to be cosigned comes last: see Witnesses.memory.
        heads = witnesses.memory([self.origin(number) for number in (*others, epoch)], say)
        _require_newest(epoch, heads)
        origin = self.origin(epoch)
        own = [head.checkpoint for head in heads if head.checkpoint.origin == origin]
        files = DirectoryLogFiles(self.folder(epoch))
        try:
            journal = open_journal(files, entropy, origin, reading_key, witnessed=own)
            if epoch > FIRST_EPOCH:
                _require_continues(journal, heads)
            drain_outbox(journal, storage)
        except BaseException:
            files.close()
            raise
        return journal

    def mark_initialised(self, epoch: int) -> None:
        """Mark durably that an epoch's log is that of an initialised vault."""
        path = self.folder(epoch) / INITIALISED
        if not path.exists():
            DirectoryLogFiles.mark(path)

    def latest_ns(self) -> int:
        """Return the time of the newest log's latest entry; 0 if it is not known."""
        epoch = self.newest()
        try:
            files = DirectoryLogFiles(self.folder(epoch), readonly=True)
            return replay(files, self.origin(epoch)).latest_ns
        except (IronkeepError, OSError):
            return 0

    def older(self, origin: str) -> Leaves | None:
        """Return the unverified leaves of another log of this node; None if there are none.

        They come from the log's directory, or else from the mirror's copy.
        """
        try:
            return self._from_directory(origin) or self._from_mirror(origin)
        except (IronkeepError, OSError):
            return self._from_mirror(origin)

    def _epoch_for(self, storage: Storage, *, lost: bool) -> int:
        """Return the epoch to open; raise IntegrityError if its log or the database is missing."""
        newest, known, commits = self.newest(), stored_origin(storage), storage.head().seq
        if not newest and not commits:
            return FIRST_EPOCH
        if not commits:
            if lost or (self.folder(newest) / INITIALISED).exists():
                # `lost` is true for this start only; the mark makes the next one refuse too.
                self.mark_initialised(newest)
                raise IntegrityError(
                    f"{self.folder(newest)} holds the log {self.origin(newest)} of a vault, but "
                    "the database beside it is empty: it was deleted or replaced. Restore it from "
                    "a backup. To begin a new vault, give it an audit directory of its own, and "
                    "keep this one as evidence"
                )
            return newest
        if newest:
            self.mark_initialised(newest)
        last = f"; it was last opened with the log {known}" if known else ""
        if not newest:
            raise IntegrityError(
                f"the database holds {commits} commits{last}, but {self.audit} holds no log named "
                f"{self.stem}/…: the audit directory is missing or the wrong one. {_HELP}"
            )
        if known.startswith(f"{self.stem}/") and split_origin(known)[1] > newest:
            raise IntegrityError(
                f"the database was last opened with the log {known}, which {self.audit} does not "
                f"hold: its directory is missing. {_HELP}"
            )
        return newest

    def _from_directory(self, origin: str) -> Leaves | None:
        folder = log_directory(self.audit, origin)
        if not folder.is_dir():
            return None
        return ClosedLog(DirectoryLogFiles(folder, readonly=True), origin)

    def _from_mirror(self, origin: str) -> Leaves | None:
        if self.mirror is None:
            return None
        note = copied_checkpoint(self.mirror, origin)
        if note is None:
            return None
        checkpoint = Checkpoint.parse(Note.parse(note).text)
        if checkpoint.origin != origin:
            return None
        return StaticLeaves(DirectoryLogFiles(self.mirror, readonly=True), checkpoint)


def copied_checkpoint(mirror: Path, origin: str) -> bytes | None:
    """Return the unverified checkpoint note of a mirror's copy of a log; None without a copy."""
    try:
        with (mirror / folder_of(origin) / CHECKPOINT).open("rb") as file:
            return file.read(MAX_NOTE)
    except FileNotFoundError:
        return None


def _require_newest(epoch: int, heads: Iterable[SignedHead]) -> None:
    """Raise RolledBack if a witness knows a later epoch."""
    for head in heads:
        origin = head.checkpoint.origin
        if split_origin(origin)[1] > epoch:
            raise RolledBack(
                f"a witness knows the log {origin}, which comes after epoch {epoch}, the newest "
                f"one here: its directory is missing. {_HELP}"
            )


def _require_continues(journal: Journal, heads: Iterable[SignedHead]) -> None:
    """Raise unless the log continues an older one, at or past the point that witnesses remember."""
    epoch = split_origin(journal.origin)[1]
    start = start_of(journal.log)
    if start is None:
        raise IntegrityError(
            f"the log {journal.origin} does not say which log it continues: it was not begun by "
            f"`ironkeep operator new-epoch`, or that command did not finish. {_HELP}"
        )
    older = [one.checkpoint for one in heads if split_origin(one.checkpoint.origin)[1] < epoch]
    if not older:
        return
    newest = max(older, key=_place)
    base = continued(start)
    if base is None or _place(base) < _place(newest):
        taken = f"{base.origin} at {base.size}" if base else "no checkpoint"
        raise RolledBack(
            f"the log {journal.origin} was begun from {taken}, but a witness remembers "
            f"{newest.origin} at {newest.size}: begin another epoch while the witness answers"
        )
    if base.text != newest.text and _place(base) == _place(newest):
        raise IntegrityError(
            f"the log {journal.origin} was begun from another history of {base.origin} than a "
            "witness remembers: another machine signs with its key, or entries were changed"
        )


def _place(checkpoint: Checkpoint) -> tuple[int, int]:
    return split_origin(checkpoint.origin)[1], checkpoint.size
