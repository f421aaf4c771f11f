"""What a token that is bound to addresses makes is bound at least as it is."""

import ipaddress
from typing import Final

import pytest
from hypothesis import given, strategies as st

from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.identity.token_store import StoredToken
from ironkeep.plugin.cidr import inside, narrowed, parse_cidrs
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Vault

INSIDE, NARROW, OUTSIDE = "10.1.1.1:1", "10.9.1.1:1", "192.0.2.1:1"
ALL: Final = """
path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/policies/acl/all", {"policy": ALL})
    vault.write("auth/token/roles/net", {"token_bound_cidrs": "10.0.0.0/8", "orphan": True})
    vault.write("secret/data/a", {"data": {"p": "v"}})
    return vault


def bound(vault: Vault) -> str:
    """Return a token bound to 10.0.0.0/8."""
    return vault.write("auth/token/create/net", {"policies": "all"}).token


def works(vault: Vault, token: str, remote: str) -> bool:
    return vault.read("auth/token/lookup-self", token=token, remote=remote).error is None


@pytest.mark.parametrize("path", ["create", "create-orphan", "create/free", "create/narrow"])
def test_what_a_bound_token_makes_is_bound_as_it_is(vault: Vault, path: str) -> None:
    vault.write("auth/token/roles/free", {"orphan": True})
    vault.write("auth/token/roles/narrow", {"token_bound_cidrs": ["10.9.0.0/16", "192.0.2.0/24"]})
    parent = bound(vault)
    made = vault.write(f"auth/token/{path}", {}, token=parent, remote=INSIDE).token
    grandchild = vault.write("auth/token/create", {}, token=made, remote=NARROW)
    for token in (made, grandchild.token):
        assert works(vault, token, NARROW)
        assert works(vault, token, INSIDE) == (path != "create/narrow")
        assert not works(vault, token, OUTSIDE)


def test_a_role_with_no_address_in_common_is_refused(vault: Vault) -> None:
    vault.write("auth/token/roles/far", {"token_bound_cidrs": "192.0.2.0/24"})
    reply = vault.write("auth/token/create/far", {}, token=bound(vault), remote=INSIDE)
    assert reply.error is InvalidRequest


def test_a_child_from_before_is_bound_by_the_line_above_it(vault: Vault) -> None:
    parent = bound(vault)
    child = vault.write("auth/token/create", {}, token=parent, remote=INSIDE).auth
    house, tx = vault.house, vault.house.state.begin()
    name = house.tokens.store.by_accessor(tx, text(child, "accessor"))
    assert name is not None
    record = house.tokens.store.load(tx, name)
    assert isinstance(record, StoredToken)
    old = StoredToken(
        record.accessor, record.policies, record.path, record.issued_ns, record.expires_ns,
        parent=record.parent,
    )  # fmt: skip
    house.tokens.store.save(tx, name, old, old.expires_ns)
    tx.merge()
    vault.flush()
    assert works(vault, text(child, "client_token"), INSIDE)
    assert not works(vault, text(child, "client_token"), OUTSIDE)


def test_an_answer_that_a_bound_token_wrapped_opens_there_alone(vault: Vault) -> None:
    reply = vault.request(
        Operation.READ, "secret/data/a", token=bound(vault), wrap=60, remote=INSIDE
    )
    token = {"token": reply.body["wrap_info"]["token"]}
    for verb in ("unwrap", "rewrap"):
        moved = vault.write(f"sys/wrapping/{verb}", token, token=None, remote=OUTSIDE)
        assert moved.error is InvalidRequest
    moved = vault.write("sys/wrapping/rewrap", token, token=None, remote=INSIDE)
    token = {"token": moved.body["wrap_info"]["token"]}
    for remote, works_there in ((OUTSIDE, False), (INSIDE, True)):
        opened = vault.write("sys/wrapping/unwrap", token, token=None, remote=remote)
        assert (opened.error is None) == works_there


def test_a_secret_id_that_a_bound_token_took_logs_in_there_alone(vault: Vault) -> None:
    vault.write("sys/auth/approle", {"type": "approle"})
    role = {"token_policies": "all", "secret_id_wrapping": "optional", "secret_id_num_uses": 0}
    vault.write("auth/approle/role/web", {**role, "role_id": "web"})
    taken = vault.write("auth/approle/role/web/secret-id", {}, token=bound(vault), remote=INSIDE)
    login = {"role_id": "web", "secret_id": taken.data["secret_id"]}
    assert vault.write("auth/approle/login", login, token=None, remote=OUTSIDE).error is not None
    made = vault.write("auth/approle/login", login, token=None, remote=INSIDE)
    assert not works(vault, made.token, OUTSIDE)
    assert works(vault, made.token, INSIDE)


_V4: Final = st.tuples(st.integers(0, 255), st.integers(0, 8)).map(
    lambda each: str(ipaddress.ip_network(f"10.0.0.{each[0]}/{32 - each[1]}", strict=False))
)
_V6: Final = st.tuples(st.integers(0, 255), st.integers(0, 8)).map(
    lambda each: str(ipaddress.ip_network(f"fd00::{each[0]:x}/{128 - each[1]}", strict=False))
)
_RANGES: Final = st.lists(st.one_of(_V4, _V6), max_size=5).map(tuple)
_PLACES: Final = [*(f"10.0.0.{last}" for last in range(256)), *(f"fd00::{n:x}" for n in range(256))]


@given(some=_RANGES, others=_RANGES)
def test_narrowed_ranges_hold_exactly_what_lies_in_both(
    some: tuple[str, ...], others: tuple[str, ...]
) -> None:
    both = {place for place in _PLACES if _in(place, some) and _in(place, others)}
    try:
        ranges = narrowed(some, others)
    except InvalidRequest:
        assert not both
        return
    assert {place for place in _PLACES if _in(place, ranges)} == both


def _in(place: str, ranges: tuple[str, ...]) -> bool:
    return not ranges or inside(place, parse_cidrs(ranges))
