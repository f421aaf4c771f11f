"""The index over a log of made traffic: how long it takes to build, to ask and to prove.

    python -m tests.support.traffic /tmp/traffic --entries 10000000 --seed 1
    python bench/index.py /tmp/traffic

Times are CPU seconds of this process and seconds on the wall. The index is built anew each time,
in /tmp/traffic/index; the index leaves are appended to the log. Questions read the log as the
process that answers them does (adapters/log/follower.py).
"""

import resource
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

sys.path.append(str(Path(__file__).parents[1]))

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.adapters.log.follower import Follower
from ironkeep.adapters.process.system import SystemEntropy
from ironkeep.core.evidence.node import NodeKind, node
from ironkeep.index.proof import decode_proof, encode_proof, verify_proof
from ironkeep.index.terms import Term, What, actor
from ironkeep.journal.index.build import at_once
from ironkeep.journal.index.index import Index
from ironkeep.journal.index.prove import prove
from ironkeep.journal.tree import hash_reader
from tests.support.log.sample_journal import flush
from tests.support.traffic import ORIGIN, READING_SECRET, Subject, Truth, open_log

_T = TypeVar("_T")


def timed(what: str, work: Callable[[], _T]) -> _T:
    """Do the work, and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{what:<44}{cpu:>9.3f} s CPU {wall:>9.3f} s   peak {memory} MiB")
    return result


def main(folder: Path) -> None:
    # What the generator knows of its log takes more memory than any question.
    with ProcessPoolExecutor(1) as pool:
        median, busiest = pool.submit(people, folder).result()
    journal = timed("open the log", lambda: open_log(folder))
    shutil.rmtree(folder / "index", ignore_errors=True)
    blocks = DirectoryLogFiles(folder / "index")
    count = journal.log.size

    def opened() -> Index:
        log = Follower(DirectoryLogFiles(folder / "log", readonly=True), ORIGIN)
        log.grow(journal.log.size)
        return Index(log, blocks, SystemEntropy(), [(0, READING_SECRET)])

    leaves = timed(
        f"index {count:,} leaves", lambda: [leaf for leaf in opened().advance() if leaf is not None]
    )
    for leaf in leaves:
        journal.append_leaf(leaf)
    if leaves:
        flush(journal)
        journal.checkpoint()
    index = timed("open the index", opened)
    ask("median", median, index, count)
    ask("busiest", busiest, index, count)
    head = journal.log.published
    assert head is not None
    size, root = head.checkpoint.size, head.checkpoint.root
    read = hash_reader(DirectoryLogFiles(folder / "log", readonly=True))
    terms = [Term(What.OBJECT, "secret:nowhere/at all")]
    index = opened()
    last = index.covered
    steps = prove(index, terms, 0, last, size, read)
    proof = timed("prove that a secret was not read", lambda: at_once(steps))
    data = encode_proof(proof)
    print(f"{'':<44}{len(data):,} bytes, {len(proof.runs)} runs")
    timed("verify", lambda: verify_proof(decode_proof(data), terms, 0, last, size, root))
    journal.close()


def people(folder: Path) -> tuple[Subject, Subject]:
    """Return the person with the median number of entries, and the one with the most."""
    found = Truth.load(folder / "truth").people()
    return found[len(found) // 2], found[0]


def ask(name: str, person: Subject, index: Index, count: int) -> None:
    """Find the entries of a person."""
    term = actor(node(NodeKind.PERSON, person.entity))
    places = timed(f"positions of the {name} person", lambda: index.positions([term], 0, count))
    timed(f"its {len(places):,} entries", lambda: sum(1 for _ in index.find([term], 0, count)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
