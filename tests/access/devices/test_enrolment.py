"""Devices: how one is asked for, proved and decided on, and everything that is refused."""

from base64 import b64encode
from collections.abc import Mapping

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ironkeep.access.device_engine import ROUTES
from ironkeep.access.devices.enrolment import FRESH_SECONDS, MAX_OPEN, PROVE_SECONDS
from ironkeep.access.step_up.authenticators import Authenticator
from ironkeep.core.device.proof import enrol_message
from ironkeep.core.errors import (
    Conflict,
    DeviceRefused,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooManyRequests,
)
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.operation import Operation
from ironkeep.plugin.token import TokenSpec
from ironkeep.testing.parts import text
from tests.support.devices.device_estate import PASSWORD, DeviceEstate
from tests.support.devices.soft_device import SoftDevice


@pytest.fixture
def estate() -> DeviceEstate:
    return DeviceEstate()


def wish(device: SoftDevice, **other: str) -> dict[str, str]:
    asked = {"name": "laptop", "ownership": "corporate", "key_kind": "file"}
    return {**asked, "key_spki": device.spki, **other}


# -- enrolment


def test_a_device_is_asked_for_proved_and_let_in_by_another_person(estate: DeviceEstate) -> None:
    device = estate.pending("ann")
    shown = estate.vault.read(f"device/devices/{device.id}").data
    assert (shown["state"], shown["decided_by"]) == ("pending", "")
    estate.decide("approve", device, until="30d")
    shown = estate.vault.read(f"device/devices/{device.id}").data
    assert (shown["state"], shown["reason"]) == ("active", "works here")
    assert shown["decided_by"] != shown["owner"]
    assert shown["until"] == "2026-01-31T00:00:00Z"
    assert estate.vault.list("device/devices/").keys == [device.id]


@pytest.mark.parametrize(
    "other",
    [
        {"ownership": ""}, {"ownership": "mine"}, {"key_kind": "cloud"}, {"name": ""},
        {"name": "x" * 129}, {"name": "a\x00b"}, {"key_spki": ""}, {"key_spki": "!"},
        {"key_spki": b64encode(b"\x30\x00").decode()},
        {"key_spki": b64encode(b"\x30" * 10_000).decode()},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_enrolled(estate: DeviceEstate, other: dict[str, str]) -> None:
    token = estate.login("ann")
    asked = wish(SoftDevice(), **other)
    assert estate.refused("device/enrol/start", asked, token=token).error is InvalidRequest


def other_keys() -> list[bytes]:
    der, info = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    p256 = ec.generate_private_key(ec.SECP256R1()).public_key()
    compressed = p256.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    return [
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(der, info),
        ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(der, info),
        head + compressed,
        p256.public_bytes(der, info) + b"\0",
    ]


def test_only_p256_in_one_spelling_is_a_device_key(estate: DeviceEstate) -> None:
    token = estate.login("ann")
    for spki in other_keys():
        asked = wish(SoftDevice(), key_spki=b64encode(spki).decode())
        assert estate.refused("device/enrol/start", asked, token=token).error is InvalidRequest


def test_an_old_token_a_child_and_a_root_token_enrol_nothing(estate: DeviceEstate) -> None:
    asked = wish(SoftDevice())
    token = estate.login("ann")
    reply = estate.vault.write("auth/token/create", {"policies": ["user"]}, token=token)
    child = reply.token
    for stranger in ("root", child):
        refused = estate.refused("device/enrol/start", asked, token=stranger)
        assert refused.error is PermissionDenied
        assert "just logged in" in refused.errors[0]
    estate.vault.clock.advance(seconds=FRESH_SECONDS + 1)
    assert estate.refused("device/enrol/start", asked, token=token).error is PermissionDenied


def test_who_has_a_passkey_enrols_by_it_alone(estate: DeviceEstate) -> None:
    token = estate.login("ann")
    ann = text(estate.vault.read("auth/token/lookup-self", token=token).data, "entity_id")
    house = estate.vault.house
    tx = house.state.begin()
    key = Authenticator(b"x" * 32, EntityId(ann), b"", "key", "", 1, "invitation")
    house.features.authenticators.bind(tx, key)
    tx.merge()
    refused = estate.refused("device/enrol/start", wish(SoftDevice()), token=token)
    assert refused.error is PermissionDenied
    assert "you have a passkey" in refused.errors[0]


def test_a_proof_is_of_that_key_nonce_person_and_time(estate: DeviceEstate) -> None:
    device, other = SoftDevice(), SoftDevice()
    token = estate.login("ann")
    begun = estate.write("device/enrol/start", wish(device), token=token)
    again = estate.write("device/enrol/start", wish(other), token=token)
    right = device.sign(enrol_message(begun["id"], begun["nonce"]))
    for signature in (
        other.sign(enrol_message(begun["id"], begun["nonce"])),
        device.sign(enrol_message(begun["id"], again["nonce"])),
        device.sign(enrol_message(again["id"], begun["nonce"])),
        device.sign(begun["nonce"].encode()),
        "",
        b64encode(b"x" * 5_000).decode(),
    ):
        proof = {"id": begun["id"], "signature": signature}
        refused = estate.refused("device/enrol/prove", proof, token=token)
        assert refused.error in (PermissionDenied, InvalidRequest)
    proof = {"id": begun["id"], "signature": right}
    for name in ("bob", "eve"):
        refused = estate.refused("device/enrol/prove", proof, token=estate.login(name))
        assert refused.error is InvalidRequest, name
    estate.write("device/enrol/prove", proof, token=token)
    assert estate.refused("device/enrol/prove", proof, token=token).error is InvalidRequest
    estate.vault.clock.advance(seconds=PROVE_SECONDS + 1)
    late = {"id": again["id"], "signature": other.sign(enrol_message(again["id"], again["nonce"]))}
    assert estate.refused("device/enrol/prove", late, token=token).error is InvalidRequest


def test_a_key_is_enrolled_once_and_burnt_by_revocation(estate: DeviceEstate) -> None:
    device = estate.pending("ann")
    asked, token = wish(device), estate.login("bob")
    assert estate.refused("device/enrol/start", asked, token=token).error is Conflict
    estate.decide("refuse", device)
    device.enrol(lambda path, data: estate.write(path, data, token=token), "again")
    estate.decide("revoke", device)
    assert estate.refused("device/enrol/start", asked, token=token).error is Conflict


def test_nobody_fills_the_list_of_those_who_wait(estate: DeviceEstate) -> None:
    token = estate.login("ann")
    for _ in range(MAX_OPEN):
        estate.write("device/enrol/start", wish(SoftDevice()), token=token)
    refused = estate.refused("device/enrol/start", wish(SoftDevice()), token=token)
    assert refused.error is TooManyRequests
    estate.write("device/enrol/start", wish(SoftDevice()), token=estate.login("bob"))
    estate.vault.clock.advance(seconds=PROVE_SECONDS + 1)
    estate.write("device/enrol/start", wish(SoftDevice()), token=estate.login("ann"))


# -- decisions


def test_an_owner_does_not_decide_on_the_own_device(estate: DeviceEstate) -> None:
    device = estate.pending("eve")
    yes = {"reason": "mine", "until": "1d"}
    path = f"device/approve/{device.id}"
    token = estate.login("eve")
    made = estate.vault.write("auth/token/create-orphan", {"policies": ["admin"]}, token=token)
    for mine in (token, made.token):
        refused = estate.refused(path, yes, token=mine)
        assert refused.error is PermissionDenied
        assert "another person" in refused.errors[0]
    refused = estate.refused(path, yes, token="root")
    assert "only a person can decide" in refused.errors[0]
    refused = estate.refused(path, yes, token=estate.login("ann"))
    assert refused.error is PermissionDenied, "ann has no sudo"


def test_nobody_decides_from_that_device(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    shown = estate.vault.read("auth/token/lookup-self", token=estate.login("eve")).data
    eve = text(shown, "entity_id")
    house, now = estate.vault.house, estate.vault.clock.now_ns()
    tx = house.state.begin()
    mount = house.find_plan(tx, Operation.READ, "auth/token/lookup-self", "").mount
    spec = TokenSpec(
        ("admin",),
        "eve",
        "auth/userpass/login/eve",
        entity=EntityId(eve),
        device=DeviceId(device.id),
    )
    token = house.tokens.issue(tx, mount, spec, now, house.entropy).token.reveal().decode()
    tx.merge()
    yes = {"reason": "again", "until": "1d"}
    path = f"device/approve/{device.id}"
    refused = estate.refused(path, yes, token=token, peer=estate.peer(device))
    assert "from that device" in refused.errors[0]


@pytest.mark.parametrize("until", ["0", "91d", "-1", "soon"])
def test_a_personal_device_is_let_in_for_a_quarter_at_most(
    estate: DeviceEstate, until: str
) -> None:
    device = estate.pending("ann", "personal")
    yes = {"reason": "on call this week", "until": until}
    refused = estate.refused(f"device/approve/{device.id}", yes, token=estate.login("eve"))
    assert refused.error is InvalidRequest
    estate.decide("approve", device, until="90d")


@pytest.mark.parametrize("how", ["tokens ended", "disabled", "gone"])
def test_a_device_that_waits_ends_with_its_person(estate: DeviceEstate, how: str) -> None:
    """Whoever had the person's session may have enrolled it."""
    device, admin = estate.pending("ann"), estate.login("eve")
    house, now_ns = estate.vault.house, estate.vault.clock.now_ns()
    tx = house.state.begin()
    record = house.features.devices.get(tx, DeviceId(device.id))
    assert record is not None
    person = house.identity.get(tx, record.owner)
    assert person is not None
    if how == "tokens ended":
        house.tokens.revoke_entity_before(tx, person.id, now_ns, now_ns)
    elif how == "disabled":
        house.identity.update(tx, msgspec.structs.replace(person, disabled=True), now_ns)
    else:
        house.identity.delete(tx, person.id, now_ns)
    tx.merge()
    estate.vault.flush()
    decision = {"reason": "works here", "until": "30d"}
    reply = estate.refused(f"device/approve/{device.id}", decision, token=admin)
    assert reply.error is Conflict
    estate.write(f"device/refuse/{device.id}", {"reason": "not known"}, token=admin)


@pytest.mark.parametrize("data", [{}, {"reason": " "}, {"reason": "x" * 1_025}])
def test_a_decision_has_a_reason(estate: DeviceEstate, data: Mapping[str, str]) -> None:
    device = estate.pending("ann")
    for verb in ("approve", "refuse", "revoke"):
        refused = estate.refused(f"device/{verb}/{device.id}", data, token=estate.login("eve"))
        assert refused.error is InvalidRequest, verb


def test_what_is_decided_on_has_to_be_there(estate: DeviceEstate) -> None:
    token = estate.login("eve")
    unknown = "00000000-0000-4000-8000-000000000000"
    yes = {"reason": "x", "until": "1d"}
    assert estate.refused(f"device/approve/{unknown}", yes, token=token).error is NotFound
    for odd in ("x", "..", unknown.upper().replace("0", "G"), "0" * 36):
        assert estate.refused(f"device/approve/{odd}", yes, token=token).error is InvalidRequest
    device = estate.active("ann")
    no = {"reason": "x"}
    assert estate.refused(f"device/refuse/{device.id}", no, token=token).error is Conflict
    estate.decide("revoke", device)
    assert estate.refused(f"device/approve/{device.id}", yes, token=token).error is Conflict
    segment = {**yes, "segments": "nowhere"}
    waiting = estate.pending("ann")
    refused = estate.refused(f"device/approve/{waiting.id}", segment, token=token)
    assert refused.error is InvalidRequest


# -- rules


def test_keys_must_be_kept_as_the_rules_say(estate: DeviceEstate) -> None:
    estate.write("device/rules", {"min_key_kind": "pkcs11"})
    token = estate.login("ann")
    refused = estate.refused("device/enrol/start", wish(SoftDevice()), token=token)
    assert refused.error is InvalidRequest
    estate.write("device/enrol/start", wish(SoftDevice(), key_kind="tpm"), token=token)
    assert estate.refused("device/rules", {"min_key_kind": "paper"}).error is InvalidRequest
    assert estate.vault.read("device/rules").data["min_key_kind"] == "pkcs11"


def test_privileged_policies_need_a_key_that_cannot_be_copied(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    admin = estate.login("eve")
    estate.write("device/rules", {"privileged_policies": "admin,user"}, token=admin)
    login = {"password": PASSWORD}
    for peer in (None, estate.peer(device)):
        reply = estate.vault.write("auth/userpass/login/ann", login, token=None, peer=peer)
        assert reply.error is DeviceRefused
        assert "TPM" in reply.errors[0]
    reply = estate.vault.write("auth/token/create", {"policies": ["user"]}, token=admin)
    assert reply.error is DeviceRefused


def test_revoking_somebody_elses_takes_sudo_and_ones_own_nothing(estate: DeviceEstate) -> None:
    device = estate.active("bob")
    path, why = f"device/revoke/{device.id}", {"reason": "lost"}
    assert estate.refused(path, why, token=estate.login("ann")).error is PermissionDenied
    assert estate.vault.read(f"device/devices/{device.id}").data["state"] == "active"
    estate.write(path, why, token=estate.login("bob"))
    other = estate.active("bob")
    estate.write(f"device/revoke/{other.id}", why, token=estate.login("eve"))


DECISIONS = {"approve/{id}", "refuse/{id}", "posture/exceptions/{id}/{rule}", "rules"}
OWN = {"enrol/start", "enrol/prove", "revoke/{id}"}
"""Of the caller's own device; others take sudo, which the handler asks."""


def test_every_route_that_changes_a_device_is_the_devices_own_or_takes_sudo() -> None:
    for route in ROUTES:
        if route.op in {Operation.READ, Operation.LIST} or route.open:
            continue
        assert route.sudo or route.pattern in OWN, route.pattern
    assert {route.pattern for route in ROUTES if route.sudo} >= DECISIONS
