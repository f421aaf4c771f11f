"""Index leaves: one form each, and only of runs that lie before them."""

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.leaf import epoch_start, is_entry, is_index, is_key
from ironkeep.core.evidence.packing.pack import WindowLeaf
from ironkeep.incident.verifier.disclosed import is_withheld
from ironkeep.index.leaf import INDEX_LEAF, LEVELS, MAX_DELAY, IndexLeaf, Run, read_index_leaf

LEAF = IndexLeaf(Run(1, LEVELS[1]), 9, b"r" * 32, b"k" * 16)


def test_a_leaf_reads_as_it_was_written() -> None:
    data = LEAF.encode()
    assert len(data) == INDEX_LEAF
    assert read_index_leaf(data, 2 * LEVELS[1]) == LEAF


def test_it_is_of_no_other_kind() -> None:
    """Readers and verifiers that do not know indexes skip it."""
    data = LEAF.encode()
    assert is_index(data)
    assert not is_entry(data)
    assert not is_key(data)
    assert epoch_start(data) is None


@pytest.mark.parametrize("change", [
    (2, 2), (3, 2), (3, 0), (11, 1), (15, 1), (19, 0), (16, 0x80), (1, 3), (4, 0x80),
])  # fmt: skip
def test_a_leaf_of_another_form_is_refused(change: tuple[int, int]) -> None:
    """Version, level, first leaf, counts, and kind."""
    data = bytearray(LEAF.encode())
    at, value = change
    data[at] = value
    with pytest.raises(IntegrityError, match="leaf 600000"):
        read_index_leaf(bytes(data), 600_000)


def test_a_leaf_before_the_end_of_its_run_is_refused() -> None:
    with pytest.raises(IntegrityError, match="run of leaves before it"):
        read_index_leaf(LEAF.encode(), 2 * LEVELS[1] - 1)


def test_it_is_late_only_past_the_bound() -> None:
    end = LEAF.run.end
    assert not LEAF.is_late(end + MAX_DELAY)
    assert LEAF.is_late(end + MAX_DELAY + 1)


def test_a_pack_that_shows_an_index_leaf_withholds_nothing() -> None:
    """It cannot be an entry: its first bytes are those of another kind, and are hashed."""
    shown = WindowLeaf(leaf=LEAF.encode()), WindowLeaf(leaf=b"\x01\x01" + bytes(40))
    assert [is_withheld(leaf) for leaf in shown] == [False, True]
