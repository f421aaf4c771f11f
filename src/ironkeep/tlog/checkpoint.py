"""Checkpoints (c2sp.org/tlog-checkpoint): the signed size and root of a log.

A log must never sign two inconsistent checkpoints: before calling `sign`, the caller must make the
leaves durable and make sure that it has signed no other root at this size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.merkle import EMPTY_ROOT
from ironkeep.tlog.note import MAX_NOTE, Note, NoteVerifier, Signature, Signer, Verifier
from ironkeep.tlog.wire import (
    HASH_SIZE,
    MAX_SIZE,
    decode_decimal,
    decode_hash,
    decode_text,
    encode_base64,
    is_line,
)

_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin, number of leaves, root hash, and extension lines.

    Extension lines are read and kept because other logs use them; Ironkeep's log does not.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (0 <= self.size <= MAX_SIZE and len(self.root) == HASH_SIZE):
            raise IntegrityError("checkpoint: needs a size below 2^63 and a root of 32 bytes")
        lines = (self.origin, *self.extensions)
        if not all(map(is_line, lines)):
            raise IntegrityError(
                "checkpoint: origin or extension is empty or has control characters"
            )

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Return the checkpoint in a note's text; raise IntegrityError if malformed."""
        lines = decode_text(text, MAX_NOTE).split("\n")
        if len(lines) <= _LINES or lines.pop():
            raise IntegrityError("checkpoint: needs origin, size and root, on lines ending in LF")
        origin, size, root, *extensions = lines
        return cls(origin, decode_decimal(size), decode_hash(root), tuple(extensions))

    @property
    def text(self) -> bytes:
        """The text that is signed."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    def sign(self, signer: Signer) -> Note:
        """Return the checkpoint as a note that signer has signed."""
        return Note(self.text, (signer.sign(self.text),))

    def require_sound_empty(self) -> None:
        """Raise IntegrityError if the log is empty and the root is not that of an empty tree."""
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise IntegrityError("checkpoint: size 0, but not the root of an empty tree")


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with its log's signature and the cosignatures, all verified."""

    checkpoint: Checkpoint
    note: Note
    cosignatures: tuple[Signature, ...]


def open_checkpoint(
    data: bytes, logs: Sequence[NoteVerifier], witnesses: Iterable[Verifier] = ()
) -> SignedCheckpoint:
    """Return the checkpoint in data, signed by a key of its own origin among logs.

    The steps: (1) the note is well formed; (2) its text is a checkpoint; (3) no signature line of a
    known key is wrong; (4) one line is by a log key whose name is the origin. Does not check that
    the cosignatures are a quorum: see `Policy.check`. Raises IntegrityError.
    """
    note = Note.parse(data)
    checkpoint = Checkpoint.parse(note.text)
    checkpoint.require_sound_empty()
    own = [log for log in logs if log.key.name == checkpoint.origin]
    if not note.verified(own):
        raise IntegrityError("checkpoint: not signed by a trusted key of its origin")
    return SignedCheckpoint(checkpoint, note, note.verified(witnesses))
