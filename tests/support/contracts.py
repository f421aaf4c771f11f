"""What every implementation of a port must do: subclass a contract and say how to open yours."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Change, Commit, Record, Row, Storage, StoreHead, pack_keys


def commit(
    storage: Storage,
    writes: Mapping[bytes, Row | None],
    *,
    drained_seq: int = 0,
    frame: bytes = b"f",
) -> int:
    """Commit writes as the next one; return its number, which is also its state."""
    seq = storage.head().seq + 1
    storage.commit(Commit(seq, writes, b"%d" % seq, frame, drained_seq))
    return seq


class StorageContract(ABC):
    """`core.ports.Storage`. Subclasses are collected by pytest."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage:
        """Open a new, empty store."""

    @abstractmethod
    def reopen(self, storage: Storage) -> Storage:
        """Close storage and open what it kept."""

    def test_a_new_store_is_empty(self, storage: Storage) -> None:
        assert storage.head() == StoreHead(0, b"")
        assert storage.get(b"") is None
        assert list(storage.scan(b"")) == []
        assert storage.due(2**62, 10) == []
        assert storage.outbox() == []
        assert storage.changes(0, 10) == []

    def test_a_row_comes_back_as_it_was_written(self, storage: Storage) -> None:
        rows = {
            b"": Row(b"empty key"),
            b"\x00": Row(b""),
            b"\xff" * 33: Row(bytes(range(256)), 0),
            b"k": Row(b"\x00" * 3_000_000, 2**62),
        }
        commit(storage, rows)
        assert {key: storage.get(key) for key in rows} == rows
        assert storage.get(b"\x00\x00") is None

    def test_a_write_replaces_and_a_removal_removes(self, storage: Storage) -> None:
        commit(storage, {b"a": Row(b"1", 5), b"b": Row(b"1")})
        commit(storage, {b"a": Row(b"2"), b"b": None, b"absent": None})
        assert list(storage.scan(b"")) == [(b"a", Row(b"2"))]
        assert storage.due(2**62, 10) == []

    @pytest.mark.parametrize(
        "prefix", [b"", b"\x00", b"a", b"a\xff", b"\xff", b"\xff\xff", b"b", b"zz"]
    )
    def test_scan_gives_the_keys_under_a_prefix_in_order(
        self, storage: Storage, prefix: bytes
    ) -> None:
        stems = [b"", b"\x00", b"a", b"a\x00", b"a\xff", b"a\xff\xff", b"a\xff\x00", b"b", b"\xfe"]
        keys = [*stems, b"\xff", b"\xff\x00", b"\xff\xff", b"\xff\xff\xff", b"B", b"\xfe\xff"]
        commit(storage, {key: Row(key) for key in reversed(keys)})
        expected = [(key, Row(key)) for key in sorted(keys) if key.startswith(prefix)]
        assert list(storage.scan(prefix)) == expected

    def test_a_long_scan_misses_and_doubles_nothing(self, storage: Storage) -> None:
        keys = [b"p" + number.to_bytes(2, "big") for number in range(1_025)]
        commit(storage, {key: Row(b"") for key in [*keys, b"o\xff\xff\xff", b"q"]})
        assert [key for key, _ in storage.scan(b"p")] == keys

    def test_a_scan_under_way_bears_a_commit(self, storage: Storage) -> None:
        keys = [number.to_bytes(2, "big") for number in range(1_025)]
        commit(storage, {key: Row(b"1") for key in keys})
        scan = storage.scan(b"")
        first = next(scan)
        commit(storage, {key: Row(b"2") for key in keys})
        assert storage.get(keys[-1]) == Row(b"2")
        assert [key for key, _ in [first, *scan]] == keys

    def test_due_gives_the_earliest_first(self, storage: Storage) -> None:
        dues = {b"c": 30, b"a": 30, b"b": 10, b"n": -1, b"z": 0, b"e": 40, b"never": None}
        commit(storage, {key: Row(b"", due) for key, due in dues.items()})
        expected = [(-1, b"n"), (0, b"z"), (10, b"b"), (30, b"a"), (30, b"c")]
        assert storage.due(40, 10) == expected
        assert storage.due(30, 10) == expected[:3]
        assert storage.due(2**62, 4) == expected[:4]
        assert storage.due(-1, 10) == []

    def test_due_goes_on_behind_a_pair(self, storage: Storage) -> None:
        dues = {b"c": 30, b"a": 30, b"b": 10, b"e": 40}
        commit(storage, {key: Row(b"", due) for key, due in dues.items()})
        assert storage.due(40, 10, (10, b"b")) == [(30, b"a"), (30, b"c")]
        assert storage.due(40, 1, (30, b"a")) == [(30, b"c")]
        assert storage.due(40, 10, (30, b"c")) == []
        assert storage.due(50, 10, (30, b"b")) == [(30, b"c"), (40, b"e")], "or where one was"

    def test_due_follows_a_change(self, storage: Storage) -> None:
        commit(storage, {b"a": Row(b"", 10), b"b": Row(b"", 20), b"c": Row(b"", 30)})
        commit(storage, {b"a": Row(b"", 40), b"b": None, b"c": Row(b"")})
        assert storage.due(100, 10) == [(40, b"a")]

    def test_the_head_carries_number_and_state(self, storage: Storage) -> None:
        storage.commit(Commit(1, {}, b"\x00state", b"", 0))
        assert storage.head() == StoreHead(1, b"\x00state")

    @pytest.mark.parametrize("seq", [-1, 0, 1, 3, 2**40])
    def test_a_commit_that_is_not_next_is_refused_whole(self, storage: Storage, seq: int) -> None:
        commit(storage, {b"a": Row(b"1")})
        with pytest.raises(IntegrityError):
            storage.commit(Commit(seq, {b"a": Row(b"2"), b"b": Row(b"")}, b"x", b"x", 1))
        assert storage.head() == StoreHead(1, b"1")
        assert list(storage.scan(b"")) == [(b"a", Row(b"1"))]
        assert storage.outbox() == [(1, b"f")]
        assert commit(storage, {b"a": Row(b"3")}) == 2

    def test_the_outbox_keeps_frames_until_they_are_drained(self, storage: Storage) -> None:
        for number in range(1, 5):
            commit(storage, {}, frame=b"%d" % number)
        assert storage.outbox() == [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")]
        commit(storage, {}, drained_seq=2, frame=b"")
        assert storage.outbox() == [(3, b"3"), (4, b"4"), (5, b"")]
        commit(storage, {}, drained_seq=5, frame=bytes(2_000_000))
        assert storage.outbox() == [(6, bytes(2_000_000))]

    def test_changes_are_compacted_and_in_order(self, storage: Storage) -> None:
        commit(storage, {b"b": Row(b"1"), b"a": Row(b"1"), b"c": Row(b"1"), b"d": Row(b"1")})
        commit(storage, {b"a": Row(b"2", 7), b"c": None, b"absent": None})
        commit(storage, {b"d": None})
        commit(storage, {b"d": Row(b"4")})
        changes = [
            Change(1, b"b", Row(b"1")),
            Change(2, b"a", Row(b"2", 7)),
            Change(2, b"absent", None),
            Change(2, b"c", None),
            Change(4, b"d", Row(b"4")),
        ]
        assert storage.changes(0, 10) == changes
        assert storage.changes(1, 10) == changes[1:]
        assert storage.changes(2, 10) == changes[4:]
        assert storage.changes(4, 10) == []
        assert storage.changes(0, 2) == changes[:2]
        commit(storage, {b"d": None})
        commit(storage, {b"d": None})
        assert storage.changes(2, 10) == [Change(6, b"d", None)]

    def test_tails_gives_the_rows_of_a_range_of_buckets(self, storage: Storage) -> None:
        keys = [b"a" + number.to_bytes(2, "big") for number in range(250, 262)]
        commit(storage, {key: Row(key, 5) for key in [*keys, b"b\x00\xfe", b"c\x00\xfe"]})
        commit(storage, {b"c\x00\xfe": None, b"a\x00\xfe": Row(b"2")})
        two = [(b"a\x00\xfe", Row(b"2")), (b"b\x00\xfe", Row(b"b\x00\xfe", 5))]
        assert sorted(storage.tails(b"\x00\xfe", b"\x00\xfe")) == two
        found = storage.tails(b"\x00\xfe", b"\x01\x01")
        assert sorted(found) == sorted([*two, *((key, Row(key, 5)) for key in keys[5:8])])
        assert storage.tails(b"\x77\x00", b"\x78\x00") == []

    def test_the_log_of_commits_keeps_keys_states_and_sums(self, storage: Storage) -> None:
        assert (storage.sums(), storage.records(0)) == (b"", [])
        commit(storage, {b"a": Row(b"1"), b"b": Row(b"1")})
        storage.commit(Commit(2, {b"b": None}, b"two", b"f", 1, b"sums of 2"))
        records = [
            Record(1, pack_keys({b"a": Row(b""), b"b": Row(b"")}), b"1"),
            Record(2, pack_keys({b"b": None}), b"two"),
        ]
        assert storage.records(0)[-1:] == records[1:]
        assert (storage.records(1), storage.records(2)) == (records[1:], [])
        assert storage.sums() == b"sums of 2"
        storage.commit(Commit(3, {}, b"three", b"f", 2, b"sums of 3"))
        assert storage.sums() == b"sums of 3"

    def test_everything_is_every_row_in_order(self, storage: Storage) -> None:
        keys = [number.to_bytes(2, "big") for number in range(600)]
        commit(storage, {key: Row(key) for key in reversed(keys)})
        assert list(storage.everything()) == [(key, Row(key)) for key in keys]

    def test_a_reader_sees_finished_commits_only(self, storage: Storage) -> None:
        """While one thread commits a hundred rows at a time, each read finds them all alike."""
        keys = [number.to_bytes(1, "big") for number in range(100)]
        commit(storage, {key: Row(b"1") for key in keys})
        failures: list[BaseException] = []

        def write() -> None:
            try:
                for seq in range(2, 42):
                    rows = {key: Row(b"%d" % seq) for key in keys}
                    storage.commit(Commit(seq, rows, b"%d" % seq, b"", seq - 1))
            except BaseException as failure:  # noqa: BLE001 - raised again on the test's thread
                failures.append(failure)

        writer = threading.Thread(target=write)
        writer.start()
        last = 1
        while writer.is_alive():
            head = storage.head()
            assert head.state == b"%d" % head.seq
            values = {int(row.value) for _, row in storage.scan(b"")}
            assert len(values) == 1
            assert values.pop() >= head.seq >= last
            last = head.seq
            (found,) = storage.outbox()
            assert found[0] >= head.seq
        writer.join()
        assert failures == []
        assert storage.head().seq == 41

    def test_everything_is_there_after_a_restart(self, storage: Storage) -> None:
        commit(storage, {b"a": Row(b"1", 5), b"b": Row(b"1"), b"c": Row(b"1")})
        commit(storage, {b"b": None, b"c": Row(b"2")}, drained_seq=1, frame=b"second")
        before = (
            storage.head(),
            list(storage.scan(b"")),
            storage.due(9, 9),
            storage.outbox(),
            storage.changes(0, 9),
        )
        again = self.reopen(storage)
        after = (
            again.head(),
            list(again.scan(b"")),
            again.due(9, 9),
            again.outbox(),
            again.changes(0, 9),
        )
        assert after == before
        assert commit(again, {b"a": None}) == 3
        again.close()
