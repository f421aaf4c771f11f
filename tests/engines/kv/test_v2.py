"""KV version 2 over the whole pipeline: versions, check-and-set, deletion, metadata."""

from typing import Any

import pytest

from ironkeep.api.http.wire import parse_json
from ironkeep.core.errors import Conflict, InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.credentials.gone.removed import PLACE
from ironkeep.engines.kv.metadata import (
    DEFAULT_MAX_VERSIONS,
    MAX_CUSTOM_KEY,
    MAX_CUSTOM_PAIRS,
    MAX_CUSTOM_VALUE,
    MAX_MAX_VERSIONS,
)
from ironkeep.engines.kv.v2 import MAX_VERSIONS_A_CALL
from ironkeep.testing.parts import part, table
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Reply, Vault


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def put(vault: Vault, path: str, data: dict[str, Any], **options: Any) -> Reply:
    return vault.write(f"secret/data/{path}", {"data": data, "options": options})


def patch(vault: Vault, path: str, data: dict[str, Any]) -> Reply:
    return vault.request(Operation.PATCH, path, data)


def value(vault: Vault, path: str, version: int = 0) -> Any:
    return vault.read(f"secret/data/{path}", data={"version": str(version)}).data["data"]


# -- versions


def test_each_write_is_a_version(vault: Vault) -> None:
    first = put(vault, "app", {"a": "1"}).data
    assert first["version"] == 1
    assert (first["deletion_time"], first["destroyed"], first["custom_metadata"]) == (
        "",
        False,
        None,
    )
    assert put(vault, "app", {"a": "2"}).data["version"] == 2
    assert (value(vault, "app"), value(vault, "app", 1)) == ({"a": "2"}, {"a": "1"})
    assert vault.read("secret/data/app", data={"version": 3}).error is NotFound
    assert vault.read("secret/data/app", data={"version": -1}).error is NotFound


def test_a_write_needs_data(vault: Vault) -> None:
    for sent in ({}, {"data": None}, {"value": "x"}):
        refused = vault.write("secret/data/app", sent)
        assert (refused.error, refused.errors) == (InvalidRequest, ["no data provided"])
    assert vault.write("secret/data/app", {"data": "text"}).error is InvalidRequest
    assert put(vault, "app", {}).data["version"] == 1


def test_old_versions_are_pruned_with_their_data(vault: Vault) -> None:
    rows = []
    for number in range(DEFAULT_MAX_VERSIONS + 3):
        put(vault, "app", {"a": str(number)})
        rows.append(len(list(vault.storage.scan(b""))))
    metadata = vault.read("secret/metadata/app").data
    assert metadata["current_version"] == DEFAULT_MAX_VERSIONS + 3
    assert metadata["oldest_version"] == 4
    assert sorted(map(int, table(metadata, "versions"))) == list(range(4, DEFAULT_MAX_VERSIONS + 4))
    assert vault.read("secret/data/app", data={"version": 3}).error is NotFound
    assert value(vault, "app", 4) == {"a": "3"}
    assert rows[-1] == rows[-2] == rows[DEFAULT_MAX_VERSIONS - 1]


def test_the_key_s_own_limit_wins_over_the_mount_s(vault: Vault) -> None:
    vault.write("secret/config", {"max_versions": 3})
    vault.write("secret/metadata/app", {"max_versions": 2})
    for path in ("app", "other"):
        for number in range(5):
            put(vault, path, {"a": str(number)})
    assert len(table(vault.read("secret/metadata/app").data, "versions")) == 2
    assert len(table(vault.read("secret/metadata/other").data, "versions")) == 3


# -- check-and-set


def test_check_and_set(vault: Vault) -> None:
    assert put(vault, "app", {"a": "1"}, cas=0).data["version"] == 1
    refused = put(vault, "app", {"a": "2"}, cas=0)
    assert refused.error is Conflict
    assert refused.errors == ["check-and-set parameter did not match the current version"]
    assert put(vault, "app", {"a": "2"}, cas="1").data["version"] == 2
    assert put(vault, "new", {"a": "2"}, cas=1).error is Conflict
    for wrong in ("x", [1], True, 1.5, "", "1" * 5_000):
        assert put(vault, "app", {"a": "3"}, cas=wrong).error is InvalidRequest
    assert value(vault, "app") == {"a": "2"}


@pytest.mark.parametrize("path", ["secret/config", "secret/metadata/app"])
def test_check_and_set_can_be_required(vault: Vault, path: str) -> None:
    vault.write(path, {"cas_required": True})
    refused = put(vault, "app", {"a": "1"})
    assert refused.errors == ["check-and-set parameter required for this call"]
    assert put(vault, "app", {"a": "1"}, cas=0).error is None


# -- patch and subkeys


def test_a_patch_merges_into_a_new_version(vault: Vault) -> None:
    put(vault, "app", {"a": "1", "b": {"c": "2", "d": "3"}, "e": [1, 2]})
    sent = {"data": {"a": None, "b": {"c": "x"}, "e": [3], "f": {"g": None, "h": 1}}}
    assert patch(vault, "secret/data/app", sent).data["version"] == 2
    assert value(vault, "app") == {"b": {"c": "x", "d": "3"}, "e": [3], "f": {"h": 1}}
    assert value(vault, "app", 1)["a"] == "1"


def test_a_patch_needs_something_to_patch(vault: Vault) -> None:
    assert patch(vault, "secret/data/none", {"data": {"a": "1"}}).error is NotFound
    put(vault, "app", {"a": "1"})
    assert patch(vault, "secret/data/app", {}).error is InvalidRequest
    stale = {"data": {"a": "2"}, "options": {"cas": 7}}
    assert patch(vault, "secret/data/app", stale).error is Conflict
    vault.delete("secret/data/app")
    assert patch(vault, "secret/data/app", {"data": {"a": "2"}}).answer.absent


def test_a_patch_keeps_the_spelling_of_what_it_does_not_touch(vault: Vault) -> None:
    vault.write("secret/data/app", parse_json(b'{"data":{"price":1.10,"x":1}}'))
    patch(vault, "secret/data/app", {"data": {"x": 2}})
    assert b'"price":1.10,"x":2' in (vault.read("secret/data/app").answer.body or b"")


def test_subkeys_show_the_shape_alone(vault: Vault) -> None:
    put(vault, "app", {"a": "secret", "b": {"c": {"d": "secret"}, "e": {}}, "f": ["secret"]})

    def shape(depth: int) -> Any:
        read = vault.read("secret/subkeys/app", data={"depth": depth})
        assert b'"secret"' not in (read.answer.body or b"")
        return read.data["subkeys"]

    assert shape(0) == {"a": None, "b": {"c": {"d": None}, "e": None}, "f": None}
    assert shape(1) == {"a": None, "b": None, "f": None}
    assert shape(2) == {"a": None, "b": {"c": None, "e": None}, "f": None}
    assert vault.read("secret/subkeys/app", data={"depth": -1}).error is InvalidRequest
    vault.delete("secret/data/app")
    gone = vault.read("secret/subkeys/app")
    assert (gone.answer.absent, gone.data["subkeys"]) == (True, None)


# -- delete, undelete, destroy


def test_a_deleted_version_answers_404_with_its_metadata(vault: Vault) -> None:
    put(vault, "app", {"a": "1"})
    assert vault.delete("secret/data/app").body is None
    gone = vault.read("secret/data/app")
    assert gone.answer.absent
    assert gone.error is None
    assert gone.data["data"] is None
    assert part(gone.data, "metadata", "deletion_time") != ""
    assert part(gone.data, "metadata", "version") == 1


def test_delete_and_undelete_by_number(vault: Vault) -> None:
    for number in range(3):
        put(vault, "app", {"a": str(number)})
    vault.write("secret/delete/app", {"versions": [1, "3", 99]})
    assert value(vault, "app", 2) == {"a": "1"}
    assert vault.read("secret/data/app", data={"version": 1}).answer.absent
    assert vault.read("secret/data/app").answer.absent
    vault.write("secret/undelete/app", {"versions": "1,3"})
    assert (value(vault, "app", 1), value(vault, "app")) == ({"a": "0"}, {"a": "2"})


def test_the_first_deletion_s_time_stays(vault: Vault) -> None:
    put(vault, "app", {"a": "1"})
    vault.delete("secret/data/app")
    at = part(vault.read("secret/data/app").data, "metadata", "deletion_time")
    vault.clock.advance(seconds=5)
    vault.delete("secret/data/app")
    assert part(vault.read("secret/data/app").data, "metadata", "deletion_time") == at


def test_destroyed_data_is_gone_from_the_store(vault: Vault) -> None:
    put(vault, "other", {"a": "1"})
    put(vault, "app", {"a": "1"})
    before = len(list(vault.storage.scan(b"")))
    vault.write("secret/destroy/app", {"versions": [1]})
    assert len(list(vault.storage.scan(b""))) == before - 1
    assert part(vault.read("secret/data/app").data, "metadata", "destroyed") is True
    vault.write("secret/undelete/app", {"versions": [1]})
    gone = vault.read("secret/data/app")
    assert (gone.answer.absent, gone.data["data"]) == (True, None)


@pytest.mark.parametrize("verb", ["delete", "undelete", "destroy"])
def test_numbers_are_needed_and_bounded(vault: Vault, verb: str) -> None:
    put(vault, "app", {"a": "1"})
    refused = vault.write(f"secret/{verb}/app", {"versions": []})
    assert (refused.error, refused.errors) == (InvalidRequest, ["No version number provided"])
    many = list(range(1, MAX_VERSIONS_A_CALL + 1))
    assert vault.write(f"secret/{verb}/app", {"versions": many}).error is None
    assert vault.write(f"secret/{verb}/app", {"versions": [*many, 1]}).error is InvalidRequest
    assert vault.write(f"secret/{verb}/none", {"versions": [1]}).error is None


def rows_of(vault: Vault) -> int:
    """Return the number of rows, without those that record what was removed."""
    house = vault.house
    removed = list(house.store(house.state.begin(), PLACE).walk())
    return len(list(vault.storage.scan(b""))) - len(removed)


def test_removing_the_metadata_removes_every_version(vault: Vault) -> None:
    put(vault, "other", {"a": "1"})
    put(vault, "before", {"a": "1"})
    vault.delete("secret/metadata/before")
    before = rows_of(vault)
    for number in range(3):
        put(vault, "folder/app", {"a": str(number)})
    vault.delete("secret/metadata/folder/app")
    assert vault.read("secret/metadata/folder/app").error is NotFound
    assert vault.read("secret/data/folder/app", data={"version": 1}).error is NotFound
    assert vault.list("secret/metadata/folder/").error is NotFound
    assert rows_of(vault) == before
    assert put(vault, "folder/app", {"a": "x"}).data["version"] == 1


# -- time


@pytest.mark.parametrize("path", ["secret/config", "secret/metadata/app"])
def test_versions_delete_themselves_when_told_to(vault: Vault, path: str) -> None:
    vault.write(path, {"delete_version_after": "1h30m"})
    assert vault.read(path).data["delete_version_after"] == "1h30m0s"
    put(vault, "app", {"a": "1"})
    vault.clock.advance(seconds=5_399)
    assert value(vault, "app") == {"a": "1"}
    vault.clock.advance(seconds=1)
    gone = vault.read("secret/data/app")
    assert (gone.answer.absent, gone.data["data"]) == (True, None)
    vault.write("secret/undelete/app", {"versions": [1]})
    assert value(vault, "app") == {"a": "1"}


# -- metadata


def test_metadata_makes_a_key_without_versions(vault: Vault) -> None:
    vault.write("secret/metadata/app", {"custom_metadata": {"owner": "ops"}})
    read = vault.read("secret/metadata/app").data
    assert (read["current_version"], read["oldest_version"], read["versions"]) == (0, 0, {})
    assert read["custom_metadata"] == {"owner": "ops"}
    assert vault.read("secret/data/app").error is NotFound
    put(vault, "app", {"a": "1"})
    assert part(vault.read("secret/data/app").data, "metadata", "custom_metadata") == {
        "owner": "ops"
    }


def test_custom_metadata_is_replaced_by_a_write_and_merged_by_a_patch(vault: Vault) -> None:
    vault.write("secret/metadata/app", {"custom_metadata": {"a": "1", "b": "2"}})
    patched = {"custom_metadata": {"a": None, "c": "3"}, "max_versions": 7}
    assert patch(vault, "secret/metadata/app", patched).error is None
    read = vault.read("secret/metadata/app").data
    assert (read["custom_metadata"], read["max_versions"]) == ({"b": "2", "c": "3"}, 7)
    patch(vault, "secret/metadata/app", {"max_versions": None, "custom_metadata": None})
    read = vault.read("secret/metadata/app").data
    assert (read["custom_metadata"], read["max_versions"]) == (None, 0)
    vault.write("secret/metadata/app", {"custom_metadata": {"z": "1"}})
    assert vault.read("secret/metadata/app").data["custom_metadata"] == {"z": "1"}
    assert patch(vault, "secret/metadata/none", {"max_versions": 1}).error is NotFound


AT_THE_LIMIT: tuple[dict[str, Any], ...] = (
    {str(i): "v" for i in range(MAX_CUSTOM_PAIRS)},
    {"k" * MAX_CUSTOM_KEY: "v"},
    {"k": "v" * MAX_CUSTOM_VALUE},
    {},
)
PAST_THE_LIMIT: tuple[Any, ...] = (
    {str(i): "v" for i in range(MAX_CUSTOM_PAIRS + 1)},
    {"k" * (MAX_CUSTOM_KEY + 1): "v"},
    {"k": "v" * (MAX_CUSTOM_VALUE + 1)},
    {"": "v"},
    {"k": "a\nb"},
    {"k\0": "v"},
    {"k": 1},
    {"k": {}},
    ["k"],
    "k=v",
)


@pytest.mark.parametrize("pairs", AT_THE_LIMIT)
def test_custom_metadata_at_its_limits(vault: Vault, pairs: dict[str, Any]) -> None:
    assert vault.write("secret/metadata/app", {"custom_metadata": pairs}).error is None
    assert vault.read("secret/metadata/app").data["custom_metadata"] == pairs


@pytest.mark.parametrize("pairs", PAST_THE_LIMIT)
def test_custom_metadata_past_its_limits(vault: Vault, pairs: Any) -> None:
    assert vault.write("secret/metadata/app", {"custom_metadata": pairs}).error is InvalidRequest
    assert vault.read("secret/metadata/app").error is NotFound


def test_a_patch_cannot_grow_custom_metadata_past_its_limit(vault: Vault) -> None:
    vault.write("secret/metadata/app", {"custom_metadata": AT_THE_LIMIT[0]})
    one_more = {"custom_metadata": {"one more": "v"}}
    assert patch(vault, "secret/metadata/app", one_more).error is InvalidRequest


def test_limits_on_the_number_of_versions(vault: Vault) -> None:
    for path in ("secret/config", "secret/metadata/app"):
        assert vault.write(path, {"max_versions": MAX_MAX_VERSIONS}).error is None
        for wrong in (-1, MAX_MAX_VERSIONS + 1, "many"):
            assert vault.write(path, {"max_versions": wrong}).error is InvalidRequest


def test_the_configuration_starts_empty(vault: Vault) -> None:
    assert vault.read("secret/config").data == {
        "cas_required": False,
        "delete_version_after": "0s",
        "max_versions": 0,
    }


@pytest.mark.parametrize("empty", [{}, {"custom_metadata": None}, {"unknown": 1}])
def test_metadata_that_says_nothing_makes_nothing(vault: Vault, empty: dict[str, Any]) -> None:
    assert vault.write("secret/metadata/none", empty).error is None
    assert vault.read("secret/metadata/none").error is NotFound
    assert vault.list("secret/metadata/").error is NotFound
    vault.write("secret/data/app", {"data": {}})
    before = vault.read("secret/metadata/app").data
    vault.clock.advance(seconds=5)
    assert vault.write("secret/metadata/app", empty).error is None
    assert vault.read("secret/metadata/app").data == before
    vault.write("secret/metadata/none", {"custom_metadata": {}})
    assert vault.read("secret/metadata/none").data["current_version"] == 0
