from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge
from ironkeep.core.ids import ROOT_NAMESPACE, MountUuid
from ironkeep.core.ports import Entropy, Row
from ironkeep.store import barrier as module
from ironkeep.store.barrier import Barrier, DueRecord, Store
from ironkeep.store.keyring import HOUSE, Keyring, SegmentId, new_keyring
from ironkeep.store.names import Place
from ironkeep.store.rows import RowView
from tests.support.rows import DictView

PLACE = Place(ROOT_NAMESPACE, MountUuid("uuid-1"))
OTHER = Place(ROOT_NAMESPACE, MountUuid("uuid-2"))

Rows = dict[bytes, Row]


@pytest.fixture
def keyring(entropy: Entropy) -> Keyring:
    return new_keyring(HOUSE, entropy, now_ns=0)


@pytest.fixture
def barrier(keyring: Keyring, entropy: Entropy) -> Barrier:
    return Barrier(keyring, entropy)


@pytest.fixture
def store(barrier: Barrier, view: RowView) -> Store:
    return Store(barrier, PLACE, view)


def test_what_was_put_is_got_until_deleted(store: Store, rows: Rows) -> None:
    assert store.get("team/app") is None
    store.put("team/app", b"one")
    assert store.get("team/app") == b"one"
    store.put("team/app", b"two", due_ns=5)
    assert store.get("team/app") == b"two"
    store.delete("team/app")
    store.delete("team/app")
    assert store.get("team/app") is None
    assert rows == {}


def test_an_empty_body_is_a_record(store: Store) -> None:
    store.put("a", b"")
    assert store.get("a") == b""


def test_listings_are_sorted_and_tell_folders(store: Store) -> None:
    for path in ("b", "a", "a/x", "a/y/z", "é", "B"):
        store.put(path, b"-")
    assert store.list() == ["B", "a", "a/", "b", "é"]
    assert store.list("a") == store.list("a/") == ["x", "y/"]
    assert store.list("a/y/") == ["z"]
    assert store.list("b/") == store.list("nowhere/") == []
    assert sorted(store.walk()) == ["B", "a", "a/x", "a/y/z", "b", "é"]
    assert sorted(store.walk("a")) == sorted(store.walk("a/")) == ["a/x", "a/y/z"]


def test_empty_segments_are_names(store: Store) -> None:
    paths = ["", "/", "//", "a/", "a//b", "/a"]
    for path in paths:
        store.put(path, path.encode() + b"!")
    for path in paths:
        assert store.get(path) == path.encode() + b"!"
    assert store.list() == ["", "/", "a/"]
    assert store.list("/") == ["", "/", "a"]
    assert store.list("a/") == ["", "/"]
    assert store.list("a//") == ["b"]
    assert sorted(store.walk()) == sorted(paths)


def _child(path: str) -> str:
    name, slash, _ = path.partition("/")
    return name + slash


TREE = st.dictionaries(st.text(st.sampled_from("ab/"), max_size=6), st.binary(max_size=4))


@given(TREE, st.lists(st.text(st.sampled_from("ab/"), max_size=6)))
def test_like_a_dictionary_of_paths(
    entropy: Entropy,
    view_over: Callable[[Rows], RowView],
    tree: dict[str, bytes],
    removed: list[str],
) -> None:
    rows: Rows = {}
    store = Store(Barrier(new_keyring(HOUSE, entropy, 0), entropy), PLACE, view_over(rows))
    for due, (path, body) in enumerate(tree.items()):
        store.put(path, body, due_ns=due if due % 2 else None)
    for path in removed:
        store.delete(path)
        tree.pop(path, None)
    assert sorted(store.walk()) == sorted(tree)
    assert all(store.get(path) == body for path, body in tree.items())
    for folder in ("", *(path for path in tree if path)):
        base = folder.removesuffix("/") + "/" if folder else ""
        inside = [path[len(base) :] for path in tree if path.startswith(base)]
        assert store.list(folder) == sorted({_child(path) for path in inside})
    for path in list(tree):
        store.delete(path)
    assert rows == {}


class Watched(DictView):
    """Notes what is looked up and scanned."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.seen: list[bytes] = []
        self.known_absent: set[bytes] = set()

    def get(self, key: bytes) -> Row | None:
        if key not in self.known_absent:
            self.seen.append(key)
        return super().get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        self.seen.append(prefix)
        return super().scan(prefix)

    def absent(self, key: bytes) -> None:
        super().absent(key)
        self.known_absent.add(key)


def test_a_fresh_record_is_not_looked_up(barrier: Barrier, rows: Rows) -> None:
    view = Watched(rows)
    store = Store(barrier, PLACE, view)
    store.put("a/b/one", b"1")
    view.seen.clear()
    row = store.put("a/b/two", b"2", fresh=True)
    (folder,) = [each.row_key for each in barrier.names_of(PLACE).folders("a/b/x")[1:]]
    assert view.seen == [folder]
    assert store.row("a/b/two") is row
    store.put("c/d/e", b"3", fresh=True)
    assert sorted(store.walk()) == ["a/b/one", "a/b/two", "c/d/e"]


def test_a_folder_that_stays_is_not_scanned(barrier: Barrier, rows: Rows) -> None:
    view = Watched(rows)
    store = Store(barrier, PLACE, view)
    for name in ("one", "two", "three"):
        store.put(f"a/b/{name}", b"")
    view.seen.clear()
    store.delete_all(["a/b/one", "a/b/none"], folders_stay=True)
    assert len(view.seen) == 2
    assert store.list("a/b") == ["three", "two"]


def test_folders_above_a_full_one_are_not_scanned(barrier: Barrier, rows: Rows) -> None:
    view = Watched(rows)
    store = Store(barrier, PLACE, view)
    paths = ("a/b/c/one", "a/b/c/two", "a/d/three", "e/f/four")
    for path in paths:
        store.put(path, b"")
    names = barrier.names_of(PLACE)
    view.seen.clear()
    store.delete_all(["a/b/c/one", "a/d/three", "e/f/four"])
    scanned = set(view.seen) - {names.key_of(path) for path in paths}
    assert scanned == {names.children(folder) for folder in ("a/b/c", "a/d", "e/f", "e")}
    assert list(store.walk()) == ["a/b/c/two"]
    store.delete("a/b/c/two")
    assert rows == {}


def test_places_do_not_see_each_other(barrier: Barrier, view: RowView) -> None:
    Store(barrier, PLACE, view).put("a", b"here")
    other = Store(barrier, OTHER, view)
    assert other.get("a") is None
    assert other.list() == []


def test_the_rows_show_no_name_and_no_body(store: Store, rows: Rows) -> None:
    store.put("payroll/canary-name", b"canary-body", due_ns=7)
    for key, row in rows.items():
        for word in (b"payroll", b"canary", PLACE.mount.encode(), b"root"):
            assert word not in key
            assert word not in row.value


def test_the_same_body_twice_is_two_ciphertexts(store: Store) -> None:
    store.put("a", b"same")
    first = store.row("a")
    store.put("a", b"same")
    second = store.row("a")
    assert first is not None
    assert second is not None
    assert first.value != second.value


def test_a_raw_row_opens(store: Store) -> None:
    store.put("a/b", b"body")
    row = store.row("a/b")
    assert row is not None
    assert row is store.row("a/b")
    assert store.open_row(store.key_of("a/b"), row) == b"body"
    assert store.row("a") is None


# -- tampering ------------------------------------------------------------------------------------


def test_swapped_rows_do_not_open(store: Store, rows: Rows) -> None:
    store.put("a", b"one")
    store.put("b", b"two")
    a, b = store.key_of("a"), store.key_of("b")
    rows[a], rows[b] = rows[b], rows[a]
    for path in "ab":
        with pytest.raises(IntegrityError, match="snapshot"):
            store.get(path)
    with pytest.raises(IntegrityError):
        store.list()


def test_a_row_moved_to_another_place_does_not_open(
    barrier: Barrier, view: RowView, rows: Rows
) -> None:
    Store(barrier, PLACE, view).put("a", b"one")
    rows[barrier.key_of(OTHER, "a")] = rows[barrier.key_of(PLACE, "a")]
    with pytest.raises(IntegrityError):
        Store(barrier, OTHER, view).get("a")


@pytest.mark.parametrize(("was", "becomes"), [(None, 5), (5, 6), (5, None), (None, 0), (0, None)])
def test_a_changed_due_time_does_not_open(
    store: Store, rows: Rows, was: int | None, becomes: int | None
) -> None:
    store.put("a", b"one", due_ns=was)
    key = store.key_of("a")
    rows[key] = Row(rows[key].value, becomes)
    with pytest.raises(IntegrityError):
        store.get("a")


def test_any_changed_byte_is_found(store: Store, rows: Rows) -> None:
    store.put("a", b"one")
    key = store.key_of("a")
    value = rows[key].value
    for at in range(len(value)):
        rows[key] = Row(value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :])
        with pytest.raises(IntegrityError):
            store.get("a")
    rows[key] = Row(value[:-1])
    with pytest.raises(IntegrityError):
        store.get("a")
    rows[key] = Row(b"")
    with pytest.raises(IntegrityError):
        store.get("a")


def test_an_older_row_at_its_own_key_opens(store: Store, rows: Rows) -> None:
    """Encryption alone cannot tell: tests/store/test_sethash.py shows that the set-hash does."""
    store.put("a", b"old")
    key = store.key_of("a")
    old = rows[key]
    store.put("a", b"new")
    rows[key] = old
    assert store.get("a") == b"old"


def test_another_segment_opens_nothing(keyring: Keyring, entropy: Entropy, view: RowView) -> None:
    ours = Barrier(keyring, entropy)
    Store(ours, PLACE, view).put("a", b"one")
    key = ours.key_of(PLACE, "a")
    row = view.get(key)
    assert row is not None
    renamed = Keyring(SegmentId("other"), keyring.terms, keyring.name_key, keyring.row_hash_key)
    with pytest.raises(IntegrityError):
        Barrier(renamed, entropy).open_row(key, row)


def test_rows_of_older_terms_open(keyring: Keyring, entropy: Entropy, view: RowView) -> None:
    Store(Barrier(keyring, entropy), PLACE, view).put("a/b", b"one")
    rotated = Store(Barrier(keyring.rotate(entropy, 1), entropy), PLACE, view)
    assert rotated.get("a/b") == b"one"
    assert rotated.list("a") == ["b"]
    rotated.put("a/b", b"two")
    assert rotated.get("a/b") == b"two"
    with pytest.raises(IntegrityError, match="term 2"):
        Store(Barrier(keyring, entropy), PLACE, view).get("a/b")


# -- due times ------------------------------------------------------------------------------------


def test_due_rows_tell_what_they_are(barrier: Barrier, view: RowView, store: Store) -> None:
    store.put("leases/é\0/x", b"lease", due_ns=5)
    store.put("leases/later", b"later", due_ns=9)
    store.put("leases/never", b"never")
    Store(barrier, OTHER, view).put("t", b"token", due_ns=8)
    keys = [store.key_of("leases/é\0/x"), barrier.key_of(OTHER, "t")]
    stale = [store.key_of("leases/later"), store.key_of("leases/never"), store.key_of("gone")]
    assert barrier.records_due(view, [*keys, *stale], before_ns=9) == [
        DueRecord(PLACE, "leases/é\0/x", 5, b"lease"),
        DueRecord(OTHER, "t", 8, b"token"),
    ]
    assert store.list("leases/") == ["later", "never", "é\0/"]
    assert "token" not in repr(barrier.records_due(view, keys, 9))


def test_a_damaged_due_row_is_named(
    barrier: Barrier, view: RowView, store: Store, rows: Rows
) -> None:
    store.put("a", b"lease", due_ns=5)
    key = store.key_of("a")
    rows[key] = Row(rows[key].value, 4)
    with pytest.raises(IntegrityError, match=key.hex()):
        barrier.records_due(view, [key], 9)


# -- limits ---------------------------------------------------------------------------------------


def test_the_limit_on_a_body(store: Store, rows: Rows) -> None:
    store.put("a/b", bytes(module.MAX_BODY_BYTES))
    assert store.get("a/b") == bytes(module.MAX_BODY_BYTES)
    with pytest.raises(TooLarge):
        store.put("c/d", bytes(module.MAX_BODY_BYTES + 1))
    assert len(rows) == 2  # not even the folder of the refused one


def test_the_limits_of_time(store: Store, rows: Rows) -> None:
    store.put("a", b"", due_ns=0)
    store.put("a", b"", due_ns=module.MAX_DUE_NS)
    assert store.get("a") == b""
    for due_ns in (-1, module.MAX_DUE_NS + 1):
        with pytest.raises(InvalidRequest):
            store.put("b/c", b"", due_ns=due_ns)
    assert len(rows) == 1


def test_the_longest_and_deepest_paths_are_records(store: Store) -> None:
    longest = "é" * 2048
    deepest = "a/" * 127
    for path in (longest, deepest):
        store.put(path, b"x", due_ns=1)
    assert store.get(longest) == store.get(deepest) == b"x"
    assert set(store.walk()) == {longest, deepest}


def test_the_ciphers_count_what_the_barrier_encrypts(
    barrier: Barrier, store: Store, keyring: Keyring
) -> None:
    store.put("a/b", b"one")  # a record and its folder
    store.put("a/b", b"two")
    assert barrier.ciphers.encryptions == 3
    assert barrier.ciphers.keyring is keyring
