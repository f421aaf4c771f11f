"""A rule about a role's secret ids holds for every way to be let in as that role."""

from collections.abc import Callable

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import OverBudget
from ironkeep.testing.vault import Reply, Vault
from tests.support.people.approval_estate import approve, told, unwrap
from tests.support.people.people import Person, person

ROLE = "auth/approle/role/web"
PLAIN, CUSTOM = f"{ROLE}/secret-id", f"{ROLE}/custom-secret-id"
OWN = {"secret_id": "a secret id of one's own choice"}
NETWORKS = {"token_bound_cidrs": "127.0.0.0/8"}
ALL = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
Ask = Callable[[Vault, str], Reply]
WAYS: dict[str, Ask] = {
    "made": lambda v, by: v.write(PLAIN, {}, token=by, wrap=60),
    "chosen": lambda v, by: v.write(CUSTOM, OWN, token=by, wrap=60),
    "chosen, in capitals": lambda v, by: v.write(
        CUSTOM.replace("web", "WEB"), OWN, token=by, wrap=60
    ),
    "none needed": lambda v, by: v.write(ROLE, {"bind_secret_id": False}, token=by),
    "none needed, by its own path": lambda v, by: v.write(
        f"{ROLE}/bind-secret-id", {"bind_secret_id": False}, token=by
    ),
}


def world() -> tuple[Vault, Person, Person]:
    vault = Vault.started(PLUGINS)
    for kind in ("userpass", "approle"):
        vault.write(f"sys/auth/{kind}", {"type": kind})
    vault.write("sys/policies/acl/all", {"policy": ALL})
    vault.write(ROLE, {"token_policies": "all", **NETWORKS})
    return vault, person(vault, "eve", ["all"]), person(vault, "zoe", ["all"])


@pytest.mark.parametrize("rule", [PLAIN, CUSTOM, ROLE])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_takes_what_the_rule_demands(rule: str, way: str) -> None:
    vault, eve, zoe = world()
    assert vault.write(f"sys/classes/{rule}", {"class": "two-person"}).error is None
    before = vault.read(ROLE).data
    asked = told(WAYS[way](vault, eve.token))
    assert vault.read(ROLE).data == before
    assert vault.list(f"{ROLE}/secret-id/").error is not None, "there is none"
    assert approve(vault, zoe, asked).error is None
    assert unwrap(vault, eve, asked).error is None


@pytest.mark.parametrize("way", WAYS)
def test_without_a_rule_nobody_waits(way: str) -> None:
    vault, eve, _ = world()
    reply = WAYS[way](vault, eve.token)
    assert reply.error is None
    assert "approval" not in str((reply.body or {}).get("warnings"))


def test_a_role_that_takes_no_secret_id_is_made_by_two_where_they_are_guarded() -> None:
    vault, eve, _ = world()
    vault.write(f"sys/classes/{PLAIN}", {"class": "two-person"})
    vault.delete(ROLE, token=eve.token)
    told(vault.write(ROLE, {"bind_secret_id": False, **NETWORKS}, token=eve.token))
    assert vault.read(ROLE).error is not None


def test_both_are_one_secret_to_budgets_and_manifests() -> None:
    vault, eve, zoe = world()
    at = f"sys/budgets/entity/{eve.entity}"
    vault.write("sys/budgets/defaults", {"soft": 100})
    assert vault.write(at, {"hour": 1}).error is None
    for way in ("made", "chosen"):
        assert WAYS[way](vault, eve.token).error is None
    at = f"sys/budgets/entity/{zoe.entity}"
    assert vault.write(at, {"manifest": [CUSTOM]}).error is None
    assert WAYS["made"](vault, zoe.token).error is None
    assert vault.write(at, {"manifest": ["secret/data/x"]}).error is None
    assert WAYS["made"](vault, zoe.token).error is OverBudget


@pytest.mark.parametrize("left", ["removed", "given another id"])
def test_the_id_of_a_guarded_role_goes_to_another_by_two(left: str) -> None:
    """Its machine is known by that id: whoever has it is that machine to policies and limits."""
    vault, eve, zoe = world()
    vault.write(ROLE, {"role_id": "web-id", "secret_id_wrapping": "optional"})
    made = vault.write(CUSTOM, OWN)
    login = {"role_id": "web-id", **OWN}
    first = vault.write("auth/approle/login", login, token=None)
    assert (made.error, first.error) == (None, None)
    vault.write(f"sys/classes/{PLAIN}", {"class": "two-person"})
    if left == "removed":
        vault.delete(ROLE, token=eve.token)
    else:
        assert vault.write(f"{ROLE}/role-id", {"role_id": "x"}, token=eve.token).error is None
    taker, taken = "auth/approle/role/other", {"role_id": "web-id", "token_policies": "all"}
    asked = vault.write(taker, taken, token=eve.token)
    request = told(asked)
    assert vault.read(taker).error is not None
    assert approve(vault, zoe, request).error is None
    assert unwrap(vault, eve, request).error is None
    assert vault.read(f"{taker}/role-id").data["role_id"] == "web-id"


def test_an_id_that_no_machine_had_goes_to_anybody() -> None:
    vault, eve, _ = world()
    vault.write(ROLE, {"role_id": "web-id"})
    vault.write(f"sys/classes/{PLAIN}", {"class": "two-person"})
    vault.delete(ROLE, token=eve.token)
    reply = vault.write("auth/approle/role/other", {"role_id": "web-id"}, token=eve.token)
    assert reply.body is None


def test_a_role_that_is_made_anew_has_its_id_again() -> None:
    vault, eve, _ = world()
    own = {"role_id": "web-id", "secret_id_wrapping": "optional"}
    vault.write(ROLE, own)
    assert vault.write(CUSTOM, OWN).error is None
    assert vault.write("auth/approle/login", {"role_id": "web-id", **OWN}, token=None).error is None
    vault.write(f"sys/classes/{PLAIN}", {"class": "two-person"})
    vault.delete(ROLE, token=eve.token)
    assert vault.write(ROLE, own, token=eve.token).body is None
    assert vault.read(f"{ROLE}/role-id").data["role_id"] == "web-id"
