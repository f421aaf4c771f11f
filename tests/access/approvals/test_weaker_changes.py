"""What guards others is made weaker by two people, is told each time, and made stricter by one."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from joserfc.jwk import ECKey

from ironkeep.app import PLUGINS
from ironkeep.core.device import posture_rules
from ironkeep.core.operation import Operation
from ironkeep.plugin.cidr import covered
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Vault
from tests.support.devices.authority import Authority
from tests.support.devices.device_estate import DeviceEstate
from tests.support.people.approval_estate import alerts, approve, told, unwrap

KEYS: Final = json.dumps(
    {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "kid": "1"}]}
)
ISSUER: Final = {"iss": "https://mdm.example", "audience": "us", "jwks": KEYS, "may": "compliance"}
SEGMENT: Final = {
    "secret_shares": 1, "secret_threshold": 1, "networks": "10.0.0.0/8", "devices": "corporate",
}  # fmt: skip
FLOW: Final = {"policies": "a,b", "reason": "x"}
SHIPPED: Final = posture_rules.decode(
    text(DeviceEstate(PLUGINS).vault.read("device/posture/rules").data, "rules").encode()
)


def rules(**changes: Any) -> dict[str, str]:
    raw = json.loads(posture_rules.encode(SHIPPED))
    return {"rules": json.dumps({**raw, **changes})}


def of_software(**changes: Any) -> dict[str, str]:
    first, *rest = json.loads(posture_rules.encode(SHIPPED))["software"]
    return rules(software=[{**first, **changes}, *rest])


Path = tuple[str, dict[str, Any]]
BEFORE: Final[tuple[Path, ...]] = (
    ("device/rules", {"min_key_kind": "pkcs11", "privileged_policies": "root2,ops"}),
    ("segment/segments/prod", SEGMENT),
    ("segment/segments/dev", {"secret_shares": 1, "secret_threshold": 1}),
    ("segment/flows/dev/prod", FLOW),
    ("device/ssf/issuers/mdm", ISSUER),
    ("sys/auth/guarded", {"type": "userpass", "options": {"token_device": "required"}}),
)
WEAKER: Final[tuple[Path, ...]] = (
    ("device/rules", {"min_key_kind": "file"}),
    ("device/rules", {"privileged_policies": "ops,more"}),
    ("device/rules", {"privileged_policies": []}),
    ("device/posture/rules", rules(software=[])),
    ("device/posture/rules", rules(disk_encryption=None)),
    ("device/posture/rules", rules(max_age_s=3600)),
    ("device/posture/rules", rules(systems=[])),
    ("device/posture/rules", rules(grace_s={"critical": 9, "high": 86400, "medium": 604800})),
    ("device/posture/rules", of_software(severity="medium")),
    ("device/posture/rules", of_software(names=["nothing of the kind"])),
    ("segment/segments/prod", {"networks": []}),
    ("segment/segments/prod", {"networks": "10.0.0.0/7"}),
    ("segment/segments/prod", {"networks": "10.1.0.0/16,192.168.0.0/16"}),
    ("segment/segments/prod", {"networks": "::/0"}),
    ("segment/segments/prod", {"devices": []}),
    ("segment/segments/prod", {"devices": "corporate,personal/tpm"}),
    ("segment/flows/prod/dev", {"reason": "x"}),
    ("segment/flows/dev/prod", {"reason": "x"}),
    ("segment/flows/dev/prod", {"policies": "a,c", "reason": "x"}),
    ("device/ssf/issuers/mdm", {**ISSUER, "may": "sessions"}),
)
GONE: Final = ("device/ssf/issuers/mdm", "sys/auth/guarded")
STRICTER: Final[tuple[Path, ...]] = (
    ("device/rules", {"min_key_kind": "tpm", "privileged_policies": "root2,ops,more"}),
    ("device/posture/rules", rules(max_age_s=900)),
    ("device/posture/rules", of_software(severity="critical", remedy="remove it at once")),
    ("segment/segments/prod", {"networks": "10.1.0.0/16,10.2.3.4"}),
    ("segment/segments/prod", {"devices": "corporate/tpm"}),
    ("segment/flows/dev/prod", {"policies": "a", "reason": "x"}),
    ("device/ssf/issuers/other", {**ISSUER, "iss": "https://other.example"}),
)
READ_AT: Final = {"sys/auth/guarded": "sys/auth/guarded/tune"}


@pytest.fixture
def estate() -> DeviceEstate:
    made = DeviceEstate(PLUGINS)
    for path, data in BEFORE:
        made.write(path, data)
    return made


def state(vault: Vault, path: str) -> Any:
    reply = vault.read(READ_AT.get(path, path))
    return None if reply.error else reply.data


def two_decide(estate: DeviceEstate, path: str, change: Callable[[str], Any]) -> None:
    """Show that a change waits, is made when another person approved it, and is told then."""
    v, eve, zoe = estate.vault, estate.login("eve"), estate.login("zoe")
    before, known = state(v, path), len(alerts(v))
    asked = told(change(eve))
    assert state(v, path) == before
    assert approve(v, eve, asked).error is not None
    assert approve(v, zoe, asked).error is None
    assert state(v, path) == before
    assert unwrap(v, eve, asked).error is None
    assert state(v, path) != before
    assert len(alerts(v)) == known + 1


@pytest.mark.parametrize(("path", "data"), WEAKER)
def test_to_make_it_weaker_takes_another_person(
    estate: DeviceEstate, path: str, data: dict[str, Any]
) -> None:
    two_decide(estate, path, lambda token: estate.vault.write(path, data, token=token))


@pytest.mark.parametrize("path", GONE)
def test_to_take_it_away_takes_another_person(estate: DeviceEstate, path: str) -> None:
    two_decide(estate, path, lambda token: estate.vault.delete(path, token=token))


def test_to_move_a_method_away_that_takes_a_device_takes_another_person(
    estate: DeviceEstate,
) -> None:
    """Another could be enabled at its path, where people log in, that asks for none."""
    move = {"from": "auth/guarded", "to": "auth/elsewhere"}

    def change(token: str) -> Any:
        return estate.vault.write("sys/remount", move, token=token)

    two_decide(estate, "sys/auth/guarded", change)


def test_to_go_back_to_shipped_rules_that_demand_less_takes_another_person(
    estate: DeviceEstate,
) -> None:
    path = "device/posture/rules"
    estate.write(path, rules(max_age_s=900))
    two_decide(estate, path, lambda token: estate.vault.delete(path, token=token))


@pytest.mark.parametrize(("path", "data"), STRICTER)
def test_one_person_makes_it_stricter_and_that_is_told(
    estate: DeviceEstate, path: str, data: dict[str, Any]
) -> None:
    v, before, known = estate.vault, state(estate.vault, path), len(alerts(estate.vault))
    reply = v.write(path, data, token=estate.login("eve"))
    assert reply.error is None, reply.body
    assert not (reply.body or {}).get("wrap_info")
    assert state(v, path) != before
    assert len(alerts(v)) == known + 1


def test_a_root_token_sets_a_house_up_alone_and_that_is_told(estate: DeviceEstate) -> None:
    known = len(alerts(estate.vault))
    for path, data in WEAKER:
        estate.write(path, data)
    assert len(alerts(estate.vault)) == known + len(WEAKER)


def test_what_is_told_is_never_suppressed() -> None:
    """Exceptions and manifests change what one device or machine has to meet."""
    estate = DeviceEstate(PLUGINS)
    device, eve = estate.active("ann"), estate.login("eve")
    known = len(alerts(estate.vault))
    for rule in ("plex", "firewall", "plex"):
        at = f"device/posture/exceptions/{device.id}/{rule}"
        estate.write(at, {"reason": "x", "ttl": "1h"}, token=eve)
    machine = estate.vault.read("auth/token/lookup-self", token=estate.login("bob")).data
    for paths in (["secret/data/x"], ["secret/data/x", "secret/data/y"], []):
        at = f"sys/budgets/entity/{machine['entity_id']}"
        estate.write(at, {"manifest": paths}, token=eve)
    assert len(alerts(estate.vault)) == known + 6


@pytest.mark.parametrize("kind", ["jwt", "cert"])
def test_whose_keys_are_believed_is_told_each_time(kind: str) -> None:
    """They decide who may log in, and as whom."""
    vault = Vault.started(PLUGINS)
    vault.write(f"sys/auth/{kind}", {"type": kind})
    now = datetime.fromtimestamp(vault.clock.now_ns() / 1e9, UTC)
    for number in range(2):
        ca = Authority(f"ca {number}", now - timedelta(days=1), now + timedelta(days=1))
        key = ECKey.generate_key("P-256").as_pem(private=False).decode()
        writes: dict[str, Path] = {
            "jwt": ("config", {"jwt_validation_pubkeys": [key]}),
            "cert": ("certs/x", {"certificate": ca.pem, "token_policies": "x"}),
        }
        path, data = writes[kind]
        reply = vault.write(f"auth/{kind}/{path}", data)
        assert reply.error is None, reply.body
        assert len(alerts(vault)) == number + 1


@pytest.mark.parametrize(
    ("narrow", "wide", "is_in"),
    [
        (("10.0.0.0/8",), ("10.0.0.0/8",), True), (("10.0.0.0/7",), ("10.0.0.0/8",), False),
        (("10.0.0.0/8",), ("10.0.0.0/9", "10.128.0.0/9"), True), ((), (), True),
        (("10.0.0.1",), (), True), ((), ("0.0.0.0/0",), False), (("::/0",), ("0.0.0.0/0",), False),
        (("::ffff:10.0.0.1",), ("10.0.0.0/8",), True), (("10.0.0.1", "11.0.0.1"), ("10.0.0.0/8",),
         False),
    ],
)  # fmt: skip
def test_ranges_within_others(narrow: tuple[str, ...], wide: tuple[str, ...], is_in: bool) -> None:
    assert covered(narrow, wide) is is_in


def test_each_route_that_changes_a_guard_is_here() -> None:
    """A list kept by hand: a new route of these engines says on which side it stands."""
    elsewhere = {
        "approve", "refuse", "revoke", "enrol", "nonce", "certificate", "posture/nonce",
        "posture/report", "posture/exceptions", "posture/kev", "osquery", "ssf/poll", "ssf/events",
        "segments/{name}/unseal", "segments/{name}/seal", "segments/{name}/cut",
        "segments/{name}/destroy", "segments/{name}/rebuild", "flows/{source}",
    }  # fmt: skip
    here = {"rules", "posture/rules", "ssf/issuers", "segments/{name}", "flows/{source}"}
    vault = Vault.started(PLUGINS)
    for kind in ("device", "segment"):
        for route in vault.plugins[kind].routes(None):  # type: ignore[arg-type]
            if route.op in {Operation.UPDATE, Operation.DELETE}:
                assert any(route.pattern.startswith(each) for each in here | elsewhere), route
