"""sys/policies/acl, sys/policy, sys/capabilities*: what is granted, and who asks."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, IronkeepError, NotFound
from ironkeep.engines.system.capabilities import MAX_PATHS
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

TEXT = """# of the web team
path "secret/data/web/*" {
  capabilities = ["read", "list"]
}
"""


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


@pytest.mark.parametrize(
    ("place", "field"), [("sys/policies/acl", "policy"), ("sys/policy", "rules")]
)
def test_the_text_comes_back_byte_for_byte(vault: Vault, place: str, field: str) -> None:
    assert vault.write(f"{place}/Web", {"policy": TEXT}).body is None
    assert vault.read(f"{place}/web").data == {"name": "web", field: TEXT}
    assert vault.read(f"{place}/WEB").data["name"] == "web"
    listed = vault.list(f"{place}/").keys
    assert listed == ["default", "web", "root"] or sorted(listed) == ["default", "root", "web"]
    vault.delete(f"{place}/web")
    assert vault.read(f"{place}/web").error is NotFound
    assert vault.delete(f"{place}/web").error is None


def test_other_spellings_of_a_text(vault: Vault) -> None:
    vault.write("sys/policies/acl/a", {"rules": TEXT})
    assert vault.read("sys/policies/acl/a").data["policy"] == TEXT
    vault.write("sys/policies/acl/b", {"policy": b64encode(TEXT.encode()).decode()})
    assert vault.read("sys/policies/acl/b").data["policy"] == TEXT
    json_text = '{"path": {"secret/*": {"capabilities": ["read"]}}}'
    vault.write("sys/policies/acl/c", {"policy": json_text})
    assert vault.read("sys/policies/acl/c").data["policy"] == json_text


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "{", 'path "x" { capabilities = ["fly"] }', 'path "x" { oops = 1 }', "é", 7],
)
def test_a_text_that_is_no_policy_changes_nothing(vault: Vault, text: Any) -> None:
    vault.write("sys/policies/acl/web", {"policy": TEXT})
    assert vault.write("sys/policies/acl/web", {"policy": text}).error is InvalidRequest
    assert vault.read("sys/policies/acl/web").data["policy"] == TEXT


def test_root_is_neither_written_nor_removed(vault: Vault) -> None:
    assert vault.write("sys/policies/acl/root", {"policy": TEXT}).error is InvalidRequest
    assert vault.delete("sys/policies/acl/root").error is InvalidRequest
    assert vault.delete("sys/policies/acl/default").error is InvalidRequest


SHARED: list[Vault] = []


def shared() -> Vault:
    if not SHARED:
        SHARED.append(Vault.started(PLUGINS))
    return SHARED[0]


PIECES = st.sampled_from(
    ["path", '"secret/*"', "{", "}", "[", "]", "=", "capabilities", '"read"', ",", "\n", "#", "/*",
     "*/", "<<EOF\n", "EOF", "\\", '"', "${", "1.5", "-", "{{identity.entity.id}}", "\0", "é", "+"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map(" ".join) | st.text(max_size=200))
def test_any_text_is_a_policy_or_our_error(text: str) -> None:
    vault = shared()
    reply = vault.write("sys/policies/acl/fuzz", {"policy": text})
    assert reply.error is None or issubclass(reply.error, IronkeepError)
    assert vault.defects == []
    if reply.error is None:
        made = vault.write("auth/token/create", {"policies": ["fuzz"]}).token
        vault.read("secret/data/x", token=made)
        assert vault.defects == []


# -- capabilities


def token(vault: Vault) -> Any:
    vault.write("sys/policies/acl/web", {"policy": TEXT})
    return vault.write("auth/token/create", {"policies": ["web"]}).auth


def test_a_token_asks_for_itself(vault: Vault) -> None:
    mine = token(vault)["client_token"]
    asked = vault.write(
        "sys/capabilities-self", {"paths": ["secret/data/web/a", "x"]}, token=mine
    ).body
    assert asked["secret/data/web/a"] == asked["data"]["secret/data/web/a"] == ["list", "read"]
    assert asked["x"] == ["deny"]
    assert "capabilities" not in asked["data"]
    one = vault.write("sys/capabilities-self", {"path": "x"}, token=mine).data
    assert one == {"x": ["deny"], "capabilities": ["deny"]}
    assert vault.write("sys/capabilities-self", {"path": "x"}).data["capabilities"] == ["root"]


def test_others_are_asked_for_by_token_or_accessor(vault: Vault) -> None:
    made = token(vault)
    path = {"paths": "secret/data/web/a"}
    by_token = vault.write("sys/capabilities", {**path, "token": made["client_token"]})
    by_accessor = vault.write("sys/capabilities-accessor", {**path, "accessor": made["accessor"]})
    assert by_token.data == by_accessor.data
    assert by_token.data["capabilities"] == ["list", "read"]
    for asked in ({"accessor": "none"}, {"accessor": ""}):
        refused = vault.write("sys/capabilities-accessor", {**path, **asked})
        assert refused.error is InvalidRequest
    assert vault.write("sys/capabilities", path).error is InvalidRequest
    unknown = vault.write("sys/capabilities", {**path, "token": "hvs.x"})
    # 403 would say that the caller's own token was refused.
    assert (unknown.error, unknown.errors) == (InvalidRequest, ["invalid token"])


def test_paths_are_needed_and_bounded(vault: Vault) -> None:
    assert vault.write("sys/capabilities-self", {}).errors == ["paths must be supplied"]
    many = [str(number) for number in range(MAX_PATHS)]
    assert vault.write("sys/capabilities-self", {"paths": many}).error is None
    more = vault.write("sys/capabilities-self", {"paths": [*many, "x"]})
    assert more.error is InvalidRequest
