"""sys/mounts, sys/auth, sys/remount, sys/internal/ui: what is mounted, and who may see it."""

from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.units import SECOND_NS
from ironkeep.kernel.opening import STANDARD_MOUNTS
from ironkeep.plugin.mounts import MAX_DESCRIPTION, MAX_PATH
from ironkeep.testing.parts import part, table, text
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

SINGLETONS = ("sys", "cubbyhole", "auth/token")


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def limited(vault: Vault, policy: str) -> str:
    vault.write("sys/policies/acl/limited", {"policy": policy})
    return vault.write("auth/token/create", {"policies": ["limited"]}).token


def test_a_fresh_house_and_what_is_mounted_later(vault: Vault) -> None:
    vault.write("sys/mounts/team/kv", {"type": "kv", "description": "of a team"})
    listed = vault.read("sys/mounts")
    ours = {path for path, *_ in STANDARD_MOUNTS if not path.startswith("auth/")}
    assert set(listed.data) == ours | {"secret/", "team/kv/"}
    assert listed.body["team/kv/"] == listed.data["team/kv/"], "also beside the envelope"
    one = vault.read("sys/mounts/team/kv").data
    assert (one["type"], one["description"], one["options"]) == ("kv", "of a team", None)
    assert vault.read("sys/mounts/secret").data["options"] == {"version": "2"}
    assert set(vault.read("sys/auth").data) == {"token/"}
    assert vault.read("sys/mounts/none").error is InvalidRequest


@pytest.mark.parametrize(
    ("kind", "options"),
    [("kv-v2", {"version": "2"}), ("kv-v1", {"version": "1"}), ("generic", {"version": "1"})],
)
def test_other_names_of_kv(vault: Vault, kind: str, options: dict[str, str]) -> None:
    vault.write("sys/mounts/x", {"type": kind})
    mount = vault.read("sys/mounts/x").data
    assert (mount["type"], mount["options"]) == ("kv", options)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("x", {}),
        ("x", {"type": "nonsense"}),
        ("x", {"type": "userpass"}),
        ("x", {"type": "system"}),
        ("x", {"type": "cubbyhole"}),
        ("x", {"type": "kv", "options": {"version": "3"}}),
        ("x", {"type": "kv", "options": "version"}),
        ("x", {"type": "kv", "config": {"default_lease_ttl": "2h", "max_lease_ttl": "1h"}}),
        ("x", {"type": "kv", "config": {"default_lease_ttl": "soon"}}),
        ("x", {"type": "kv", "plugin_version": "v1"}),
        ("x", {"type": "kv", "description": "x" * (MAX_DESCRIPTION + 1)}),
        ("x" * MAX_PATH, {"type": "kv"}),
        ("secret", {"type": "kv"}),
        ("secret/below", {"type": "kv"}),
        ("sys/below", {"type": "kv"}),
        ("a/*/b", {"type": "kv"}),
        ("a/+/b", {"type": "kv"}),
        ("a//b", {"type": "kv"}),
    ],
)
def test_what_cannot_be_mounted(vault: Vault, path: str, data: dict[str, Any]) -> None:
    before = vault.read("sys/mounts").data
    assert vault.write(f"sys/mounts/{path}", data).error is InvalidRequest
    assert vault.read("sys/mounts").data == before


def test_limits_on_paths_and_descriptions_at_the_limit(vault: Vault) -> None:
    at_limit = {"type": "kv", "description": "x" * MAX_DESCRIPTION}
    assert vault.write(f"sys/mounts/{'x' * (MAX_PATH - 1)}", at_limit).error is None


def test_a_mount_above_another_is_refused(vault: Vault) -> None:
    vault.write("sys/mounts/a/b", {"type": "kv"})
    assert vault.write("sys/mounts/a", {"type": "kv"}).error is InvalidRequest
    assert vault.write("sys/mounts/ab", {"type": "kv"}).error is None


def test_unmounting_destroys_what_it_held(vault: Vault) -> None:
    before = len(list(vault.storage.scan(b"")))
    vault.write("sys/mounts/x", {"type": "kv"})
    vault.write("x/app", {"a": "1"})
    assert vault.delete("sys/mounts/x").error is None
    assert vault.read("x/app").error is NotFound
    # What stays is the mount's history: that it was there, from when to when.
    assert len(list(vault.storage.scan(b""))) <= before + 3
    assert vault.delete("sys/mounts/x").error is None, "absent is fine"


@pytest.mark.parametrize("path", SINGLETONS)
def test_singletons_stay(vault: Vault, path: str) -> None:
    side = "sys/auth" if path.startswith("auth/") else "sys/mounts"
    assert vault.delete(f"{side}/{path.removeprefix('auth/')}").error is InvalidRequest
    target = "auth/new" if path.startswith("auth/") else "new"
    assert vault.write("sys/remount", {"from": path, "to": target}).error is InvalidRequest


@pytest.mark.parametrize(
    "target", ["a ", " a", "a/ b", "e\u0301", "a\ufe0f", "a\u3164", "new/tune", "", "/", "a/./b"]
)
def test_a_mount_is_moved_to_no_path_at_which_none_is_made(vault: Vault, target: str) -> None:
    for move in ({"from": "secret", "to": target}, {"source": "secret/", "target": target + "/"}):
        assert vault.write("sys/remount", move).error is InvalidRequest
    assert vault.read("sys/mounts/secret").error is None


def test_a_moved_mount_keeps_its_records_and_its_identity(vault: Vault) -> None:
    vault.write("secret/data/app", {"data": {"a": "1"}})
    before = vault.read("sys/mounts/secret").data
    moved = vault.write("sys/remount", {"from": "secret", "to": "team/secret/"})
    assert vault.read("team/secret/data/app").data["data"] == {"a": "1"}
    assert vault.read("secret/data/app").error is NotFound
    assert vault.read("sys/mounts/team/secret").data == before
    outcome = vault.read(f"sys/remount/status/{moved.data['migration_id']}").data
    assert outcome["migration_info"] == {
        "source_mount": "secret/",
        "target_mount": "team/secret/",
        "status": "success",
    }
    vault.tick(24 * 3600 + 1)
    vault.tick()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("none", "x"),
        ("secret", "sys/x"),
        ("secret", "auth/x"),
        ("auth/userpass", "x"),
        ("secret", ""),
        ("secret", "a/*"),
        ("secret", "kv"),
        ("", ""),
    ],
)
def test_moves_that_cannot_be(vault: Vault, source: str, target: str) -> None:
    vault.write("sys/mounts/kv", {"type": "kv"})
    vault.write("sys/auth/userpass", {"type": "userpass"})
    moved = vault.write("sys/remount", {"from": source, "to": target})
    assert moved.error is InvalidRequest
    assert vault.read("sys/remount/status/none").error is NotFound


def test_tuning_changes_what_is_given(vault: Vault) -> None:
    tune = "sys/mounts/secret/tune"
    vault.write(tune, {"default_lease_ttl": "1h", "max_lease_ttl": "2h", "description": "d"})
    vault.write(tune, {"default_lease_ttl": 60})
    read = vault.read(tune).data
    assert (read["default_lease_ttl"], read["max_lease_ttl"]) == (60, 7200)
    assert (read["description"], read["options"]) == ("d", {"version": "2"})
    assert vault.write(tune, {"default_lease_ttl": "3h"}).error is InvalidRequest
    assert vault.write(tune, {"options": {"version": "9"}}).error is InvalidRequest
    longer = {"description": "x" * (MAX_DESCRIPTION + 1)}
    assert vault.write(tune, longer).error is InvalidRequest
    assert vault.write("sys/mounts/none/tune", {}).error is InvalidRequest
    assert vault.read(tune).data == read


TUNES = ("sys/mounts/secret/tune", "sys/auth/userpass/tune", "sys/mounts/auth/userpass/tune")


@pytest.mark.parametrize("path", TUNES)
def test_an_empty_length_changes_nothing(vault: Vault, path: str) -> None:
    """Vault's command sends both lengths with every tune, empty when nobody named them."""
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write(path, {"default_lease_ttl": "1h", "max_lease_ttl": "2h"})
    before = vault.read(path).data
    sent = {"default_lease_ttl": "", "max_lease_ttl": "", "options": None, "force_no_cache": False}
    answered = vault.write(path, {**sent, "description": "of a team"})
    assert answered.error is None
    assert answered.body is None, "no warning of a field that every client sends"
    assert vault.read(path).data == {**before, "description": "of a team"}
    for name in ("default_lease_ttl", "max_lease_ttl"):
        vault.write(path, {name: "system"})
    standard = vault.settings
    after = vault.read(path).data
    assert after["default_lease_ttl"] == standard.default_ttl_seconds
    assert after["max_lease_ttl"] == standard.max_ttl_seconds


def test_an_auth_method_is_tuned_under_both_names(vault: Vault) -> None:
    vault.write("sys/auth/team/userpass", {"type": "userpass"})
    names = ("sys/auth/team/userpass/tune", "sys/mounts/auth/team/userpass/tune")
    for path, seconds in zip(names, (60, 120), strict=True):
        vault.write(path, {"default_lease_ttl": seconds})
        assert [vault.read(each).data["default_lease_ttl"] for each in names] == [seconds] * 2
    assert vault.write("sys/mounts/auth/none/tune", {}).error is InvalidRequest


@pytest.mark.parametrize(
    "path", ["sys/mounts/auth/userpass/tune", "sys/mounts//auth/userpass/tune"]
)
def test_a_rule_on_an_auth_method_binds_its_other_name(vault: Vault, path: str) -> None:
    vault.write("sys/auth/userpass", {"type": "userpass"})
    wide = 'path "sys/mounts/*" { capabilities = ["read", "update"] }\n'
    token = limited(vault, wide)
    assert vault.read("sys/mounts/auth/userpass/tune", token=token).error is None
    token = limited(vault, wide + 'path "sys/auth/userpass/tune" { capabilities = ["deny"] }')
    for refused in (vault.read(path, token=token), vault.write(path, {}, token=token)):
        assert refused.error in (PermissionDenied, NotFound, InvalidRequest)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("sys/mounts/secret/tune", {"token_type": "batch"}),
        ("sys/auth/token/tune", {"token_type": "batch"}),
        ("sys/auth/userpass/tune", {"token_type": "nonsense"}),
        ("sys/mounts/secret/tune", {"listing_visibility": "all"}),
    ],
)
def test_tunes_that_mean_nothing_are_refused(vault: Vault, path: str, data: dict[str, Any]) -> None:
    vault.write("sys/auth/userpass", {"type": "userpass"})
    before = vault.read(path).data
    assert vault.write(path, data).error is InvalidRequest
    assert vault.read(path).data == before


@pytest.mark.parametrize(
    ("path", "kind", "config"),
    [
        ("sys/auth/other", "userpass", {"token_type": "nonsense"}),
        ("sys/auth/other", "userpass", {"token_type": {"a": 1}}),
        ("sys/auth/other", "userpass", {"token_type": ["batch"]}),
        ("sys/auth/other", "userpass", {"user_lockout_config": [1]}),
        ("sys/mounts/other", "kv", {"token_type": "batch"}),
        ("sys/mounts/other", "kv", {"listing_visibility": "all"}),
        ("sys/mounts/other", "kv", {"listing_visibility": {"a": 1}}),
        ("sys/mounts/other", "kv", {"passthrough_request_headers": {"a": 1}}),
    ],
)
def test_a_mount_begins_with_no_setting_that_a_tune_refuses(
    vault: Vault, path: str, kind: str, config: dict[str, Any]
) -> None:
    assert vault.write(path, {"type": kind, "config": config}).error is InvalidRequest
    assert vault.read(path).error is InvalidRequest


def test_a_mount_begins_with_the_settings_that_it_is_given(vault: Vault) -> None:
    config = {
        "default_lease_ttl": "1h", "max_lease_ttl": 7_200, "listing_visibility": "unauth",
        "audit_non_hmac_request_keys": "a,b", "force_no_cache": True,
    }  # fmt: skip
    assert vault.write("sys/mounts/other", {"type": "kv", "config": config}).error is None
    kept = table(vault.read("sys/mounts/other").data, "config")
    assert (kept["default_lease_ttl"], kept["max_lease_ttl"]) == (3_600, 7_200)
    assert kept["audit_non_hmac_request_keys"] == ["a", "b"]
    assert kept["listing_visibility"] == "unauth"


def test_a_key_value_mount_is_upgraded_by_tuning(vault: Vault) -> None:
    vault.write("sys/mounts/kv", {"type": "kv"})
    vault.write("sys/mounts/kv/tune", {"options": {"version": "2"}})
    assert vault.write("kv/data/app", {"data": {"a": "1"}}).data["version"] == 1


def test_auth_methods_need_sudo(vault: Vault) -> None:
    token = limited(vault, 'path "sys/auth/*" { capabilities = ["create", "update", "delete"] }')
    enable = {"type": "userpass"}
    assert vault.write("sys/auth/userpass", enable, token=token).error is PermissionDenied
    assert vault.write("sys/auth/userpass", enable).error is None
    assert part(vault.read("sys/auth/userpass").data, "config", "token_type") == "default-service"
    assert vault.read("sys/auth/userpass/tune").data["token_type"] == "default-service"
    assert vault.delete("sys/auth/userpass").error is None
    assert vault.read("sys/auth/userpass").error is InvalidRequest


def test_tokens_of_an_unmounted_method_end_with_it(vault: Vault) -> None:
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write("auth/userpass/users/ann", {"password": "correct horse"})
    login = vault.write("auth/userpass/login/ann", {"password": "correct horse"}, token=None)
    token = login.token
    assert vault.read("auth/token/lookup-self", token=token).error is None
    vault.delete("sys/auth/userpass")
    assert vault.read("auth/token/lookup-self", token=token).error is PermissionDenied


# -- internal/ui


def test_strangers_see_what_is_listed_for_all(vault: Vault) -> None:
    seen = vault.read("sys/internal/ui/mounts", token=None).data
    assert seen == {"secret": {}, "auth": {}}
    vault.write("sys/mounts/secret/tune", {"listing_visibility": "unauth"})
    seen = vault.read("sys/internal/ui/mounts", token=None).data
    assert seen["secret"] == {
        "secret/": {"type": "kv", "description": "", "options": {"version": "2"}}
    }
    assert vault.read("sys/internal/ui/mounts", token="hvs.wrong").data == seen


def test_a_token_sees_the_mounts_that_it_can_reach(vault: Vault) -> None:
    vault.write("sys/mounts/other", {"type": "kv"})
    token = limited(vault, 'path "secret/data/app" { capabilities = ["read"] }')
    seen = vault.read("sys/internal/ui/mounts", token=token).data
    assert "secret/" in table(seen, "secret")
    assert "other/" not in table(seen, "secret")
    one = vault.read("sys/internal/ui/mounts/secret/data/app", token=token).data
    assert (one["path"], one["options"]) == ("secret/", {"version": "2"})


def test_a_mount_out_of_reach_answers_like_one_that_is_not_there(vault: Vault) -> None:
    vault.write("sys/mounts/other", {"type": "kv"})
    token = limited(vault, 'path "secret/data/app" { capabilities = ["read"] }')
    hidden = vault.read("sys/internal/ui/mounts/other/x", token=token)
    absent = vault.read("sys/internal/ui/mounts/no-such/x", token=token)
    assert hidden.error is absent.error is PermissionDenied
    assert hidden.errors[0].replace("other", "no-such") == absent.errors[0]


def test_the_version_that_runs(vault: Vault) -> None:
    (version,) = vault.list("sys/version-history/").keys
    assert version.count(".") == 2


def test_times_of_mounts_are_kept(vault: Vault) -> None:
    """Who could read what is asked of the past: each mount's life is in the history."""
    vault.write("sys/mounts/x", {"type": "kv"})
    uuid = text(vault.read("sys/mounts/x").data, "uuid")
    vault.clock.advance(seconds=10)
    vault.delete("sys/mounts/x")
    intervals = vault.house.history.intervals(vault.house.state.begin(), "mount", uuid)
    lived = intervals[0]
    assert lived.end_ns is not None
    assert lived.end_ns - lived.start_ns == 10 * SECOND_NS
