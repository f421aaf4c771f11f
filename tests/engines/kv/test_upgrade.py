"""A key/value mount of version 1 that holds secrets becomes one of version 2."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.engines.kv import Kv
from ironkeep.engines.kv.upgrade import MAX_SECRETS
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.parts import part
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

TUNE = "sys/mounts/kv/tune"
TO_SECOND = {"options": {"version": "2"}}


def first(secrets: dict[str, Any]) -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/mounts/kv", {"type": "kv"})
    for path, value in secrets.items():
        assert vault.write(f"kv/{path}", {"value": value}).error is None
    return vault


SEGMENT = st.sampled_from(["config", "meta", "data", "metadata", "a", "app", "b.c", "1"])
PATHS = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(PATHS, st.text(max_size=9), max_size=8))
def test_every_secret_is_the_first_version_of_its_key(secrets: dict[str, str]) -> None:
    vault = first(secrets)
    assert vault.write(TUNE, TO_SECOND).error is None
    for path, value in secrets.items():
        read = vault.read(f"kv/data/{path}").data
        assert (read["data"], part(read, "metadata", "version")) == ({"value": value}, 1)
        assert vault.read(f"kv/metadata/{path}").data["current_version"] == 1
        assert vault.write(f"kv/data/{path}", {"data": {}}).data["version"] == 2
    top = {path.partition("/")[0] for path in secrets}
    listed = vault.list("kv/metadata/")
    names = set() if listed.error is NotFound else {n.rstrip("/") for n in listed.keys}
    assert names == top
    assert vault.read("kv/config").data["max_versions"] == 0, "no secret is taken for the settings"
    assert vault.defects == []


def test_what_was_readable_before_the_upgrade_counts_as_readable_then() -> None:
    """The evidence of a case must not begin at the upgrade: nobody knows when version 1 was."""
    vault = first({"app": "hunter2"})
    vault.clock.advance(seconds=3_600)
    vault.write(TUNE, TO_SECOND)
    vault.write("kv/data/app", {"data": {"value": "new"}})
    tx = vault.house.state.begin()
    mount = vault.house.mounts.table(vault.house.store(tx, MOUNTS)).by_path["kv/"]
    (kept,) = Kv().kept(mount, vault.house.mount_store(tx, mount))
    old, new = kept.versions
    assert (old.number, old.from_ns, new.number) == (1, 0, 2)
    assert new.from_ns == vault.clock.now_ns()


def test_a_mount_with_too_many_stays_as_it_is() -> None:
    vault = first({f"x/{number}": number for number in range(MAX_SECRETS)})
    vault.write("kv/one", {"value": "too many"})
    refused = vault.write(TUNE, TO_SECOND)
    assert refused.error is InvalidRequest
    assert "copy" in refused.errors[0]
    assert vault.read("kv/one").data == {"value": "too many"}
    vault.delete("kv/one")
    assert vault.write(TUNE, TO_SECOND).error is None
    assert vault.read("kv/data/x/7").data["data"] == {"value": 7}


@pytest.mark.parametrize("held", [True, False])
def test_versions_do_not_go_back_to_a_mount_without(*, held: bool) -> None:
    vault = first({})
    vault.write(TUNE, TO_SECOND)
    if held:
        vault.write("kv/data/app", {"data": {"value": 1}})
    refused = vault.write(TUNE, {"options": {"version": "1"}})
    assert (refused.error is InvalidRequest) is held
