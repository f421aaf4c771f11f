"""Cubbyhole: what one token keeps, no other reads, and it goes when the token goes."""

import pytest

from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.secret import Secret
from ironkeep.testing.parts import text
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

KEPT = {"password": "hunter2"}


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def token(vault: Vault, **more: object) -> str:
    return text(
        vault.write("auth/token/create", {"policies": ["default"], **more}).auth, "client_token"
    )


def rows(vault: Vault) -> int:
    return len(list(vault.storage.scan(b"")))


def test_each_token_sees_its_own(vault: Vault) -> None:
    first, second = token(vault), token(vault)
    vault.write("cubbyhole/app", KEPT, token=first)
    vault.write("cubbyhole/app", {"x": "other"}, token=second)
    assert vault.read("cubbyhole/app", token=first).data == KEPT
    assert vault.read("cubbyhole/app", token=second).data == {"x": "other"}
    assert vault.read("cubbyhole/app").error is NotFound, "not even root"
    assert vault.list("cubbyhole/", token=first).data == {"keys": ["app"]}


def test_a_child_does_not_see_its_parent_s(vault: Vault) -> None:
    vault.write("cubbyhole/app", KEPT)
    assert vault.read("cubbyhole/app", token=token(vault)).error is NotFound


def test_no_path_leads_into_another_token_s(vault: Vault) -> None:
    first = token(vault)
    vault.write("cubbyhole/app", KEPT, token=first)
    hash_, _ = vault.house.tokens.find(
        vault.house.state.begin(), Secret(first.encode()), vault.clock.now_ns()
    )
    for path in (f"{hash_}/app", f"../{hash_}/app", f"/{hash_}/app", "//app"):
        assert vault.read(f"cubbyhole/{path}").error in (NotFound, InvalidRequest)


def test_write_delete_and_list(vault: Vault) -> None:
    assert vault.write("cubbyhole/app", {}).error is InvalidRequest
    vault.write("cubbyhole/a/b", KEPT)
    assert vault.list("cubbyhole/").data == {"keys": ["a/"]}
    vault.delete("cubbyhole/a/b")
    assert vault.read("cubbyhole/a/b").error is NotFound
    assert vault.list("cubbyhole/").error is NotFound


def test_it_is_gone_with_its_token(vault: Vault) -> None:
    before = rows(vault)
    mine = token(vault)
    vault.write("cubbyhole/a/b", KEPT, token=mine)
    assert rows(vault) > before
    vault.write("auth/token/revoke", {"token": mine})
    vault.tick()
    assert rows(vault) == before
    assert vault.read("cubbyhole/a/b", token=mine).error is PermissionDenied


def test_it_is_gone_when_its_token_expires(vault: Vault) -> None:
    before = rows(vault)
    mine = token(vault, ttl="1m")
    vault.write("cubbyhole/app", KEPT, token=mine)
    vault.tick(61)
    vault.tick()
    assert rows(vault) == before


def test_a_batch_token_has_none(vault: Vault) -> None:
    batch = token(vault, type="batch")
    refused = vault.write("cubbyhole/app", KEPT, token=batch)
    assert refused.error is InvalidRequest
    assert refused.errors == ["cubbyhole operations are only supported by service tokens"]


def test_it_cannot_be_mounted_moved_or_removed(vault: Vault) -> None:
    vault.write("cubbyhole/app", KEPT)
    assert vault.write("sys/mounts/mine", {"type": "cubbyhole"}).error is InvalidRequest
    assert vault.delete("sys/mounts/cubbyhole").error is InvalidRequest
    moved = vault.write("sys/remount", {"from": "cubbyhole", "to": "mine"})
    assert moved.error is InvalidRequest
    assert vault.read("cubbyhole/app").data == KEPT
