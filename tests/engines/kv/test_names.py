"""KV version 2: any name, any number, any object, as it was sent."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.api.http.wire import parse_json
from ironkeep.core.errors import InvalidRequest, NotFound, TooLarge
from ironkeep.engines.kv import document
from ironkeep.engines.kv.v2 import WRONG_PATH
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Reply, Vault


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def put(vault: Vault, path: str, data: dict[str, Any]) -> Reply:
    return vault.write(f"secret/data/{path}", {"data": data})


def value(vault: Vault, path: str) -> Any:
    return vault.read(f"secret/data/{path}").data["data"]


NAMES = ("app", "a b", "ключ", "🔑", "a%2Fb", "%", "a+b", "*", "data", "metadata", "config")


@pytest.mark.parametrize("name", NAMES)
def test_any_printable_name_is_a_key_of_its_own(vault: Vault, name: str) -> None:
    put(vault, name, {"name": name})
    assert value(vault, name) == {"name": name}
    others = [other for other in NAMES if other != name]
    assert all(vault.read(f"secret/data/{other}").error is NotFound for other in others)
    assert vault.list("secret/metadata/").keys == [name]


def test_a_name_that_ends_like_a_version_s_row(vault: Vault) -> None:
    """Version 1 of `app` and a key below `app` named `1` are two things."""
    put(vault, "app", {"a": "of app"})
    put(vault, "app/1", {"a": "of app/1"})
    assert (value(vault, "app"), value(vault, "app/1")) == ({"a": "of app"}, {"a": "of app/1"})
    assert vault.list("secret/metadata/").data == {"keys": ["app", "app/"]}
    vault.delete("secret/metadata/app")
    assert value(vault, "app/1") == {"a": "of app/1"}


def test_no_key_has_an_empty_name(vault: Vault) -> None:
    for path in ("secret/data/", "secret/metadata/"):
        refused = vault.write(path, {"data": {"a": "1"}})
        assert (refused.error, refused.errors) == (
            InvalidRequest,
            ["this name cannot be made: it has an empty, '.' or '..' segment"],
        )


def test_numbers_come_back_as_they_were_spelt(vault: Vault) -> None:
    sent = b'{"data":{"a":1.10,"b":1e3,"c":123456789012345678901234567890,"d":-0.0,"e":[1.50]}}'
    vault.write("secret/data/app", parse_json(sent))
    answer = vault.read("secret/data/app").answer.body or b""
    assert b'{"a":1.10,"b":1e3,"c":123456789012345678901234567890,"d":-0.0,"e":[1.50]}' in answer


@pytest.mark.parametrize("path", ["secret/app", "secret/app/db", "secret/dataapp"])
def test_a_path_of_version_1_gets_a_hint(vault: Vault, path: str) -> None:
    for answer in (vault.read(path), vault.write(path, {"a": "b"}), vault.list(f"{path}/")):
        assert answer.answer.absent
        assert answer.body["warnings"] == [WRONG_PATH]


def test_the_entry_names_what_was_written_and_read(vault: Vault) -> None:
    put(vault, "app", {"user": "u", "password": "hunter2"})
    vault.read("secret/data/app")
    found = [entry for _, entry in vault.house.audit_reader().entries() if entry.kind == "request"]
    assert found[-2].audited["version"] == 1
    assert found[-1].released[0].fields == ("user", "password")


def test_the_recorded_field_names_are_bounded(vault: Vault) -> None:
    many = {f"{number:03}" + "n" * 200: "v" for number in range(document.MAX_NAMES + 5)}
    put(vault, "app", many)
    assert value(vault, "app") == many
    entry = [entry for _, entry in vault.house.audit_reader().entries() if entry.released][-1]
    fields = entry.released[0].fields
    assert len(fields) == document.MAX_NAMES + 1
    assert max(map(len, fields)) == document.MAX_NAME


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)


@settings(max_examples=30)
@given(OBJECTS)
def test_any_object_comes_back_equal(data: dict[str, Any]) -> None:
    vault = Vault.started(PLUGINS)
    assert put(vault, "app", data).error is None
    assert value(vault, "app") == data


@given(OBJECTS, OBJECTS)
def test_a_merge_is_rfc_7396(target: dict[str, Any], changes: dict[str, Any]) -> None:
    def reference(into: Any, change: Any) -> Any:
        if not isinstance(change, dict):
            return change
        merged = dict(into) if isinstance(into, dict) else {}
        for name, item in change.items():
            if item is None:
                merged.pop(name, None)
            else:
                merged[name] = reference(merged.get(name), item)
        return merged

    assert document.merge(target, changes) == reference(target, changes)


def test_too_deep_a_document_never_reaches_the_engine() -> None:
    with pytest.raises((InvalidRequest, TooLarge)):
        parse_json(b'{"data":' + b'{"a":' * 70 + b"1" + b"}" * 71)
