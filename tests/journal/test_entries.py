"""Reading with the key, across starts and keys; and that without it there is nothing to read."""

import pytest

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.event import decode, encode
from ironkeep.core.evidence.leaf import LeafKey, check_disclosed, wrap_key
from ironkeep.core.secret import Secret
from ironkeep.journal import entries as log_reader
from ironkeep.journal.entries import Reader
from ironkeep.testing.memory_log import LogDisk
from tests.support.log.sample_journal import (
    READING_KEY,
    READING_SECRET,
    SAMPLE_ORIGIN,
    open_sample,
    sample_entry,
    write_batch,
)


def history() -> LogDisk:
    """Return a log of 8 starts with 100 leaves each, the first of each a key."""
    disk = LogDisk()
    for start in range(8):
        journal = open_sample(disk, seed=start)
        write_batch(journal, 99)
        journal.checkpoint()
        journal.rotate_wal()
        journal.close()
    return disk


HISTORY = history()


def reader() -> Reader:
    return Reader(open_sample(HISTORY.copy(), seed=99).log, READING_SECRET)


def test_all_entries_come_in_order_with_their_indexes() -> None:
    found = list(reader().entries(0, 10_000))
    indexes = [index for index in range(800) if index % 100]
    assert [index for index, _ in found] == indexes
    assert [entry.path for _, entry in found[:3]] == ["kv/data/0", "kv/data/2", "kv/data/3"]
    for index, entry in found:
        # A start's first entry is made before its key leaf takes the index.
        assert entry == sample_entry(index - 1 if index % 100 == 1 else index)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, 2), (99, 102), (350, 351), (799, 800)])
def test_any_range_reads_alone(first: int, last: int) -> None:
    indexes = [index for index, _ in reader().entries(first, last)]
    assert indexes == [index for index in range(first, last) if index % 100]


def test_a_disclosed_entry_convinces_without_a_key() -> None:
    log = open_sample(HISTORY.copy(), seed=99).log
    disclosed = Reader(log, READING_SECRET).disclose(250)
    check_disclosed(log.leaf(250), disclosed)
    assert decode(disclosed.body) == sample_entry(250)
    with pytest.raises(IntegrityError):
        check_disclosed(log.leaf(251), disclosed)


def test_where_there_is_no_entry_there_is_nothing_to_disclose() -> None:
    for index in (-1, 0, 100, 800):
        with pytest.raises(NotFound):
            reader().entry(index)


def test_a_search_stops_at_its_limit() -> None:
    asked: list[str] = []

    def accept(path: str) -> bool:
        asked.append(path)
        return path.endswith("7")

    found = reader().search(lambda entry: accept(entry.path), 10, 800, 3)
    assert [index for index, _ in found] == [17, 27, 37]
    assert len(asked) == 28
    assert reader().search(lambda _: True, 0, 800, 0) == []
    assert len(reader().search(lambda _: True, 0, 800, 10_000)) == 792


def test_another_key_reads_nothing() -> None:
    log = open_sample(HISTORY.copy(), seed=99).log
    stranger = Reader(log, Secret(b"\x06" * 32))
    with pytest.raises(IntegrityError, match="not wrapped to this reading key"):
        list(stranger.entries(0, 800))
    for index in (1, 150, 799):
        with pytest.raises(IntegrityError, match="not wrapped to this reading key"):
            stranger.entry(index)


def test_no_file_of_the_log_shows_what_was_recorded() -> None:
    disk = HISTORY.copy()
    assert any(name.startswith("tile/entries/") for name in disk.files)
    for data in disk.files.values():
        assert b"kv/data" not in data
        assert b"request" not in data


class Copy:
    """A log given as its leaves."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.origin = SAMPLE_ORIGIN
        self.all = leaves

    @property
    def size(self) -> int:
        return len(self.all)

    def leaves(self, first: int, last: int) -> list[bytes]:
        return self.all[first:last]


RUN_KEY = Secret(b"\x01" * 32)
KEY_LEAF = wrap_key(RUN_KEY, 0, SAMPLE_ORIGIN, READING_KEY, Secret(b"\x02" * 32))


def test_a_leaf_that_holds_no_entry_is_refused() -> None:
    leaf = LeafKey(RUN_KEY, SAMPLE_ORIGIN).encrypt(1, b"{}")
    with pytest.raises(IntegrityError, match="leaf 1 does not contain an audit entry"):
        Reader(Copy([KEY_LEAF, leaf]), READING_SECRET).entry(1)


def test_an_entry_too_far_from_any_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "ENTRIES_PER_KEY", 300)
    seal = LeafKey(RUN_KEY, SAMPLE_ORIGIN).encrypt
    body = encode(sample_entry(0))
    copy = Copy([KEY_LEAF, *(seal(index, body) for index in range(1, 302))])
    assert Reader(copy, READING_SECRET).entry(300) == sample_entry(0)
    with pytest.raises(IntegrityError, match="no key leaf in the 300 leaves"):
        Reader(copy, READING_SECRET).entry(301)


def test_old_run_keys_are_dropped_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "CACHED_KEYS", 2)
    one = reader()
    assert len(list(one.entries(0, 800))) == 792
    assert one.entry(1) == sample_entry(0)
