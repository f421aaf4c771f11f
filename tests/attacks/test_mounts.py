"""Mounts where they do not belong, or read as what they are not."""

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest
from ironkeep.testing.vault import Vault


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


@pytest.mark.parametrize(
    "path",
    [
        "auth/x",
        "auth/token",
        "auth",
        "/auth/x",
        "auth//x",
        "sys/x",
        "sys",
        "cubbyhole/x",
        "incident",
    ],
)
def test_a_secrets_engine_does_not_stand_where_another_answers(vault: Vault, path: str) -> None:
    """Gains: who mounts secrets engines takes the place of an auth method, or of the house."""
    assert vault.write(f"sys/mounts/{path}", {"type": "kv"}).error is InvalidRequest
    vault.write("sys/mounts/plain", {"type": "kv"})
    assert vault.write("sys/remount", {"from": "plain", "to": path}).error is InvalidRequest


def test_a_mount_does_not_hide_parts_of_another(vault: Vault) -> None:
    """Gains: secrets are read and written under rules that were made for another mount."""
    for path in ("secret/data", "secret/data/app"):
        assert vault.write(f"sys/mounts/{path}", {"type": "kv"}).error is InvalidRequest


def test_what_is_stored_is_not_read_as_another_version(vault: Vault) -> None:
    """Gains: a secret of version 1 named `meta/x` becomes the metadata of another one."""
    vault.write("sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    names = ("a", "data/a", "meta/a", "metadata/a", "delete/a")
    for name in names:
        vault.write(f"kv/{name}", {"data": name})
    assert vault.write("sys/mounts/kv/tune", {"options": {"version": "2"}}).error is None
    for name in names:
        assert vault.read(f"kv/data/{name}").data["data"] == {"data": name}
    assert sorted(vault.list("kv/metadata/").keys) == [
        "a", "data/", "delete/", "meta/", "metadata/"
    ]  # fmt: skip
    back = vault.write("sys/mounts/kv/tune", {"options": {"version": "1"}})
    assert "has versions, which version 1 lacks" in back.errors[0]
    assert vault.read("kv/data/a").data["data"] == {"data": "a"}


@pytest.mark.parametrize(("before", "after"), [("1", "2"), ("2", "1")])
def test_an_empty_mount_changes_its_version(vault: Vault, before: str, after: str) -> None:
    vault.write("sys/mounts/new", {"type": "kv", "options": {"version": before}})
    assert vault.write("sys/mounts/new/tune", {"options": {"version": after}}).error is None
    assert vault.read("sys/mounts/new").data["options"] == {"version": after}
