"""KV version 1: the last write wins, and what was written comes back as it was."""

from decimal import Decimal
from typing import Any

import pytest

from ironkeep.api.http.wire import parse_json
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.plugin.token import DEFAULT_TTL_SECONDS
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/mounts/kv", {"type": "kv"})
    return vault


def test_a_write_replaces_everything(vault: Vault) -> None:
    assert vault.write("kv/app/db", {"user": "a", "password": "b"}).body is None
    vault.write("kv/app/db", {"password": "c"})
    assert vault.read("kv/app/db").data == {"password": "c"}


def test_an_empty_write_is_refused(vault: Vault) -> None:
    refused = vault.write("kv/app", {})
    assert (refused.error, refused.errors) == (InvalidRequest, ["missing data fields"])


def test_what_is_not_there(vault: Vault) -> None:
    assert vault.read("kv/none").error is NotFound
    assert vault.read("kv/none").errors == []
    assert vault.list("kv/none/").error is NotFound
    assert vault.delete("kv/none").error is None


def test_delete(vault: Vault) -> None:
    vault.write("kv/app", {"a": "b"})
    vault.delete("kv/app")
    assert vault.read("kv/app").error is NotFound


def test_list_names_keys_and_folders_apart(vault: Vault) -> None:
    for path in ("app", "app/db", "app/web/one", "zoo"):
        vault.write(f"kv/{path}", {"a": "b"})
    assert vault.list("kv/").data == {"keys": ["app", "app/", "zoo"]}
    assert vault.list("kv/app/").data == {"keys": ["db", "web/"]}


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ({"a": "b"}, DEFAULT_TTL_SECONDS),
        ({"ttl": "1h"}, 3600),
        ({"ttl": 90}, 90),
        ({"lease": "2m"}, 120),
        ({"ttl": "soon"}, DEFAULT_TTL_SECONDS),
        ({"ttl": ["1h"]}, DEFAULT_TTL_SECONDS),
    ],
)
def test_a_ttl_inside_hints_the_lease_duration(
    vault: Vault, data: dict[str, Any], seconds: int
) -> None:
    vault.write("kv/app", data)
    read = vault.read("kv/app")
    assert (read.body["lease_duration"], read.body["lease_id"]) == (seconds, "")
    assert read.body["renewable"] is False
    assert read.data == data


def test_numbers_keep_their_spelling(vault: Vault) -> None:
    body = b'{"price":1.10,"big":123456789012345678901234567890,"exp":1E+400}'
    vault.write("kv/app", parse_json(body))
    answer = vault.read("kv/app").answer.body
    assert answer is not None
    assert b'"price":1.10' in answer
    assert b'"big":123456789012345678901234567890' in answer
    assert b'"exp":1E+400' in answer
    assert parse_json(body)["price"] == Decimal("1.10")


def test_two_mounts_share_nothing(vault: Vault) -> None:
    vault.write("sys/mounts/other", {"type": "kv"})
    vault.write("kv/app", {"a": "b"})
    assert vault.read("other/app").error is NotFound


def test_a_mount_made_anew_is_empty(vault: Vault) -> None:
    vault.write("kv/app", {"a": "b"})
    vault.delete("sys/mounts/kv")
    vault.write("sys/mounts/kv", {"type": "kv"})
    assert vault.read("kv/app").error is NotFound
