"""`audit verify` recomputes every index leaf, and names the one that lies."""

from collections.abc import Callable
from functools import cache
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.secret import Secret
from ironkeep.index.leaf import LEVELS, IndexLeaf, Run, read_index_leaf
from ironkeep.index.positions import RUN, decode_chunk, encode_chunk, record_of
from ironkeep.index.records import Record, record_hash, root_of
from ironkeep.index.terms import UNREAD, kind
from ironkeep.journal.index.build import Keys, at_once, records_of
from ironkeep.journal.index.check import Checked, check_index
from ironkeep.testing.memory_log import LogDisk
from tests.support.log.sample_index import advance, index_of, random_entry
from tests.support.log.sample_journal import READING_SECRET
from tests.support.log.sample_leaves import SampleLeaves

PERIODS = [(0, READING_SECRET)]
SECRET_2 = Secret(b"\x06" * 32)
READING_KEY_2 = (
    X25519PrivateKey.from_private_bytes(SECRET_2.reveal()).public_key().public_bytes_raw()
)


@cache
def indexed() -> tuple[SampleLeaves, list[int]]:
    """Return a log of two runs with their index leaves, and the positions of these."""
    rng = Random(2)
    log = SampleLeaves()
    log.add(random_entry(rng) for _ in range(2 * RUN + 9))
    advance(index_of(log, LogDisk()), log)
    log.add([Entry("tick", 1)])
    return log, [log.size - 3, log.size - 2]


def with_leaf(position: int, leaf: bytes) -> SampleLeaves:
    """Return the log with another leaf at a position."""
    log, _ = indexed()
    stored = list(log.stored)
    stored[position] = leaf
    return SampleLeaves(stored=stored)


def check(log: SampleLeaves, *, keys: bool = True) -> Checked:
    return at_once(check_index(log, Keys(log, PERIODS) if keys else None))


def test_a_true_index_passes_with_and_without_the_key() -> None:
    log, _ = indexed()
    assert check(log) == Checked(2, 0, recomputed=True)
    assert check(log, keys=False) == Checked(2, 0, recomputed=False)


def moved(record: bytes) -> bytes:
    offsets = decode_chunk(record[2:])
    others = [at for at in range(RUN) if at not in offsets]
    return record_of(encode_chunk(sorted([*offsets[1:], others[0]])))


def more(record: bytes) -> bytes:
    offsets = decode_chunk(record[2:])
    others = [at for at in range(RUN) if at not in offsets]
    return record_of(encode_chunk(sorted([*offsets, others[0]])))


def fewer(record: bytes) -> bytes:
    return record_of(encode_chunk(decode_chunk(record[2:])[1:]))


@pytest.mark.parametrize("lie", [moved, more, fewer])
def test_an_index_leaf_with_one_other_position_is_named(lie: Callable[[bytes], bytes]) -> None:
    """A server would build the lie that way to leave an entry out, or to show another one."""
    log, positions = indexed()
    true = read_index_leaf(log.stored[positions[1]], positions[1])
    records = at_once(records_of(Keys(log, PERIODS), true.run))
    at = next(at for at, record in enumerate(records) if 5 < len(record[1]) < 100)
    records[at] = (records[at][0], lie(records[at][1]))
    named = f"index leaf {positions[1]} does not match .* the index of leaves 4096 to 8191"
    with pytest.raises(IntegrityError, match=named):
        check(with_leaf(positions[1], resealed(true, records)))
    assert check(with_leaf(positions[1], resealed(true, records)), keys=False).runs == 2


def resealed(leaf: IndexLeaf, records: list[Record]) -> bytes:
    """Return an index leaf over other records."""
    root = root_of([record_hash(record) for record in records])
    return IndexLeaf(leaf.run, len(records), root, leaf.key_check).encode()


def test_a_term_left_out_is_named() -> None:
    log, positions = indexed()
    true = read_index_leaf(log.stored[positions[0]], positions[0])
    records = at_once(records_of(Keys(log, PERIODS), true.run))[1:]
    with pytest.raises(IntegrityError, match=f"index leaf {positions[0]} does not match"):
        check(with_leaf(positions[0], resealed(true, records)))


def test_a_malformed_or_contradicting_leaf_is_named_without_a_key() -> None:
    log, positions = indexed()
    leaf = log.stored[positions[0]]
    true = read_index_leaf(leaf, positions[0])
    ahead = IndexLeaf(Run(0, 4 * RUN), true.terms, true.root, true.key_check).encode()
    other = IndexLeaf(true.run, true.terms, bytes(32), true.key_check).encode()
    for wrong in (leaf[:-1], leaf + b"\x00", leaf[:2] + b"\x09" + leaf[3:], ahead):
        with pytest.raises(IntegrityError, match=f"leaf {positions[0]} "):
            check(with_leaf(positions[0], wrong), keys=False)
    with pytest.raises(IntegrityError, match=f"{positions[1]} contradicts .* {positions[0]}"):
        check(with_leaf(positions[1], other), keys=False)


def test_the_index_of_another_key_is_named() -> None:
    """A server that indexes under a key of its own makes proofs that nobody else can check."""
    log, positions = indexed()
    true = read_index_leaf(log.stored[positions[0]], positions[0])
    other = IndexLeaf(true.run, true.terms, true.root, bytes(16)).encode()
    with pytest.raises(IntegrityError, match="another term key"):
        check(with_leaf(positions[0], other))


def test_a_large_run_is_recomputed_over_all_its_parts() -> None:
    """One entry is in the last of its runs; the others hold leaves of no known kind."""
    log = SampleLeaves()
    log.stored += [b"\x01\x09"] * (LEVELS[1] - 10)
    log.add(Entry("request", at, path="a/b", entity="e") for at in range(9))
    advance(index_of(log, LogDisk()), log)
    assert check(log) == Checked(1, 0, recomputed=True)
    true = read_index_leaf(log.stored[-1], log.size - 1)
    assert true.run == Run(1, 0)
    log.stored[-1] = IndexLeaf(true.run, true.terms, bytes(32), true.key_check).encode()
    with pytest.raises(IntegrityError, match="the index of leaves 0 to 262143"):
        check(log)


def test_entries_before_the_first_reading_key_are_on_record_as_unread() -> None:
    """They belong to a key that was never stored; the index opens the others."""
    log = SampleLeaves()
    log.add(Entry("tick", at) for at in range(40))
    log.reading_key = READING_KEY_2
    first = log.size
    log.new_key()
    log.add(Entry("tick", at) for at in range(RUN))
    periods = [(first, SECRET_2)]
    index = index_of(log, LogDisk(), periods=periods)
    advance(index, log)
    unread = index.positions([UNREAD], 0, RUN)
    assert unread == list(range(1, 41))
    assert at_once(check_index(log, Keys(log, periods))).runs == 1
    assert [at for at, _ in index.find([kind("tick")], 0, 100)] == list(range(first + 1, 100))
