"""The witness's record of each log (c2sp.org/tlog-witness), stored before it cosigns.

    <hex sha256(origin)>/checkpoint    the newest checkpoint seen, as a signed note

A head is durable before its cosignature leaves, and requests for the same log run one at a time.
So the witness never vouches for two histories, even if the process is killed.
"""

import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.logport import LogFiles
from ironkeep.core.ports import Clock
from ironkeep.tlog.checkpoint import SignedCheckpoint, open_checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier, Cosigner
from ironkeep.tlog.merkle import EMPTY_ROOT
from ironkeep.tlog.note import MAX_NOTE, Note, NoteVerifier, Signature, VerifierKey
from ironkeep.tlog.witness import AddCheckpoint, Answer, Update, WitnessedHead, decide

MAX_LOGS: Final = 64
"""Logs of one witness. Each costs a lock, a head and, with a mirror, its right edge in memory."""

_NS: Final = 1_000_000_000


class WitnessedLog:
    """One log: its key and its newest checkpoint."""

    def __init__(self, key: VerifierKey, newest: SignedCheckpoint | None) -> None:
        self.key: Final = key
        self.verifiers: Final = (NoteVerifier(key),)
        self.lock: Final = threading.Lock()
        self.newest = newest

    @property
    def tag(self) -> str:
        """The log's name in paths: the SHA-256 of its origin in hex."""
        return sha256(self.key.name.encode()).hexdigest()

    @property
    def head(self) -> WitnessedHead:
        """The size and root of the newest checkpoint; those of the empty tree before the first."""
        if self.newest is None:
            return WitnessedHead(0, EMPTY_ROOT)
        return WitnessedHead(self.newest.checkpoint.size, self.newest.checkpoint.root)


class Witness:
    """Answers add-checkpoint. Any thread may call; a call writes to the disk."""

    def __init__(
        self,
        files: LogFiles,
        logs: Sequence[VerifierKey],
        cosigner: Cosigner,
        clock: Clock,
        *,
        cosigns: bool = True,
    ) -> None:
        """Read the stored checkpoints of `logs`; raise IntegrityError if one is damaged.

        Without `cosigns` it only keeps heads, and a mirror signs them.
        """
        self.cosigner: Final = cosigner
        self._own: Final = CosignatureVerifier(cosigner.key)
        self._files: Final = files
        self._clock: Final = clock
        self._cosigns: Final = cosigns
        self.logs: Final[Mapping[str, WitnessedLog]] = {key.name: self._open(key) for key in logs}
        if not 0 < len(logs) <= MAX_LOGS or len(self.logs) < len(logs):
            raise InvalidRequest(f"give 1 to {MAX_LOGS} log keys of different names")
        self._by_tag: Final = {log.tag: log for log in self.logs.values()}

    def _open(self, key: VerifierKey) -> WitnessedLog:
        log = WitnessedLog(key, None)
        try:
            data = self._files.read(f"{log.tag}/checkpoint", 0, MAX_NOTE)
        except FileNotFoundError:
            return log
        try:
            log.newest = open_checkpoint(data, log.verifiers, [self._own])
        except IntegrityError as error:
            raise IntegrityError(
                f"{log.tag}/checkpoint: {error}. Without it this witness could vouch for a fork: "
                "restore it, or make a new witness with a new key"
            ) from None
        return log

    def add_checkpoint(self, body: bytes) -> Answer:
        """Return the answer to an add-checkpoint request, after its checkpoint is durable.

        Raises OSError if it could not be written; nothing was cosigned then.
        """
        log = self.logs.get(_origin(body))
        if log is None:
            return decide(body, {}, self._keys(), self.cosigner, self.now())
        with log.lock:
            heads = {log.key.name: log.head}
            answer = decide(body, heads, self._keys(), self.cosigner, self.now())
            if answer.update is None:
                return answer
            data = self._kept(answer.update)
            # Before the answer is sent: otherwise a crash could make the witness forget a head
            # that it has cosigned.
            self._files.replace(f"{log.tag}/checkpoint", data)
            log.newest = open_checkpoint(data, log.verifiers, [self._own])
        return answer if self._cosigns else Answer(200, b"")

    def checkpoint(self, tag: str) -> bytes | None:
        """Return a log's newest checkpoint if it carries our cosignature, else None."""
        log = self._by_tag.get(tag)
        newest = log.newest if log is not None else None
        return newest.note.serialise() if newest is not None and newest.cosignatures else None

    def sign(self, checkpoint: SignedCheckpoint) -> tuple[Note, Signature]:
        """Return the checkpoint's note with our cosignature added, and that cosignature."""
        own = self.cosigner.cosign(checkpoint.checkpoint, self.now())
        note = checkpoint.note
        return Note(note.text, (*self._others(note), own)), own

    def now(self) -> int:
        """Return the time in POSIX seconds."""
        return self._clock.now_ns() // _NS

    def _keys(self) -> Mapping[str, Sequence[NoteVerifier]]:
        return {origin: log.verifiers for origin, log in self.logs.items()}

    def _kept(self, update: Update) -> bytes:
        """Return the note to store, without our cosignature if a mirror is to add it."""
        if self._cosigns:
            return update.note
        note = Note.parse(update.note)
        return Note(note.text, self._others(note)).serialise()

    def _others(self, note: Note) -> tuple[Signature, ...]:
        own = (self.cosigner.key.name, self.cosigner.key.key_id)
        return tuple(one for one in note.signatures if (one.name, one.key_id) != own)


def _origin(body: bytes) -> str:
    """Return the origin in a request; "" if it is malformed, so that `decide` refuses it."""
    try:
        return AddCheckpoint.parse(body).checkpoint.origin
    except IntegrityError:
        return ""
