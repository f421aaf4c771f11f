"""Check the log in a pack: its entries, their places, and that none is missing.

The window of a pack is shown whole where no index covers it. For the rest the index proves the
positions of every term on which the verdict depends. Which terms these are follows from the shown
entries themselves (`ironkeep.index.closure`): an entry that is left out leaves a term whose proof
names a position that the pack does not show, or a term without a proof.

What is trusted is that the server indexed its entries truly when it wrote them: an index leaf that
was made long afterwards counts as `late`, and leaves the verdict open. `audit verify`, with the
reading key, recomputes every index leaf.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.packing.pack import LogEvidence, ShownLog
from ironkeep.core.evidence.records import Evidence, LogFacts
from ironkeep.incident.verifier.disclosed import ShownHead, disclosed, is_withheld, shown_leaf
from ironkeep.index.closure import END, wanted
from ironkeep.index.leaf import Run
from ironkeep.index.proof import Proven, decode_proof, verify_proof
from ironkeep.index.terms import Term
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.multiproof import verify_multiproof

Asked = tuple[tuple[Term, ...], int]
"""The terms of one proof, and the end of its range."""

TERMS: Final = 1_000
"""Terms of one proof: it shows at most two records for each in every run."""


@dataclass(slots=True)
class Leaves:
    """The leaves that a pack shows: their hashes, the entries in them, and what is withheld."""

    hashes: dict[int, bytes] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    withheld: set[int] = field(default_factory=set)


def leaves_of(log: ShownLog) -> Leaves:
    """Return all leaves that a pack shows, each entry checked against its leaf."""
    found = Leaves()
    if any(one.index >= other.index for one, other in pairwise(log.entries)):
        raise IntegrityError("the entries are out of order")
    for shown in log.entries:
        found.entries[shown.index] = disclosed(shown.index, shown)
        found.hashes[shown.index] = leaf_hash(shown.leaf)
    at = log.start
    for stretch in log.whole:
        if stretch.start < at or not stretch.leaves:
            raise IntegrityError("the parts shown whole overlap, or lie before the window")
        at = stretch.start + len(stretch.leaves)
        for index, leaf in enumerate(stretch.leaves, stretch.start):
            if index in found.hashes:
                raise IntegrityError(f"entry {index} is shown twice")
            entry, found.hashes[index] = shown_leaf(index, leaf)
            if entry is not None:
                found.entries[index] = entry
            elif is_withheld(leaf):
                found.withheld.add(index)
    return found


def check_places(log: ShownLog, head: Checkpoint, leaves: Leaves) -> None:
    """Check that each shown leaf is in the log at its index."""
    if log.start >= head.size:
        raise IntegrityError("the window begins after the log's end")
    verify_multiproof(leaves.hashes, head.size, log.hashes, head.root)


def file_of(case: str, as_of_ns: int, log: ShownLog, head: ShownHead, leaves: Leaves) -> CaseFile:
    """Return the case file of a pack; raise IntegrityError unless its evidence is complete."""
    file = CaseFile(bare_evidence(case, as_of_ns, log, head, leaves))
    return file.under(check_complete(log, head, leaves, questions_of(file), wanted(file)))


def bare_evidence(
    case: str, as_of_ns: int, log: ShownLog, head: ShownHead, leaves: Leaves
) -> Evidence:
    """Return the shown entries as evidence, to ask which terms they give rise to."""
    checkpoint = head.checkpoint
    facts = LogFacts(checkpoint.origin, checkpoint.size, log.start, 0, (), 0)
    entries = tuple(sorted(leaves.entries.items(), key=lambda each: each[0]))
    return Evidence(case, as_of_ns, (facts,), entries)


def questions_of(file: CaseFile) -> list[Asked]:
    """Return the terms that a pack of a case has to prove, as (terms, end) of each proof.

    A proof covers the window up to `end`. Terms wanted up to an entry only share proofs that reach
    as far as the last of them.
    """
    terms, size = wanted(file), file.log.size
    always = sorted(term for term, bound in terms.items() if bound == END)
    before = sorted(term for term, bound in terms.items() if bound != END)
    last = min(max((terms[term] for term in before), default=0), size)
    asked = [(some, size) for some in _chunks(always)]
    if last > file.log.start:
        asked += [(some, last) for some in _chunks(before)]
    return asked


def _chunks(terms: list[Term]) -> Iterator[tuple[Term, ...]]:
    return (tuple(terms[at : at + TERMS]) for at in range(0, len(terms), TERMS))


def check_complete(
    log: ShownLog,
    head: ShownHead,
    leaves: Leaves,
    asked: Sequence[Asked],
    bounds: Mapping[Term, int],
) -> LogFacts:
    """Check that all entries with certain terms are shown; return the facts about the log.

    asked are the terms of each proof in the pack, bounds the position before which the entries of a
    term matter. Raises IntegrityError.
    """
    size, root = head.checkpoint.size, head.checkpoint.root
    if len(asked) != len(log.index):
        raise IntegrityError(f"the pack has {len(log.index)} proofs of the index, not {len(asked)}")
    late: set[Run] = set()
    unread: set[int] = set()
    for (terms, last), raw in zip(asked, log.index, strict=True):
        found = verify_proof(decode_proof(raw), terms, log.start, last, size, root)
        _check_open(found, leaves)
        _check_positions(found, bounds, leaves)
        unread.update(each for each in found.unread if each not in leaves.hashes)
        late.update(found.late)
    return facts_of(log, head, len(leaves.withheld | unread), 0, late)


def facts_of(
    log: ShownLog | LogEvidence,
    head: ShownHead,
    withheld: int,
    unproven: int,
    late: Iterable[Run] = (),
) -> LogFacts:
    """Return the facts about a log whose parts were checked before."""
    return LogFacts(
        origin=head.checkpoint.origin,
        size=head.checkpoint.size,
        start=log.start,
        withheld=withheld,
        cosigners=head.cosigners,
        cosigned_ns=head.cosigned_ns,
        late=_late(late, log, head.checkpoint.size) if isinstance(log, ShownLog) else 0,
        unproven=unproven,
    )


def _late(runs: Iterable[Run], log: ShownLog, size: int) -> int:
    """Return the number of leaves in late runs that are not shown whole."""
    whole = [(each.start, each.start + len(each.leaves)) for each in log.whole]
    parts = ((max(run.first, log.start), min(run.end, size)) for run in runs)
    return sum(
        high - low
        for low, high in parts
        if not any(begin <= low and high <= end for begin, end in whole)
    )


def _check_open(found: Proven, leaves: Leaves) -> None:
    """Check that what no index covers is shown whole."""
    for first, last in found.open:
        missing = next((at for at in range(first, last) if at not in leaves.hashes), None)
        if missing is not None:
            raise IntegrityError(f"entry {missing} is neither shown nor in an index")


def _check_positions(found: Proven, bounds: Mapping[Term, int], leaves: Leaves) -> None:
    """Check that every entry with a term is shown, up to the term's bound."""
    for term, positions in found.positions.items():
        missing = missing_of(positions, bounds[term], leaves)
        if missing is not None:
            raise IntegrityError(
                f"entry {missing} matters to the verdict ({term.what} {term.value[:80]}), and is "
                "not shown"
            )


def missing_of(positions: Iterable[int], bound: int, leaves: Leaves) -> int | None:
    """Return the first position below a bound that a pack neither shows nor withholds, or None."""
    shown, hidden = leaves.entries, leaves.withheld
    return next(
        (at for at in positions if at < bound and at not in shown and at not in hidden), None
    )
