"""Weakening what guards others takes what held before: rules, and mounts that would lose them."""

from typing import Any

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import Conflict, NotFound, PermissionDenied, StepUpNeeded
from ironkeep.testing.parts import part
from ironkeep.testing.vault import Vault
from tests.support.credentials.simulated import Account, SimulatedSystem
from tests.support.people.approval_estate import (
    Estate,
    alerts,
    approve,
    estate,
    told,
    unwrap,
)
from tests.support.people.passkeys import PasskeyVault
from tests.support.people.people import Person, person

CONNECTION = {
    "plugin_name": "postgresql-database-plugin", "username": "keeper", "password": "k",
    "allowed_roles": "*",
    "connection_url": "postgresql://{{username}}:{{password}}@db.example:5432/app?sslmode=disable",
}  # fmt: skip
RULE = "sys/classes/secret/data/prod"
MOUNTS = """
path "sys/mounts/*" { capabilities = ["create", "read", "update", "delete", "sudo"] }
path "sys/auth/*" { capabilities = ["create", "read", "update", "delete", "sudo"] }
path "sys/remount" { capabilities = ["update", "sudo"] }
"""


@pytest.fixture
def here() -> Estate:
    """A rule of two approvals by security."""
    made = estate(approvals=2, group="security")
    made.vault.write("sys/policies/acl/mounts", {"policy": MOUNTS})
    return made


def security(here: Estate, name: str) -> Person:
    return person(here.vault, name, ["approver", "security"])


@pytest.mark.parametrize(
    "change",
    [
        {"class": "custody", "approvals": 1}, {"class": "custody", "approvals": 2},
        {"class": "custody", "approvals": 9, "group": "reader"},
        {"class": "two-person", "approvals": 1, "group": "security"},
        {"class": "two-person", "approvals": 2}, {"class": "two-person"},
        {"class": "guarded", "approvals": 2, "group": "security"}, {"class": "open"}, None,
    ],
    ids=str,
)  # fmt: skip
def test_each_weaker_rule_takes_the_approval_of_the_old_one(
    here: Estate, change: dict[str, Any] | None
) -> None:
    v, before = here.vault, here.vault.read(RULE).data
    bob = person(v, "bob", ["reader"])
    asked = (
        v.delete(RULE, token=bob.token)
        if change is None
        else v.write(RULE, change, token=bob.token)
    )
    assert v.read(RULE).data == before
    request = told(asked)
    assert approve(v, here.ann, request).error is PermissionDenied
    for name in ("sec1", "sec2"):
        assert v.read(RULE).data == before
        assert approve(v, security(here, name), request).error is None
    assert unwrap(v, bob, request).error is None
    after = v.read(RULE)
    assert (after.error is not None) if change is None else (after.data["class"] == change["class"])
    assert any(text.startswith("a rule went from class two-person to") for text in alerts(v))


@pytest.mark.parametrize(
    "change",
    [
        {"class": "two-person", "approvals": 3, "group": "security"},
        {"class": "custody", "approvals": 2, "group": "security"},
    ],
    ids=str,
)
def test_a_stricter_rule_takes_nothing(here: Estate, change: dict[str, Any]) -> None:
    bob = person(here.vault, "bob", ["reader"])
    assert here.vault.write(RULE, change, token=bob.token).body in (None, {})
    assert here.vault.read(RULE).data["class"] == change["class"]


def test_a_rule_that_others_cover_goes_freely(here: Estate) -> None:
    v = here.vault
    below = f"{RULE}/db"
    v.write(below, {"class": "two-person", "approvals": 1})
    bob = person(v, "bob", ["reader"])
    assert not (v.delete(below, token=bob.token).body or {}).get("wrap_info")


@pytest.mark.parametrize(
    ("op", "path", "data"),
    [
        ("delete", "sys/mounts/secret", {}),
        ("write", "sys/remount", {"from": "secret", "to": "elsewhere"}),
    ],
)
def test_a_mount_leaves_its_rules_by_the_approval_that_they_demand(
    here: Estate, op: str, path: str, data: dict[str, Any]
) -> None:
    v = here.vault
    bob = person(v, "bob", ["mounts"])
    reply = v.delete(path, token=bob.token) if op == "delete" else None
    asked = reply or v.write(path, data, token=bob.token)
    assert v.read("sys/mounts/secret").error is None
    request = told(asked)
    for name in ("sec1", "sec2"):
        assert approve(v, security(here, name), request).error is None
    assert unwrap(v, bob, request).error is None
    assert v.read("sys/mounts/secret").error is not None
    assert any("a mount with rules up to class two-person was" in text for text in alerts(v))


def test_another_version_of_an_empty_mount_leaves_its_rules_too(here: Estate) -> None:
    v = here.vault
    v.write("sys/mounts/empty", {"type": "kv", "options": {"version": "2"}})
    v.write("sys/classes/empty/data/prod", {"class": "two-person"})
    bob = person(v, "bob", ["mounts"])
    asked = v.write("sys/mounts/empty/tune", {"options": {"version": "1"}}, token=bob.token)
    assert approve(v, here.ann, told(asked)).error is None
    assert v.read("sys/mounts/empty").data["options"] == {"version": "2"}


def test_rules_go_with_a_mount_that_is_removed(here: Estate) -> None:
    v = here.vault
    assert v.delete("sys/mounts/secret").error is None
    assert v.house.features.classes.table(v.house.state.begin()).rules == ()


def test_logins_without_a_device_are_let_in_by_two(here: Estate) -> None:
    v = here.vault
    v.write("sys/auth/userpass/tune", {"options": {"token_device": "required"}})
    bob = person(v, "bob", ["mounts"])
    options = {"options": {"token_device": "any"}}
    assert told(v.write("sys/auth/userpass/tune", options, token=bob.token)).accessor
    shown = v.read("sys/auth/userpass/tune").data["options"]
    assert part(shown, "token_device") == "required"


def test_a_guarded_rule_goes_by_a_touch_of_who_has_an_authenticator() -> None:
    p = PasskeyVault()
    every = 'path "sys/classes/*" { capabilities = ["read", "update", "delete", "sudo"] }'
    p.write("sys/policies/acl/classes", token="root", policy=every)
    p.write("sys/classes/secret/data/x", token="root", **{"class": "guarded"})
    stolen = p.token(p.person("ann", token_policies=["classes"]))
    reply = p.vault.delete("sys/classes/secret/data/x", token=stolen)
    assert reply.error is not None
    assert "one touch" in str(reply.body)
    assert p.vault.read("sys/classes/secret/data/x").error is None


@pytest.mark.parametrize("way", ["child", "orphan", "alias", "child of an alias", "user", "batch"])
def test_a_guarded_rule_is_not_weakened_through_a_token_that_asks_for_no_touch(way: str) -> None:
    """Ann's token was stolen: no token and no login that it makes gets round her touch."""
    p = PasskeyVault()
    every = 'path "*" { capabilities = ["create", "read", "update", "delete", "sudo"] }'
    p.write("sys/policies/acl/every", token="root", policy=every)
    p.write("sys/auth/userpass", token="root", type="userpass")
    p.write("sys/classes/secret/data/x", token="root", **{"class": "guarded"})
    stolen = p.token(p.person("ann", token_policies=["every"]))
    role = {"allowed_entity_aliases": "*", "orphan": True}
    p.write("auth/token/roles/bot", token=stolen, **role)
    path, data = {
        "child": ("auth/token/create", {}),
        "orphan": ("auth/token/create-orphan", {}),
        "batch": ("auth/token/create-orphan", {"type": "batch"}),
        "user": ("auth/userpass/login/sock", {"password": "p"}),
    }.get(way, ("auth/token/create/bot", {"entity_alias": "bot"}))
    user = {"password": "p", "token_policies": "every"}
    p.write("auth/userpass/users/sock", token=stolen, **user)
    token = p.write(path, token=stolen, **data).token
    if way == "child of an alias":
        token = p.write("auth/token/create", token=token).token
    for sent in ({"class": "open"}, None):
        at = "sys/classes/secret/data/x"
        reply = p.write(at, token=token, **sent) if sent else p.vault.delete(at, token=token)
        assert reply.error in {PermissionDenied, StepUpNeeded}
    assert p.vault.read("sys/classes/secret/data/x").data["class"] == "guarded"


def test_a_static_role_of_guarded_passwords_goes_by_two() -> None:
    """Its account could be taken in under another name, of which no rule speaks."""
    simulated = SimulatedSystem(accounts={"keeper": Account(b"k"), "app": Account(b"first")})
    v = Vault.started(PLUGINS, connectors={"postgresql": simulated})
    for path, data in (
        ("sys/auth/userpass", {"type": "userpass"}),
        ("sys/mounts/database", {"type": "database"}),
        (
            "sys/policies/acl/dba",
            {"policy": 'path "*" { capabilities = ["create", "update", "delete"] }'},
        ),
        ("database/config/main", CONNECTION),
        ("database/static-roles/app", {"db_name": "main", "username": "app"}),
        ("sys/classes/database/static-creds/app", {"class": "two-person"}),
    ):
        assert v.write(path, data).error is None, path
    eve, zoe = person(v, "eve", ["dba"]), person(v, "zoe", ["dba"])
    again = {"db_name": "main", "username": "app"}
    assert v.write("database/static-roles/mine", again, token=eve.token).error is Conflict
    asked = told(v.delete("database/static-roles/app", token=eve.token))
    assert v.read("database/static-roles/app").error is None
    assert v.write("database/static-roles/mine", again, token=eve.token).error is Conflict
    assert approve(v, zoe, asked).error is None
    assert unwrap(v, eve, asked).error is None
    assert v.read("database/static-roles/app").error is NotFound
