"""The witness protocol add-checkpoint (c2sp.org/tlog-witness): decisions, requests and answers.

This module does no I/O: the witness process reads bodies, calls `decide`, and sends answers. From
reading the heads until the update is durable, no other request for the same origin may run, and
the update must be durable before the answer leaves. Otherwise the witness could cosign a fork.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier, Cosigner
from ironkeep.tlog.merkle import EMPTY_ROOT, verify_consistency
from ironkeep.tlog.note import MAX_NOTE, Note, NoteVerifier, Signature
from ironkeep.tlog.wire import decode_decimal, decode_hash, decode_text, encode_base64

MAX_HASHES: Final = 63
"""Hash lines of a request, as in the specification."""

MAX_REQUEST: Final = MAX_NOTE + (1 << 12)
"""Bytes of a request: a note, the old size, and 63 hashes of 45 characters."""

TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"
"""Content types of answers; SIZE is that of the 409 whose body is the witness's latest size."""

_OLD: Final = "old "


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: a signed checkpoint, and the proof that it extends the tree of size `old`."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return the request in body; raise IntegrityError if malformed or past a limit."""
        head, blank, note_text = decode_text(body, MAX_REQUEST).partition("\n\n")
        old, *hashes = head.split("\n", MAX_HASHES + 1)
        if not blank or not old.startswith(_OLD) or len(hashes) > MAX_HASHES:
            raise IntegrityError(
                "not a request: an old size, at most 63 hashes, a blank line and a checkpoint"
            )
        note = Note.parse(note_text.encode())
        size = decode_decimal(old.removeprefix(_OLD))
        return cls(size, tuple(map(decode_hash, hashes)), note, Checkpoint.parse(note.text))

    def serialise(self) -> bytes:
        """Return the bytes of the body."""
        lines = [f"{_OLD}{self.old}", *map(encode_base64, self.proof)]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.note.serialise()


@dataclass(frozen=True, slots=True)
class WitnessedHead:
    """The latest size and root that the witness has cosigned for an origin."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """The update that must be durable before the answer leaves.

    `note` is the checkpoint with the log's signatures and the witness's own, as served by
    `GET <monitoring prefix>/<hex sha256(origin)>/checkpoint`.
    """

    origin: str
    head: WitnessedHead
    note: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and body; `update` is set if and only if the status is 200."""

    status: int
    body: bytes
    content_type: str = TEXT
    update: Update | None = None


def decide(
    body: bytes,
    heads: Mapping[str, WitnessedHead],
    logs: Mapping[str, Sequence[NoteVerifier]],
    cosigner: Cosigner,
    timestamp: int,
) -> Answer:
    """Return the answer to an add-checkpoint request.

    `heads` maps an origin to its latest head, `logs` to its trusted keys; timestamp is in POSIX
    seconds. Never raises because of the content of body.
    """
    # (1) Refuse a malformed request.
    try:
        request = AddCheckpoint.parse(body)
    except IntegrityError as error:
        return _refuse(400, error)
    checkpoint = request.checkpoint
    # (2) Refuse an unknown log.
    if checkpoint.origin not in logs:
        return _refuse(404, "unknown log")
    # (3) Refuse a checkpoint not signed by the log. Later answers go only to the log itself.
    try:
        signatures = request.note.verified(logs[checkpoint.origin])
    except IntegrityError as error:
        return _refuse(403, error)
    if not signatures:
        return _refuse(403, "no signature by a trusted key of this log")
    # (4) Refuse sizes out of order. If the old size is not the witness's, answer with that size.
    if request.old > checkpoint.size:
        return _refuse(400, "the old size is larger than the checkpoint's")
    latest = heads.get(checkpoint.origin, WitnessedHead(0, EMPTY_ROOT))
    if request.old != latest.size:
        return Answer(409, b"%d\n" % latest.size, SIZE)
    # (5) Refuse a checkpoint that does not extend the latest head.
    try:
        _require_extension(latest, request)
    except IntegrityError as error:
        return _refuse(422, error)
    return _cosign(checkpoint, signatures, cosigner.cosign(checkpoint, timestamp))


def read_cosignature(
    body: bytes, checkpoint: Checkpoint, witness: CosignatureVerifier
) -> Signature:
    """Return the first cosignature of witness in the body of a 200.

    Cosignatures of other keys are ignored, as in the specification. Raises IntegrityError.
    """
    note = Note.parse(checkpoint.text + b"\n" + body)
    # A blank line in the body would move the boundary between text and signatures.
    if note.text != checkpoint.text:
        raise IntegrityError("a witness's answer must be signature lines only")
    signatures = note.verified([witness])
    if not signatures:
        raise IntegrityError(f"the answer has no cosignature of {witness.key.name}")
    return signatures[0]


def read_size(body: bytes) -> int:
    """Return the witness's latest size from the body of a 409, or raise IntegrityError."""
    text = decode_text(body, MAX_REQUEST)
    if not text.endswith("\n"):
        raise IntegrityError("a witness's size does not end in a newline")
    return decode_decimal(text[:-1])


def _require_extension(latest: WitnessedHead, request: AddCheckpoint) -> None:
    """Raise IntegrityError unless the checkpoint is proven to extend the latest head."""
    checkpoint = request.checkpoint
    checkpoint.require_sound_empty()
    if latest.size > 0:
        verify_consistency(
            latest.size, checkpoint.size, latest.root, checkpoint.root, request.proof
        )
    elif request.proof:
        raise IntegrityError("a proof from the empty tree is empty")


def _cosign(checkpoint: Checkpoint, signatures: Sequence[Signature], own: Signature) -> Answer:
    """Return the 200 with the witness's cosignature, and the update to store."""
    # One line for each key, so that repeated lines of a log leave room for the cosignature.
    kept = {signature.key_id: signature for signature in signatures}
    note = Note(checkpoint.text, (*kept.values(), own))
    head = WitnessedHead(checkpoint.size, checkpoint.root)
    update = Update(checkpoint.origin, head, note.serialise())
    return Answer(200, f"{own.format()}\n".encode(), TEXT, update)


def _refuse(status: int, reason: object) -> Answer:
    """Return a refusal with its reason."""
    return Answer(status, f"{reason}\n".encode())
