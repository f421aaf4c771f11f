"""What is not there answers like what is, to everybody who may not see it."""

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import NotFound, PermissionDenied, UnsupportedOperation
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.testing.vault import Vault

OPERATIONS = tuple(each for each in Operation if each is not Operation.CREATE)
THERE = "secret/data/app"
GONE = (
    "nowhere/x", "nowhere", "auth/nowhere/users/kim", "auth/nowhere/login/kim",
    "auth/userpass/nothing",
    "sys/nothing", "sys/mounts/x/y/z/", "secret/config", "database/nothing",
    "auth/token/create/a/b",
    "identity/entity", "sys/config/cors",
)  # fmt: skip


@pytest.fixture(scope="module")
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write("sys/mounts/database", {"type": "database"})
    vault.write(THERE, {"data": {"a": "b"}})
    return vault


@pytest.fixture(scope="module")
def powerless(vault: Vault) -> str:
    vault.write("sys/policies/acl/little", {"policy": 'path "a/b" { capabilities = ["read"] }'})
    data = {"policies": ["little"], "no_default_policy": True}
    return vault.write("auth/token/create", data).token


@pytest.mark.parametrize("op", OPERATIONS, ids=str)
@pytest.mark.parametrize("path", GONE)
def test_nobody_learns_what_is_not_there(
    vault: Vault, powerless: str, path: str, op: Operation
) -> None:
    for token in (None, "hvs.nonsense", powerless):
        there = vault.request(op, THERE, {}, token=token)
        gone = vault.request(op, path, {}, token=token)
        if gone.error is None:
            # Help on what the house itself always has.
            assert (op, path.split("/", maxsplit=1)[0]) == (Operation.HELP, "sys")
            continue
        assert (gone.error, gone.errors) == (there.error, there.errors)
        assert gone.error is PermissionDenied


def test_who_may_see_a_path_learns_that_nothing_is_there(vault: Vault) -> None:
    assert vault.read("nowhere/x").error is NotFound
    assert vault.delete("sys/seal-status/").error is NotFound
    assert vault.request(Operation.PATCH, "auth/userpass/users/kim", {}).error is (
        UnsupportedOperation
    )
    rules = 'path "nowhere/*" { capabilities = ["read"] }'
    vault.write("sys/policies/acl/there", {"policy": rules})
    made = vault.write("auth/token/create", {"policies": ["there"]}).token
    assert vault.read("nowhere/x", token=made).error is NotFound
    assert vault.delete("nowhere/x", token=made).error is PermissionDenied
    assert vault.request(Operation.HELP, "nowhere/x", token=made).error is NotFound


def test_a_path_that_strangers_may_ask_says_what_it_takes(vault: Vault) -> None:
    for path in ("sys/health", "auth/userpass/login/kim"):
        assert vault.delete(path, token=None).error is UnsupportedOperation


def test_the_last_use_of_a_token_is_not_given_for_nothing(vault: Vault) -> None:
    made = vault.write("auth/token/create", {"policies": ["little"], "num_uses": 1}).auth
    token = made["client_token"]
    assert vault.read("nowhere/x", token=token).error is PermissionDenied
    assert vault.read("a/b", token=token).error is PermissionDenied
    assert vault.read("auth/token/lookup-self", token=token).error is PermissionDenied


NAMES = (
    "auth/userpass/users/{}", "sys/policies/acl/{}", "sys/policy/{}", "secret/data/{}",
    "secret/metadata/{}", "cubbyhole/{}", "auth/token/roles/{}", "sys/mounts/{}", "sys/auth/{}",
    "database/config/{}", "database/static-roles/{}",
    "segment/segments/{}", "device/ssf/issuers/{}",
)  # fmt: skip


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("name", ["a\ufe0fb", "a\u034fb", "\u3164", " a", "a ", "e\u0301x"])
def test_a_name_that_deceives_is_not_made(vault: Vault, path: str, name: str) -> None:
    reply = vault.write(path.format(name), {"data": {"a": "b"}, "type": "kv", "policy": " "})
    assert reply.errors[0].startswith("this name cannot be made: ")


def test_every_route_that_makes_something_by_its_path_says_so() -> None:
    """Or it is known to be about what is there already."""
    about = {
        "mounts/{path...}/tune",
        "mounts/auth/{path...}/tune", "auth/{path...}/tune",
        "audit/{path...}", "audit-hash/{path...}",
        "renew/{url_lease_id...}", "leases/renew/{url_lease_id...}", "revoke/{url_lease_id...}",
        "leases/revoke/{url_lease_id...}", "{path...}", "revoke-prefix/{prefix...}",
        "leases/revoke-prefix/{prefix...}", "revoke-force/{prefix...}",
        "leases/revoke-force/{prefix...}", "budgets/defaults/{kind}", "budgets/{kind}/{who}",
        "tools/random/{source}", "tools/random/{source}/{bytes}", "tools/hash/{algorithm}",
        "classes/{path...}", "delete/{path...}", "undelete/{path...}", "destroy/{path...}",
        "reset/{name}", "rotate-root/{name}", "rotate-role/{name}", "break-glass/{name}",
        "probe/{name}", "kill/{name}", "lock/{name}", "unlock/{name}", "baseline/{name}",
        "explain/{name}", "approve/{id}", "refuse/{id}", "revoke/{id}",
        "posture/exceptions/{id}/{rule}", "requests/{accessor}/approve", "requests/{accessor}/deny",
        "requests/{accessor}/withdraw", "users/{username}/ticket", "recovery/{username}",
        "recovery/{username}/ticket", "segments/{name}/unseal", "segments/{name}/seal",
        "segments/{name}/cut", "segments/{name}/destroy", "segments/{name}/rebuild",
        "flows/{source}/{target}", "create/{role_name}", "role/{name}/explain",
        "users/{username}/password", "users/{username}/policies",
    }  # fmt: skip
    silent = set()
    for kind, plugin in PLUGINS.items():
        for options in ({}, {"version": "2"}):
            for route in plugin.routes(
                Mount("", kind, MountUuid(""), MountAccessor(""), options=options)
            ):
                known = route.open or route.login or route.makes or "cases/" in route.pattern
                if route.op is Operation.UPDATE and "{" in route.pattern and not known:
                    silent.add(route.pattern)
    below_a_role = {each for each in silent if each.startswith("role/{role_name}/")}
    assert silent - below_a_role - about == set()
