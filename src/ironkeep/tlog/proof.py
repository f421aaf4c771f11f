"""Offline proofs that an entry is in a log (c2sp.org/tlog-proof@v1, `.tlog-proof` files)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.cosignature import cosigned_at
from ironkeep.tlog.merkle import verify_inclusion
from ironkeep.tlog.note import MAX_NOTE, NoteVerifier
from ironkeep.tlog.policy import Policy
from ironkeep.tlog.wire import (
    decode_base64,
    decode_decimal,
    decode_hash,
    decode_text,
    encode_base64,
)

MAX_HASHES: Final = 63
"""Hashes of an inclusion proof: a tree of fewer than 2^63 leaves is no higher."""

MAX_PROOF: Final = MAX_NOTE + (1 << 16)
"""Bytes of a proof: a note, the hashes and some extra data."""

_MAGIC: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "


@dataclass(frozen=True, slots=True)
class LogProof:
    """The content of a proof file, not verified; `extra` is never verified."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the proof in data; raise IntegrityError if malformed or past a limit."""
        head, blank, checkpoint = decode_text(data, MAX_PROOF).partition("\n\n")
        magic, *lines = head.split("\n", MAX_HASHES + 3)
        if magic != _MAGIC or not blank:
            raise IntegrityError(f"not a {_MAGIC} file")
        extra = None
        if lines and lines[0].startswith(_EXTRA):
            extra = decode_base64(lines.pop(0).removeprefix(_EXTRA))
            if not extra:
                raise IntegrityError("log proof: an extra line without data")
        if not lines or not lines[0].startswith(_INDEX):
            raise IntegrityError("log proof: no index line")
        index = decode_decimal(lines.pop(0).removeprefix(_INDEX))
        if len(lines) > MAX_HASHES:
            raise IntegrityError(f"log proof: more than {MAX_HASHES} hashes")
        return cls(index, tuple(map(decode_hash, lines)), checkpoint.encode(), extra)

    def serialise(self) -> bytes:
        """Return the bytes of the file."""
        lines = [_MAGIC]
        if self.extra is not None:
            lines.append(f"{_EXTRA}{encode_base64(self.extra)}")
        lines.append(f"{_INDEX}{self.index}")
        lines.extend(map(encode_base64, self.hashes))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint


@dataclass(frozen=True, slots=True)
class Logged:
    """The result of a verified proof: leaf `index` is in the tree of `checkpoint`.

    `cosigners` maps the policy's names of witnesses to the time, in POSIX seconds, of each one's
    earliest cosignature of that tree.
    """

    index: int
    checkpoint: Checkpoint
    cosigners: dict[str, int]


def verify_proof(
    proof: LogProof, leaf: bytes, logs: Sequence[NoteVerifier], policy: Policy
) -> Logged:
    """Check that a leaf (its hash) is in one of logs, under a checkpoint with the policy's quorum.

    (1) The checkpoint is well formed and signed by the key in logs named as its origin; (2) no
    signature line of a key of the policy is wrong; (3) the cosigners are a quorum; (4) the hashes
    lead from the leaf to the checkpoint's root. Pass `policy.log_verifiers()`, or keys pinned
    elsewhere. Raises IntegrityError. The proof's extra data is not checked.
    """
    signed = open_checkpoint(proof.checkpoint, logs, policy.witness_verifiers())
    cosigners = {
        name: min(map(cosigned_at, signatures))
        for name, signatures in policy.witness_names(signed.cosignatures).items()
    }
    policy.check(cosigners)
    checkpoint = signed.checkpoint
    verify_inclusion(proof.index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    return Logged(proof.index, checkpoint, cosigners)
