"""The caller's address is one thing to the journal, to bound tokens, roles and segments."""

import pytest

from ironkeep.app import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.edge import Edge, request, run
from tests.support.people.approval_estate import entries

CALLERS = {
    ("192.0.2.7", 40000): ("192.0.2.7:40000", "192.0.2.0/24"),
    ("::ffff:192.0.2.7", 40000): ("192.0.2.7:40000", "192.0.2.0/24"),
    ("::1", 5): ("[::1]:5", "::1"),
    ("2001:db8::7", 65535): ("[2001:db8::7]:65535", "2001:db8::/32"),
    ("2001:0db8:0000::0007", 1): ("[2001:db8::7]:1", "2001:db8::7"),
    ("fe80::1%eth0", 1): ("[fe80::1]:1", "fe80::/64"),
}
ELSEWHERE = "198.51.100.0/24,2001:dead::/32"


def bound(vault: Vault, networks: str) -> str:
    """Return a token that is bound to networks."""
    role = {"token_bound_cidrs": networks, "allowed_policies": "default"}
    vault.write("auth/token/roles/net", role)
    return vault.write("auth/token/create/net", {}).token


@pytest.mark.parametrize("query", ["", "?x=1"])
@pytest.mark.parametrize("caller", CALLERS)
def test_wherever_it_is_asked_for(caller: tuple[str, int], query: str) -> None:
    vault = Vault.started(PLUGINS)
    written, own = CALLERS[caller]
    here, there = bound(vault, own), bound(vault, ELSEWHERE)
    vault.write("sys/auth/approle", {"type": "approle"})
    role = {"token_bound_cidrs": own, "secret_id_wrapping": "optional"}
    vault.write("auth/approle/role/r", {**role, "secret_id_bound_cidrs": own})
    role_id = vault.read("auth/approle/role/r/role-id").data["role_id"]
    secret_id = vault.write("auth/approle/role/r/secret-id", {}).data["secret_id"]
    login = f'{{"role_id":"{role_id}","secret_id":"{secret_id}"}}'.encode()

    async def scenario(edge: Edge) -> None:
        client = edge.connect(caller)
        path = f"auth/token/lookup-self{query}"
        assert (await client.ask(request("GET", path, here))).status == 200
        assert (await client.ask(request("GET", path, there))).status == 403
        raw = await client.ask(request("POST", f"auth/approle/login{query}", body=login))
        assert raw.status == 200
        await edge.settle()

    run(scenario, vault)
    own_calls = {"", "127.0.0.1:50000"}
    assert {each.remote for each in entries(vault)} - own_calls == {written}


@pytest.mark.parametrize("caller", CALLERS)
def test_a_segment_s_network_rule_sees_it(caller: tuple[str, int]) -> None:
    vault = Vault.started(PLUGINS)
    made = vault.write(
        "segment/segments/dev",
        {"secret_shares": 1, "secret_threshold": 1, "networks": CALLERS[caller][1]},
    )
    assert made.error is None

    async def scenario(edge: Edge) -> None:
        data = request("GET", "secret/data/app", vault.root)
        assert (await edge.connect(caller).ask(data)).status == 403
        assert (await edge.connect(("203.0.113.9", 1)).ask(data)).status == 404

    run(scenario, vault)
