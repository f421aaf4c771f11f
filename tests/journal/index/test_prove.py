"""Proofs of presence and absence: complete, and refused once any byte of them is another one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.index.finder import Scan
from ironkeep.index.leaf import LEVELS, MAX_DELAY, Run
from ironkeep.index.positions import RUN
from ironkeep.index.proof import (
    IndexProof,
    Proven,
    decode_proof,
    encode_proof,
    verify_proof,
)
from ironkeep.index.terms import TIMES, Term, What, terms_of
from ironkeep.journal.index.build import at_once
from ironkeep.journal.index.index import Index
from ironkeep.journal.index.prove import prove
from ironkeep.testing.memory_log import LogDisk
from ironkeep.tlog.merkle import Frontier, HashReader, leaf_hash
from tests.support.log.sample_index import advance, index_of, random_entry
from tests.support.log.sample_leaves import SampleLeaves

NOWHERE: Final = Term(What.OBJECT, "secret:nowhere/at all")


@dataclass
class Stage:
    """A log with its index, and the tree over its leaves."""

    log: SampleLeaves
    index: Index
    root: bytes
    read: HashReader

    def prove(self, terms: list[Term], first: int, last: int) -> IndexProof:
        """Return the proof of terms in a range, under the head of the whole log."""
        return at_once(prove(self.index, terms, first, last, self.log.size, self.read))

    def verify(self, proof: IndexProof, terms: list[Term], first: int, last: int) -> Proven:
        """Return what a proof says."""
        return verify_proof(proof, terms, first, last, self.log.size, self.root)


def staged(log: SampleLeaves, index: Index) -> Stage:
    """Hash the log's leaves into a tree."""
    frontier, levels = Frontier(), list[list[bytes]]()
    frontier.append([leaf_hash(leaf) for leaf in log.stored], levels)
    return Stage(log, index, frontier.root(), lambda level, at: levels[level][at])


@cache
def stage() -> Stage:
    """Return a log of three runs with an index leaf each, and a tail."""
    rng = Random(5)
    log, disk = SampleLeaves(), LogDisk()
    for count in (5_000, 4_000, 4_000):
        log.add(random_entry(rng) for _ in range(count))
        advance(index_of(log, disk), log)
    index = index_of(log, disk)
    log.add([Entry("tick", 7)])
    return staged(log, index)


def found(log: SampleLeaves, term: Term, first: int, last: int) -> tuple[int, ...]:
    """Return the positions of a term in a range, by a scan."""
    return tuple(index for index, _ in Scan(log.entries, log.size).find([term], first, last))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1 << 30))
def test_a_proof_shows_just_the_positions_that_a_scan_finds(seed: int) -> None:
    """Whatever the terms and the range; what no run covers is named as open."""
    rng = Random(seed)
    this = stage()
    known = [term for _, entry in rng.choices(this.log.entries, k=9) for term in terms_of(entry)]
    terms = list({*rng.choices(known, k=rng.randrange(7)), NOWHERE})
    first, last = sorted(rng.randrange(this.log.size + 1) for _ in range(2))
    proof = decode_proof(encode_proof(this.prove(terms, first, last)))
    proven = this.verify(proof, terms, first, last)
    indexed = min(last, 3 * RUN)
    for term in terms:
        assert proven.positions[term] == found(this.log, term, first, indexed)
    if first < last:
        assert proven.open == (((max(first, indexed), last),) if last > indexed else ())
    assert not proven.late
    assert not proven.unread


def test_the_times_of_each_run_can_be_proven() -> None:
    """They show that no entry of a run is as late as the beginning of a window."""
    this = stage()
    proven = this.verify(this.prove([TIMES], 0, 3 * RUN), [TIMES], 0, 3 * RUN)
    assert [each.first for each in proven.times] == [0, RUN, 2 * RUN]
    for each in proven.times:
        inside = [
            entry.time_ns for at, entry in this.log.entries if each.first <= at < each.first + RUN
        ]
        assert (each.earliest, each.latest) == (min(inside), max(inside))


def asked() -> tuple[list[Term], int, int]:
    """Return a question with present and absent terms over part of the log."""
    present = next(iter(terms_of(stage().log.entries[40][1])))
    return [present, NOWHERE], 100, 2 * RUN + 5


def test_every_other_byte_is_refused() -> None:
    """Each byte of a proof is changed in turn, one is left out, and one is added."""
    this, (terms, first, last) = stage(), asked()
    data = encode_proof(this.prove(terms, first, last))
    rng = Random(1)
    for at in range(len(data)):
        other = bytes([data[at] ^ rng.randrange(1, 256)])
        for changed in (data[:at] + other + data[at + 1 :], data[:at] + data[at + 1 :]):
            with pytest.raises(IntegrityError):
                this.verify(decode_proof(changed), terms, first, last)
    for longer in (data + b"\x00", b"\x00" + data):
        with pytest.raises(IntegrityError):
            decode_proof(longer)


def variants(value: Any) -> Iterator[Any]:
    """Yield a structure with one element of one of its tuples left out, doubled or swapped."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            for other in variants(getattr(value, name)):
                yield msgspec.structs.replace(value, **{name: other})
    elif isinstance(value, tuple):
        for at, item in enumerate(value):
            yield value[:at] + value[at + 1 :]
            yield (*value[:at], item, *value[at:])
            if at and value[at - 1] != item:
                yield (*value[: at - 1], item, value[at - 1], *value[at + 1 :])
            for other in variants(item):
                yield (*value[:at], other, *value[at + 1 :])


def test_every_missing_doubled_or_swapped_part_is_refused() -> None:
    """A run that is left out altogether becomes an open range, which must be shown whole."""
    this, (terms, first, last) = stage(), asked()
    proof = this.prove(terms, first, last)
    whole = this.verify(proof, terms, first, last)
    assert whole.open == ()
    count = 0
    for changed in variants(proof):
        count += 1
        with pytest.raises(IntegrityError):
            this.verify(changed, terms, first, last)
    assert count > 100


CHANGES: Final[list[Callable[[IndexProof], tuple[list[Term], int, int]]]] = [
    lambda _: ([asked()[0][0]], *asked()[1:]),
    lambda _: ([*asked()[0], Term(What.PATH, "more")], *asked()[1:]),
    lambda _: (asked()[0], 0, 4 * RUN),
    lambda _: (asked()[0], RUN, asked()[2]),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_proof_answers_its_own_question_alone(
    change: Callable[[IndexProof], tuple[list[Term], int, int]],
) -> None:
    """With fewer or more terms it is refused; in a wider range, the rest is open."""
    this, (terms, first, last) = stage(), asked()
    proof = this.prove(terms, first, last)
    question = change(proof)
    try:
        proven = this.verify(proof, *question)
    except IntegrityError:
        return
    assert question[0] == terms
    assert proven.open
    assert not any(low < last and high > first for low, high in proven.open[1:])


def test_a_proof_is_of_one_head() -> None:
    """Another root or size is refused."""
    this, (terms, first, last) = stage(), asked()
    proof = this.prove(terms, first, last)
    for size, root in ((this.log.size - 1, this.root), (this.log.size, bytes(32))):
        with pytest.raises(IntegrityError):
            verify_proof(proof, terms, first, last, size, root)


def test_an_index_leaf_made_long_afterwards_is_late() -> None:
    """The answer says which runs were not indexed at the time."""
    log, disk = SampleLeaves(), LogDisk()
    log.add(Entry("request", at, path="a") for at in range(RUN))
    log.stored += [b"\x01\x09"] * (LEVELS[1] + MAX_DELAY + 1 - RUN)
    index = index_of(log, disk)
    advance(index, log)
    this = staged(log, index)
    terms = [Term(What.PATH, "a")]
    proven = this.verify(this.prove(terms, 0, RUN), terms, 0, RUN)
    assert proven.late == (Run(1, 0),)
    assert proven.positions[terms[0]] == found(log, terms[0], 0, RUN)
