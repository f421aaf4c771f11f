"""A large log of made traffic: every answer is the truth, and costs a few pages of each block."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.core.evidence.node import NodeKind, node
from ironkeep.index.leaf import Run
from ironkeep.index.proof import decode_proof, encode_proof, verify_proof
from ironkeep.index.terms import Term, What, actor, secret
from ironkeep.journal.index.build import at_once
from ironkeep.journal.index.index import Index
from ironkeep.journal.index.prove import prove
from ironkeep.journal.tree import hash_reader
from ironkeep.testing.memory import SeededEntropy
from tests.support.log.sample_journal import flush
from tests.support.traffic import READING_SECRET, Made, Subject, write_directory

MAX_PROOF = 10 << 20
"""Bytes of a proof that a secret was not read in ten million entries."""
BYTES_A_RUN = 2_500
"""Bytes that such a proof takes for each run, with its part of the way to the log's root."""
PARTS_OF_A_BLOCK = 4
"""Reads of a block for one term: header, directory, page, and the pages of long positions."""


@dataclass
class CountedFiles(DirectoryLogFiles):
    """The folder of the blocks, counting reads."""

    root: Path
    reads: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__(self.root)

    def read(self, name: str, at: int, length: int) -> bytes:
        """Read and count; see LogFiles."""
        self.reads[name] += 1
        return super().read(name, at, length)


def built(folder: Path, entries: int) -> tuple[Made, CountedFiles]:
    """Write a log and its index, whose leaves come at the end of the log."""
    made = write_directory(folder, entries=entries, seed=1)
    files = CountedFiles(folder / "index")
    index = Index(made.journal.log, files, SeededEntropy(), [(0, READING_SECRET)])
    for leaf in index.advance():
        if leaf is not None:
            made.journal.append_leaf(leaf)
    flush(made.journal)
    made.journal.checkpoint()
    files.reads.clear()
    return made, files


def by(subject: Subject) -> Term:
    return actor(node(NodeKind.PERSON, subject.entity))


HUGE = pytest.param(10_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(0)])


@pytest.mark.parametrize("entries", [1_000_000, HUGE])
def test_a_large_log_answers_from_a_few_pages(tmp_path: Path, entries: int) -> None:
    """What a person did in 90 days is read from its own entries; no other one is opened."""
    made, files = built(tmp_path, entries)
    truth, log = made.truth, made.journal.log
    index = Index(log, files, SeededEntropy(1), [(0, READING_SECRET)])
    people = truth.people()
    for person in (people[0], people[len(people) // 2], people[-1]):
        positions = truth.positions("entity", person.entity)
        covered = [at for at in positions if at < index.covered]
        assert index.positions([by(person)], 0, index.covered) == covered
    median = people[len(people) // 2]
    files.reads.clear()
    fresh = Index(log, files, SeededEntropy(2), [(0, READING_SECRET)])
    found = [at for at, _ in fresh.find([by(median)], 0, log.size)]
    assert found == truth.positions("entity", median.entity)
    # Once for the positions, once for the keys.
    assert max(files.reads.values()) <= 2 * PARTS_OF_A_BLOCK
    require_proofs(fresh, made, tmp_path)
    made.journal.close()


def require_proofs(index: Index, made: Made, folder: Path) -> None:
    """Prove that one secret was never read, and where another one was."""
    head = made.journal.log.published
    assert head is not None
    size, root = head.checkpoint.size, head.checkpoint.root
    read = hash_reader(DirectoryLogFiles(folder / "log", readonly=True))
    name = made.truth.values("released")[0]
    mount, _, path = name.partition("/")
    terms = [secret(mount, path), Term(What.OBJECT, "secret:nowhere/at all")]
    last = index.covered
    data = encode_proof(at_once(prove(index, terms[1:], 0, last, size, read)))
    runs = len(decode_proof(data).runs)
    assert len(data) <= min(MAX_PROOF, runs * BYTES_A_RUN)
    proven = verify_proof(decode_proof(data), terms[1:], 0, last, size, root)
    assert (proven.positions[terms[1]], proven.unread, proven.open) == ((), (), ())
    both = at_once(prove(index, terms, 0, last, size, read))
    proven = verify_proof(both, terms, 0, last, size, root)
    expected = [at for at in made.truth.positions("released", name) if at < last]
    assert list(proven.positions[terms[0]]) == expected
    # The log was indexed when it was complete: the leaves of its old runs came late.
    assert Run(1, 0) in proven.late or size < 3 * Run(1, 0).count
