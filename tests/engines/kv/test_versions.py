"""Keys with many versions: each write costs its own size, and keys of before the chunks work."""

import json
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.credentials.gone.spans import MAX_SPANS
from ironkeep.engines.kv import kept, metadata as meta, versions as module
from ironkeep.engines.kv.metadata import DEFAULT_MAX_VERSIONS, KeyMetadata, Version
from ironkeep.engines.kv.versions import CHUNK
from ironkeep.store.barrier import Store
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.memory import Fault, MemoryStorage
from ironkeep.testing.parts import part, table
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

MANY = 100_000


class CountingStorage(MemoryStorage):
    """Counts the rows that are looked up, and those of each commit with their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.scans = 0
        self.written: list[tuple[int, int]] = []

    def get(self, key: bytes) -> Any:
        self.read += 1
        return super().get(key)

    def scan(self, prefix: bytes) -> Any:
        self.scans += 1
        return super().scan(prefix)

    def commit(self, commit: Any) -> None:
        rows = [row for row in commit.writes.values() if row is not None]
        self.written.append((len(commit.writes), sum(len(row.value) for row in rows)))
        super().commit(commit)


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS, storage=CountingStorage())


def storage_of(vault: Vault) -> CountingStorage:
    assert isinstance(vault.storage, CountingStorage)
    return vault.storage


def put(vault: Vault, path: str, value: str = "x") -> None:
    assert vault.write(f"secret/data/{path}", {"data": {"a": value}}).error is None


def store_of(vault: Vault) -> Store:
    house = vault.house
    tx = house.state.begin()
    mounts = house.mounts.table(house.store(tx, MOUNTS))
    return house.mount_store(tx, mounts.by_path["secret/"])


def of_before(vault: Vault, path: str, count: int, **settings: Any) -> None:
    """Store a key as releases before the chunks did: all its versions in one record."""
    house = vault.house
    tx = house.state.begin()
    store = house.mount_store(tx, house.mounts.table(house.store(tx, MOUNTS)).by_path["secret/"])
    versions = {str(number): [number, 0, False] for number in range(1, count + 1)}
    record = {"created_ns": 1, "updated_ns": 1, "current": count, "versions": versions, **settings}
    store.put(f"meta/{path}", json.dumps(record).encode())
    for number in range(1, count + 1):
        store.put(f"data/{path}\0{number}", b'\x01\x00\x05["a"]{"a":"%d"}' % number)
    tx.merge()
    vault.flush()


def listed(vault: Vault, path: str) -> dict[int, Any]:
    found = table(vault.read(f"secret/metadata/{path}").data, "versions")
    return {int(number): each for number, each in found.items()}


# -- cost


@pytest.mark.parametrize("count", [1, 2 * CHUNK, 1_000])
def test_a_write_costs_the_same_with_any_number_of_versions(vault: Vault, count: int) -> None:
    """Rows and bytes, over as many writes as make a chunk: one more row, and no more bytes."""
    vault.write("secret/metadata/app", {"max_versions": MANY})
    of_before(vault, "app", count, max_versions=MANY)
    for _ in range(3):
        put(vault, "app")
    storage = storage_of(vault)
    storage.written, storage.read, storage.scans = [], 0, 0
    for _ in range(CHUNK):
        put(vault, "app")
    rows = [rows for rows, _ in storage.written]
    assert sorted(set(rows)) in ([2], [2, 3])
    assert rows.count(3) <= 1
    assert max(size for _, size in storage.written) < 5_000
    # The chunk is new too: nothing is looked up, and no folder is scanned.
    assert (storage.read, storage.scans) == (0, 0)


def test_a_pruning_write_looks_up_only_the_row_that_it_removes(vault: Vault) -> None:
    for _ in range(DEFAULT_MAX_VERSIONS):
        put(vault, "folder/app")
    vault.house.state.reset()
    vault.read("secret/metadata/folder/app")
    vault.read("secret/data/folder/app")
    storage = storage_of(vault)
    storage.read = storage.scans = 0
    put(vault, "folder/app")
    put(vault, "folder/app")
    assert storage.scans == 0
    # The mount's configuration, and two old versions, whose places the new ones take.
    assert storage.read == 3
    assert storage.written[-1][0] == 2


def test_a_read_of_a_version_decodes_its_chunk_alone(vault: Vault) -> None:
    vault.write("secret/metadata/app", {"max_versions": MANY})
    for number in range(5 * CHUNK):
        put(vault, "app", str(number))
    vault.house.state.reset()
    vault.read("secret/data/app")
    storage = storage_of(vault)
    storage.read = 0
    read = vault.read("secret/data/app", data={"version": "7"}).data
    assert (read["data"], part(read, "metadata", "version")) == ({"a": "6"}, 7)
    assert storage.read == 2


# -- places


def pruned(vault: Vault, path: str, writes: int, limit: int = 3) -> None:
    """Write a key so often that its versions have taken the places of others."""
    vault.write(f"secret/metadata/{path}", {"max_versions": limit})
    for number in range(1, writes + 1):
        put(vault, path, str(number))


def test_destroying_a_version_that_is_gone_leaves_the_one_in_its_place(vault: Vault) -> None:
    pruned(vault, "app", 8)
    vault.write("secret/destroy/app", {"versions": list(range(1, 6))})
    for number in (6, 7, 8):
        read = vault.read("secret/data/app", data={"version": str(number)})
        assert read.data["data"] == {"a": str(number)}


def test_a_version_takes_the_place_of_a_destroyed_one(vault: Vault) -> None:
    pruned(vault, "app", 3)
    vault.write("secret/destroy/app", {"versions": [1]})
    put(vault, "app", "4")
    assert vault.read("secret/data/app").data["data"] == {"a": "4"}
    vault.write("secret/destroy/app", {"versions": [4]})
    assert vault.read("secret/data/app").answer.absent
    assert vault.read("secret/data/app", data={"version": "2"}).data["data"] == {"a": "2"}
    assert len(list(store_of(vault).walk("data"))) == 2


def test_texts_of_a_version_are_never_those_of_the_one_in_its_place(vault: Vault) -> None:
    """A survey reads texts in later turns than it finds the versions."""
    pruned(vault, "app", 3)
    (found,) = kept.second(store_of(vault))
    put(vault, "app", "4")
    now = kept.second_at(store_of(vault), "app")
    assert now is not None
    texts = [[text.reveal() for _, text in now.fields(number)] for number in (1, 2, 4)]
    assert texts == [[], [b"2"], [b"4"]]
    assert [each.number for each in found.versions] == [1, 2, 3]


def test_a_key_with_chunks_keeps_few_places(vault: Vault) -> None:
    """They would grow with its versions, and each write would write them all."""
    limit = 3 * CHUNK
    pruned(vault, "app", 2 * limit, limit=limit)
    key = meta.load(store_of(vault), "app")
    assert key is not None
    assert (key.count, key.slots) == (limit, {})
    assert len(list(store_of(vault).walk("data"))) == limit + (key.spilled - key.first) // CHUNK + 1
    vault.write("secret/metadata/low", {"max_versions": 3})
    pruned(vault, "low", 9)
    vault.write("secret/metadata/low", {"max_versions": limit})
    for number in range(10, 2 * limit):
        put(vault, "low", str(number))
        for each in (max(7, number - limit + 1), number):
            read = vault.read("secret/data/low", data={"version": str(each)})
            assert read.data["data"] == {"a": str(each)}


def test_a_lower_limit_leaves_no_data_behind(vault: Vault) -> None:
    pruned(vault, "app", 12, limit=6)
    vault.write("secret/metadata/app", {"max_versions": 2})
    put(vault, "app", "13")
    assert list(listed(vault, "app")) == [12, 13]
    assert len(list(store_of(vault).walk("data"))) == 2
    vault.write("secret/metadata/app", {"max_versions": 4})
    for number in range(14, 19):
        put(vault, "app", str(number))
    for number in range(15, 19):
        read = vault.read("secret/data/app", data={"version": str(number)})
        assert read.data["data"] == {"a": str(number)}
    assert vault.delete("secret/metadata/app").error is None
    assert list(store_of(vault).walk()) == []


# -- semantics


class Keys(RuleBasedStateMachine):
    """A key with chunks of four beside a dictionary of its versions."""

    @initialize(before=st.integers(0, 30))
    def start(self, before: int) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "CHUNK", 4)
        self.vault = Vault.started(PLUGINS)
        self.limit = 25
        self.model: dict[int, tuple[str, bool, bool]] = {}
        if before:
            of_before(self.vault, "f/app", before)
            self.model = {number: (str(number), False, False) for number in range(1, before + 1)}
        self.current = before
        self.vault.write("secret/metadata/f/app", {"max_versions": self.limit})
        self.rows = 0

    def teardown(self) -> None:
        """Start again, which checks that the rows are those of all the commits."""
        self.patch.undo()
        again = self.vault.restarted()
        assert again.unseal().body["sealed"] is False

    @rule(times=st.integers(1, 6))
    def write(self, times: int) -> None:
        for _ in range(times):
            self.current += 1
            put(self.vault, "f/app", str(self.current))
            self.model[self.current] = (str(self.current), False, False)
            for number in sorted(self.model)[: max(0, len(self.model) - self.limit)]:
                del self.model[number]

    @rule(limit=st.integers(1, 30))
    def set_limit(self, limit: int) -> None:
        self.limit = limit
        self.vault.write("secret/metadata/f/app", {"max_versions": limit})

    @rule(verb=st.sampled_from(["delete", "undelete", "destroy"]), data=st.data())
    def change(self, verb: str, data: st.DataObject) -> None:
        numbers = data.draw(st.lists(st.integers(0, self.current + 2), min_size=1, max_size=9))
        assert self.vault.write(f"secret/{verb}/f/app", {"versions": numbers}).error is None
        for number in set(numbers) & set(self.model):
            value, deleted, destroyed = self.model[number]
            if verb == "destroy":
                self.model[number] = (value, deleted, True)
            elif not destroyed:
                self.model[number] = (value, verb == "delete", False)

    @rule()
    def remove(self) -> None:
        assert self.vault.delete("secret/metadata/f/app").error is None
        assert list(store_of(self.vault).walk()) == []
        self.model, self.current, self.limit = {}, 0, DEFAULT_MAX_VERSIONS

    @invariant()
    def equal(self) -> None:
        read = self.vault.read("secret/metadata/f/app")
        if read.error is NotFound:
            assert not self.model
            return
        found = listed(self.vault, "f/app")
        assert list(found) == sorted(self.model)
        oldest = min(self.model, default=0)
        assert read.data["oldest_version"] == (oldest if oldest > 1 else 0)
        assert read.data["current_version"] == self.current
        for number, (value, deleted, destroyed) in self.model.items():
            shape = found[number]
            assert (shape["deletion_time"] != "", shape["destroyed"]) == (deleted, destroyed)
            one = self.vault.read("secret/data/f/app", data={"version": str(number)})
            gone = deleted or destroyed
            assert (one.answer.absent, one.data["data"]) == (gone, None if gone else {"a": value})
            assert shape == {
                name: part(one.data, "metadata", name)
                for name in ("created_time", "deletion_time", "destroyed")
            }
        self.nothing_else_is_stored()

    def nothing_else_is_stored(self) -> None:
        """One record, the data of what was not destroyed, and the chunks of versions it lacks."""
        store = store_of(self.vault)
        key = meta.load(store, "f/app")
        assert key is not None
        assert len(key.versions) < 2 * module.CHUNK or key.spilled == 0
        data = {n for n, (_, _, destroyed) in self.model.items() if not destroyed}
        chunks = {module.chunk_path("f/app", n) for n in self.model if n <= key.spilled}
        expected = {module.data_path("f/app", key, number) for number in data} | chunks
        assert len(expected) == len(data) + len(chunks)
        assert set(store.walk()) == {"meta/f/app", *expected}
        (listed_by_cases,) = kept.second(store)
        assert [each.number for each in listed_by_cases.versions] == sorted(self.model)


Keys.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestKeys = Keys.TestCase


def test_a_missing_chunk_is_an_error_and_no_missing_version(vault: Vault) -> None:
    vault.write("secret/metadata/app", {"max_versions": MANY})
    for _ in range(3 * CHUNK):
        put(vault, "app")
    store = store_of(vault)
    vault.storage.tamper(store.key_of(module.chunk_path("app", 1)), None)
    vault.house.state.reset()
    assert vault.read("secret/data/app").error is None
    assert vault.read("secret/data/app", data={"version": 1}).error is IntegrityError
    assert vault.read("secret/metadata/app").error is IntegrityError


# -- keys of before


def test_a_key_of_before_is_read_as_it_is_and_converted_by_its_next_changes(vault: Vault) -> None:
    of_before(vault, "app", 1_000, max_versions=MANY, older=True)
    seen = listed(vault, "app")
    assert list(seen) == list(range(1, 1_001))
    assert vault.read("secret/data/app", data={"version": 500}).data["data"] == {"a": "500"}
    key = meta.load(store_of(vault), "app")
    assert key is not None
    assert (len(key.versions), key.spilled) == (1_000, 0)
    steps = 0
    storage_of(vault).written = []
    while len(key.versions) >= 2 * CHUNK:
        steps += 1
        put(vault, "app", str(1_000 + steps))
        key = meta.load(store_of(vault), "app")
        assert key is not None
    assert steps == 2
    assert max(rows for rows, _ in storage_of(vault).written) <= module.AT_ONCE + 2
    assert len(key.versions) < 2 * CHUNK
    assert (key.first, key.current, key.older) == (1, 1_002, True)
    after = listed(vault, "app")
    assert {number: after[number] for number in seen} == seen
    assert vault.read("secret/data/app", data={"version": 500}).data["data"] == {"a": "500"}


@pytest.mark.parametrize("fault", Fault)
def test_a_conversion_happens_whole_or_not_at_all(fault: Fault) -> None:
    vault = Vault.started(PLUGINS)
    of_before(vault, "app", 3 * CHUNK, max_versions=MANY)
    vault.storage.fail(fault)
    with pytest.raises(OSError, match="made to fail"):
        vault.write("secret/data/app", {"data": {"a": "new"}})
    done = fault is Fault.PERSISTED_ANYWAY
    for restart in (False, True):
        if restart:
            vault = vault.restarted()
            vault.unseal()
        assert list(listed(vault, "app")) == list(range(1, 3 * CHUNK + 1 + done))
        key = meta.load(store_of(vault), "app")
        assert key is not None
        assert (key.spilled > 0) is done
    put(vault, "app", "newest")
    assert list(listed(vault, "app")) == list(range(1, 3 * CHUNK + 2 + done))


def test_a_small_key_is_stored_as_before(vault: Vault) -> None:
    """So a key that never had many versions costs no conversion."""
    for _ in range(3 * CHUNK):
        put(vault, "app")
    raw = store_of(vault).get("meta/app")
    assert raw is not None
    kept = json.loads(raw)
    # Of the versions that are gone it has the times, and few of these; of the others, the places.
    assert len(kept.pop("past")) <= MAX_SPANS
    assert len(kept.pop("slots")) == DEFAULT_MAX_VERSIONS
    assert set(kept) == {"created_ns", "updated_ns", "current", "versions"}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The keys of the rows that were decrypted by their key."""
    opened: list[bytes] = []
    honest = Store.open_row

    def note(store: Store, key: bytes, row: Any) -> bytes:
        opened.append(key)
        return honest(store, key, row)

    monkeypatch.setattr(Store, "open_row", note)
    return opened


def test_what_is_written_is_not_decoded_again(vault: Vault, decoded: list[bytes]) -> None:
    for _ in range(3):
        put(vault, "app")
        vault.read("secret/data/app")
    assert decoded == []


def test_a_key_that_grows_large_and_small_again_is_kept_decoded(
    vault: Vault, decoded: list[bytes]
) -> None:
    many = {f"name {number}": "v" * 500 for number in range(60)}
    put(vault, "app")
    for custom in (many, dict[str, str](), many):
        vault.write("secret/metadata/app", {"custom_metadata": custom})
        vault.read("secret/metadata/app")
    assert decoded == []


def test_a_dropped_write_leaves_no_decoded_metadata(vault: Vault) -> None:
    store = store_of(vault)
    module.save(store, "app", KeyMetadata(1, 1, 1, {1: Version(1)}))
    assert meta.load(store, "app") is not None
    assert meta.load(store_of(vault), "app") is None
    put(vault, "app")
    key = meta.load(store_of(vault), "app")
    assert key is not None
    assert key.created_ns > 1
