"""sys/leases and sys/wrapping: what ends by itself, and what opens once."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, IronkeepError, NotFound, PermissionDenied
from ironkeep.identity.wrapping import MAX_TTL_SECONDS
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

DATA = {"data": {"password": "hunter2"}}


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write(
        "auth/userpass/users/ann",
        {"password": "correct horse", "token_ttl": "1h", "token_max_ttl": "2h"},
    )
    return vault


def login(vault: Vault) -> str:
    made = vault.write("auth/userpass/login/ann", {"password": "correct horse"}, token=None)
    return made.token


def lease(vault: Vault) -> str:
    prefix = "auth/userpass/login/ann"
    (name,) = vault.list(f"sys/leases/lookup/{prefix}/").keys
    return f"{prefix}/{name}"


def alive(vault: Vault, token: str) -> bool:
    return vault.read("auth/token/lookup-self", token=token).error is None


def test_a_login_s_lease_is_listed_and_looked_up(vault: Vault) -> None:
    login(vault)
    found = vault.write("sys/leases/lookup", {"lease_id": lease(vault)}).data
    assert (found["id"], found["ttl"], found["renewable"]) == (lease(vault), 3600, True)
    assert found["last_renewal"] is None
    vault.clock.advance(seconds=600)
    assert vault.write("sys/leases/lookup", {"lease_id": lease(vault)}).data["ttl"] == 3000


@pytest.mark.parametrize("path", ["sys/renew", "sys/leases/renew"])
def test_the_lease_of_a_token_is_not_renewed_here(vault: Vault, path: str) -> None:
    """Policies on auth/token/ say who renews tokens: there is no way round them."""
    token = login(vault)
    vault.clock.advance(seconds=3000)
    for wish in ({"increment": 3600}, {}):
        refused = vault.write(path, {"lease_id": lease(vault), **wish})
        assert refused.error is InvalidRequest
        assert refused.errors == ["tokens cannot be renewed through this endpoint"]
    assert vault.write(f"{path}/{lease(vault)}", {"increment": "1h"}).error is InvalidRequest
    assert vault.write("sys/leases/lookup", {"lease_id": lease(vault)}).data["ttl"] == 600
    vault.clock.advance(seconds=600)
    assert not alive(vault, token)


@pytest.mark.parametrize("path", ["sys/revoke", "sys/leases/revoke"])
def test_revoking_a_lease_ends_what_it_gave(vault: Vault, path: str) -> None:
    token = login(vault)
    assert vault.write(path, {"lease_id": lease(vault)}).error is None
    assert not alive(vault, token)
    assert vault.write(path, {"lease_id": "auth/none/x"}).error is None, "absent is fine"
    assert vault.write(path, {}).errors == ["lease_id must be specified"]


@pytest.mark.parametrize("verb", ["revoke-prefix", "revoke-force"])
@pytest.mark.parametrize("place", ["sys", "sys/leases"])
def test_revoking_a_prefix_ends_everything_below(vault: Vault, verb: str, place: str) -> None:
    tokens = [login(vault) for _ in range(2)]
    other = vault.write("auth/token/create", {"policies": ["default"]}).token
    answered = vault.write(f"{place}/{verb}/auth/userpass", {"sync": verb == "revoke-force"})
    assert answered.answer.accepted is (verb == "revoke-prefix")
    if verb == "revoke-prefix":
        assert not any(alive(vault, token) for token in tokens)
    assert alive(vault, other)
    assert vault.list("sys/leases/lookup/auth/userpass/login/ann/").error is NotFound


@pytest.mark.parametrize("lease_id", ["", "x", "auth/userpass/login/ann", "../..", "é", "a" * 5000])
def test_leases_that_are_none(vault: Vault, lease_id: str) -> None:
    login(vault)
    for path in ("sys/leases/lookup", "sys/leases/renew"):
        error = vault.write(path, {"lease_id": lease_id}).error
        assert error is not None
        assert issubclass(error, InvalidRequest)
    vault.write("sys/leases/revoke", {"lease_id": lease_id})
    assert vault.defects == []
    assert lease(vault)


SHARED: list[Vault] = []


def shared() -> Vault:
    if not SHARED:
        SHARED.append(Vault.started(PLUGINS))
    return SHARED[0]


@given(st.text(max_size=300) | st.binary(max_size=60).map(lambda raw: "hvs." + raw.hex()))
def test_any_id_or_token_is_refused_by_name(text: str) -> None:
    vault = shared()
    for path, field in (
        ("sys/leases/lookup", "lease_id"), ("sys/leases/renew", "lease_id"),
        ("sys/leases/revoke", "lease_id"), ("sys/wrapping/lookup", "token"),
        ("sys/wrapping/unwrap", "token"), ("sys/wrapping/rewrap", "token"),
        ("auth/token/lookup", "token"), ("auth/token/lookup-accessor", "accessor"),
    ):  # fmt: skip
        reply = vault.write(path, {field: text}, token="root")
        assert reply.error is None or issubclass(reply.error, IronkeepError)
    assert vault.defects == []
    assert alive(vault, "root")


# -- wrapping


def wrapped(vault: Vault, ttl: int = 60) -> Any:
    vault.write("secret/data/app", DATA)
    return vault.read("secret/data/app", wrap=ttl).body["wrap_info"]


def opened(vault: Vault, token: str) -> Any:
    return vault.write("sys/wrapping/unwrap", {"token": token}, token=None)


def test_a_wrapping_token_says_where_it_came_from(vault: Vault) -> None:
    info = wrapped(vault)
    asked = vault.write("sys/wrapping/lookup", {"token": info["token"]}, token=None).data
    assert asked["creation_path"] == info["creation_path"] == "secret/data/app"
    assert asked["creation_ttl"] == info["ttl"] == 60
    by_header = vault.read("sys/wrapping/lookup", token=info["token"]).data
    assert by_header == asked
    assert opened(vault, info["token"]).data["data"] == DATA["data"]


def test_it_opens_once_by_body_or_by_header(vault: Vault) -> None:
    info = wrapped(vault)
    read = vault.write("sys/wrapping/unwrap", token=info["token"])
    assert read.data["data"] == DATA["data"]
    for again in (opened(vault, info["token"]), vault.write("sys/wrapping/lookup", info)):
        assert again.errors == ["wrapping token is not valid or does not exist"]


def test_it_is_good_for_nothing_else(vault: Vault) -> None:
    info = wrapped(vault)
    for path in ("secret/data/app", "auth/token/lookup-self", "sys/mounts"):
        assert vault.read(path, token=info["token"]).error is PermissionDenied
    assert opened(vault, info["token"]).error is None, "and refused uses do not use it up"


def test_it_expires(vault: Vault) -> None:
    info = wrapped(vault)
    vault.tick(61)
    assert opened(vault, info["token"]).error is InvalidRequest


def test_rewrapping_moves_it(vault: Vault) -> None:
    info = wrapped(vault)
    fresh = vault.write("sys/wrapping/rewrap", {"token": info["token"]}, token=None).body
    assert fresh["data"] is None
    assert opened(vault, info["token"]).error is InvalidRequest
    assert fresh["wrap_info"]["creation_path"] == "secret/data/app"
    assert opened(vault, fresh["wrap_info"]["token"]).data["data"] == DATA["data"]


def test_a_person_s_own_data_is_wrapped(vault: Vault) -> None:
    needs = vault.write("sys/wrapping/wrap", {"note": "hunter2"})
    assert needs.errors == ["endpoint requires response wrapping to be used"]
    made = vault.write("sys/wrapping/wrap", {"note": "hunter2"}, wrap=60)
    assert "hunter2" not in str(made.body)
    assert opened(vault, made.body["wrap_info"]["token"]).data == {"note": "hunter2"}
    entries = [entry for _, entry in vault.house.audit_reader().entries() if entry.released]
    assert entries[-1].path == "sys/wrapping/unwrap"
    assert entries[-1].released[0].path == f"wrapping/{entries[-2].request}"


def test_a_wrapped_login_is_named_when_it_is_opened(vault: Vault) -> None:
    login_ = vault.write(
        "auth/userpass/login/ann", {"password": "correct horse"}, token=None, wrap=60
    ).body["wrap_info"]
    auth = opened(vault, login_["token"]).auth
    assert auth["accessor"] == login_["wrapped_accessor"]
    last = [entry for _, entry in vault.house.audit_reader().entries()][-2:]
    assert auth["accessor"] in [entry.issued for entry in last]


def test_the_length_is_bounded(vault: Vault) -> None:
    vault.write("secret/data/app", DATA)
    assert vault.read("secret/data/app", wrap=MAX_TTL_SECONDS).error is None
    assert vault.read("secret/data/app", wrap=MAX_TTL_SECONDS + 1).error is InvalidRequest


def test_an_answer_without_content_is_wrapped_too(vault: Vault) -> None:
    info = vault.write("secret/metadata/app", {"max_versions": 1}, wrap=60).body["wrap_info"]
    assert opened(vault, info["token"]).error is None
