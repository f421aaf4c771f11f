"""Begins the next epoch of a node's log, offline, and records the reason in its first entry.

The server must be down (both locks are taken). A log that a server could continue is kept, unless
-force ends it. The new log starts from the best checkpoint of the older ones that can be found: in
their directories, in a mirror's copy, at the witnesses, or in a file.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.adapters.log.node_logs import EPOCHS_ASKED, NodeLogs, copied_checkpoint
from ironkeep.adapters.process.system import SystemClocks, SystemEntropy
from ironkeep.adapters.sqlite.storage import SqliteStorage
from ironkeep.adapters.witness.witnesses import Say, Witnesses
from ironkeep.config.settings import Config
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.event import Entry, Value
from ironkeep.core.ports import Storage
from ironkeep.journal.checkpoints import COSIGNED, PUBLISHED, SIGNED
from ironkeep.journal.epochs import FIRST_EPOCH, OPENED, begin_epoch, split_origin, start_from
from ironkeep.journal.recovery import VKEY, read_head, read_small
from ironkeep.journal.scan import replay
from ironkeep.journal.vault_time import VaultTime
from ironkeep.seal.reading_key import reading_key_of, stored_origin
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier
from ironkeep.tlog.note import Note, Verifier, VerifierKey

MAX_REASON: Final = 1_000
"""Characters of a reason; it fits into one entry."""

_MAX_TROUBLE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Wish:
    """The operator's request. `checkpoint` is a note of an older log, `mirror` a copy of one.

    `force` ends a sound log, and lets a database that is older than its log be opened.
    """

    reason: str
    who: str
    checkpoint: bytes | None
    mirror: Path | None
    force: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A checkpoint of an older log, its source, and whether a signature on it was verified.

    `cosigned` means by a configured witness: an attacker who changed this machine's files cannot
    have forged that.
    """

    checkpoint: Checkpoint
    note: Note
    source: str
    cosigned: bool
    verified: bool

    @property
    def epoch(self) -> int:
        """The epoch of the log."""
        return split_origin(self.checkpoint.origin)[1]

    @property
    def rank(self) -> tuple[bool, int, int, int]:
        """The sort key: cosigned ones first, then newer, larger, with more signatures."""
        return self.cosigned, self.epoch, self.checkpoint.size, len(self.note.signatures)


@dataclass(frozen=True, slots=True)
class Begun:
    """The new log. `trouble` is why the previous one cannot continue; empty if it could."""

    origin: str
    vkey: str
    commit: int
    continues: Known | None
    trouble: str


def begin_next(config: Config, wish: Wish, say: Say) -> Begun:
    """Begin the next epoch; raise InvalidRequest if it is not needed, Unavailable while in use."""
    if not 0 < len(wish.reason.strip()) <= MAX_REASON:
        raise InvalidRequest(f"give a reason, of at most {MAX_REASON} characters")
    database = _database(config)
    with ExitStack() as stack:
        storage = SqliteStorage(database)
        stack.callback(storage.close)
        if not storage.head().seq:
            raise InvalidRequest(f"{database} is empty: there is no log to continue")
        witnesses = Witnesses(config.witnesses, config.quorum)
        stack.callback(witnesses.close)
        stem = f"{config.cluster_name}/audit/{config.audit_name}"
        audit = config.audit_path or database.parent / "audit"
        logs = NodeLogs(audit, stem, wish.mirror or config.audit_mirror)
        trouble = _examine(logs, storage, witnesses, wish, say)
        return _begin(logs, storage, _Search(logs, storage, config), witnesses, wish, trouble, say)


def _database(config: Config) -> Path:
    """Return the database's path; raise InvalidRequest unless it exists and belongs to us."""
    if config.path is None:
        raise InvalidRequest("a server that keeps its data in memory has no log to continue")
    path = config.path / "ironkeep.db"
    if not path.is_file():
        raise InvalidRequest(f"{path} does not exist: there is no log to continue")
    if path.stat().st_uid != os.geteuid():
        raise InvalidRequest(f"run this as the owner of {path}, or the server cannot read the log")
    return path


def _examine(logs: NodeLogs, storage: Storage, witnesses: Witnesses, wish: Wish, say: Say) -> str:
    """Open the newest log as a server would; return the reason if that fails, else ""."""
    public = reading_key_of(storage, SystemEntropy()).public
    try:
        journal = logs.open(storage, SystemEntropy(), public, witnesses, say)
    except (IntegrityError, InvalidRequest, OSError) as error:
        return str(error)[:_MAX_TROUBLE]
    with closing(journal):
        if not wish.force:
            raise InvalidRequest(
                f"the log {journal.origin} is sound: start the server, which continues it. To end "
                "it all the same, use -force"
            )
        # The next log then starts from a cosigned checkpoint of this whole log.
        try:
            witnesses.cosign(journal, journal.checkpoint(), say)
        except IntegrityError as error:
            return str(error)[:_MAX_TROUBLE]
    return ""


def _begin(
    logs: NodeLogs,
    storage: Storage,
    search: "_Search",
    witnesses: Witnesses,
    wish: Wish,
    trouble: str,
    say: Say,
) -> Begun:
    found = list(search.all(witnesses, wish, say))
    known = max(found, default=None, key=lambda one: one.rank)
    epoch = search.next_epoch(found)
    origin = logs.origin(epoch)
    start = start_from(storage, known.note.serialise() if known else b"")
    now_ns = VaultTime(SystemClocks(), max(logs.latest_ns(), witnesses.time_ns)).now_ns()
    notice = _notice(origin, now_ns, start.commit, known, wish, trouble)
    entropy = SystemEntropy()
    public = reading_key_of(storage, entropy).public
    files = DirectoryLogFiles(logs.folder(epoch))
    with closing(files):
        journal = begin_epoch(files, entropy, origin, public, start, notice)
        return Begun(origin, journal.key.format(), start.commit, known, trouble)


def _notice(
    origin: str, now_ns: int, commit: int, known: Known | None, wish: Wish, trouble: str
) -> Entry:
    """Return the entry with the reason, the operator and the starting point of the epoch."""
    audited: dict[str, Value] = {
        "log": origin,
        "continues": known.checkpoint.origin if known else "",
        "size": known.checkpoint.size if known else 0,
        "source": known.source if known else "",
        "commit": commit,
        "forced": wish.force,
        "trouble": trouble,
    }
    return Entry(
        kind="notice",
        time_ns=now_ns,
        op=OPENED,
        name=wish.who,
        reason=wish.reason.strip(),
        audited=audited,
    )


class _Search:
    """Collects checkpoints of a node's older logs."""

    def __init__(self, logs: NodeLogs, storage: Storage, config: Config) -> None:
        self._logs: Final = logs
        self._cosigners: Final[Sequence[Verifier]] = [
            CosignatureVerifier(VerifierKey.parse(one.vkey)) for one in config.witnesses
        ]
        stored = stored_origin(storage)
        ours = stored.startswith(f"{logs.stem}/")
        self._newest: Final = max(logs.newest(), split_origin(stored)[1] if ours else 0)

    def all(self, witnesses: Witnesses, wish: Wish, say: Say) -> Iterator[Known]:
        """Yield every checkpoint that can be found; raise IntegrityError if the given file is bad.

        Damage elsewhere is skipped: it is the usual reason to begin an epoch.
        """
        origins = [self._logs.origin(number) for number in self._epochs()]
        for origin in origins:
            yield from self._in_directory(origin)
            yield from self._in_mirror(origin, say)
        for head in witnesses.memory(origins, say):
            yield Known(head.checkpoint, head.note, "a witness", cosigned=True, verified=True)
        if wish.checkpoint is not None:
            known = self._weigh(Note.parse(wish.checkpoint), "a file")
            if known.checkpoint.origin.rpartition("/")[0] != self._logs.stem:
                raise InvalidRequest(
                    f"the checkpoint is of the log {known.checkpoint.origin}, not of "
                    f"{self._logs.stem}/…"
                )
            yield known

    def next_epoch(self, found: Iterable[Known]) -> int:
        """Return the epoch after the highest known one, or the highest if its log is unused."""
        highest = max((self._newest, *(known.epoch for known in found)))
        unused = highest > FIRST_EPOCH and self._is_unused(highest)
        return highest if unused else highest + 1

    def _epochs(self) -> range:
        return range(max(FIRST_EPOCH, self._newest - EPOCHS_ASKED), self._newest + 2)

    def _is_unused(self, epoch: int) -> bool:
        """Return whether an epoch's log has no entries and no signed checkpoint."""
        files = DirectoryLogFiles(self._logs.folder(epoch), readonly=True)
        try:
            empty = replay(files, self._logs.origin(epoch)).size == 0
        except IntegrityError:
            return False
        return empty and read_small(files, SIGNED) is None

    def _in_directory(self, origin: str) -> Iterator[Known]:
        epoch = split_origin(origin)[1]
        files = DirectoryLogFiles(self._logs.folder(epoch), readonly=True)
        for name in (SIGNED, PUBLISHED, COSIGNED):
            try:
                key = VerifierKey.parse((read_small(files, VKEY) or b"").decode().strip())
                head = read_head(files, name, key)
                if head is not None and head.checkpoint.origin == origin:
                    yield replace(self._weigh(head.note, "its directory"), verified=True)
            except (IntegrityError, InvalidRequest, UnicodeDecodeError):
                continue

    def _in_mirror(self, origin: str, say: Say) -> Iterator[Known]:
        mirror = self._logs.mirror
        note = copied_checkpoint(mirror, origin) if mirror is not None else None
        if note is None:
            return
        try:
            known = self._weigh(Note.parse(note), "a mirror")
        except IntegrityError as error:
            say(f"{mirror}: {error}")
            return
        if known.checkpoint.origin == origin:
            yield known

    def _weigh(self, note: Note, source: str) -> Known:
        """Return a note's checkpoint; raise IntegrityError if malformed or falsely cosigned."""
        checkpoint = Checkpoint.parse(note.text)
        checkpoint.require_sound_empty()
        cosigned = bool(note.verified(self._cosigners))
        return Known(checkpoint, note, source, cosigned, verified=cosigned)
