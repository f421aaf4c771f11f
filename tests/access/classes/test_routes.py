"""`sys/classes` and `sys/alerts`: rules by path, kept by mount; what should be looked at."""

from typing import Any

import pytest

from ironkeep.access.classes.classes import MAX_APPROVALS, MAX_PREFIX
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.testing.parts import part
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.people.approval_estate import SECRET, entries, estate


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/mounts/kv1", {"type": "kv"})
    return vault


def put(vault: Vault, path: str, secret_class: str, **rest: Any) -> None:
    reply = vault.write(f"sys/classes/{path}", {"class": secret_class, **rest})
    assert reply.error is None, reply.body


def test_a_rule_is_set_shown_listed_and_removed(vault: Vault) -> None:
    put(vault, "secret/data/prod", "guarded")
    put(vault, "kv1/apps/x", "two-person", approvals=2, group="security")
    shown = vault.read("sys/classes/secret/data/prod").data
    assert shown == {"class": "guarded", "approvals": 1, "group": "", "effective": "guarded"}
    listed = vault.list("sys/classes/").data
    assert listed["keys"] == ["kv1/apps/x", "secret/data/prod"]
    assert part(listed, "key_info", "kv1/apps/x") == {
        "class": "two-person", "approvals": 2, "group": "security",
    }  # fmt: skip
    assert vault.delete("sys/classes/secret/data/prod").error is None
    assert vault.read("sys/classes/secret/data/prod").error is NotFound


@pytest.mark.parametrize(
    "path", ["secret/prod", "secret/data/prod/", "secret/metadata/prod", "secret//data//prod"]
)
def test_several_spellings_of_a_secret_have_one_rule(vault: Vault, path: str) -> None:
    put(vault, path, "guarded")
    assert vault.list("sys/classes/").keys == ["secret/data/prod"]


def test_the_strictest_rule_holds_and_whole_segments_match(vault: Vault) -> None:
    put(vault, "secret", "guarded")
    put(vault, "secret/data/prod", "custody")
    put(vault, "secret/data/prod/open", "open")
    for path, secret_class in (
        ("secret/data/other", "guarded"), ("secret/data/production", "guarded"),
        ("secret/data/prod", "custody"), ("secret/data/prod/open", "custody"),
    ):  # fmt: skip
        seen = vault.read(f"sys/internal/ui/mounts/{path}").data
        assert seen["secret_class"] == secret_class


def test_a_rule_follows_its_mount(vault: Vault) -> None:
    put(vault, "kv1/x", "custody")
    vault.write("kv1/x", {"a": "1"})
    vault.write("sys/remount", {"from": "kv1", "to": "moved"})
    assert vault.list("sys/classes/").keys == ["moved/x"]
    assert vault.read("moved/x").error is PermissionDenied


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("secret/x", {}), ("secret/x", {"class": "secret"}), ("secret/x", {"class": ["open"]}),
        ("secret/x", {"class": "two-person", "approvals": 0}),
        ("secret/x", {"class": "two-person", "approvals": MAX_APPROVALS + 1}),
        ("secret/" + "x" * (MAX_PREFIX + 1), {"class": "open"}),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_no_rule(vault: Vault, path: str, data: dict[str, Any]) -> None:
    assert vault.write(f"sys/classes/{path}", data).error is InvalidRequest


def test_a_rule_needs_a_mount(vault: Vault) -> None:
    assert vault.write("sys/classes/nowhere/x", {"class": "open"}).error is NotFound


def test_a_class_is_set_by_sudo_alone(vault: Vault) -> None:
    vault.write(
        "sys/policies/acl/nearly",
        {"policy": 'path "sys/classes/*" { capabilities = ["read", "update", "delete"] }'},
    )
    token = vault.write("auth/token/create", {"policies": ["nearly"]}).token
    sent = {"class": "guarded"}
    assert vault.write("sys/classes/secret/x", sent, token=token).error is PermissionDenied
    assert vault.delete("sys/classes/secret/x", token=token).error is PermissionDenied


def test_a_guarded_rule_may_be_weakened_and_is_told_of(vault: Vault) -> None:
    put(vault, "secret/x", "guarded")
    put(vault, "secret/x", "open")
    (number,) = vault.list("sys/alerts/").keys
    alert = vault.read(f"sys/alerts/{number}").data
    assert (alert["kind"], alert["text"]) == ("class", "a rule went from class guarded to open")
    assert alert["path"] == "sys/classes/secret/x"


@pytest.mark.parametrize("number", ["0", "x", "9" * 12, "\u0661" * 12, "../next"])
def test_an_alert_that_is_not_there(vault: Vault, number: str) -> None:
    assert vault.list("sys/alerts/").error is NotFound
    assert vault.read(f"sys/alerts/{number}").error in {NotFound, InvalidRequest}


def test_the_entry_of_a_change_says_what_was_set() -> None:
    e = estate(approvals=2)
    entry = next(each for each in entries(e.vault) if each.path == "sys/classes/secret/data/prod")
    assert entry.audited == {
        "path": SECRET.removesuffix("/db"),
        "secret_class": "two-person", "approvals": 2, "group": "",
    }  # fmt: skip
