"""Parameter rules, through the pipeline: what a method takes is what the rule has seen."""

from typing import Any, Final

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.plugin.fields import fields_of
from ironkeep.plugin.mount import Mount
from ironkeep.testing.vault import Vault

USER = "auth/userpass/users/bob"
DENY = """
path "auth/userpass/users/*" {
  capabilities = ["create", "update"]
  denied_parameters = { "token_policies" = ["admin"] }
}
path "sys/remount" {
  capabilities = ["update", "sudo"]
  denied_parameters = { "from" = ["secret"] }
}
path "auth/token/create" {
  capabilities = ["update"]
  required_parameters = ["ttl"]
}
path "secret/metadata/*" {
  capabilities = ["delete", "list", "patch"]
  denied_parameters = { "recursive" = [], "custom_metadata" = [] }
}
"""
ALLOW = """
path "auth/userpass/users/*" {
  capabilities = ["create", "update"]
  allowed_parameters = { "password" = [], "token_policies" = ["test-*"], "token_ttl" = ["1h"] }
}
"""
REFUSED: list[Any] = [
    "admin", ["admin"], "web,admin", ["web", "admin"], " admin", "ADMIN", "admin,", [" Admin "],
]  # fmt: skip


@pytest.fixture(scope="module")
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write("sys/auth/approle", {"type": "approle"})
    vault.write("auth/approle/role/r", {"token_policies": "none"})
    vault.write("secret/metadata/app", {"custom_metadata": {"a": "b"}})
    return vault


def token_of(vault: Vault, policy: str) -> str:
    vault.write("sys/policies/acl/tried", {"policy": policy})
    return vault.write("auth/token/create", {"policies": ["tried"]}).token


@pytest.mark.parametrize("name", ["token_policies", "policies"])
@pytest.mark.parametrize("value", REFUSED, ids=repr)
def test_a_denied_policy_is_given_in_no_spelling(vault: Vault, name: str, value: Any) -> None:
    data = {"password": "long enough", name: value}
    assert vault.write(USER, data, token=token_of(vault, DENY)).error is PermissionDenied


def test_every_policy_of_a_list_has_to_be_allowed(vault: Vault) -> None:
    token = token_of(vault, ALLOW)
    for value in ("test-a,admin", ["test-a", "admin"], "admin,test-a"):
        data = {"password": "long enough", "token_policies": value}
        assert vault.write(USER, data, token=token).error is PermissionDenied
    for value in (["test-a", "test-b"], "test-a, TEST-b", "test-c"):
        for ttl in ("1h", 3600, "60m"):
            more = {"password": "long enough", "token_policies": value, "token_ttl": ttl}
            assert vault.write(USER, more, token=token).error is None
    assert vault.write(USER, {"token_ttl": "2h"}, token=token).error is PermissionDenied


def test_a_field_has_one_value(vault: Vault) -> None:
    data = {"password": "long enough", "policies": "web", "token_policies": "other"}
    assert vault.write(USER, data).error is InvalidRequest
    assert vault.write(USER, data | {"policies": "OTHER "}).error is None


def test_a_null_gives_nothing_that_is_required(vault: Vault) -> None:
    token = token_of(vault, DENY)
    for data in ({}, {"ttl": None}, {"lease": None}):
        assert vault.write("auth/token/create", data, token=token).error is PermissionDenied
    for given in ({"ttl": "1h"}, {"lease": 60}):
        assert vault.write("auth/token/create", given, token=token).error is None


@pytest.mark.parametrize("value", ["secret", "secret/", "/secret", "//secret//"])
def test_paths_in_fields_have_one_form(vault: Vault, value: str) -> None:
    data = {"from": value, "to": "elsewhere"}
    assert vault.write("sys/remount", data, token=token_of(vault, DENY)).error is PermissionDenied


def test_queries_and_nulls_of_a_patch_count(vault: Vault) -> None:
    token = token_of(vault, DENY)
    for op in (Operation.DELETE, Operation.LIST):
        for data, refused in (({"recursive": "1"}, True), ({"other": "1"}, False)):
            reply = vault.request(op, "secret/metadata/x/", data, token=token)
            assert (reply.error is PermissionDenied) is refused
    patched = vault.request(
        Operation.PATCH, "secret/metadata/app", {"custom_metadata": None}, token=token
    )
    assert patched.error is PermissionDenied


WHOLE: Final = ["0.0.0.0/0", "1.2.3.4/0", "::ffff:0:0/96", ["10.0.0.0/8", "9.9.9.9/0"]]
SAME: Final[list[tuple[str, str, str, list[Any]]]] = [
    (USER, "token_bound_cidrs", "0.0.0.0/0", WHOLE),
    (USER, "token_bound_cidrs", "10.0.0.1", ["10.0.0.1/32", "::ffff:10.0.0.1", " 10.0.0.1,"]),
    (USER, "bound_cidrs", "2001:db8::/32", ["2001:0DB8::/32", "2001:db8::1/32"]),
    ("auth/approle/role/r", "secret_id_bound_cidrs", "0.0.0.0/0", WHOLE),
    ("auth/approle/role/r/secret-id", "cidr_list", "0.0.0.0/0", WHOLE),
    ("auth/approle/role/r/secret-id", "token_bound_cidrs", "0.0.0.0/0", WHOLE),
    ("segment/segments/s", "networks", "0.0.0.0/0", WHOLE),
    ("sys/mounts/secret/tune", "max_lease_ttl", "24h", ["24h", 86400, "1440m", "1d", " 86400"]),
    ("sys/auth/userpass/tune", "default_lease_ttl", "system", ["system"]),
    ("sys/mounts/other", "type", "kv", ["kv", "kv-v1", "kv-v2", "generic"]),
]


@pytest.mark.parametrize(("path", "name", "denied", "values"), SAME)
def test_what_is_kept_as_it_was_typed_is_compared_by_what_it_means(
    vault: Vault, path: str, name: str, denied: str, values: list[Any]
) -> None:
    text = f'path "{path}" {{ capabilities = ["create", "update", "sudo"]\n'
    token = token_of(vault, f'{text} denied_parameters = {{ "{name}" = ["{denied}"] }} }}')
    for value in values:
        assert vault.write(path, {name: value}, token=token).error is PermissionDenied, value


@pytest.mark.parametrize(
    ("path", "name", "other", "value"),
    [
        ("sys/mounts/other", "type", "plugin_name", "kv"),
        ("sys/leases/revoke", "lease_id", "url_lease_id", "secret/x"),
    ],
)
def test_two_names_of_what_the_handler_takes_are_one_field(
    vault: Vault, path: str, name: str, other: str, value: str
) -> None:
    text = f'path "{path}" {{ capabilities = ["create", "update"]\n'
    token = token_of(vault, f'{text} denied_parameters = {{ "{name}" = ["{value}"] }} }}')
    assert vault.write(path, {other: value}, token=token).error is PermissionDenied


def test_every_field_of_address_ranges_is_declared_as_one(vault: Vault) -> None:
    mounts = [Mount(f"{kind}/", kind, None, None) for kind in PLUGINS]  # type: ignore[arg-type]
    inputs = {
        route.input
        for mount in mounts
        for route in vault.plugins[mount.type].routes(mount)
        if route.input is not None
    }
    found = 0
    for declaration in inputs:
        for item in fields_of(declaration):
            if "cidr" in item.name or item.name == "networks":
                found += 1
                assert item.parts("9.9.9.9/0") == ("0.0.0.0/0",), (declaration, item.name)
    assert found >= 8
