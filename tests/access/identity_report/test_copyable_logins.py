"""The report of identities that can log in with a copied secret."""

from typing import Any

import pytest
from joserfc.jwk import ECKey

from ironkeep.access.identity_report import routes as identity_report
from ironkeep.app import PLUGINS
from ironkeep.core.errors import PermissionDenied
from ironkeep.testing.parts import array, tables, text
from ironkeep.testing.vault import Vault
from tests.support.devices.authority import Authority

ROLE = {"bound_audiences": "a", "user_claim": "sub"}


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    for kind in ("userpass", "approle", "jwt", "cert"):
        vault.write(f"sys/auth/{kind}", {"type": kind})
    return vault


def rows(vault: Vault, kind: str) -> dict[str, dict[str, object]]:
    """Return the rows of one kind by name."""
    data = vault.read("sys/identity-report").data
    assert data["complete"]
    assert data["count"] == len(array(data, "identities"))
    return {text(each, "name"): each for each in tables(data, "identities") if each["kind"] == kind}


def test_people_with_passwords(vault: Vault) -> None:
    vault.write("auth/userpass/users/ann", {"password": "correct horse"})
    vault.clock.advance(seconds=3 * 86_400)
    ann = rows(vault, "userpass")["ann"]
    assert (ann["age_seconds"], ann["mount"]) == (3 * 86_400, "auth/userpass/")
    assert ann["last_use"] is None
    vault.delete("auth/userpass/users/ann")
    assert rows(vault, "userpass") == {}


def test_a_mount_that_demands_a_device_lets_no_copy_in(vault: Vault) -> None:
    vault.write("sys/auth/safe", {"type": "userpass", "options": {"token_device": "required"}})
    vault.write("auth/safe/users/ann", {"password": "correct horse"})
    assert rows(vault, "userpass") == {}


def test_roles_with_their_last_use(vault: Vault) -> None:
    vault.write("auth/approle/role/web", {"secret_id_wrapping": "optional"})
    vault.write("auth/approle/role/bound", {"token_bound_peer": "required"})
    assert rows(vault, "approle")["web"]["last_use"] is None
    vault.clock.advance(seconds=60)
    vault.write(
        "auth/approle/login",
        {
            "role_id": vault.read("auth/approle/role/web/role-id").data["role_id"],
            "secret_id": vault.write("auth/approle/role/web/secret-id").data["secret_id"],
        },
        token=None,
    )
    found = rows(vault, "approle")
    assert text(found, "web", "last_use") > text(found, "web", "created")
    assert "anywhere" in text(found, "web", "why")
    assert "certificate" in text(found, "bound", "why")


def test_signed_tokens_count_unless_a_certificate_is_demanded(vault: Vault) -> None:
    pem = ECKey.generate_key("P-256").as_pem(private=False).decode()
    vault.write("auth/jwt/config", {"jwt_validation_pubkeys": [pem]})
    vault.write("auth/jwt/role/open", ROLE)
    vault.write("auth/jwt/role/bound", {**ROLE, "token_bound_peer": "required"})
    assert list(rows(vault, "jwt")) == ["open"]


def test_certificates_are_not_copyable(vault: Vault) -> None:
    authority = Authority("ours")
    vault.write("auth/cert/certs/web", {"certificate": authority.pem})
    kinds = {each["kind"] for each in tables(vault.read("sys/identity-report").data, "identities")}
    assert kinds == {"token"}


def test_tokens_that_are_bound_to_nothing(vault: Vault) -> None:
    def create(**data: Any) -> str:
        return str(vault.write("auth/token/create", data).auth["accessor"])

    day, short = create(ttl="24h", display_name="ci"), create(ttl="15m")
    periodic, gone = create(period="1h"), create(ttl="24h")
    vault.write("auth/token/revoke-accessor", {"accessor": gone})
    vault.write("sys/wrapping/wrap", {"a": "b"}, wrap=3600)
    found = rows(vault, "token")
    by_accessor = {name.rpartition("(")[2].rstrip(")"): row for name, row in found.items()}
    assert "lives 24h0m0s" in text(by_accessor[day], "why")
    assert "for ever" in text(by_accessor[periodic], "why")
    assert not {short, gone} & set(by_accessor)
    roots = [row for row in found.values() if "a root token" in text(row, "why")]
    assert sum(row["expires"] is None for row in roots) == 1
    assert len(found) == 3


def test_a_dead_parents_children_are_not_listed(vault: Vault) -> None:
    parent = vault.write("auth/token/create", {"policies": "root", "ttl": "24h"}).auth
    child = {"ttl": "24h", "policies": "default", "display_name": "child"}
    vault.write("auth/token/create", child, token=parent["client_token"])
    assert any(name.startswith("token-child") for name in rows(vault, "token"))
    vault.write("auth/token/revoke-accessor", {"accessor": parent["accessor"]})
    assert not any(name.startswith("token-child") for name in rows(vault, "token"))


def test_what_is_left_out_is_said(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_report, "MAX_ROWS", 2)
    vault.write("auth/userpass/users/ann", {"password": "correct horse"})
    vault.write("auth/userpass/users/bob", {"password": "correct horse"})
    data = vault.read("sys/identity-report").data
    assert (data["count"], data["complete"]) == (2, False)


def test_it_takes_sudo(vault: Vault) -> None:
    for capabilities, error in (('"read"', PermissionDenied), ('"read", "sudo"', None)):
        policy = f'path "sys/identity-report" {{ capabilities = [{capabilities}] }}'
        vault.write("sys/policies/acl/look", {"policy": policy})
        token = vault.write("auth/token/create", {"policies": "look"}).token
        assert vault.read("sys/identity-report", token=token).error is error
