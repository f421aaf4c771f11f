"""The checkpoints of a log: signed, merged with witnesses' cosignatures, and published.

    signed       the newest checkpoint that this server signed
    checkpoint   the same one as served to readers, with the cosignatures gathered so far
    cosigned     the newest checkpoint that a witness has cosigned

These invariants keep the server from forking its own log, which would end it:

(1) A checkpoint is signed only for durable leaves, or a crash would leave a signed fork.
(2) A signed checkpoint is durable in `signed` before it is published or sent to a witness.
(3) A checkpoint never has a smaller size than one signed before, nor another root at its size.

All methods run on the journal's one worker thread. They raise an OSError as it comes; the journal
decides whether it is final.
"""

from collections.abc import Iterable
from typing import Final

from ironkeep.core.errors import IntegrityError, TooLarge
from ironkeep.core.logport import LogFiles
from ironkeep.journal.log import Heads, Log, SignedHead, require_root
from ironkeep.journal.tree import HashTree
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.note import MAX_SIGNATURES, Note, Signature, Signer

SIGNED: Final = "signed"
PUBLISHED: Final = "checkpoint"
COSIGNED: Final = "cosigned"


class Checkpoints:
    """Signs checkpoints of one log, and stores and publishes them with their cosignatures."""

    def __init__(
        self, files: LogFiles, signer: Signer, log: Log, tree: HashTree, heads: Heads
    ) -> None:
        self._files: Final = files
        self._signer: Final = signer
        self._log: Final = log
        self._tree: Final = tree
        self._heads: Final = heads

    def sign(self) -> bytes | None:
        """Sign the durable size; return the note, or None if no leaves came since the last one.

        The order must stay: hashes durable, then `signed` durable, then published.
        """
        size, root = self._tree.save()
        head = self._heads.published
        if size <= (head.checkpoint.size if head else 0):
            return None
        checkpoint = Checkpoint(self._log.origin, size, root)
        note = checkpoint.sign(self._signer)
        self._files.replace(SIGNED, note.serialise())
        self._files.replace(PUBLISHED, note.serialise())
        self._heads.published = SignedHead(checkpoint, note)
        return note.serialise()

    def merge(self, checkpoint: Checkpoint, signatures: Iterable[Signature]) -> SignedHead:
        """Return a checkpoint of this log with verified cosignatures merged into its note.

        A key's newer signature line replaces its older one. Raises IntegrityError if it is not a
        checkpoint of this log, NotFound past the newest signed one, TooLarge past MAX_SIGNATURES.
        """
        text = checkpoint.text
        if checkpoint.origin != self._log.origin:
            raise IntegrityError("cosignatures for another log's checkpoint")
        require_root(checkpoint, self._log.root_at(checkpoint.size), "the cosigned checkpoint")
        lines = {(one.name, one.key_id): one for one in (self._signer.sign(text),)}
        for head in (*self._log.recent, self._heads.published):
            if head is not None and head.note.text == text:
                lines |= {(one.name, one.key_id): one for one in head.note.signatures}
        lines |= {(one.name, one.key_id): one for one in signatures}
        if len(lines) > MAX_SIGNATURES:
            raise TooLarge(f"a checkpoint carries at most {MAX_SIGNATURES} signatures")
        return SignedHead(checkpoint, Note(text, tuple(lines.values())))

    def publish(self, head: SignedHead) -> bytes:
        """Store a cosigned head, and publish it if it is still the newest; return its note."""
        data = head.note.serialise()
        kept = self._heads.cosigned
        if kept is None or head.checkpoint.size >= kept.checkpoint.size:
            self._files.replace(COSIGNED, data)
            self._heads.cosigned = head
        self._heads.keep(head)
        published = self._heads.published
        if published is not None and published.note.text == head.note.text:
            self._files.replace(PUBLISHED, data)
            self._heads.published = head
        return data
