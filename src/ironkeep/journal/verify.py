"""Offline verification of a whole log, as run by `ironkeep audit verify`.

The first step that fails raises, with the place of the problem:

(1) Each head (`checkpoint`, `signed`, `cosigned`) is a well-formed checkpoint, signed by the log's
    key.
(2) If a policy is given, its quorum has cosigned the newest cosigned head.
(3) WAL files are contiguous; their frames are whole, contiguous and chained.
(4) The hash files match the hashes computed from the leaves.
(5) The log reaches every head, and its root at that size is the signed one.

Not checked: that no leaf is missing after the newest head; and, without a policy, that the log's
key has not signed another history elsewhere.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.logport import LogFiles
from ironkeep.journal.checkpoints import COSIGNED, PUBLISHED, SIGNED
from ironkeep.journal.log import SignedHead, require_reached, require_root
from ironkeep.journal.recovery import read_head
from ironkeep.journal.scan import EVIDENCE, bundled_hashes, replay
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.merkle import TILE_HEIGHT, Frontier
from ironkeep.tlog.note import VerifierKey
from ironkeep.tlog.policy import Policy
from ironkeep.tlog.wire import HASH_SIZE

_HEADS: Final = (SIGNED, PUBLISHED, COSIGNED)


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification: a log of `size` leaves, with the checkpoint over a prefix.

    `cosigners` are the policy's names of the witnesses that cosigned; `torn` counts the bytes of a
    half-written tail that a crash left.
    """

    size: int
    checkpoint: Checkpoint
    cosigners: tuple[str, ...]
    torn: int


def verify_log(files: LogFiles, key: VerifierKey, policy: Policy | None = None) -> Verified:
    """Check every leaf, hash and head of the log in files; raise at the first problem.

    Reads the whole log and changes nothing. Raises IntegrityError or RolledBack.
    """
    heads = {name: read_head(files, name, key) for name in _HEADS}
    signed = heads[SIGNED]
    if signed is None:
        raise IntegrityError(f"{SIGNED} is missing: there is no head to check. {EVIDENCE}")
    names = cosigners(heads[COSIGNED] or signed, policy)
    replayed = replay(files, key.name)
    for name, head in heads.items():
        if head is not None:
            require_reached(head.checkpoint, replayed.size, name)
    runs = chain(bundled_hashes(files, replayed.start), [replayed.leaf_hashes()])
    sizes = {head.checkpoint.size for head in heads.values() if head is not None}
    roots = dict(_roots(files, runs, sizes))
    for name, head in heads.items():
        if head is not None:
            require_root(head.checkpoint, roots[head.checkpoint.size], name)
    return Verified(replayed.size, signed.checkpoint, names, len(replayed.torn))


def cosigners(head: SignedHead, policy: Policy | None) -> tuple[str, ...]:
    """Return the witnesses that cosigned head, by the policy's names, sorted.

    Raises IntegrityError unless they are a quorum; returns () without a policy.
    """
    if policy is None:
        return ()
    names = policy.witness_names(head.note.verified(policy.witness_verifiers()))
    policy.check(names)
    return tuple(sorted(names))


def _roots(
    files: LogFiles, runs: Iterable[list[bytes]], sizes: set[int]
) -> Iterator[tuple[int, bytes]]:
    """Yield (size, root) for the given sizes, and compare all hashes with the hash files.

    Leaves beyond the largest size may not be in the hash files yet, and are not compared.
    """
    frontier = Frontier()
    compared = max(sizes)
    if 0 in sizes:
        yield 0, frontier.root()
    for run in runs:
        begin = frontier.size
        stops = sorted(size for size in sizes if begin < size <= begin + len(run))
        for stop in (*stops, begin + len(run)):
            leaves = run[frontier.size - begin : stop - begin]
            levels: list[list[bytes]] = []
            before = frontier.size
            frontier.append(leaves, levels)
            if frontier.size <= compared:
                _compare(files, before, levels)
            if stop in sizes:
                yield stop, frontier.root()


def _compare(files: LogFiles, before: int, levels: list[list[bytes]]) -> None:
    """Raise IntegrityError unless the hash files have these hashes from leaf before on."""
    for level, hashes in enumerate(levels):
        name, index = f"hash/L{level}", before >> (TILE_HEIGHT * level)
        try:
            data = files.read(name, index * HASH_SIZE, len(hashes) * HASH_SIZE)
        except FileNotFoundError:
            data = b""
        if data != b"".join(hashes):
            raise IntegrityError(
                f"{name} does not match the leaves from {before} on. Stop the server and remove "
                "hash/: the next start rebuilds it from the leaves, and refuses if these differ"
            )
