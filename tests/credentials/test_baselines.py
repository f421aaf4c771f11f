"""Baselines over memory: large ones, damaged ones, differences and explanations at their limits."""

from hashlib import sha256

import pytest

from ironkeep.core.credential.inventory import (
    Changed,
    Difference,
    InventoryItem,
    Kind,
    encode,
    item,
)
from ironkeep.core.errors import Conflict, IntegrityError, InvalidRequest, NotFound
from ironkeep.credentials import baselines
from ironkeep.credentials.baselines import MAX_GAPS_NOTED, differing, id_of, text_of
from ironkeep.credentials.connections import ConnectionId
from ironkeep.store.barrier import MAX_BODY_BYTES
from ironkeep.testing.parts import array, part, tables
from tests.support.credentials.credential_bench import Bench
from tests.support.credentials.simulated import Account, Fault


@pytest.fixture
def bench() -> Bench:
    return Bench()


def key(name: str, **attributes: str) -> InventoryItem:
    return item(Kind.KEY, "ssh", name, attributes)


def main_of(bench: Bench) -> ConnectionId:
    return ConnectionId(bench.id().mount, "main")


def test_a_baseline_larger_than_a_record_is_kept_whole(bench: Bench) -> None:
    random = [sha256(b"%d" % number).hexdigest() for number in range(60_000)]
    bench.system.items = [key(name) for name in random]
    kept = bench.write("database/baseline/main").data
    tx = bench.vault.house.state.begin()
    about = bench.vault.house.baselines.get(tx, main_of(bench))
    assert about.chunks > 1
    assert kept["items"] == 60_000 + len(bench.system.accounts)
    store = bench.vault.house.store(tx, main_of(bench).mount)
    sizes = [len(store.get(f"baseline/main/000002/{n:04d}") or b"") for n in range(about.chunks)]
    assert sizes[:-1] == [MAX_BODY_BYTES] * (about.chunks - 1)
    bench.system.items.append(key("one more"))
    found = bench.vault.read("database/diff/main").data
    assert [each["name"] for each in tables(found, "added")] == ["one more"]
    assert part(found, "baseline", "digest") == kept["digest"] != found["digest"]


def test_the_digest_is_that_of_the_inventory_as_it_is_encoded(bench: Bench) -> None:
    shown = bench.vault.read("database/inventory/main").data
    tx = bench.vault.house.state.begin()
    connection = bench.vault.house.credentials.connections.get(tx, main_of(bench))
    secret = bench.vault.house.credentials.accounts.admin_secret(tx, main_of(bench))
    raw = encode(bench.system.inventory(connection.targets(secret)[0]))
    assert shown["digest"] == sha256(raw).hexdigest()


def test_a_baseline_that_is_not_the_one_that_was_taken_is_refused(bench: Bench) -> None:
    house = bench.vault.house
    bench.system.items = [key("first")]
    bench.write("database/baseline/main")
    tx = house.state.begin()
    store = house.store(tx, main_of(bench).mount)
    other = store.get("baseline/main/000001/0000")
    assert other is not None
    store.put("baseline/main/000002/0000", other)
    tx.merge()
    assert bench.vault.read("database/diff/main").error is IntegrityError


def test_what_was_added_removed_and_changed_is_told_apart(bench: Bench) -> None:
    bench.system.items = [key("gone"), key("kept"), key("changed", owner="ops")]
    bench.write("database/baseline/main")
    bench.system.items = [key("kept"), key("changed", owner="mallory"), key("new")]
    found = bench.vault.read("database/diff/main").data
    assert [each["name"] for each in tables(found, "added")] == ["new"]
    assert [each["name"] for each in tables(found, "removed")] == ["gone"]
    (changed,) = tables(found, "changed")
    assert (changed["attributes"], changed["before"]) == ({"owner": "mallory"}, {"owner": "ops"})
    assert changed["item"] == 'key ssh changed {"owner":"mallory"}'
    assert found["unexplained"] == 3


def test_each_kind_of_difference_can_be_explained(bench: Bench) -> None:
    bench.system.items = [key("gone"), key("changed", owner="ops")]
    bench.write("database/baseline/main")
    bench.system.items = [key("changed", owner="dev"), key("new")]
    for text in ("key ssh new", "key ssh gone", 'key ssh changed {"owner":"dev"}'):
        answer = {"item": text, "owner": "ops", "reason": "planned"}
        assert bench.write("database/explain/main", **answer).data["item"] == text
    assert bench.vault.read("database/diff/main").data["unexplained"] == 0


def test_an_explanation_lasts_exactly_as_long_as_it_was_given_for(bench: Bench) -> None:
    bench.system.items = [key("new")]
    answer = {"item": "key ssh new", "owner": "ops", "reason": "planned", "ttl": 60}
    bench.write("database/explain/main", **answer)
    bench.vault.clock.advance(ns=60 * 10**9 - 1)
    assert bench.vault.read("database/diff/main").data["unexplained"] == 0
    bench.vault.clock.advance(ns=1)
    assert bench.vault.read("database/diff/main").data["unexplained"] == 1


def test_explanations_are_limited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_EXPLANATIONS", 1)
    bench.system.items = [key("one"), key("two")]
    answer = {"owner": "ops", "reason": "planned"}
    bench.write("database/explain/main", item="key ssh one", **answer)
    reply = bench.vault.write("database/explain/main", {"item": "key ssh two", **answer})
    assert reply.error is InvalidRequest


def test_gaps_are_counted_in_the_journal_and_named_up_to_a_limit(bench: Bench) -> None:
    bench.system.gaps = [f"database {number}" for number in range(MAX_GAPS_NOTED + 1)]
    shown = bench.vault.read("database/inventory/main").data
    assert len(array(shown, "gaps")) == MAX_GAPS_NOTED + 1
    (noted,) = [entry.audited for entry in bench.effects() if entry.op == "inventory"]
    assert noted["gaps_total"] == MAX_GAPS_NOTED + 1
    assert len(noted["gaps"]) == MAX_GAPS_NOTED


def test_two_baselines_at_once_are_not_taken(bench: Bench) -> None:
    waiting = bench.start("database/baseline/main")
    assert bench.vault.write("database/baseline/main").error is Conflict
    assert bench.vault.settle(waiting).error is None
    assert bench.vault.read("database/config/main").data["baselines"] == [1, 2]


def test_a_system_that_is_away_gets_no_baseline(bench: Bench) -> None:
    bench.system.break_down("inventory", Fault.UNREACHABLE)
    assert bench.vault.write("database/baseline/main").error is not None
    assert bench.vault.read("database/config/main").data["baselines"] == [1]
    assert bench.vault.read("database/diff/main", data={"baseline": 2}).error is NotFound


def test_a_connection_takes_its_baselines_and_explanations_along(bench: Bench) -> None:
    bench.system.accounts["new"] = Account(b"first")
    found = bench.vault.read("database/diff/main").data["added"]
    bench.write("database/explain/main", item=part(found, 0, "id"), owner="ops", reason="planned")
    bench.vault.delete("database/static-roles/app")
    assert bench.vault.delete("database/config/main").error is None
    bench.configure()
    assert bench.vault.read("database/config/main").data["baselines"] == [1]
    tx = bench.vault.house.state.begin()
    now = bench.vault.clock.now_ns()
    assert bench.vault.house.baselines.explanations(tx, main_of(bench), now) == {}


def test_an_item_is_one_line_and_its_id_follows_from_it() -> None:
    plain, full = key("a"), key("a", owner="ops", size="7")
    assert text_of(plain) == "key ssh a"
    assert text_of(full) == 'key ssh a {"owner":"ops","size":"7"}'
    assert id_of(text_of(plain)) != id_of(text_of(full))
    assert len(id_of("key ssh \ud800")) == 16


def test_a_difference_lists_changes_as_they_are_now() -> None:
    from_then, now = key("a", owner="ops"), key("a", owner="dev")
    difference = Difference((key("b"),), (key("c"),), (), ())
    assert differing(difference) == ["key ssh b", "key ssh c"]
    changed = Difference((), (), (Changed(from_then, now),), ())
    assert differing(changed) == ['key ssh a {"owner":"dev"}']
