"""Check the log excerpt in a pack and turn its leaves and proofs into evidence.

The server runs these checks before it signs a pack, the verifier afterwards: both rely on the log
and neither on the other's result.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.core import event
from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.evidence.leaf import Disclosed, check_disclosed, epoch_start, is_index, is_key
from ironkeep.core.evidence.packing.pack import (
    EarlierLeaf,
    LogEvidence,
    ShownEntry,
    ShownLog,
    WindowLeaf,
)
from ironkeep.core.units import SECOND_NS
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.cosignature import cosigned_at
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.policy import Policy


class ShownHead:
    """A checkpoint checked against a policy: the log's head and the witnesses that cosigned it.

    `cosigned_ns` is the earliest time stamp among the cosignatures of these witnesses, 0 without
    any, and under a policy that asks for none (`quorum none`): nobody then vouches for them. Raises
    IntegrityError when a signature is missing or the quorum is not reached.
    """

    __slots__ = ("checkpoint", "cosigned_ns", "cosigners")

    def __init__(self, note: str, policy: Policy) -> None:
        signed = open_checkpoint(
            note.encode(),
            policy.log_verifiers(),
            policy.witness_verifiers(),
        )
        named = policy.witness_names(signed.cosignatures)
        policy.check(named)
        times = [min(map(cosigned_at, signatures)) for signatures in named.values()]
        self.checkpoint: Final[Checkpoint] = signed.checkpoint
        self.cosigners: Final = tuple(sorted(named))
        vouched = times if policy.quorum is not None else []
        self.cosigned_ns: Final = min(vouched) * SECOND_NS if vouched else 0


def shown_leaf(index: int, shown: WindowLeaf) -> tuple[Entry | None, bytes]:
    """Return (entry or None, leaf hash) of one leaf of a window, checking the entry's commitment.

    The entry is None for a withheld leaf and for a leaf of another kind, such as a key or an epoch
    start; `is_withheld` tells which.
    """
    if shown.hash:
        if shown != WindowLeaf(hash=shown.hash):
            raise IntegrityError(f"entry {index}: both withheld and shown")
        return None, shown.hash
    if shown.salt or shown.body:
        return disclosed(index, shown), leaf_hash(shown.leaf)
    return None, leaf_hash(shown.leaf)


def bodies_of(log: LogEvidence | ShownLog) -> Iterator[tuple[int, str]]:
    """Yield (index, body) of every shown leaf; a leaf that is not disclosed has an empty body."""
    if isinstance(log, LogEvidence):
        yield from ((shown.index, shown.body) for shown in log.earlier)
        yield from ((index, shown.body) for index, shown in enumerate(log.leaves, log.start))
        return
    yield from ((shown.index, shown.body) for shown in log.entries)
    for stretch in log.whole:
        yield from ((at, shown.body) for at, shown in enumerate(stretch.leaves, stretch.start))


def opening_digest(log: LogEvidence | ShownLog, index: int) -> str:
    """Return the SHA-256 (hex) of the disclosed body at index."""
    body = next(body for at, body in bodies_of(log) if at == index)
    return sha256(body.encode()).hexdigest()


def is_withheld(shown: WindowLeaf) -> bool:
    """Return whether a leaf is neither a disclosed entry nor a key, epoch or index leaf."""
    if shown.salt or is_key(shown.leaf) or is_index(shown.leaf):
        return False
    return epoch_start(shown.leaf) is None


def disclosed(index: int, shown: WindowLeaf | EarlierLeaf | ShownEntry) -> Entry:
    """Check that a leaf commits to the shown salt and body, and return the entry."""
    body = shown.body.encode()
    check_disclosed(shown.leaf, Disclosed(index, shown.salt, body))
    try:
        return event.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise IntegrityError(f"entry {index} does not parse: {error}") from None
