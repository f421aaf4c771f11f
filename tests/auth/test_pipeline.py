"""Tokens and logins as a client meets them: through the pipeline, with policies and the journal."""

from typing import Any

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import (
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from ironkeep.core.operation import Operation
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Reply, Vault

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def started() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write(
        "sys/policies/acl/dev",
        {"policy": 'path "secret/data/app" { capabilities = ["create", "read", "update"] }'},
    )
    vault.write("auth/userpass/users/ann", {"password": PASSWORD, "policies": "dev"})
    vault.write("secret/data/app", {"data": {"password": "hunter2"}})
    return vault


@pytest.fixture
def vault(started: Vault) -> Vault:
    started.clock.advance(seconds=1)
    return started


def update(vault: Vault, path: str, caller: str | None = "root", /, **data: Any) -> Reply:
    return vault.request(Operation.UPDATE, path, data, token=caller)


def read(vault: Vault, path: str, token: str | None = "root") -> Reply:
    return vault.request(Operation.READ, path, token=token)


def login(vault: Vault, password: str = PASSWORD) -> Reply:
    return update(vault, "auth/userpass/login/ann", None, password=password)


def test_a_login_reads_what_its_policy_grants(vault: Vault) -> None:
    auth = login(vault).auth
    assert auth["policies"] == ["default", "dev"]
    assert auth["metadata"] == {"username": "ann"}
    token = text(auth, "client_token")
    assert read(vault, "secret/data/app", token).data["data"] == {"password": "hunter2"}
    assert read(vault, "secret/data/other", token).error is PermissionDenied
    assert read(vault, "auth/token/lookup-self", token).data["entity_id"] == auth["entity_id"]


def test_a_wrong_password(vault: Vault) -> None:
    reply = login(vault, "wrong")
    assert reply.error is InvalidCredentials
    assert reply.errors == ["invalid username or password"]
    assert login(vault).error is None


@pytest.mark.parametrize("token", [None, "", "not-a-real-token", "hvb.x", "hvs.é"])
def test_without_a_good_token(vault: Vault, token: str | None) -> None:
    assert read(vault, "secret/data/app", token).error is PermissionDenied


def test_a_token_lives_and_dies_as_clients_expect(vault: Vault) -> None:
    auth = update(vault, "auth/token/create", ttl="1h", renewable=True).auth
    token, accessor = text(auth, "client_token"), auth["accessor"]
    assert update(vault, "auth/token/lookup", token=token).data["id"] == token
    renewed = update(vault, "auth/token/renew", token=token).auth
    assert renewed["client_token"] == token
    by_accessor = update(vault, "auth/token/lookup-accessor", accessor=accessor).data
    assert (by_accessor["accessor"], by_accessor["id"]) == (accessor, "")
    assert update(vault, "auth/token/revoke-accessor", accessor=accessor).error is None
    assert update(vault, "auth/token/lookup-accessor", accessor=accessor).error is InvalidRequest
    assert update(vault, "auth/token/lookup", token=token).error is PermissionDenied
    assert read(vault, "auth/token/lookup-self", token).error is PermissionDenied


def test_create_is_enveloped_with_auth_alone(vault: Vault) -> None:
    body = update(vault, "auth/token/create", ttl="30m", explicit_max_ttl="5m").body
    assert body["data"] is None
    assert body["auth"]["lease_duration"] == 300
    (warning,) = body["warnings"]
    assert warning == (
        'TTL of "30m0s" exceeded the effective max_ttl of "5m0s"; TTL value is capped accordingly'
    )


def test_roles(vault: Vault) -> None:
    listing = vault.request(Operation.LIST, "auth/token/roles/")
    assert listing.error is NotFound
    update(vault, "auth/token/roles/testrole", allowed_policies="dev")
    assert vault.request(Operation.LIST, "auth/token/roles/").keys == ["testrole"]
    made = update(vault, "auth/token/create/testrole", ttl="1h").auth
    assert made["policies"] == ["default", "dev"]
    vault.request(Operation.DELETE, "auth/token/roles/testrole")
    assert vault.request(Operation.LIST, "auth/token/roles/").error is NotFound


def test_a_counted_token_is_counted_for_denied_requests_too(vault: Vault) -> None:
    token = update(vault, "auth/token/create", num_uses=2, policies="dev").token
    assert read(vault, "secret/data/forbidden", token).error is PermissionDenied
    assert read(vault, "secret/data/app", token).error is None
    assert read(vault, "secret/data/app", token).error is PermissionDenied


def test_a_token_bound_to_addresses(vault: Vault) -> None:
    update(vault, "auth/token/roles/here", allowed_policies="dev", token_bound_cidrs="10.0.0.0/8")
    token = update(vault, "auth/token/create/here").token
    inside = vault.request(Operation.READ, "secret/data/app", token=token, remote="10.1.1.1:5")
    outside = vault.request(Operation.READ, "secret/data/app", token=token, remote="11.1.1.1:5")
    assert (inside.error, outside.error) == (None, PermissionDenied)
    vault.request(Operation.DELETE, "auth/token/roles/here")


def test_a_wrapped_token_is_opened_once_and_can_be_revoked_unopened(vault: Vault) -> None:
    wrapped = vault.request(Operation.UPDATE, "auth/token/create", {"period": "30m"}, wrap=900)
    info = wrapped.body["wrap_info"]
    assert (info["ttl"], info["creation_path"]) == (900, "auth/token/create")
    assert wrapped.body["auth"] is None
    opened = update(vault, "sys/wrapping/unwrap", info["token"])
    token = opened.token
    assert update(vault, "auth/token/lookup", token=token).data["period"] == 1800
    again = update(vault, "sys/wrapping/unwrap", info["token"])
    assert again.error is InvalidRequest
    assert again.errors == ["wrapping token is not valid or does not exist"]


def test_the_wrapped_accessor_revokes_what_is_inside(vault: Vault) -> None:
    info = vault.request(Operation.UPDATE, "auth/token/create", wrap=60).body["wrap_info"]
    update(vault, "auth/token/revoke-accessor", accessor=info["wrapped_accessor"])
    opened = vault.request(Operation.UPDATE, "sys/wrapping/unwrap", {"token": info["token"]})
    inner = opened.token
    assert update(vault, "auth/token/lookup", token=inner).error is PermissionDenied


def test_a_policy_change_is_in_force_at_once(vault: Vault) -> None:
    token = update(vault, "auth/token/create", policies="late").token
    assert read(vault, "secret/data/app", token).error is PermissionDenied
    text = 'path "secret/data/app" { capabilities = ["read"] }'
    vault.write("sys/policies/acl/late", {"policy": text})
    assert read(vault, "secret/data/app", token).error is None
    vault.request(Operation.DELETE, "sys/policies/acl/late")
    assert read(vault, "secret/data/app", token).error is PermissionDenied


def test_sudo_paths_need_sudo(vault: Vault) -> None:
    text = 'path "auth/token/*" { capabilities = ["read", "update", "list"] }'
    vault.write("sys/policies/acl/tokens", {"policy": text})
    token = update(vault, "auth/token/create", policies="tokens").token
    listing = vault.request(Operation.LIST, "auth/token/accessors/", token=token)
    assert listing.error is PermissionDenied
    assert vault.request(Operation.LIST, "auth/token/accessors/").keys
    assert update(vault, "auth/token/create", token, policies=["root"]).error is InvalidRequest


def test_tokens_are_seen_as_leases(vault: Vault) -> None:
    auth = login(vault).auth
    keys = vault.request(Operation.LIST, "sys/leases/lookup/auth/userpass/login/ann/").keys
    assert keys
    for key in keys:
        lease = f"auth/userpass/login/ann/{key}"
        assert update(vault, "sys/leases/lookup", lease_id=lease).data["id"] == lease
    update(vault, "sys/leases/revoke-prefix/auth/userpass/login/ann")
    assert (
        read(vault, "auth/token/lookup-self", text(auth, "client_token")).error is PermissionDenied
    )


def test_tokens_survive_a_restart_and_expire_by_the_tick() -> None:
    vault = Vault.started(PLUGINS)
    kept = update(vault, "auth/token/create", ttl="1h").token
    short = update(vault, "auth/token/create", ttl="1m").auth
    again = vault.restarted()
    again.unseal()
    assert read(again, "auth/token/lookup-self", kept).error is None
    assert read(again, "auth/token/lookup-self", text(short, "client_token")).error is None
    again.clock.advance(seconds=61)
    assert (
        read(again, "auth/token/lookup-self", text(short, "client_token")).error is PermissionDenied
    )
    assert short["accessor"] in again.list("auth/token/accessors/").keys
    again.tick()
    listed = again.list("auth/token/accessors/").keys
    assert short["accessor"] not in listed


def test_no_defect_was_met(vault: Vault) -> None:
    assert vault.defects == []
