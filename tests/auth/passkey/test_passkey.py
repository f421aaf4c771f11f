"""The auth method `passkey`: invitations, logins, two authenticators, recovery, nothing typed."""

from typing import Any

import pytest

from ironkeep.auth.passkey.recovery import KNOWN_NS, Recovery
from ironkeep.core.errors import (
    Conflict,
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.webauthn.webauthn import encode
from ironkeep.store.record import Codec
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.parts import part, table, tables, text
from tests.support.people.passkeys import MOUNT, PasskeyVault, Person
from tests.support.people.softauth import BE, BS, UP, UV, Maker, SoftAuthenticator

HOUR = 3600


@pytest.fixture
def v() -> PasskeyVault:
    return PasskeyVault()


def test_a_person_is_invited_registers_two_and_logs_in_with_either(v: PasskeyVault) -> None:
    ada = v.person("Ada", token_policies=["dev"])
    for auth in (v.login(ada, key).auth for key in (0, 1)):
        assert auth["policies"] == ["default", "dev"]
        assert auth["metadata"] == {"username": "ada"}
    own = v.vault.list(f"{MOUNT}/authenticators/", token=v.token(ada)).data
    assert {part(info, "bound_by") for info in table(own, "key_info").values()} == {
        "invitation",
        "touch",
    }


def test_a_login_without_a_name_finds_its_person(v: PasskeyVault) -> None:
    ada = v.person("ada")
    begun = v.ask("login/begin")
    signed = ada.keys[0].get(begun.data["options"])
    reply = v.ask("login/finish", id=begun.data["id"], credential=signed)
    assert reply.auth["metadata"] == {"username": "ada"}
    assert not v.vault.defects


def test_what_is_asked_of_a_known_name_is_what_is_asked_of_an_unknown_one(v: PasskeyVault) -> None:
    v.person("ada")
    known, unknown = (v.ask("login/begin", username=name).data for name in ("ada", "nobody"))
    for answer in (known, unknown):
        assert table(answer, "options", "publicKey").pop("challenge")
        assert answer.pop("id")
    assert known == unknown
    assert part(known, "options", "publicKey", "allowCredentials") == []


def test_a_challenge_for_one_name_lets_no_other_in(v: PasskeyVault) -> None:
    v.person("ada")
    bob = v.person("bob")
    begun = v.ask("login/begin", username="ada")
    signed = bob.keys[0].get(begun.data["options"])
    reply = v.ask("login/finish", id=begun.data["id"], credential=signed)
    assert reply.error is InvalidCredentials


def test_an_assertion_logs_in_once(v: PasskeyVault) -> None:
    ada = v.person("ada")
    ada.keys[0].counts = False  # a synced passkey: no counter would give the replay away
    begun = v.ask("login/begin", username="ada")
    given = {"id": begun.data["id"], "credential": ada.keys[0].get(begun.data["options"])}
    assert v.ask("login/finish", **given).error is None
    for _ in range(2):
        assert v.ask("login/finish", **given).error is InvalidCredentials
    again = {**given, "credential": ada.keys[1].get(begun.data["options"])}
    assert v.ask("login/finish", **again).error is InvalidCredentials
    survivor = v.vault.restarted()
    survivor.unseal()
    assert survivor.write(f"{MOUNT}/login/finish", given, token=None).error is InvalidCredentials


def test_an_assertion_is_used_up_although_its_login_is_refused(v: PasskeyVault) -> None:
    ada = v.person("ada", token_bound_cidrs=["10.0.0.0/8"])
    begun = v.ask("login/begin", username="ada")
    given = {"id": begun.data["id"], "credential": ada.keys[0].get(begun.data["options"])}
    assert v.ask("login/finish", **given).error is InvalidCredentials
    path = f"{MOUNT}/login/finish"
    late = v.vault.request(Operation.UPDATE, path, given, token=None, remote="10.1.1.1:1")
    assert late.error is InvalidCredentials


@pytest.mark.parametrize("seconds", [120, 121, 100_000])
def test_a_challenge_lasts_two_minutes(v: PasskeyVault, seconds: int) -> None:
    ada = v.person("ada")
    begun = v.ask("login/begin", username="ada")
    v.vault.clock.advance(seconds=seconds)
    signed = ada.keys[0].get(begun.data["options"])
    reply = v.ask("login/finish", id=begun.data["id"], credential=signed)
    assert reply.error is InvalidCredentials
    assert "expired" in reply.errors[0]


def test_marks_of_used_challenges_do_not_pile_up(v: PasskeyVault) -> None:
    ada = v.person("ada")
    for _ in range(5):
        assert v.login(ada).error is None
        v.vault.clock.advance(seconds=180)
    house = v.vault.house
    tx = house.state.begin()
    mount = house.find_plan(tx, Operation.READ, f"{MOUNT}/config", "").mount
    assert len(list(house.mount_store(tx, mount).walk("used"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://a.vault.example"},
        {"origin": "http://vault.example"},
        {"origin": "https://vault.example:8443"},
        {"cross_origin": True},
        {"flags": UP},
        {"flags": UV},
        {"flags": UP | UV | BS},
        {"flags": UP | UV | BE},
    ],
)
def test_a_login_is_refused(v: PasskeyVault, change: dict[str, Any]) -> None:
    ada = v.person("ada")
    for name, value in change.items():
        setattr(ada.keys[0], name, value)
    reply = v.login(ada)
    assert reply.error is InvalidCredentials
    assert reply.errors == ["the passkey was not accepted"]
    assert v.login(ada, 1).error is None


def test_an_unknown_a_foreign_and_a_removed_authenticator_are_refused_alike(
    v: PasskeyVault,
) -> None:
    ada, eve = v.person("ada"), v.person("eve")
    stranger = SoftAuthenticator()
    stranger.create(_creation())
    removed = eve.keys[1]
    token = v.token(eve)
    name = _id(removed)
    path = f"{MOUNT}/authenticators/{name}"
    v.touch(v.vault.delete(path, token=token), eve.keys[0])
    assert v.vault.delete(path, token=token).error is None
    texts = []
    for key in (stranger, eve.keys[0], removed):
        begun = v.ask("login/begin", username="ada")
        signed = key.get(begun.data["options"])
        reply = v.ask("login/finish", id=begun.data["id"], credential=signed)
        assert reply.error is InvalidCredentials
        texts.append(reply.errors)
    assert texts == [texts[0]] * 3
    assert v.login(ada).error is None


def test_a_counter_that_went_back_is_refused_and_told(v: PasskeyVault) -> None:
    ada = v.person("ada")
    assert v.login(ada).error is None
    ada.keys[0].credentials[0].counter = 0
    assert v.login(ada).error is InvalidCredentials
    alerts = _alerts(v)
    assert any("may have been copied" in text for text in alerts)


def test_a_ticket_binds_one_authenticator_once(v: PasskeyVault) -> None:
    ticket = v.invite("ada")
    begun = v.ask("register/begin", ticket=ticket)
    first, second = SoftAuthenticator(), SoftAuthenticator()
    made = [key.create(begun.data["options"]) for key in (first, second)]
    answers = [
        v.ask("register/finish", id=begun.data["id"], credential=each, label="k") for each in made
    ]
    assert [each.error for each in answers] == [None, InvalidCredentials]
    assert v.ask("register/begin", ticket=ticket).error is InvalidCredentials


def test_a_ticket_is_good_for_who_opened_it_first_alone(v: PasskeyVault) -> None:
    ticket = v.invite("ada")
    holder = text(v.ask("register/begin", ticket=ticket).data, "holder")
    for other in (None, "", "x", ticket, holder[:-1], "\xfc"):
        given = {} if other is None else {"holder": other}
        reply = v.ask("register/begin", ticket=ticket, **given)
        assert reply.error is InvalidCredentials
        assert "opened in another page" in reply.body["errors"][0]
    again = v.ask("register/begin", ticket=ticket, holder=holder)
    assert again.data["holder"] == holder
    made = SoftAuthenticator().create(again.data["options"])
    done = v.ask("register/finish", id=again.data["id"], credential=made, label="k")
    assert done.error is None


def test_a_ticket_expires_and_a_new_one_ends_it(v: PasskeyVault) -> None:
    old = v.invite("ada")
    new = text(v.write(f"{MOUNT}/users/ada/ticket", token="root").data, "ticket")
    assert v.ask("register/begin", ticket=old).error is InvalidCredentials
    assert v.ask("register/begin", ticket=new).error is None
    v.vault.clock.advance(seconds=15 * 60)
    assert v.ask("register/begin", ticket=new).error is InvalidCredentials


def test_no_administrator_makes_a_ticket_for_who_has_or_had_an_authenticator(
    v: PasskeyVault,
) -> None:
    v.person("ada", 1)
    path = f"{MOUNT}/users/ada/ticket"
    assert v.write(path, token="root").error is InvalidRequest
    v.vault.delete(f"{MOUNT}/users/ada")
    v.write(f"{MOUNT}/users/ada", token="root")
    assert v.write(path, token="root").error is InvalidRequest
    everything = v.vault.list(f"{MOUNT}/users/ada/authenticators/").data
    assert [part(each, "state") for each in table(everything, "key_info").values()] == ["removed"]


def test_an_authenticator_is_never_bound_twice(v: PasskeyVault) -> None:
    ada = v.person("ada", 1)
    theirs = ada.keys[0].credentials[0]
    begun = v.ask("register/begin", ticket=v.invite("eve"))
    copy = SoftAuthenticator(fixed=theirs)
    made = copy.create(begun.data["options"])
    reply = v.ask("register/finish", id=begun.data["id"], credential=made, label="mine")
    assert reply.error is Conflict
    assert v.login(ada).error is None


def test_what_a_person_has_is_excluded_from_the_next_registration(v: PasskeyVault) -> None:
    first = v.register(v.invite("ada"), SoftAuthenticator())
    again = v.ask("register/begin", ticket=first.data["ticket"])
    own = v.vault.list(f"{MOUNT}/users/ada/authenticators/").keys
    excluded = tables(again.data, "options", "publicKey", "excludeCredentials")
    assert [each["id"] for each in excluded] == own


def test_a_privileged_person_gets_no_token_before_two_authenticators(v: PasskeyVault) -> None:
    ada = v.person("ada", 1, privileged=True, token_policies=["admin"])
    reply = v.login(ada)
    assert reply.error is PermissionDenied
    assert "1 of the 2" in reply.errors[0]
    begun = v.ask("add/begin", username="ada")
    signed = ada.keys[0].get(begun.data["options"])
    ticket = text(v.ask("add/finish", id=begun.data["id"], credential=signed).data, "ticket")
    ada.keys.append(SoftAuthenticator())
    assert v.register(ticket, ada.keys[1]).error is None
    assert v.login(ada).auth["policies"] == ["admin", "default"]
    path = f"{MOUNT}/authenticators/{_id(ada.keys[0])}"
    assert v.vault.delete(path, token=v.token(ada)).error is InvalidRequest


def test_a_login_is_no_ticket_and_a_ticket_no_login(v: PasskeyVault) -> None:
    ada = v.person("ada")
    for begin, finish in (("login", "add"), ("add", "login")):
        begun = v.ask(f"{begin}/begin", username="ada")
        signed = ada.keys[0].get(begun.data["options"])
        reply = v.ask(f"{finish}/finish", id=begun.data["id"], credential=signed)
        assert reply.error is InvalidRequest


def test_a_privileged_persons_passkey_cannot_be_one_that_is_copied(v: PasskeyVault) -> None:
    ticket = v.invite("ada", privileged=True)
    synced = SoftAuthenticator(flags=UP | UV | BE | BS)
    assert v.register(ticket, synced).error is InvalidCredentials
    v.person("bob")
    begun = v.ask("register/begin", ticket=v.invite("eve"))
    made = synced.create(begun.data["options"])
    reply = v.ask("register/finish", id=begun.data["id"], credential=made, label="phone")
    assert reply.error is None
    v.write(f"{MOUNT}/users/eve", token="root", privileged=True)
    assert "0 of the 2" in v.login(Person("eve", [synced])).errors[0]


def test_packed_attestation_proves_the_model() -> None:
    maker, other = Maker(), Maker()
    model = "00010203-0405-0607-0809-0a0b0c0d0e0f"
    v = PasskeyVault(privileged_attestation="packed", aaguids=[model], roots=maker.pem)
    wrong = [
        SoftAuthenticator(),
        SoftAuthenticator(attestation="self"),
        SoftAuthenticator(attestation="packed", maker=other),
        SoftAuthenticator(attestation="packed", maker=maker, model=bytes(16)),
    ]
    ticket = v.invite("ada", privileged=True)
    for key in wrong:
        assert v.register(ticket, key).error is InvalidCredentials
    assert v.register(ticket, SoftAuthenticator(attestation="packed", maker=maker)).error is None


@pytest.mark.parametrize(
    "config",
    [
        {"origins": ["https://evil.example"]},
        {"origins": ["http://vault.example"]},
        {"origins": ["https://vault.example/"]},
        {"origins": ["https://xvault.example"]},
        {"origins": []},
        {"rp_id": "other.example", "origins": ["https://other.example"]},
        {"attestation": "packed"},
        {"aaguids": ["00010203-0405-0607-0809-0a0b0c0d0e0f"]},
        {"roots": "nonsense"},
        {"recovery_quorum": 1},
        {"recovery_delay": 60},
    ],
)
def test_settings_that_would_weaken_it_are_refused(v: PasskeyVault, config: dict[str, Any]) -> None:
    assert v.write(f"{MOUNT}/config", token="root", **config).error is InvalidRequest


def test_somebody_who_lost_everything_is_recovered_by_others_and_time(v: PasskeyVault) -> None:
    v.write("sys/policies/acl/peer", token="root", policy=_PEER)
    ada = v.person("ada", token_policies=["peer"])
    bob, cy, dan = (v.person(name, token_policies=["peer"]) for name in ("bob", "cy", "dan"))
    before = v.token(ada)
    v.vault.clock.advance(ns=KNOWN_NS)
    path = f"{MOUNT}/recovery/ada"
    own = v.write(path, token=v.token(ada), reason="me")
    assert own.error is PermissionDenied
    bobs = v.token(bob)
    assert v.write(path, token=bobs, reason="seen her").data["needed"] == 1
    assert v.write(path, token=v.token(bob), reason="again").error is PermissionDenied
    assert v.write(path, token="root", reason="root").error is PermissionDenied
    late = v.person("mallory", token_policies=["peer"])
    assert v.write(path, token=v.token(late), reason="made up").error is PermissionDenied
    assert v.write(f"{path}/ticket", token=bobs).error is PermissionDenied
    cys = v.token(cy)
    assert v.write(path, token=cys, reason="and I").data["needed"] == 0
    assert v.write(f"{path}/ticket", token=bobs).error is PermissionDenied
    v.vault.clock.advance(seconds=24 * HOUR)
    assert v.write(f"{path}/ticket", token=v.token(dan)).error is PermissionDenied
    ticket = text(v.write(f"{path}/ticket", token=v.token(bob)).data, "ticket")
    assert v.write(f"{path}/ticket", token=v.token(bob)).error is NotFound
    fresh = SoftAuthenticator()
    assert v.register(ticket, fresh).error is None
    assert v.login(ada).error is InvalidCredentials
    assert v.vault.read("auth/token/lookup-self", token=before).error is PermissionDenied
    v.vault.clock.advance(seconds=1)
    assert v.login(Person("ada", [fresh])).error is None


def test_a_recovery_of_the_future_has_lapsed(v: PasskeyVault) -> None:
    """An earlier release stored it while the clock was ahead; it could be used for years."""
    v.write("sys/policies/acl/peer", token="root", policy=_PEER)
    ada = v.person("ada", token_policies=["peer"])
    bob = v.person("bob", token_policies=["peer"])
    v.vault.clock.advance(ns=KNOWN_NS)
    house, now = v.vault.house, v.vault.clock.now_ns()
    tx = house.state.begin()
    mount = house.mounts.table(house.store(tx, MOUNTS)).by_path[f"{MOUNT}/"]
    own = v.vault.read("auth/token/lookup-self", token=v.token(ada)).data
    entity = EntityId(text(own, "entity_id"))
    ahead = now + 400 * 24 * HOUR * 10**9
    made = Recovery(entity, ahead, (), 0)
    house.mount_store(tx, mount).put("recovery/ada", Codec(Recovery).encode(made))
    tx.merge()
    v.vault.flush()
    path = f"{MOUNT}/recovery/ada"
    assert v.vault.read(path, token=v.token(bob)).error is NotFound
    assert v.write(path, token=v.token(bob), reason="seen her").data["needed"] == 1


def test_who_logs_in_ends_their_recovery(v: PasskeyVault) -> None:
    v.write("sys/policies/acl/peer", token="root", policy=_PEER)
    ada = v.person("ada")
    bob, cy = (v.person(name, token_policies=["peer"]) for name in ("bob", "cy"))
    v.vault.clock.advance(ns=KNOWN_NS)
    path = f"{MOUNT}/recovery/ada"
    for peer in (bob, cy):
        assert v.write(path, token=v.token(peer), reason="she says").error is None
    assert v.login(ada).error is None
    v.vault.clock.advance(seconds=25 * HOUR)
    assert v.write(f"{path}/ticket", token=v.token(bob)).error is NotFound
    assert any("ended your recovery" in text for text in _alerts(v))


def test_who_logs_in_ends_the_ticket_of_a_recovery(v: PasskeyVault) -> None:
    v.write("sys/policies/acl/peer", token="root", policy=_PEER)
    ada = v.person("ada")
    bob, cy = (v.person(name, token_policies=["peer"]) for name in ("bob", "cy"))
    v.vault.clock.advance(ns=KNOWN_NS)
    path = f"{MOUNT}/recovery/ada"
    for peer in (bob, cy):
        assert v.write(path, token=v.token(peer), reason="she says").error is None
    v.vault.clock.advance(seconds=24 * HOUR)
    ticket = text(v.write(f"{path}/ticket", token=v.token(cy)).data, "ticket")
    assert v.login(ada).error is None
    assert v.register(ticket, SoftAuthenticator()).error is InvalidCredentials
    assert v.login(ada).error is None


def test_each_authenticator_that_is_bound_is_told(v: PasskeyVault) -> None:
    v.person("ada")
    told = [text for text in _alerts(v) if "was registered" in text]
    assert [text.partition(" was")[0] for text in told] == [
        "your authenticator 'ada 0'",
        "your authenticator 'ada 1'",
    ]


_PEER = f'path "{MOUNT}/recovery/*" {{ capabilities = ["create", "read", "update"] }}'


def _alerts(v: PasskeyVault) -> list[str]:
    house = v.vault.house
    tx = house.state.begin()
    found = (house.features.alerts.get(tx, name) for name in house.features.alerts.names(tx))
    return [alert.text for alert in found if alert is not None]


def _id(key: SoftAuthenticator) -> str:
    return encode(key.credentials[-1].id)


def _creation() -> dict[str, Any]:
    return {"rp": {"id": "vault.example"}, "user": {"id": "YQ"}, "challenge": "YQ"}
