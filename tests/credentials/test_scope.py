"""The chain of scope: whole after refusals, failed commits and restarts."""

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.estate import Estate as Scopes
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.operation import Operation
from ironkeep.credentials import scope
from ironkeep.credentials.actor import NOBODY
from ironkeep.credentials.scope import MAX_TARGETS
from ironkeep.testing.memory import Fault
from ironkeep.testing.vault import Vault

SOURCE = NodeId("secret:mount/key@1")


def vault() -> Vault:
    return Vault.started(PLUGINS)


def records(vault: Vault) -> list[tuple[int, ev.Scope]]:
    found: list[tuple[int, ev.Scope]] = []
    for index, entry in vault.house.audit_reader().entries():
        record = ev.record_of(entry)
        if isinstance(record, ev.Scope):
            found.append((index, record))
    return found


def breaks(vault: Vault) -> list[str]:
    scopes = Scopes()
    for index, record in records(vault):
        scopes.take(index, 0, record)
    return scopes.breaks


def link(vault: Vault, *targets: str) -> None:
    house = vault.house
    nodes = [NodeId(each) for each in targets]
    house.scope.linked(SOURCE, EdgeKind.OPENS, nodes, "basis", vault.clock.now_ns(), NOBODY)


def test_links_are_numbered_chained_and_indexed() -> None:
    house = vault()
    link(house, "system:a", "system:b")
    link(house, "system:b", "system:c")
    link(house, "system:a")
    house.flush()
    found = records(house)
    assert [record.seq for _, record in found] == [1, 2]
    assert breaks(house) == []
    tx = house.house.state.begin()
    assert house.house.scope.indices(tx) == [index for index, _ in found]
    targets = {edge.target for _, edge in house.house.scope.edges(tx)}
    assert targets == {"system:a", "system:b", "system:c"}


def test_places_are_kept_in_chunks_beside_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of before the chunks has a row for each record, and goes on in a chunk."""
    monkeypatch.setattr(scope, "PLACES", 4)
    house = vault()
    for number in range(6):
        link(house, f"system:{number}")
    tx = house.house.state.begin()
    store = house.house.store(tx, scope.SCOPE)
    before = house.house.scope.indices(tx)
    for seq, index in enumerate(before, start=1):
        store.put(f"at/{seq:012d}", index.to_bytes(8, "big"))
    for name in store.list("places"):
        store.delete(f"places/{name}")
    tx.merge()
    assert house.house.scope.indices(house.house.state.begin()) == before
    for number in range(6, 11):
        link(house, f"system:{number}")
    house.flush()
    tx = house.house.state.begin()
    assert house.house.scope.indices(tx) == [index for index, _ in records(house)]
    assert len(house.house.store(tx, scope.SCOPE).list("places")) == 2
    house.house.scope.new_epoch(tx)
    assert house.house.scope.indices(tx) == []
    tx.merge()
    link(house, "system:new")
    house.flush()
    tx = house.house.state.begin()
    assert house.house.scope.indices(tx) == [records(house)[-1][0]]


def test_a_long_list_is_split_so_that_entries_hold_it() -> None:
    house = vault()
    link(house, *(f"system:{'x' * 200}{number}" for number in range(MAX_TARGETS + 1)))
    house.flush()
    sizes = [len(r.targets) for _, r in records(house) if isinstance(r, ev.Linked)]
    assert sizes == [MAX_TARGETS, 1]
    assert breaks(house) == []


def test_a_refused_request_leaves_no_gap() -> None:
    house = vault()
    metadata = {"custom_metadata": {"ironkeep-opens": "system:a"}, "max_versions": -1}
    assert house.write("secret/metadata/x", metadata).error is InvalidRequest
    metadata = {"custom_metadata": {"ironkeep-opens": "system:a, nonsense:b"}}
    assert house.write("secret/metadata/x", metadata).error is InvalidRequest
    metadata = {"custom_metadata": {"ironkeep-opens": "system:a"}}
    assert house.write("secret/metadata/x", metadata).error is None
    link(house, "system:z")
    house.flush()
    assert breaks(house) == []
    assert len(records(house)) >= 2


@pytest.mark.parametrize("fault", Fault)
def test_a_failed_commit_leaves_no_gap(fault: Fault) -> None:
    house = vault()
    link(house, "system:a")
    house.flush()
    house.storage.fail(fault)
    link(house, "system:b")
    with pytest.raises(OSError, match="was made to fail"):
        house.flush()
    link(house, "system:b", "system:c")
    house.flush()
    assert breaks(house) == []
    named = {t for _, r in records(house) if isinstance(r, ev.Linked) for t in r.targets}
    assert named == {"system:a", "system:b", "system:c"}


def test_a_restart_goes_on_where_it_was() -> None:
    house = vault()
    link(house, "system:a")
    house.flush()
    later = house.restarted()
    later.unseal()
    link(later, "system:a", "system:b")
    later.flush()
    assert breaks(later) == []
    assert [record.seq for _, record in records(later)] == [1, 2]


def test_unlinking_is_told_once() -> None:
    house = vault()
    link(house, "system:a")
    scope, now = house.house.scope, house.clock.now_ns()
    targets = (NodeId("system:a"), NodeId("system:never"))
    assert scope.unlinked(SOURCE, EdgeKind.OPENS, targets, now, NOBODY) == 1
    assert scope.unlinked(SOURCE, EdgeKind.OPENS, targets, now, NOBODY) == 0
    link(house, "system:a")
    house.flush()
    assert [type(record).__name__ for _, record in records(house)] == [
        "Linked",
        "Unlinked",
        "Linked",
    ]
    assert breaks(house) == []
    with pytest.raises(NotFound):
        scope.edge(house.house.state.begin(), "no such id")


GATE = ev.Gated(0, "", "g", 2, ("secret:m/a@1", "secret:m/b@1"), (), EdgeKind.DECRYPTS,
                "secret:m/c@1", 0, "b")  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"need": 0},
        {"need": 3},
        {"kind": EdgeKind.HOLDS},
        {"known": ("secret:m/a@*", "secret:m/b@1")},
        {"target": "secret:m/c@*"},
        {"known": ("nonsense",)},
    ],
)
def test_a_gate_that_would_spoil_every_verdict_is_refused(change: dict[str, object]) -> None:
    house = vault()
    scope, now = house.house.scope, house.clock.now_ns()
    with pytest.raises(InvalidRequest):
        scope.gated(msgspec.structs.replace(GATE, **change), now, NOBODY)
    scope.gated(GATE, now, NOBODY)
    with pytest.raises(InvalidRequest, match="another name"):
        scope.gated(GATE, now, NOBODY)
    house.flush()
    assert len(records(house)) == 1
    assert breaks(house) == []


def test_a_mount_is_told_when_it_moves() -> None:
    house = vault()
    table = house.house.mounts.table(house.house.store(house.house.state.begin(), "sys/mounts"))
    mount = table.by_path["secret/"]
    for _ in range(2):
        house.house.scope.mounted(mount, house.clock.now_ns())
    house.flush()
    assert house.write("sys/remount", {"from": "secret/", "to": "kept/"}).error is None
    table = house.house.mounts.table(house.house.store(house.house.state.begin(), "sys/mounts"))
    house.house.scope.mounted(table.by_path["kept/"], house.clock.now_ns())
    house.flush()
    assert [r.path for _, r in records(house) if isinstance(r, ev.Mounted)] == ["secret/", "kept/"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["link", "unlink", "flush", "fail", "refuse"]), max_size=12))
def test_the_chain_is_whole_whatever_happens(steps: list[str]) -> None:
    house = vault()
    scope = house.house.scope
    for number, step in enumerate(steps):
        if step == "link":
            link(house, f"system:{number % 3}")
        elif step == "unlink":
            now = house.clock.now_ns()
            scope.unlinked(SOURCE, EdgeKind.OPENS, (NodeId("system:1"),), now, NOBODY)
        elif step == "refuse":
            bad = {"custom_metadata": {"ironkeep-opens": f"system:{number}"}, "max_versions": -1}
            assert house.request(Operation.UPDATE, "secret/metadata/x", bad).error
        elif step == "fail":
            house.storage.fail(Fault.NOT_PERSISTED)
            link(house, f"system:{number}")
            with pytest.raises(OSError, match="was made to fail"):
                house.flush()
        else:
            house.flush()
    house.flush()
    assert breaks(house) == []
    numbers = [record.seq for _, record in records(house)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_metadata_cannot_make_a_person_count_as_exposed() -> None:
    """Whoever may write metadata could else lock a responder out of the case."""
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"x": "1"}})
    for target in ("person:responder", "session:accessor", "device:laptop", "all-of:x"):
        refused = vault.write(
            "secret/metadata/app", {"custom_metadata": {"ironkeep-opens": target}}
        )
        assert refused.error is InvalidRequest, target
