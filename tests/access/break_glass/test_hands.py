"""Break-glass by one pair of hands: holders are others, each has their own codes."""

import msgspec
import pytest

from ironkeep.access.break_glass.break_glass import CODES, PLACE, Codes
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.ids import EntityId
from ironkeep.store.record import Codec
from ironkeep.testing.parts import array, tables, text, texts
from ironkeep.testing.vault import Reply, Vault
from tests.support.people.approval_estate import SECRET, Ask, approve, estate, told, unwrap
from tests.support.people.people import Person, person

CONFIG, PEOPLE, FETCH = "sys/break-glass/config", "sys/break-glass/people", "sys/break-glass/codes"
GLASS = """
path "sys/break-glass/*" { capabilities = ["create", "read", "update", "delete", "sudo"] }
path "sys/control-group/authorize" { capabilities = ["update"] }
"""
SENT = {"threshold": 2, "policies": ["rescue"], "ttl": "30m"}
WHY = "the identity provider is down"


@pytest.fixture
def vault() -> Vault:
    vault = estate().vault
    vault.write("sys/policies/acl/rescue", {"policy": 'path "*" { capabilities = ["read"] }'})
    vault.write("sys/policies/acl/glass", {"policy": GLASS})
    return vault


def agreed(vault: Vault, by: Person, second: Person, reply: Reply) -> Reply:
    """Have a change approved and made."""
    asked: Ask = told(reply)
    assert approve(vault, second, asked).error is None
    return unwrap(vault, by, asked)


def give(vault: Vault, name: str, code: str, attempt: str = "") -> Reply:
    sent = {"name": name, "code": code, "reason": WHY, "attempt": attempt}
    return vault.write("sys/break-glass/open", sent, token=None)


def codes(vault: Vault, name: str) -> tuple[Person, list[str]]:
    who = person(vault, name, [])
    assert vault.write(f"{PEOPLE}/{name}").error is None
    return who, texts(vault.write(FETCH, token=who.token).data, "codes")


def test_settings_and_holders_change_by_two(vault: Vault) -> None:
    bob, ann = (person(vault, name, ["glass"]) for name in ("bob", "ann"))
    asked = vault.write(CONFIG, SENT, token=bob.token)
    assert vault.read(CONFIG).data["policies"] == []
    assert agreed(vault, bob, ann, asked).error is None
    assert vault.read(CONFIG).data["policies"] == ["rescue"]
    cyd = person(vault, "cyd", [])
    asked = vault.write(f"{PEOPLE}/cyd", token=bob.token)
    assert vault.write(FETCH, token=cyd.token).error is NotFound
    named = agreed(vault, bob, ann, asked)
    assert "codes" not in named.data
    for other in (bob.token, ann.token, "root"):
        assert vault.write(FETCH, token=other).error is NotFound
    assert len(array(vault.write(FETCH, token=cyd.token).data, "codes")) == CODES
    assert vault.write(FETCH, token=cyd.token).error is NotFound


@pytest.mark.parametrize("name", ["nobody", "x", "00000000-0000-4000-8000-000000000000"])
def test_only_people_who_exist_hold_codes(vault: Vault, name: str) -> None:
    assert vault.write(f"{PEOPLE}/{name}").error is InvalidRequest


def test_who_asks_or_configures_holds_none(vault: Vault) -> None:
    bob, ann = (person(vault, name, ["glass"]) for name in ("bob", "ann"))
    assert vault.write(f"{PEOPLE}/bob", token=bob.token).error is PermissionDenied
    assert agreed(vault, bob, ann, vault.write(CONFIG, SENT, token=bob.token)).error is None
    assert vault.write(f"{PEOPLE}/bob", token=ann.token).error is PermissionDenied
    assert agreed(vault, bob, ann, vault.write(f"{PEOPLE}/ann", token=bob.token)).error is None
    assert vault.write(CONFIG, SENT, token=ann.token).error is PermissionDenied


@pytest.mark.parametrize("end", ["disabled", "deleted"])
def test_codes_end_with_their_person(vault: Vault, end: str) -> None:
    vault.write(CONFIG, SENT)
    ada, adas = codes(vault, "ada")
    assert give(vault, "ada", adas[0]).error is None
    house, now_ns = vault.house, vault.clock.now_ns()
    tx = house.state.begin()
    if end == "disabled":
        known = house.identity.get(tx, ada.entity)
        assert known is not None
        house.identity.update(tx, msgspec.structs.replace(known, disabled=True), now_ns)
    else:
        house.identity.delete(tx, ada.entity, now_ns)
    tx.merge()
    vault.flush()
    assert give(vault, "ada", adas[1]).error is PermissionDenied


def test_people_whom_one_hand_made_count_once(vault: Vault) -> None:
    vault.write(CONFIG, SENT)
    (ada, adas), (cyd, cyds) = codes(vault, "ada"), codes(vault, "cyd")
    house = vault.house
    tx = house.state.begin()
    for each in (ada, cyd):
        known = house.identity.get(tx, each.entity)
        assert known is not None
        made = msgspec.structs.replace(known, hands=(EntityId("mallory"),))
        house.identity.update(tx, made, vault.clock.now_ns())
    tx.merge()
    vault.flush()
    begun = give(vault, "ada", adas[0])
    second = give(vault, "cyd", cyds[0], text(begun.data, "attempt"))
    assert second.error is PermissionDenied
    assert "you count as one" in second.errors[0]


@pytest.mark.parametrize(
    ("by", "value", "replaced"),
    [
        ("opener", "fresh", False), ("another", "hunter2", False), ("another", "fresh", True),
        ("token", "fresh", False), ("orphan", "fresh", False), ("another's orphan", "fresh", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("voided", [False, True], ids=["held", "voided"])
def test_replaced_is_another_person_and_another_value(
    vault: Vault, by: str, value: str, replaced: bool, voided: bool
) -> None:
    vault.write(CONFIG, SENT)
    every = 'path "*" { capabilities = ["read", "update", "sudo"] }'
    vault.write("sys/policies/acl/rescue", {"policy": every})
    (_, adas), (_, cyds) = codes(vault, "ada"), codes(vault, "cyd")
    begun = give(vault, "ada", adas[0])
    token = give(vault, "cyd", cyds[0], text(begun.data, "attempt")).token
    assert vault.read(SECRET, token=token).error is None
    opener, another = (person(vault, name, ["rescue"]).token for name in ("ada", "dan"))
    orphans = [
        vault.write("auth/token/create-orphan", {}, token=each).token for each in (opener, another)
    ]
    writer = {
        "opener": opener, "another": another, "token": token, "orphan": orphans[0],
        "another's orphan": orphans[1],
    }[by]  # fmt: skip
    for name in ("ada", "cyd") if voided else ():
        assert vault.delete(f"{PEOPLE}/{name}").error is None
    assert vault.write(SECRET, {"data": {"password": value}}, token=writer).error is None
    (case,) = vault.list("sys/break-glass/cases/").keys
    (one,) = tables(vault.read(f"sys/break-glass/cases/{case}").data, "released")
    assert one["replaced"] is replaced


def test_codes_of_before_still_open_it(vault: Vault) -> None:
    """They were printed for names alone: the paper in the safe is good until it is made anew."""
    vault.write(CONFIG, SENT)
    _, adas = codes(vault, "ada")
    house = vault.house
    tx = house.state.begin()
    store, codec = house.store(tx, PLACE), Codec(Codes)
    (name,) = store.list("person")
    raw = store.get(f"person/{name}")
    assert raw is not None
    store.put(f"person/{name}", codec.encode(Codes(codec.decode(raw).hashes)))
    tx.merge()
    vault.flush()
    assert give(vault, "ada", adas[0]).data["given"] == 1
