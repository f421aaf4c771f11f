"""No one pair of hands: removing keys, recovering people, settings; what is pending ends."""

from hashlib import sha256
from typing import Any

import pytest

from ironkeep.auth.passkey.recovery import KNOWN_NS
from ironkeep.core.errors import InvalidCredentials, NotFound, PermissionDenied, StepUpNeeded
from ironkeep.core.event import Entry
from ironkeep.core.webauthn import webauthn
from ironkeep.core.webauthn.step_up import KEY
from ironkeep.testing.parts import number, text, texts
from tests.support.people.approval_estate import approve, told, unwrap
from tests.support.people.passkeys import MOUNT, PasskeyVault, Person
from tests.support.people.softauth import SoftAuthenticator

HOUR = 3_600
PEER = f"""
path "{MOUNT}/recovery/*" {{ capabilities = ["create", "read", "update"] }}
path "{MOUNT}/users/*" {{ capabilities = ["create", "read", "update", "delete", "list"] }}
path "{MOUNT}/config" {{ capabilities = ["read", "update"] }}
path "sys/control-group/authorize" {{ capabilities = ["update"] }}
"""
CONFIG = f"{MOUNT}/config"


@pytest.fixture
def v() -> PasskeyVault:
    made = PasskeyVault()
    made.write("sys/policies/acl/peer", token="root", policy=PEER)
    return made


def name_of(key: SoftAuthenticator) -> str:
    return webauthn.encode(key.credentials[-1].id)


def ticket_by_touch(v: PasskeyVault, who: Person) -> str:
    begun = v.ask("add/begin", username=who.name).data
    signed = who.keys[0].get(begun["options"])
    done = v.ask("add/finish", id=begun["id"], credential=signed)
    return text(done.data, "ticket")


def three(v: PasskeyVault) -> Person:
    """Make ada, with three authenticators."""
    ada = v.person("ada")
    ada.keys.append(SoftAuthenticator())
    assert v.register(ticket_by_touch(v, ada), ada.keys[2], "third").error is None
    return ada


def entries(v: PasskeyVault, path: str) -> list[Entry]:
    found = (entry for _, entry in v.vault.house.audit_reader().entries())
    return [entry for entry in found if entry.path == path and entry.outcome == "ok"]


def test_removing_ones_own_takes_a_touch_of_another(v: PasskeyVault) -> None:
    ada = three(v)
    stolen = v.token(ada)
    path = f"{MOUNT}/authenticators/{name_of(ada.keys[0])}"
    asked = v.vault.delete(path, token=stolen)
    assert asked.error is StepUpNeeded
    v.touch(asked, ada.keys[0])
    assert v.vault.delete(path, token=stolen).error is PermissionDenied
    v.touch(v.vault.delete(path, token=stolen), ada.keys[1])
    # It is for this one alone.
    other = f"{MOUNT}/authenticators/{name_of(ada.keys[2])}"
    assert v.vault.delete(other, token=stolen).error is StepUpNeeded
    assert v.vault.delete(path, token=stolen).error is None
    assert entries(v, path)[-1].audited[KEY]


def test_removing_another_persons_takes_a_second_person(v: PasskeyVault) -> None:
    ada = three(v)
    desk = v.token(v.person("desk", token_policies=["peer"]))
    path = f"{MOUNT}/users/ada/authenticators/{name_of(ada.keys[0])}"
    assert told(v.vault.delete(path, token=desk)).accessor
    assert v.login(ada).error is None


def test_removing_a_person_who_has_authenticators_takes_a_second_person(v: PasskeyVault) -> None:
    v.person("ada", token_policies=["peer"])
    admin, path = v.token(v.person("eve", token_policies=["peer"])), f"{MOUNT}/users/ada"
    assert told(v.vault.delete(path, token=admin)).accessor
    assert v.vault.read(path).data["authenticators"] == 2
    # Nobody is rid of a touch by removing the person who gives it: not with a stolen token either.
    assert told(v.vault.delete(f"{MOUNT}/users/eve", token=admin)).accessor
    assert v.vault.read(f"{MOUNT}/users/eve").data["authenticators"] == 2
    v.invite("new")
    assert v.vault.delete(f"{MOUNT}/users/new", token=admin).body is None
    assert v.vault.delete(path).body is None, "a root token sets the house up"
    assert v.vault.read(path).error is NotFound


def test_settings_change_by_two_and_a_privileged_person_stays_one(v: PasskeyVault) -> None:
    v.person("ada", privileged=True)
    desk = v.token(v.person("desk", token_policies=["peer"]))
    before = v.vault.read(CONFIG).data
    for change in (
        {"recovery_delay": "1h"}, {"recovery_delay": "48h"}, {"recovery_quorum": 3},
        {"origins": [*texts(before, "origins"), "https://more.vault.example"]},
    ):  # fmt: skip
        told(v.write(CONFIG, token=desk, **change))
        v.vault.clock.advance(seconds=HOUR)
        assert v.vault.read(CONFIG).data == before
    told(v.write(f"{MOUNT}/users/ada", token=desk, privileged=False))
    assert v.vault.read(f"{MOUNT}/users/ada").data["privileged"] is True


def test_a_change_of_settings_is_made_when_another_approved_it(v: PasskeyVault) -> None:
    desk, eve = (v.person(name, token_policies=["peer"]) for name in ("desk", "eve"))
    token = v.token(desk)
    asked = told(v.write(CONFIG, token=token, recovery_delay="48h"))
    second = v.token(eve)
    v.touch(approve(v.vault, second, asked), eve.keys[0])
    assert approve(v.vault, second, asked).error is None
    assert unwrap(v.vault, token, asked).error is None
    assert v.vault.read(CONFIG).data["recovery_delay"] == 48 * HOUR


def made_by(v: PasskeyVault, admin: str, name: str) -> Person:
    """Make a person as an administrator who is one."""
    made = v.write(f"{MOUNT}/users/{name}", token=admin, token_policies=["peer"])
    assert made.error is None
    ticket = text(v.write(f"{MOUNT}/users/{name}/ticket", token=admin).data, "ticket")
    person = Person(name)
    for count in range(2):
        key = SoftAuthenticator()
        reply = v.register(ticket, key, f"{name} {count}")
        ticket = text(reply.data, "ticket") if "ticket" in reply.data else ""
        person.keys.append(key)
    return person


@pytest.mark.parametrize("days", [0, 400])
def test_people_whom_one_hand_made_recover_nobody(v: PasskeyVault, days: int) -> None:
    v.person("ann")
    mal = v.person("mal", token_policies=["peer"])
    puppets = [made_by(v, v.token(mal), name) for name in ("p1", "p2")]
    v.vault.clock.advance(seconds=days * 24 * HOUR + 60)
    path = f"{MOUNT}/recovery/ann"
    given = [v.write(path, token=v.token(each), reason="x").error for each in (*puppets, mal)]
    assert sum(error is None for error in given) <= 1
    assert v.vault.read(path).error is not None or number(v.vault.read(path).data, "needed") > 0


def test_who_has_keys_since_lately_recovers_nobody(v: PasskeyVault) -> None:
    v.person("ann")
    bob = v.person("bob", token_policies=["peer"])
    v.vault.clock.advance(ns=KNOWN_NS - 1)
    assert v.write(f"{MOUNT}/recovery/ann", token=v.token(bob), reason="x").error is (
        PermissionDenied
    )
    v.vault.clock.advance(ns=1)
    assert v.write(f"{MOUNT}/recovery/ann", token=v.token(bob), reason="x").error is None


def test_an_approval_of_a_recovery_ends_with_its_approver(v: PasskeyVault) -> None:
    v.person("ann")
    bob, cy = (v.person(name, token_policies=["peer"]) for name in ("bob", "cy"))
    v.vault.clock.advance(ns=KNOWN_NS)
    path = f"{MOUNT}/recovery/ann"
    for peer in (bob, cy):
        assert v.write(path, token=v.token(peer), reason="seen").error is None
    v.vault.clock.advance(seconds=24 * HOUR)
    assert v.vault.delete(f"{MOUNT}/users/cy").error is None
    assert v.write(f"{path}/ticket", token=v.token(bob)).error is PermissionDenied


def assertion(v: PasskeyVault, who: Person) -> tuple[str, dict[str, Any]]:
    begun = v.ask("login/begin", username=who.name).data
    return text(begun, "id"), who.keys[0].get(begun["options"])


def test_a_passkey_has_one_id_and_the_journal_has_that(v: PasskeyVault) -> None:
    ada, eve = v.person("ada"), v.person("eve")
    for other in (name_of(eve.keys[0]), "anything", "", 7, None):
        ceremony, signed = assertion(v, ada)
        reply = v.ask("login/finish", id=ceremony, credential={**signed, "id": other})
        assert reply.error is InvalidCredentials
    for missing in ("id", "rawId"):
        ceremony, signed = assertion(v, ada)
        rest = {name: value for name, value in signed.items() if name != missing}
        assert v.ask("login/finish", id=ceremony, credential=rest).error is None
        last = entries(v, f"{MOUNT}/login/finish")[-1]
        assert last.audited["credential"] == name_of(ada.keys[0])


def test_a_counter_that_goes_back_to_0_is_refused_and_told(v: PasskeyVault) -> None:
    ada = v.person("ada")
    ada.keys[0].credentials[-1].counter = 2
    assert v.login(ada).error is None
    ada.keys[0].credentials[-1].counter = -1
    assert v.login(ada).error is InvalidCredentials
    alerts = [e for _, e in v.vault.house.audit_reader().entries() if e.op == "alert"]
    assert alerts[-1].audited["alert"] == "authenticator copied"


@pytest.mark.parametrize("end", ["authenticator", "person", "sessions"])
def test_a_ticket_ends_with_what_it_came_from(v: PasskeyVault, end: str) -> None:
    ada = three(v)
    ticket = ticket_by_touch(v, ada)
    v.vault.clock.advance(seconds=1)
    if end == "authenticator":
        path = f"{MOUNT}/users/ada/authenticators/{name_of(ada.keys[0])}"
        assert v.vault.delete(path).error is None
    elif end == "person":
        assert v.vault.delete(f"{MOUNT}/users/ada").error is None
    else:
        house = v.vault.house
        tx = house.state.begin()
        entity = v.session(v.token(ada)).record.entity
        house.identity.revoke_before(tx, entity, v.vault.clock.now_ns())
        tx.merge()
        v.vault.flush()
    assert v.register(ticket, SoftAuthenticator()).error is InvalidCredentials


@pytest.mark.parametrize("end", ["authenticator", "person"])
def test_a_code_of_a_login_ends_with_what_it_came_from(v: PasskeyVault, end: str) -> None:
    ada = three(v)
    challenge = webauthn.encode(sha256(b"m" * 43).digest())
    cli = v.ask("cli/start", port=4711, state="A" * 43, code_challenge=challenge).data["cli"]
    begun = v.ask("login/begin", username="ada", cli=cli).data
    signed = ada.keys[0].get(begun["options"])
    done = v.ask("login/finish", id=begun["id"], credential=signed, cli=cli)
    code = text(done.data, "redirect").partition("code=")[2].partition("&")[0]
    if end == "authenticator":
        path = f"{MOUNT}/users/ada/authenticators/{name_of(ada.keys[0])}"
        assert v.vault.delete(path).error is None
    else:
        assert v.vault.delete(f"{MOUNT}/users/ada").error is None
    assert v.ask("cli/finish", code=code, code_verifier="m" * 43).error is InvalidCredentials
