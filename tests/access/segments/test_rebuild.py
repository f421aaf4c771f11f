"""Rebuilding a segment, and who reaches what: on an estate with people, devices and a database."""

from typing import Any, Final

import pytest

from ironkeep.access.devices.devices import DeviceRecord
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.operation import Operation
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import Estate

ONE: Final = {"secret_shares": 1, "secret_threshold": 1}


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def make(estate: Estate, name: str, **rest: Any) -> str:
    """Make an open segment with a kv mount of its name; return its share."""
    share = text(estate.must(f"segment/segments/{name}", {**ONE, **rest}), "keys", 0)
    options = {"version": "2", "segment": name}
    estate.must(f"sys/mounts/{name}", {"type": "kv", "options": options})
    estate.must(f"segment/segments/{name}/unseal", {"key": share})
    return share


def reach(estate: Estate, source: str, *targets: str) -> Any:
    reply = estate.request(
        Operation.READ, "segment/reach", {"source": source, "targets": ",".join(targets)}, "root"
    )
    assert reply.error is None, reply.body
    return reply.data


def subjects(pair: Any) -> set[str]:
    return {each["subject"] for each in pair["who"]}


def enrol(estate: Estate, device: str, owner: str, *segments: str) -> None:
    house = estate.vault.house
    tx = house.state.begin()
    entity = next(
        each
        for each in (house.identity.get(tx, id_) for id_ in house.identity.ids(tx))
        if each is not None and any(alias.name == owner for alias in each.aliases)
    )
    record = DeviceRecord(
        id=DeviceId(device), owner=EntityId(entity.id), name=device, ownership="corporate",
        key_kind="tpm", key=b"k", created_ns=1, state="active", segments=segments,
    )  # fmt: skip
    house.features.devices.put(tx, record)
    tx.merge()
    estate.vault.flush()


def test_managed_credentials_are_rotated_administrators_first_and_the_rest_is_listed(
    estate: Estate,
) -> None:
    make(estate, "prod")
    estate.must("segment/flows/house/prod", {})
    estate.must("sys/mounts/pdb", {"type": "database", "options": {"segment": "prod"}})
    config = {
        "plugin_name": "postgresql-database-plugin", "username": "admin",
        "password": "admin password", "allowed_roles": "*", "host": "db.example",
    }  # fmt: skip
    estate.must("pdb/config/orders", config)
    role = {
        "db_name": "orders",
        "username": "app",
        "password": estate.system.accounts["app"].password.decode(),
    }
    estate.must("pdb/static-roles/app", {**role, "skip_import_rotation": True})
    estate.must("prod/data/api", {"data": {"key": "issued elsewhere"}})
    before = {name: estate.system.accounts[name].password for name in ("admin", "app")}
    planned = estate.must("segment/segments/prod/rebuild", {"plan": True})
    names = ["pdb/config/orders", "pdb/static-creds/app"]
    assert [each["credential"] for each in tables(planned, "rotated")] == names
    assert {name: estate.system.accounts[name].password for name in before} == before
    done = estate.must("segment/segments/prod/rebuild")
    assert [(each["credential"], each["state"]) for each in tables(done, "rotated")] == [
        (name, "rotated") for name in names
    ]
    assert done["by_hand"] == ["prod/data/api"]
    assert done["by_hand_complete"] is True
    for name, password in before.items():
        assert estate.system.accounts[name].password != password
    again = estate.get("pdb/static-creds/app")
    assert text(again, "password").encode() == estate.system.accounts["app"].password


def test_nobody_reaches_where_no_way_leads_whatever_the_policies_say(estate: Estate) -> None:
    make(estate, "dev")
    make(estate, "prod")
    estate.must("sys/policies/acl/all", {"policy": 'path "*" { capabilities = ["read"] }'})
    told = reach(estate, "dev", "prod", "house")
    assert (told["reaches"], told["complete"]) == (False, True)
    assert [pair["ways"] for pair in told["pairs"]] == [[], []]


def test_a_rule_lets_through_those_whose_policies_reach_a_mount(estate: Estate) -> None:
    make(estate, "dev")
    make(estate, "prod")
    text = 'path "prod/data/*" {\n  capabilities = ["read"]\n}'
    estate.must("sys/policies/acl/prod-reader", {"policy": text})
    estate.must("sys/policies/acl/none", {"policy": 'path "dev/*" { capabilities = ["read"] }'})
    estate.must("segment/flows/dev/prod", {"reason": "releases", "policies": "prod-reader"})
    pair = reach(estate, "dev", "prod")["pairs"][0]
    assert subjects(pair) == {"policy prod-reader"}
    assert pair["who"][0]["rule"] == "prod-reader:1 prod/data/*"
    assert pair["ways"][0]["detail"] == "rule dev -> prod for prod-reader: releases"
    assert reach(estate, "prod", "dev")["reaches"] is False


def test_a_device_of_two_segments_is_a_way_for_its_owner(estate: Estate) -> None:
    make(estate, "dev")
    make(estate, "prod")
    text = 'path "prod/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/mail", {"policy": text})
    estate.login("colleague")
    enrol(estate, "both", "colleague", "dev", "prod")
    pair = reach(estate, "dev", "prod")["pairs"][0]
    assert {way["kind"] for way in pair["ways"]} == {"device", "person"}
    assert any(each.startswith("policy mail (") for each in subjects(pair))


def test_a_person_with_a_device_in_each_is_a_way(estate: Estate) -> None:
    make(estate, "dev")
    make(estate, "prod")
    text = 'path "prod/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/mail", {"policy": text})
    estate.login("colleague")
    enrol(estate, "one", "colleague", "dev")
    assert reach(estate, "dev", "prod")["reaches"] is False
    enrol(estate, "two", "colleague", "prod")
    pair = reach(estate, "dev", "prod")["pairs"][0]
    assert {way["kind"] for way in pair["ways"]} == {"person"}
    assert pair["reaches"] is True


def test_networks_that_overlap_are_a_way(estate: Estate) -> None:
    make(estate, "dev", networks="10.0.0.0/8")
    make(estate, "prod", networks="10.9.0.0/16,fd00::/8")
    text = 'path "prod/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/mail", {"policy": text})
    way = reach(estate, "dev", "prod")["pairs"][0]["ways"][0]
    assert way["detail"] == "10.0.0.0/8 of dev overlaps 10.9.0.0/16 of prod"


def test_a_live_root_token_counts_where_a_rule_lets_everybody_through(estate: Estate) -> None:
    make(estate, "dev")
    make(estate, "prod")
    estate.must("segment/flows/dev/prod", {})
    accessor = estate.get("auth/token/lookup-self")["accessor"]
    assert f"token {accessor}" in subjects(reach(estate, "dev", "prod")["pairs"][0])


@pytest.mark.parametrize(
    "data",
    [{}, {"source": "dev"}, {"source": "dev", "targets": "dev"}, {"source": "dev", "targets": "x"},
     {"source": "../x", "targets": "dev"}, {"source": "dev", "targets": ["dev"] * 99}],
)  # fmt: skip
def test_questions_that_mean_nothing_are_refused(estate: Estate, data: dict[str, Any]) -> None:
    make(estate, "dev")
    assert estate.request(Operation.READ, "segment/reach", data, "root").error is not None
    assert estate.vault.defects == []
