"""Making proofs from the blocks of an index: see index/proof.py."""

from collections.abc import Collection, Sequence
from itertools import chain

from ironkeep.core.errors import IntegrityError
from ironkeep.index.key import TermKey
from ironkeep.index.leaf import IndexLeaf, Run
from ironkeep.index.proof import (
    VERSION,
    IndexProof,
    ShownRecord,
    ShownRun,
)
from ironkeep.index.terms import UNREAD, Term
from ironkeep.journal.index.block import Block, Leaf
from ironkeep.journal.index.build import Steps
from ironkeep.journal.index.index import Index
from ironkeep.tlog.merkle import HashReader, subtree_root
from ironkeep.tlog.multiproof import multiproof


def prove(
    index: Index,
    terms: Collection[Term],
    first: int,
    last: int,
    size: int,
    read: HashReader,
) -> Steps[IndexProof]:
    """Return the proof of the terms' positions in [first, last), under the head of size leaves.

    read returns the log's hashes. Runs without an index leaf below size are left out: the verifier
    is shown their leaves whole. Raises IntegrityError if the log has another
    root for a run than its block.
    """
    yield from index.refresh(size)
    found: list[tuple[int, ShownRun, TermKey]] = []
    end = min(last, size)
    parts = (index.proving(run, size) for run in index.runs(first, end))
    for run in chain.from_iterable(parts):
        if run.end <= first or run.first >= end:
            continue
        recorded = index.on_record.get(run)
        if recorded is None or recorded[0] >= size:
            continue
        position, leaf = recorded
        key = index.keys.digests(run).key
        if leaf.key_check != key.check:
            continue
        found.append((position, _shown(index, run, position, leaf, key, terms), key))
        yield
    positions = sorted(position for position, _, _ in found)
    return IndexProof(
        VERSION,
        size,
        _disclosed([key for _, _, key in found]),
        tuple(shown for _, shown, _ in found),
        tuple(multiproof(positions, size, lambda low, high: subtree_root(low, high, read)))
        if positions
        else (),
    )


def _shown(
    index: Index, run: Run, position: int, leaf: IndexLeaf, key: TermKey, terms: Collection[Term]
) -> ShownRun:
    """Return what a proof shows of one run."""
    wanted = {key.of(term) for term in (*terms, UNREAD)}

    def show(block: Block) -> ShownRun:
        if block.leaf != leaf:
            raise IntegrityError(f"{run} differs from index leaf {position} of the log")
        leaves = sorted({each for digest in wanted for each in block.around(digest)})
        records = tuple(_record(block, each, wanted) for each in leaves)
        hashes = multiproof([each.at for each in leaves], leaf.terms, block.subtree)
        return ShownRun(position, leaf.encode(), records, tuple(hashes))

    return index.ask(run, show)


def _record(block: Block, leaf: Leaf, wanted: Collection[bytes]) -> ShownRecord:
    if leaf.digest not in wanted:
        return ShownRecord(leaf.at, leaf.digest, b"", leaf.positions_hash)
    return ShownRecord(leaf.at, leaf.digest, block.find(leaf.digest) or b"")


def _disclosed(keys: Sequence[TermKey]) -> tuple[bytes, ...]:
    """Return the term keys that were used, each once, in the order of their checks."""
    by_check = {key.check: key.disclose() for key in keys}
    return tuple(by_check[check] for check in sorted(by_check))
