"""Check the log in a pack of an earlier release, and take what it proves under the present rules.

`window_evidence`   version 1, which shows every leaf of the window
`indexed_file`      version 2, whose index proofs answer the questions that the rules of its time
                    asked

The present rules may ask the index further questions. What a pack of version 2 does not answer, or
answers with an entry that it does not show, is counted (`LogFacts.unproven`) and leaves the verdict
open: the server that made the pack did what its rules asked.
"""

from collections.abc import Iterator
from itertools import pairwise

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.packing.pack import LogEvidence, ShownLog
from ironkeep.core.evidence.records import Evidence
from ironkeep.incident.verifier.disclosed import ShownHead, disclosed, is_withheld, shown_leaf
from ironkeep.incident.verifier.indexed import Leaves, bare_evidence, facts_of, missing_of
from ironkeep.index.closure import wanted
from ironkeep.index.leaf import Run
from ironkeep.index.proof import Proven, decode_proof, verify_proof
from ironkeep.index.terms import Term
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.merkle import RangeProof, leaf_hash, verify_inclusion, verify_range


def window_leaves(log: LogEvidence) -> Leaves:
    """Return the leaves of the window in a pack of version 1, each entry checked against its own.

    The entry of a withheld leaf, or of a leaf of another kind such as a key, is not among them.
    """
    found = Leaves()
    for index, shown in enumerate(log.leaves, start=log.start):
        entry, found.hashes[index] = shown_leaf(index, shown)
        if entry is not None:
            found.entries[index] = entry
        elif is_withheld(shown):
            found.withheld.add(index)
    return found


def window_evidence(
    case: str, as_of_ns: int, log: LogEvidence, head: ShownHead, leaves: Leaves
) -> Evidence:
    """Return the evidence in a pack of version 1; raise IntegrityError unless it is complete."""
    checkpoint = head.checkpoint
    if log.start + len(log.leaves) != checkpoint.size:
        raise IntegrityError(f"the window ends before the head, at entry {log.start}")
    hashes = [leaves.hashes[index] for index in sorted(leaves.hashes)]
    verify_range(log.start, hashes, checkpoint.size, RangeProof(log.left, ()), checkpoint.root)
    facts = facts_of(log, head, len(leaves.withheld), 0)
    earlier = _earlier_entries(log, checkpoint)
    entries = (*earlier, *sorted(leaves.entries.items()))
    return Evidence(case, as_of_ns, (facts,), entries)


def _earlier_entries(log: LogEvidence, head: Checkpoint) -> Iterator[tuple[int, Entry]]:
    """Yield the entries from before the window, checking each one's inclusion proof."""
    bounds = [*(shown.index for shown in log.earlier), log.start]
    if any(one >= other for one, other in pairwise(bounds)):
        raise IntegrityError("the earlier entries are out of order or overlap the window")
    for shown in log.earlier:
        entry = disclosed(shown.index, shown)
        digest = leaf_hash(shown.leaf)
        verify_inclusion(shown.index, head.size, digest, shown.proof, head.root)
        yield shown.index, entry


def indexed_file(
    case: str, as_of_ns: int, log: ShownLog, head: ShownHead, leaves: Leaves
) -> CaseFile:
    """Return the case file of a pack of version 2, with what it leaves unproven in its facts."""
    file = CaseFile(bare_evidence(case, as_of_ns, log, head, leaves))
    bounds = wanted(file)
    size, root = head.checkpoint.size, head.checkpoint.root
    ends = {term: min(bound, size) for term, bound in bounds.items()}
    unproven, unread, late = set(bounds), set[int](), set[Run]()
    for raw in log.index:
        proof = decode_proof(raw)
        found = verify_proof(proof, bounds, log.start, size, size, root, partial=True)
        hole = _hole(found, leaves, size)
        unproven -= {each for each in unproven if _has(found, each, ends[each], hole, leaves)}
        unread.update(each for each in found.unread if each not in leaves.hashes)
        late.update(found.late)
    facts = facts_of(log, head, len(leaves.withheld | unread), len(unproven), late)
    return file.under(facts)


def _hole(found: Proven, leaves: Leaves, size: int) -> int:
    """Return the first leaf that neither a proof nor the pack covers, or the size of the log."""
    parts = (at for first, last in found.open for at in range(first, last))
    return next((at for at in parts if at not in leaves.hashes), size)


def _has(found: Proven, term: Term, end: int, hole: int, leaves: Leaves) -> bool:
    """Return whether a proof has every position of a term before `end`, and each is shown."""
    if min(hole, found.undecided.get(term, hole)) < end:
        return False
    return missing_of(found.positions[term], end, leaves) is None
