"""Requests that concern many versions: each turn is small, and a crash in between is made good."""

import json
from typing import Any

import pytest

from ironkeep.core.errors import Conflict, NotFound
from ironkeep.core.operation import Operation
from ironkeep.engines.kv import versions as stored
from ironkeep.engines.kv.v2 import MAX_VERSIONS_A_CALL
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.testing.memory import Fault
from ironkeep.testing.parts import table
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

MANY = 5 * stored.CHANGED + 3


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/metadata/app", {"max_versions": 100_000})
    for number in range(1, MANY + 1):
        put(vault, str(number))
    return vault


def put(vault: Vault, value: str) -> None:
    assert vault.write("secret/data/app", {"data": {"a": value}}).error is None


def in_turns(
    vault: Vault, op: Operation, path: str, data: dict[str, Any] | None = None
) -> tuple[Answer, list[int]]:
    """Execute a request; return its answer, and how many rows each of its turns wrote."""
    outcome = vault.pipeline.handle(vault.asked(op, path, data, "root"))
    rows = [written(vault)]
    while isinstance(outcome, Waiting):
        outcome = outcome.finish(outcome.work())
        rows.append(written(vault))
    return outcome, rows


def written(vault: Vault) -> int:
    batch = vault.house.ledger.close()
    if batch is None:
        return 0
    vault.house.ledger.persist(batch)
    vault.house.ledger.settle(batch)
    return len(batch.commit.writes) if batch.commit else 0


def numbers(vault: Vault) -> list[int]:
    return [int(each) for each in table(vault.read("secret/metadata/app").data, "versions")]


def rows(vault: Vault) -> int:
    return len(list(vault.storage.scan(b"")))


def test_removing_a_key_takes_a_bounded_number_of_rows_a_turn(vault: Vault) -> None:
    answer, turn = in_turns(vault, Operation.DELETE, "secret/metadata/app")
    assert (answer.error, answer.body) == (None, None)
    assert len(turn) == 6
    # The data, a chunk for 32 versions, the key's own record, and at last its folders.
    assert max(turn) <= stored.CHANGED + stored.CHANGED // 32 + 3
    assert vault.read("secret/metadata/app").error is NotFound
    assert vault.list("secret/metadata/").error is NotFound
    put(vault, "again")
    assert numbers(vault) == [1]


def test_each_turn_of_a_removal_has_an_entry(vault: Vault) -> None:
    before = vault.journal.durable_size
    in_turns(vault, Operation.DELETE, "secret/metadata/app")
    commits = requests = 6
    assert vault.journal.durable_size - before == commits + requests


@pytest.mark.parametrize("fault", Fault)
def test_a_removal_that_was_cut_off_is_finished_by_the_next(vault: Vault, fault: Fault) -> None:
    vault.storage.fail(fault, after=2)
    with pytest.raises(OSError, match="made to fail"):
        vault.delete("secret/metadata/app")
    vault = vault.restarted()
    vault.unseal()
    gone = (3 if fault is Fault.PERSISTED_ANYWAY else 2) * stored.CHANGED
    assert numbers(vault) == list(range(gone + 1, MANY + 1))
    assert vault.read("secret/data/app").data["data"] == {"a": str(MANY)}
    assert vault.delete("secret/metadata/app").error is None
    assert vault.read("secret/metadata/app").error is NotFound


def test_others_are_served_between_the_turns_of_a_removal(vault: Vault) -> None:
    """A version that is written meanwhile counts as written before the removal."""
    outcome = vault.pipeline.handle(
        vault.asked(Operation.DELETE, "secret/metadata/app", None, "root")
    )
    assert isinstance(outcome, Waiting)
    assert vault.read("secret/data/app").data["data"] == {"a": str(MANY)}
    put(vault, "meanwhile")
    assert vault.settle(outcome).error is None
    assert vault.read("secret/data/app").error is NotFound


def test_a_removal_goes_on_only_while_its_caller_may(vault: Vault) -> None:
    rules = 'path "secret/*" { capabilities = ["delete"] }'
    vault.write("sys/policies/acl/remover", {"policy": rules})
    token = vault.write("auth/token/create", {"policies": ["remover"]}).token
    outcome = vault.pipeline.handle(
        vault.asked(Operation.DELETE, "secret/metadata/app", None, token)
    )
    vault.write("auth/token/revoke", {"token": token})
    answer = vault.settle(outcome)
    assert answer.error is not None
    assert numbers(vault) == list(range(stored.CHANGED + 1, MANY + 1))


def test_a_lowered_limit_is_enforced_by_the_next_write_in_turns(vault: Vault) -> None:
    before = rows(vault)
    vault.write("secret/metadata/app", {"max_versions": 2})
    assert rows(vault) == before
    answer, turn = in_turns(vault, Operation.UPDATE, "secret/data/app", {"data": {"a": "new"}})
    assert answer.body is not None
    assert json.loads(answer.body)["data"]["version"] == MANY + 1
    assert numbers(vault) == [MANY, MANY + 1]
    assert len(turn) == 6
    assert max(turn) <= stored.CHANGED + stored.CHANGED // 32 + 3


def test_a_write_that_is_refused_prunes_nothing(vault: Vault) -> None:
    vault.write("secret/metadata/app", {"max_versions": 2})
    before = rows(vault)
    refused = vault.write("secret/data/app", {"data": {}, "options": {"cas": 1}})
    assert refused.error is Conflict
    assert rows(vault) == before


def test_a_patch_prunes_in_turns_too(vault: Vault) -> None:
    vault.write("secret/metadata/app", {"max_versions": 1})
    answer, turn = in_turns(vault, Operation.PATCH, "secret/data/app", {"data": {"b": "c"}})
    assert answer.error is None
    assert len(turn) == 6
    assert vault.read("secret/data/app").data["data"] == {"a": str(MANY), "b": "c"}
    assert numbers(vault) == [MANY + 1]


@pytest.mark.parametrize("verb", ["delete", "undelete", "destroy"])
def test_versions_are_changed_in_turns(vault: Vault, verb: str) -> None:
    asked = list(range(1, MAX_VERSIONS_A_CALL + 1))
    answer, turn = in_turns(vault, Operation.UPDATE, f"secret/{verb}/app", {"versions": asked})
    assert answer.error is None
    assert len(turn) == -(-MAX_VERSIONS_A_CALL // stored.CHANGED)
    assert max(turn) <= stored.CHANGED + stored.CHANGED // 32 + 3
    data = vault.read("secret/metadata/app").data
    for number in range(1, MANY + 1):
        shape = table(data, "versions", str(number))
        assert (shape["deletion_time"] != "") is (verb == "delete")
        assert shape["destroyed"] is (verb == "destroy")


def test_very_many_versions_are_listed_in_turns_without_an_entry_for_each(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vault.read("secret/metadata/app").data
    monkeypatch.setattr(stored, "LISTED", 100)
    size = vault.journal.durable_size
    answer, turn = in_turns(vault, Operation.READ, "secret/metadata/app")
    assert answer.body is not None
    assert json.loads(answer.body)["data"] == whole
    assert turn == [0, 0, 0, 0]
    assert vault.journal.durable_size == size + 1


def test_a_key_that_changes_while_it_is_listed(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LISTED", 100)
    outcome = vault.pipeline.handle(
        vault.asked(Operation.READ, "secret/metadata/app", None, "root")
    )
    assert isinstance(outcome, Waiting)
    vault.write("secret/metadata/app", {"max_versions": MANY - 10})
    put(vault, "meanwhile")
    found = json.loads(vault.settle(outcome).body or b"")["data"]
    assert [int(number) for number in found["versions"]] == list(range(12, MANY + 2))
    assert (found["oldest_version"], found["current_version"]) == (12, MANY + 1)


def test_a_key_that_is_removed_while_it_is_listed(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LISTED", 100)
    outcome = vault.pipeline.handle(
        vault.asked(Operation.READ, "secret/metadata/app", None, "root")
    )
    assert isinstance(outcome, Waiting)
    vault.delete("secret/metadata/app")
    assert vault.settle(outcome).error is NotFound


def test_a_key_that_is_made_again_while_it_is_listed(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LISTED", 100)
    outcome = vault.pipeline.handle(
        vault.asked(Operation.READ, "secret/metadata/app", None, "root")
    )
    vault.delete("secret/metadata/app")
    vault.clock.advance(seconds=1)
    put(vault, "again")
    found = json.loads(vault.settle(outcome).body or b"")["data"]
    assert list(found["versions"]) == ["1"]
    assert found["versions"]["1"]["created_time"] == found["created_time"]
