"""The auth method `approle`: wrapped, one use, short; and what a thief or a guesser gets."""

import json
from typing import Any

import pytest

from ironkeep.app import PLUGINS
from ironkeep.auth.approle import AppRole
from ironkeep.core.errors import InvalidCredentials, InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.plugin.effects.answer import Answer
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Reply, Vault

ROLE = "auth/approle/role/web"


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started({**PLUGINS, "approle": AppRole()})
    vault.write("sys/auth/approle", {"type": "approle"})
    vault.write(ROLE, {"token_policies": "dev", "token_ttl": "1h"})
    vault.write("secret/data/app", {"data": {"password": "hunter2"}})
    return vault


def opened(vault: Vault, role: str = ROLE, /, **data: Any) -> Any:
    """Make a secret id as the role wants it, wrapped, and open it."""
    reply = vault.write(f"{role}/secret-id", data, wrap=60)
    assert reply.error is None, reply.body
    return vault.write("sys/wrapping/unwrap", token=reply.body["wrap_info"]["token"]).data


def role_id(vault: Vault, role: str = ROLE) -> str:
    return str(vault.read(f"{role}/role-id").data["role_id"])


def login(vault: Vault, role_id: str, secret_id: str, remote: str = "127.0.0.1:1") -> Reply:
    data = {"role_id": role_id, "secret_id": secret_id}
    return vault.write("auth/approle/login", data, token=None, remote=remote)


def fails(reply: Reply) -> None:
    assert (reply.error, reply.errors) == (InvalidCredentials, ["invalid role or secret ID"])


def test_a_machine_logs_in(vault: Vault) -> None:
    made = opened(vault, metadata='{"team": "shop", "role_name": "admin"}')
    assert (made["secret_id_num_uses"], made["secret_id_ttl"]) == (1, 600)
    auth = login(vault, role_id(vault), made["secret_id"]).auth
    assert auth["policies"] == ["default", "dev"]
    assert auth["metadata"] == {"role_name": "web", "team": "shop"}
    assert auth["lease_duration"] == 3600


def test_a_secret_id_is_not_handed_out_unwrapped(vault: Vault) -> None:
    for path in ("secret-id", "custom-secret-id"):
        reply = vault.write(f"{ROLE}/{path}", {"secret_id": "chosen by the caller"})
        assert reply.error is InvalidRequest
        assert "X-Vault-Wrap-TTL" in reply.errors[0]
    assert vault.list(f"{ROLE}/secret-id/").error is NotFound
    vault.write(ROLE, {"secret_id_wrapping": "optional"})
    made = vault.write(f"{ROLE}/secret-id").data
    assert login(vault, role_id(vault), text(made, "secret_id")).error is None


def test_a_secret_id_is_good_once(vault: Vault) -> None:
    secret_id = opened(vault)["secret_id"]
    assert login(vault, role_id(vault), secret_id).error is None
    fails(login(vault, role_id(vault), secret_id))


def test_of_many_logins_at_once_by_one_secret_id_one_is_let_in(vault: Vault) -> None:
    data = {"role_id": role_id(vault), "secret_id": opened(vault)["secret_id"]}
    requests = [vault.asked(Operation.UPDATE, "auth/approle/login", data, None) for _ in range(20)]
    answers = [vault.pipeline.handle(request) for request in requests]
    vault.flush()
    good = [each for each in answers if isinstance(each, Answer) and each.error is None]
    assert len(good) == 1


def test_a_secret_id_ends(vault: Vault) -> None:
    secret_id = opened(vault)["secret_id"]
    vault.clock.advance(seconds=600)
    fails(login(vault, role_id(vault), secret_id))
    assert vault.list(f"{ROLE}/secret-id/").error is NotFound


def test_what_has_ended_is_removed_from_storage(vault: Vault) -> None:
    before = sum(1 for _ in vault.storage.scan(b""))
    vault.write(f"{ROLE}/secret-id", wrap=60)
    assert sum(1 for _ in vault.storage.scan(b"")) > before + 2
    vault.clock.advance(seconds=700)
    vault.tick()
    vault.tick()
    # What stays is the key of the hash.
    assert sum(1 for _ in vault.storage.scan(b"")) <= before + 1


def test_every_failure_has_the_same_words_and_writes_nothing(vault: Vault) -> None:
    mine, good = role_id(vault), opened(vault)["secret_id"]
    vault.write("auth/approle/role/-", {"bind_secret_id": True})
    vault.write("auth/approle/role/other", {})
    other = opened(vault, "auth/approle/role/other")["secret_id"]
    seq = vault.storage.head().seq
    for given in (
        (mine, "wrong"), (mine, ""), (mine, other), ("unknown", good), ("unknown", ""),
        (mine, "x" * 5000), ("y" * 5000, good), (role_id(vault, "auth/approle/role/other"), good),
        (mine, "\ud800"),
    ):  # fmt: skip
        fails(login(vault, *given))
    assert vault.storage.head().seq == seq
    assert login(vault, mine, good).error is None


def test_an_unknown_role_id_is_not_taken_for_a_role_with_the_name_of_nothing(vault: Vault) -> None:
    vault.write(
        "auth/approle/role/-", {"bind_secret_id": False, "token_bound_cidrs": "127.0.0.0/8"}
    )
    fails(login(vault, "unknown", ""))


def test_addresses_bind_role_and_secret_id(vault: Vault) -> None:
    vault.write(ROLE, {"secret_id_bound_cidrs": "10.0.0.0/8", "secret_id_num_uses": 0})
    made = opened(vault, cidr_list=["10.1.0.0/16"])
    fails(login(vault, role_id(vault), made["secret_id"], "10.2.0.1:1"))
    fails(login(vault, role_id(vault), made["secret_id"], "127.0.0.1:1"))
    assert login(vault, role_id(vault), made["secret_id"], "10.1.0.1:1").error is None
    for outside in (["11.0.0.0/8"], ["0.0.0.0/0"], ["fd00::/8"], ["nonsense"]):
        reply = vault.write(f"{ROLE}/secret-id", {"cidr_list": outside}, wrap=60)
        assert reply.error is InvalidRequest


def test_tokens_are_bound_to_the_addresses_of_their_secret_id(vault: Vault) -> None:
    secret_id = opened(vault, token_bound_cidrs=["10.1.0.0/16"])["secret_id"]
    fails(login(vault, role_id(vault), secret_id))
    token = login(vault, role_id(vault), secret_id, "10.1.0.1:1").token
    look = "auth/token/lookup-self"
    assert vault.read(look, token=token, remote="10.1.0.9:1").error is None
    assert vault.read(look, token=token).error is PermissionDenied


@pytest.mark.parametrize(
    "data",
    [
        {"num_uses": 2}, {"num_uses": 0}, {"num_uses": -1}, {"ttl": "11m"}, {"ttl": 0},
        {"metadata": "no json"}, {"metadata": "[]"}, {"metadata": '{"a": 1}'},
        {"metadata": "[" * 5000}, {"metadata": r'{"a": "\ud800"}'}, {"metadata": r'{"\ud800": ""}'},
        {"metadata": json.dumps({"k" * 200: "v"})},
    ],
)  # fmt: skip
def test_a_secret_id_is_no_wider_than_its_role(vault: Vault, data: dict[str, Any]) -> None:
    assert vault.write(f"{ROLE}/secret-id", data, wrap=60).error is InvalidRequest
    assert vault.list(f"{ROLE}/secret-id/").error is NotFound


def test_secret_ids_are_looked_up_and_destroyed(vault: Vault) -> None:
    made = opened(vault, metadata='{"a": "b"}')
    accessor, secret_id = made["secret_id_accessor"], made["secret_id"]
    assert vault.list(f"{ROLE}/secret-id/").keys == [accessor]
    for reply in (
        vault.write(f"{ROLE}/secret-id/lookup", {"secret_id": secret_id}),
        vault.write(f"{ROLE}/secret-id-accessor/lookup", {"secret_id_accessor": accessor}),
    ):
        assert reply.data["secret_id_accessor"] == accessor
        assert reply.data["metadata"] == {"a": "b"}
        assert secret_id not in json.dumps(reply.body)
    vault.write(f"{ROLE}/secret-id-accessor/destroy", {"secret_id_accessor": accessor})
    fails(login(vault, role_id(vault), secret_id))
    missing = vault.write(f"{ROLE}/secret-id-accessor/lookup", {"secret_id_accessor": accessor})
    assert missing.error is NotFound
    assert vault.write(f"{ROLE}/secret-id/lookup", {"secret_id": secret_id}).body is None
    again = opened(vault)["secret_id"]
    vault.write(f"{ROLE}/secret-id/destroy", {"secret_id": again})
    fails(login(vault, role_id(vault), again))


def test_a_secret_id_of_the_callers_choice(vault: Vault) -> None:
    chosen = "chosen by the caller"
    for bad in ("", "short", "x" * 5000):
        reply = vault.write(f"{ROLE}/custom-secret-id", {"secret_id": bad}, wrap=60)
        assert reply.error is InvalidRequest
    vault.write(f"{ROLE}/custom-secret-id", {"secret_id": chosen}, wrap=60)
    twice = vault.write(f"{ROLE}/custom-secret-id", {"secret_id": chosen}, wrap=60)
    assert twice.error is InvalidRequest
    assert login(vault, role_id(vault), chosen).error is None


def test_neither_storage_nor_journal_holds_a_secret_id(vault: Vault) -> None:
    chosen = "canary-of-a-secret-id"
    vault.write(f"{ROLE}/custom-secret-id", {"secret_id": chosen}, wrap=60)
    fails(login(vault, "nobody", chosen))
    assert login(vault, role_id(vault), chosen).error is None
    tx = vault.house.state.begin()
    mount = vault.house.mounts.table(vault.house.store(tx, MOUNTS)).find("auth/approle/login")
    assert mount is not None
    store = vault.house.mount_store(tx, mount)
    bodies = [store.get(path) or b"" for path in store.walk()]
    assert bodies
    assert not any(chosen.encode() in body for body in bodies)


def test_a_role_taken_away_takes_its_secret_ids_along(vault: Vault) -> None:
    mine, secret_id = role_id(vault), opened(vault)["secret_id"]
    vault.delete(ROLE)
    fails(login(vault, mine, secret_id))
    vault.write(ROLE, {"role_id": mine})
    fails(login(vault, mine, secret_id))
    assert vault.list(f"{ROLE}/secret-id/").error is NotFound


def test_two_roles_have_not_one_role_id(vault: Vault) -> None:
    mine = role_id(vault)
    assert vault.write("auth/approle/role/thief", {"role_id": mine}).error is InvalidRequest
    assert vault.read("auth/approle/role/thief").error is NotFound
    vault.write("auth/approle/role/thief", {})
    taken = vault.write("auth/approle/role/thief/role-id", {"role_id": mine})
    assert taken.error is InvalidRequest
    assert vault.write(f"{ROLE}/role-id", {"role_id": "another"}).error is None
    assert role_id(vault) == "another"
    fails(login(vault, mine, opened(vault)["secret_id"]))


@pytest.mark.parametrize(
    "data",
    [
        {"secret_id_wrapping": "never"}, {"secret_id_num_uses": -1}, {"bind_secret_id": False},
        {"secret_id_bound_cidrs": "x"}, {"token_type": "fast"}, {"token_bound_peer": "no"},
        {"local_secret_ids": True}, {"role_id": ""}, {"role_id": "\x00"},
    ],
)  # fmt: skip
def test_what_a_role_cannot_be(vault: Vault, data: dict[str, Any]) -> None:
    assert vault.write("auth/approle/role/new", data).error is InvalidRequest
    assert vault.read("auth/approle/role/new").error is NotFound


def test_settings_one_by_one(vault: Vault) -> None:
    vault.write(f"{ROLE}/secret-id-num-uses", {"secret_id_num_uses": 5, "token_policies": "root"})
    assert vault.read(f"{ROLE}/secret-id-num-uses").data == {"secret_id_num_uses": 5}
    vault.write(f"{ROLE}/policies", {"policies": "a,b"})
    data = vault.read(ROLE).data
    assert (data["token_policies"], data["secret_id_num_uses"]) == (["a", "b"], 5)
    vault.delete(f"{ROLE}/secret-id-num-uses")
    vault.delete(f"{ROLE}/policies")
    data = vault.read(ROLE).data
    assert (data["token_policies"], data["secret_id_num_uses"]) == ([], 1)
    assert vault.write(f"{ROLE}/token-ttl", {}).error is InvalidRequest
    assert vault.read("auth/approle/role/none/token-ttl").error is NotFound


def test_another_spelling_of_a_roles_name_gets_no_more(vault: Vault) -> None:
    vault.write(
        "sys/policies/acl/half",
        {
            "policy": 'path "auth/approle/role/*" { capabilities = ["read"] }\n'
            'path "auth/approle/role/web/role-id" { capabilities = ["deny"] }'
        },
    )
    token = vault.write("auth/token/create", {"policies": "half"}).token
    for name in ("web", "WEB", "Web"):
        reply = vault.read(f"auth/approle/role/{name}/role-id", token=token)
        assert reply.error is PermissionDenied


@pytest.mark.parametrize("path", ["secret-id", "custom-secret-id"])
def test_a_wrapping_names_the_accessor_of_the_secret_id(vault: Vault, path: str) -> None:
    """Whoever hands the wrapping token on can destroy what is inside without opening it."""
    made = vault.write(f"{ROLE}/{path}", {"secret_id": "chosen by the caller"}, wrap=60)
    info = made.body["wrap_info"]
    again = vault.write("sys/wrapping/rewrap", {"token": info["token"]}).body["wrap_info"]
    assert again["wrapped_accessor"] == info["wrapped_accessor"]
    inside = vault.write("sys/wrapping/unwrap", token=again["token"]).data
    assert inside["secret_id_accessor"] == info["wrapped_accessor"]
    token = vault.write("auth/token/create", {}, wrap=60).body["wrap_info"]
    of_token = vault.write("auth/token/lookup-accessor", {"accessor": token["wrapped_accessor"]})
    assert of_token.error is None
    plain = vault.read("secret/data/app", wrap=60).body["wrap_info"]
    assert "wrapped_accessor" not in plain
