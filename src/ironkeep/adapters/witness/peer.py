"""The log's client of one witness (c2sp.org/tlog-witness).

A refusal raises an alarm. It proves a fork only if the witness shows a checkpoint, cosigned with
its key, that this log does not extend. Without proof the alarm is logged and the witness does not
count towards the quorum: a witness must not be able to stop a server with a status code.
"""

from hashlib import sha256
from typing import Final

from ironkeep.adapters.witness.http import Reply, WitnessHttp
from ironkeep.adapters.witness.mirror_upload import MirrorUpload
from ironkeep.config.settings import Witness
from ironkeep.core.errors import (
    IntegrityError,
    InvalidRequest,
    IronkeepError,
    RolledBack,
    UpstreamFailed,
)
from ironkeep.journal.log import Log, SignedHead
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier
from ironkeep.tlog.note import Note, Signature, VerifierKey
from ironkeep.tlog.witness import TEXT, AddCheckpoint, read_cosignature, read_size

_OK: Final = 200
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_UNPROVEN: Final = 422

_TRIES: Final = 3
"""Requests for one checkpoint: the first may only learn the size, which may change once more."""


class WitnessPeer:
    """A configured witness or mirror. A mirror cosigns a checkpoint once it has all the leaves."""

    def __init__(self, witness: Witness) -> None:
        self.name: Final = witness.name
        try:
            self.verifier: Final = CosignatureVerifier(VerifierKey.parse(witness.vkey))
        except InvalidRequest as error:
            raise InvalidRequest(
                f"vkey of witness {witness.name!r}: {error} (copy it from `ironkeep witness vkey`)"
            ) from None
        self._http: Final = WitnessHttp(witness.address, witness.ca_file)
        self._upload: Final = MirrorUpload(self._http)
        self._size = 0

    def latest(self, origin: str) -> SignedHead | None:
        """Return the newest checkpoint of origin that the witness shows; None if it knows none.

        It is verified with the witness's key alone. The log's key is on this machine, which may
        have been replaced, so that key proves nothing here. Raises UpstreamFailed.
        """
        reply = self._http.get(f"{sha256(origin.encode()).hexdigest()}/checkpoint")
        if reply.status == _NOT_FOUND:
            self._size = 0
            return None
        if reply.status != _OK:
            raise UpstreamFailed(f"it answered {reply.status} instead of its latest checkpoint")
        try:
            note = Note.parse(reply.body)
            checkpoint = Checkpoint.parse(note.text)
            checkpoint.require_sound_empty()
            cosigned = checkpoint.origin == origin and note.verified([self.verifier])
        except IntegrityError as error:
            raise UpstreamFailed(f"its latest checkpoint: {error}") from None
        if not cosigned:
            raise UpstreamFailed("its latest checkpoint is not one of ours with its cosignature")
        self._size = checkpoint.size
        return SignedHead(checkpoint, note)

    def cosign(self, log: Log, head: SignedHead) -> Signature | None:
        """Submit a head of the log to the witness; return its cosignature.

        None means that a mirror still lacks leaves and makes progress. Raises UpstreamFailed, and
        IntegrityError or RolledBack if the witness proves that it cosigned another history.
        """
        reply = self._submit(log, head)
        try:
            return read_cosignature(reply.body, head.checkpoint, self.verifier)
        except IntegrityError:
            # A mirror answers add-checkpoint without a cosignature, and returns it for the leaves.
            lines = self._upload.send(log, head.checkpoint)
        if lines is None:
            return None
        try:
            return read_cosignature(lines, head.checkpoint, self.verifier)
        except IntegrityError as error:
            raise UpstreamFailed(f"its cosignature: {error}") from None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _submit(self, log: Log, head: SignedHead) -> Reply:
        """Return the witness's 200 to a head, after learning the size that it knows."""
        checkpoint = head.checkpoint
        for _ in range(_TRIES):
            old = self._size if self._size <= checkpoint.size else 0
            proof = tuple(log.consistency_proof(old, checkpoint))
            body = AddCheckpoint(old, proof, head.note, checkpoint).serialise()
            reply = self._http.post("add-checkpoint", body, TEXT)
            if reply.status == _OK:
                self._size = checkpoint.size
                return reply
            if reply.status not in {_CONFLICT, _UNPROVEN}:
                raise UpstreamFailed(f"it answered {reply.status} to add-checkpoint")
            size = _known_size(reply)
            if size is None or size == old or size > checkpoint.size:
                raise self._alarm(log, reply.status)
            self._size = size
        raise UpstreamFailed("it answers with a different size each time")

    def _alarm(self, log: Log, status: int) -> IronkeepError:
        """Return the error for a refusal at the witness's own size: a proven fork, or unproven."""
        try:
            seen = self.latest(log.origin)
        except UpstreamFailed:
            seen = None
        published = log.published
        if seen is not None and published is not None:
            size = seen.checkpoint.size
            if size > published.checkpoint.size:
                return RolledBack(
                    f"FORK ALARM: witness {self.name} has cosigned this log at {size}, but it ends "
                    f"at {published.checkpoint.size}: this is an older copy, or there are two"
                )
            if log.root_at(size) != seen.checkpoint.root:
                return IntegrityError(
                    f"FORK ALARM: witness {self.name} has cosigned another history of this log at "
                    f"{size}: another machine signs with its key, or entries were changed"
                )
        return UpstreamFailed(
            f"FORK ALARM, not proven: it answered {status} to a checkpoint that extends the newest "
            "one that it shows of this log. Compare with its operator"
        )


def _known_size(reply: Reply) -> int | None:
    """Return the size in a 409; None for a 422, or if the 409 has no size."""
    if reply.status != _CONFLICT:
        return None
    try:
        return read_size(reply.body)
    except IntegrityError as error:
        raise UpstreamFailed(f"its answer to add-checkpoint: {error}") from None
