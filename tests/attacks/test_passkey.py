"""An attacker against passkeys, tickets, recovery and touches, through the whole pipeline."""

import json
from hashlib import sha256
from typing import Any

import pytest

from ironkeep.core.errors import (
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    StepUpNeeded,
)
from ironkeep.core.webauthn.step_up import verify_evidence
from ironkeep.core.webauthn.webauthn import decode, encode
from ironkeep.testing.parts import part, text
from tests.support.people.passkeys import MOUNT, PasskeyVault, Person
from tests.support.people.softauth import SoftAuthenticator

SECRET = "secret/data/prod/db"
OTHER = "secret/data/prod/mail"
POLICY = 'path "secret/*" { capabilities = ["read", "list"] }'
CANARY = "canary-4711"


@pytest.fixture
def v() -> PasskeyVault:
    v = PasskeyVault()
    v.write("sys/policies/acl/reader", token="root", policy=POLICY)
    for path in (SECRET, OTHER):
        v.write(path, token="root", data={"password": CANARY})
    reply = v.write("sys/classes/secret/data/prod", token="root", **{"class": "guarded"})
    assert reply.error is None, reply.body
    return v


def reader(v: PasskeyVault, name: str = "ada") -> tuple[Person, str]:
    person = v.person(name, token_policies=["reader"])
    return person, v.token(person)


def demanded(v: PasskeyVault, token: str, path: str = SECRET) -> str:
    """Ask for a guarded secret; return the id of the touch that is asked for."""
    reply = v.vault.read(path, token=token)
    assert reply.error is StepUpNeeded
    assert CANARY not in json.dumps(reply.body)
    return reply.answer.step_up.rpartition("/")[2]


def touch(v: PasskeyVault, demand: str, person: Person) -> dict[str, Any]:
    shown = v.vault.read(f"{MOUNT}/step-up/{demand}", token=None).data
    return {"credential": person.keys[0].get(shown["options"])}


def give(v: PasskeyVault, demand: str, person: Person) -> Any:
    return v.ask(f"step-up/{demand}", **touch(v, demand, person)).error


def test_a_touch_opens_one_read_and_its_entry_proves_it(v: PasskeyVault) -> None:
    ada, token = reader(v)
    demand = demanded(v, token)
    shown = v.vault.read(f"{MOUNT}/step-up/{demand}", token=None).data
    assert (shown["operation"], shown["path"], shown["name"]) == ("read", SECRET, "passkey-ada")
    assert give(v, demand, ada) is None
    assert v.vault.read(SECRET, token=token).data["data"] == {"password": CANARY}
    house = v.vault.house
    entries = [each for _, each in house.audit_reader().entries()]
    *_, entry = (each for each in entries if each.path == SECRET)
    bound = {e.audited["credential"]: e.audited for e in entries if "bound_by" in e.audited}
    evidence = {name: str(value) for name, value in entry.audited.items()}
    credential = evidence["step_up_credential"]
    key = str(bound[credential]["key"])
    party = house.features.authenticators.party(house.state.begin())
    statement = verify_evidence(party, decode(credential, 999), decode(key, 999), evidence)
    assert (statement.op, statement.path) == (entry.op, entry.path)
    assert (statement.session, statement.entity) == (entry.accessor, entry.entity)
    assert v.vault.read(SECRET, token=token).error is StepUpNeeded


def test_a_touch_is_not_spent_elsewhere(v: PasskeyVault) -> None:
    ada, token = reader(v)
    eve, eves = reader(v, "eve")
    second = v.token(ada)
    assert give(v, demanded(v, token), ada) is None
    for whose, path in ((eves, SECRET), (second, SECRET), (token, OTHER)):
        assert v.vault.read(path, token=whose).error is StepUpNeeded
    versioned = v.vault.read(SECRET, data={"version": "1"}, token=token)
    assert versioned.error is StepUpNeeded
    assert v.vault.read(SECRET, token=token).error is None
    assert give(v, demanded(v, eves), ada) is InvalidCredentials
    assert give(v, demanded(v, eves), eve) is None


def test_a_touch_is_not_replayed(v: PasskeyVault) -> None:
    ada, token = reader(v)
    demand = demanded(v, token)
    signed = touch(v, demand, ada)
    assert v.ask(f"step-up/{demand}", **signed).error is None
    assert v.ask(f"step-up/{demand}", **signed).error is NotFound
    assert v.vault.read(SECRET, token=token).error is None
    again = demanded(v, token)
    assert v.ask(f"step-up/{again}", **signed).error is InvalidCredentials
    assert v.vault.read(SECRET, token=token).error is StepUpNeeded


def test_a_touch_does_not_come_back_after_a_crash(v: PasskeyVault) -> None:
    ada, token = reader(v)
    assert give(v, demanded(v, token), ada) is None
    assert v.vault.read(SECRET, token=token).error is None
    survivor = v.vault.restarted()
    survivor.unseal()
    assert survivor.read(SECRET, token=token).error is StepUpNeeded


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://a.vault.example"},
        {"cross_origin": True},
        {"flags": 0x01},
        {"counts": False},
    ],
)
def test_a_forged_touch_is_refused(v: PasskeyVault, change: dict[str, Any]) -> None:
    ada, token = reader(v)
    for name, value in change.items():
        setattr(ada.keys[0], name, value)
    assert give(v, demanded(v, token), ada) is InvalidCredentials
    assert v.vault.read(SECRET, token=token).error is StepUpNeeded


def test_a_login_assertion_is_no_touch_and_a_touch_no_login(v: PasskeyVault) -> None:
    ada, token = reader(v)
    demand = demanded(v, token)
    begun = v.ask("login/begin", username="ada").data
    login = ada.keys[0].get(begun["options"])
    assert v.ask(f"step-up/{demand}", credential=login).error is InvalidCredentials
    signed = touch(v, demand, ada)
    assert v.ask("login/finish", id=begun["id"], **signed).error is InvalidCredentials
    assert v.vault.read(SECRET, token=token).error is StepUpNeeded


def test_a_late_touch_is_refused(v: PasskeyVault) -> None:
    ada, token = reader(v)
    demand = demanded(v, token)
    signed = touch(v, demand, ada)
    v.vault.clock.advance(seconds=60)
    assert v.ask(f"step-up/{demand}", **signed).error is NotFound


def test_a_challenge_of_ones_own_making_is_refused(v: PasskeyVault) -> None:
    ada, _ = reader(v)
    begun = v.ask("login/begin", username="ada").data
    raw = bytearray(decode(begun["id"], 999))
    for at in range(len(raw)):
        forged = bytes(raw[:at]) + bytes([raw[at] ^ 1]) + bytes(raw[at + 1 :])
        signed = ada.keys[1].get(begun["options"])
        reply = v.ask("login/finish", id=encode(forged), credential=signed)
        assert reply.error in (InvalidCredentials, InvalidRequest), at
    assert v.login(ada).error is None


@pytest.mark.parametrize("name", ["", "x", "A" * 112, "\x00", "é", None, 7, {}, []])
def test_hostile_ids_and_credentials_are_refused_without_a_defect(
    v: PasskeyVault, name: Any
) -> None:
    begun = v.ask("login/begin").data
    good = SoftAuthenticator()
    challenge = part(begun, "options", "publicKey", "challenge")
    good.create({"rp": {"id": "x"}, "user": {"id": "YQ"}, "challenge": challenge})
    signed = good.get(begun["options"])
    tries: list[tuple[str, dict[str, Any]]] = [
        ("login/finish", {"id": name, "credential": signed}),
        ("login/finish", {"id": begun["id"], "credential": name}),
        ("login/finish", {"id": begun["id"], "credential": {**signed, "rawId": name}}),
        ("login/finish", {"id": begun["id"], "credential": {**signed, "response": name}}),
        ("login/finish", {"id": begun["id"], "credential": {**signed, "type": name}}),
        ("add/finish", {"id": name, "credential": signed}),
        ("register/begin", {"ticket": name}),
        ("register/finish", {"id": name, "credential": signed, "label": "x"}),
        ("register/finish", {"id": begun["id"], "credential": signed, "label": name}),
        ("cli/start", {"port": 4711, "state": name, "code_challenge": name}),
        ("cli/finish", {"code": name, "code_verifier": name}),
        ("login/begin", {"username": "ada", "cli": name or "x"}),
    ]
    for path, data in tries:
        assert v.ask(path, **data).error in (InvalidCredentials, InvalidRequest), (path, data)
    assert v.vault.defects == []


def test_a_code_is_good_once_in_time_and_for_who_asked(v: PasskeyVault) -> None:
    ada, _ = reader(v)

    def code(verifier: str) -> str:
        challenge = _s256(verifier)
        start = v.ask("cli/start", port=4711, state="A" * 43, code_challenge=challenge)
        cli = start.data["cli"]
        begun = v.ask("login/begin", username="ada", cli=cli).data
        signed = ada.keys[0].get(begun["options"])
        bare = v.ask("login/finish", id=begun["id"], credential=signed)
        assert bare.error is InvalidCredentials  # it was for the command, and is used up
        begun = v.ask("login/begin", username="ada", cli=cli).data
        signed = ada.keys[0].get(begun["options"])
        reply = v.ask("login/finish", id=begun["id"], credential=signed, cli=cli)
        assert part(reply.body, "auth") is None
        redirect = text(reply.data, "redirect")
        assert redirect.startswith("http://127.0.0.1:4711/cb?code=")
        return redirect.partition("code=")[2].partition("&")[0]

    mine, theirs = "m" * 43, "t" * 43
    stolen = code(mine)
    assert v.ask("cli/finish", code=stolen, code_verifier=theirs).error is InvalidCredentials
    assert v.ask("cli/finish", code=stolen, code_verifier=mine).error is InvalidCredentials
    late = code(mine)
    v.vault.clock.advance(seconds=60)
    assert v.ask("cli/finish", code=late, code_verifier=mine).error is InvalidCredentials
    good = code(mine)
    assert v.ask("cli/finish", code=good, code_verifier=mine).auth["metadata"] == {
        "username": "ada"
    }
    assert v.ask("cli/finish", code=good, code_verifier=mine).error is InvalidCredentials


def test_a_stolen_token_binds_no_authenticator_and_removes_not_the_last(v: PasskeyVault) -> None:
    _, token = reader(v)
    for path in ("users/ada/ticket", "recovery/ada", "recovery/ada/ticket", "users/ada", "config"):
        assert v.write(f"{MOUNT}/{path}", token=token, reason="x").error is PermissionDenied
    names = v.vault.list(f"{MOUNT}/authenticators/", token=token).keys
    errors = [v.vault.delete(f"{MOUNT}/authenticators/{n}", token=token).error for n in names]
    assert errors == [StepUpNeeded, StepUpNeeded]
    _, eves = reader(v, "eve")
    left = names[1]
    assert v.vault.delete(f"{MOUNT}/authenticators/{left}", token=eves).error is NotFound
    assert v.vault.read(f"{MOUNT}/authenticators/{left}", token=eves).error is NotFound


def test_no_secret_of_a_ceremony_is_kept_or_journalled(v: PasskeyVault) -> None:
    ticket = v.invite("ada")
    key = SoftAuthenticator()
    second = text(v.register(ticket, key).data, "ticket")
    token = v.login(Person("ada", [key])).token
    house = v.vault.house
    journal = " ".join(str(entry) for _, entry in house.audit_reader().entries())
    assert encode(key.credentials[0].id) in journal
    for secret in (ticket, second, token):
        assert secret not in journal


def _s256(verifier: str) -> str:
    return encode(sha256(verifier.encode()).digest())
