"""Devices: how one gets in, what it is given, and everything that is refused."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ironkeep.access.device_certificates import LIFE_SECONDS
from ironkeep.access.device_enrolment import FRESH_SECONDS, MAX_OPEN, PROVE_SECONDS
from ironkeep.core.device_proof import enrol_message
from ironkeep.core.errors import (
    Conflict,
    DeviceRefused,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooLarge,
    TooManyRequests,
)
from ironkeep.core.ids import DeviceId, EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.posture_report import MAX_REPORT, Software
from ironkeep.kernel.peer import Peer
from ironkeep.kernel.token import TokenSpec
from ironkeep.testing.device_estate import PASSWORD, DeviceEstate
from ironkeep.testing.soft_device import SoftDevice, csr_of

DAY: Final = 86_400


@pytest.fixture
def estate() -> DeviceEstate:
    return DeviceEstate()


def wish(device: SoftDevice, **other: str) -> dict[str, str]:
    asked = {"name": "laptop", "ownership": "corporate", "key_kind": "file"}
    return {**asked, "key_spki": device.spki, **other}


def nonce_for(estate: DeviceEstate, device: str) -> str:
    nonce: str = estate.write("device/nonce", {"id": device}, token=None)["nonce"]
    return nonce


def fresh_csr(*names: x509.GeneralName) -> str:
    return csr_of(ec.generate_private_key(ec.SECP256R1()), *names)


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
    assert estate.vault.list("device/devices/").data["keys"] == [device.id]


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
    child = reply.auth["client_token"]
    for stranger in ("root", child):
        refused = estate.refused("device/enrol/start", asked, token=stranger)
        assert refused.error is PermissionDenied
        assert "just logged in" in refused.errors[0]
    estate.vault.clock.advance(seconds=FRESH_SECONDS + 1)
    assert estate.refused("device/enrol/start", asked, token=token).error is PermissionDenied


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
    for mine in (token, made.auth["client_token"]):
        refused = estate.refused(path, yes, token=mine)
        assert refused.error is PermissionDenied
        assert "another person" in refused.errors[0]
    refused = estate.refused(path, yes, token="root")
    assert "a decision is a person's" in refused.errors[0]
    refused = estate.refused(path, yes, token=estate.login("ann"))
    assert refused.error is PermissionDenied, "ann has no sudo"


def test_nobody_decides_from_that_device(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    eve = estate.vault.read("auth/token/lookup-self", token=estate.login("eve")).data["entity_id"]
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


# -- certificates


def test_a_certificate_is_short_and_says_only_which_device(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    wanted = x509.UniformResourceIdentifier("spiffe://ironkeep/device/another"), x509.DNSName("x")
    asked = device.asked(nonce_for(estate, device.id), fresh_csr(*wanted))
    made = estate.write("device/certificate", asked, token=None)
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(f"spiffe://ironkeep/device/{device.id}")]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made["ca"].encode()))
    peer = estate.peer(device)
    left = (peer.until_ns - estate.vault.clock.now_ns()) / 1e9
    assert 15 * 60 <= left == LIFE_SECONDS <= 30 * 60


def test_a_login_over_a_device_binds_the_token_and_its_children(estate: DeviceEstate) -> None:
    device, other = estate.active("ann"), estate.active("ann")
    peer, elsewhere = estate.peer(device), estate.peer(other)
    token = estate.login("ann", peer)
    estate.write("secret/data/x", {"data": {"a": "b"}}, token=token, peer=peer)
    made = estate.vault.write("auth/token/create", {"policies": ["user"]}, token=token, peer=peer)
    orphan = estate.vault.write(
        "auth/token/create", {"policies": ["user"], "type": "batch"}, token=token, peer=peer
    )
    for each in (token, made.auth["client_token"], orphan.auth["client_token"]):
        assert estate.vault.read("secret/data/x", token=each, peer=peer).error is None
        for wrong in (None, elsewhere):
            refused = estate.vault.read("secret/data/x", token=each, peer=wrong)
            assert refused.error is DeviceRefused
    # Renewal of the certificate does not end the session.
    assert estate.vault.read("secret/data/x", token=token, peer=estate.peer(device)).error is None


def test_a_copied_key_file_and_token_are_worth_nothing_together(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    token = estate.login("ann", estate.peer(device))
    device.connection_key = ec.generate_private_key(ec.SECP256R1())  # not in any file
    thief = estate.peer(device)
    assert thief.device == device.id
    refused = estate.vault.read("secret/metadata/x", token=token, peer=thief)
    assert refused.error is DeviceRefused
    assert "another client certificate" in refused.errors[0]


def test_a_key_in_hardware_keeps_its_sessions_over_a_restart(estate: DeviceEstate) -> None:
    device, ann = SoftDevice(), estate.login("ann")
    device.kind = "tpm"
    device.enrol(lambda path, data: estate.write(path, data, token=ann), "laptop")
    estate.decide("approve", device)
    token = estate.login("ann", estate.peer(device))
    device.connection_key = ec.generate_private_key(ec.SECP256R1())
    again = estate.peer(device)
    assert estate.vault.read("secret/metadata/x", token=token, peer=again).error is NotFound


def test_somebody_elses_device_logs_nobody_in(estate: DeviceEstate) -> None:
    peer = estate.peer(estate.active("ann"))
    estate.login("bob")
    reply = estate.vault.write(
        "auth/userpass/login/bob", {"password": PASSWORD}, token=None, peer=peer
    )
    assert reply.error is DeviceRefused


def test_a_nonce_is_used_once_and_is_of_one_device(estate: DeviceEstate) -> None:
    device, other = estate.active("ann"), estate.active("bob")
    nonce = nonce_for(estate, device.id)
    asked = device.asked(nonce, fresh_csr())
    estate.write("device/certificate", asked, token=None)
    vain = [
        asked,
        device.asked(nonce, fresh_csr()),
        device.asked(nonce_for(estate, other.id), fresh_csr()),
        device.asked("", fresh_csr()),
        device.asked("A" * 56, fresh_csr()),
        device.asked("é" * 56, fresh_csr()),
    ]
    for each in vain:
        refused = estate.refused("device/certificate", each, token=None)
        assert refused.error is PermissionDenied, refused.body
    older, newer = nonce_for(estate, device.id), None
    estate.vault.clock.advance(seconds=1)
    newer = nonce_for(estate, device.id)
    estate.write("device/certificate", device.asked(newer, fresh_csr()), token=None)
    late = device.asked(older, fresh_csr())
    assert estate.refused("device/certificate", late, token=None).error is PermissionDenied
    stale = nonce_for(estate, device.id)
    estate.vault.clock.advance(seconds=301)
    late = device.asked(stale, fresh_csr())
    assert estate.refused("device/certificate", late, token=None).error is PermissionDenied


def test_every_part_of_a_request_is_signed(estate: DeviceEstate) -> None:
    device, other = estate.active("ann"), estate.active("bob")
    asked = device.asked(nonce_for(estate, device.id), fresh_csr())
    for change in (
        {"csr": fresh_csr()},
        {"report": "{ }"},
        {"nonce": nonce_for(estate, device.id) + "="},
        {"id": other.id},
        {"signature": other.asked(asked["nonce"], asked["csr"], device=device.id)["signature"]},
    ):
        refused = estate.refused("device/certificate", {**asked, **change}, token=None)
        assert refused.error is PermissionDenied, change
    # What was tried in vain took nothing from the device.
    estate.write("device/certificate", asked, token=None)


def test_a_request_in_vain_is_reported(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    asked = SoftDevice().asked(nonce_for(estate, device.id), fresh_csr(), device=device.id)
    estate.refused("device/certificate", asked, token=None)
    house = estate.vault.house
    tx = house.state.begin()
    alerts = [house.alerts.get(tx, number) for number in house.alerts.names(tx)]
    assert [(a.kind, a.device) for a in alerts if a and a.kind == "device-proof"] == [
        ("device-proof", device.id)
    ]


def odd_requests() -> list[str]:
    p384 = csr_of(ec.generate_private_key(ec.SECP384R1()))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = builder.sign(rsa.generate_private_key(65537, 2048), SHA256())
    good = fresh_csr()
    middle = len(good) // 2
    swapped = good[: middle - 4] + good[middle : middle + 4] + good[middle:]
    return [p384, made.public_bytes(Encoding.PEM).decode(), "", "-----BEGIN", swapped]


def test_odd_signing_requests_are_refused(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    for csr in odd_requests():
        estate.vault.clock.advance(seconds=1)
        asked = device.asked(nonce_for(estate, device.id), csr)
        refused = estate.refused("device/certificate", asked, token=None)
        assert refused.error is InvalidRequest, csr


def test_a_request_that_its_own_key_did_not_sign_is_refused(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    der = bytearray(x509.load_pem_x509_csr(fresh_csr().encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    csr = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    asked = device.asked(nonce_for(estate, device.id), csr)
    refused = estate.refused("device/certificate", asked, token=None)
    assert refused.error is InvalidRequest
    assert "not signed by the key" in refused.errors[0]


def test_huge_requests_are_refused_unread(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    nonce = nonce_for(estate, device.id)
    for csr, report in ((fresh_csr() + "\n" * 5_000, "{}"), (fresh_csr(), " " * (MAX_REPORT + 1))):
        asked = device.asked(nonce, csr, report)
        assert estate.refused("device/certificate", asked, token=None).error is TooLarge


def test_who_is_not_welcome_gets_no_certificate(estate: DeviceEstate) -> None:
    def refused(device: SoftDevice) -> str:
        asked = device.asked(nonce_for(estate, device.id), fresh_csr())
        reply = estate.refused("device/certificate", asked, token=None)
        assert reply.error is DeviceRefused
        return reply.errors[0]

    pending = estate.pending("ann")
    assert "pending" in refused(pending)
    revoked = estate.active("ann")
    estate.decide("revoke", revoked)
    assert "revoked" in refused(revoked)
    personal = estate.active("ann", "personal", "1d")
    estate.vault.clock.advance(seconds=DAY)
    assert "has ended" in refused(personal)
    estate.decide("approve", personal, until="1d")
    assert estate.peer(personal).device == personal.id


def test_a_device_in_bad_state_is_told_what_is_wrong(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    peer = estate.peer(device)
    token = estate.login("ann", peer)
    device.software = (
        Software(src="programs", name="Plex Media Server", version="1.18.8.2527", publisher="Plex",
                 running=True),
    )  # fmt: skip
    asked = device.asked(nonce_for(estate, device.id), fresh_csr())
    refused = estate.refused("device/certificate", asked, token=None)
    assert refused.error is DeviceRefused
    assert "Plex Media Server" in refused.errors[0]
    assert estate.vault.read("secret/metadata/x", token=token, peer=peer).error is DeviceRefused
    device.software = ()
    again = estate.peer(device)
    assert estate.vault.read("secret/metadata/x", token=token, peer=again).error is NotFound


@pytest.mark.parametrize("other", [{"id": "x"}, {"nonce": "A" * 56}, {"report": "{}"}], ids=str)
def test_a_report_speaks_of_this_device_and_this_nonce(
    estate: DeviceEstate, other: dict[str, str]
) -> None:
    device = estate.active("ann")
    nonce = nonce_for(estate, device.id)
    report = other.get("report") or device.report(other.get("nonce", nonce))
    report = report.replace(device.id, other.get("id", device.id))
    asked = device.asked(nonce, fresh_csr(), report)
    refused = estate.refused("device/certificate", asked, token=None)
    assert refused.error in (PermissionDenied, InvalidRequest)


# -- what a session meets


def test_a_token_dies_with_its_device_or_the_decision(estate: DeviceEstate) -> None:
    device = estate.active("ann", "personal", "1d")
    peer = estate.peer(device)
    token = estate.login("ann", peer)
    assert estate.vault.read("secret/metadata/x", token=token, peer=peer).error is NotFound
    assert estate.decide("revoke", device) == {"tokens": 1}
    assert estate.vault.read("secret/metadata/x", token=token, peer=peer).error is PermissionDenied
    assert estate.vault.read("secret/metadata/x", token=token).error is PermissionDenied


def test_a_batch_token_dies_with_its_device(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    peer = estate.peer(device)
    token = estate.login("ann", peer)
    made = estate.vault.write(
        "auth/token/create", {"policies": ["user"], "type": "batch"}, token=token, peer=peer
    )
    batch = made.auth["client_token"]
    assert estate.vault.read("secret/metadata/x", token=batch, peer=peer).error is NotFound
    estate.decide("revoke", device)
    assert estate.vault.read("secret/metadata/x", token=batch, peer=peer).error in (
        DeviceRefused, PermissionDenied,
    )  # fmt: skip


def test_an_agent_that_falls_silent_loses_trust(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    token = estate.login("ann", estate.peer(device))
    estate.vault.clock.advance(seconds=LIFE_SECONDS + 1)
    fresh = estate.peer(device)
    assert estate.vault.read("secret/metadata/x", token=token, peer=fresh).error is NotFound
    estate.vault.clock.advance(seconds=LIFE_SECONDS)
    refused = estate.vault.read("secret/metadata/x", token=token, peer=fresh)
    assert refused.error is DeviceRefused


def test_another_authority_names_no_device(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    peer = estate.peer(device)
    token = estate.login("ann", peer)
    forged = forge(peer)
    assert forged.device == device.id
    assert estate.vault.read("secret/metadata/x", token=token, peer=forged).error is DeviceRefused
    unbound = estate.login("ann", forged)
    data = estate.vault.read("auth/token/lookup-self", token=unbound).data
    assert data["display_name"] == "userpass-ann", "it is a login from nowhere"


def forge(peer: Peer) -> Peer:
    """Return the same certificate, made by another authority of the same name."""
    real = x509.load_der_x509_certificate(peer.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        issuer_name=real.issuer,
        subject_name=real.subject,
        public_key=real.public_key(),
        serial_number=real.serial_number,
        not_valid_before=real.not_valid_before_utc,
        not_valid_after=real.not_valid_after_utc,
        extensions=list(real.extensions),
    )
    return Peer.of(builder.sign(key, SHA256()).public_bytes(Encoding.DER))


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


# -- wrapped answers


def test_what_a_device_wrapped_opens_on_an_enrolled_device_alone(estate: DeviceEstate) -> None:
    device, other = estate.active("ann"), estate.active("bob")
    peer, elsewhere = estate.peer(device), estate.peer(other)
    token = estate.login("ann", peer)
    estate.write("secret/data/x", {"data": {"a": "b"}}, token=token, peer=peer)

    def wrapped() -> str:
        reply = estate.vault.read("secret/data/x", token=token, peer=peer, wrap=60)
        found: str = reply.body["wrap_info"]["token"]
        return found

    stolen = wrapped()
    for verb in ("unwrap", "rewrap", "lookup"):
        for data, own in (({"token": stolen}, None), ({}, stolen)):
            for wrong in (None, forge(peer)):
                refused = estate.refused(f"sys/wrapping/{verb}", data, token=own, peer=wrong)
                assert refused.error is DeviceRefused, verb
    assert estate.vault.read("auth/token/lookup-self", token=stolen).error is DeviceRefused
    moved = estate.vault.write(
        "sys/wrapping/rewrap", {"token": stolen}, token=None, peer=elsewhere
    ).body["wrap_info"]["token"]
    again = {"token": moved}
    assert estate.refused("sys/wrapping/unwrap", again, token=None).error is DeviceRefused
    opened = estate.vault.write("sys/wrapping/unwrap", again, token=None, peer=elsewhere)
    assert opened.data["data"] == {"a": "b"}
    late = {"token": wrapped()}
    estate.decide("revoke", other)
    refused = estate.refused("sys/wrapping/unwrap", late, token=None, peer=elsewhere)
    assert refused.error is DeviceRefused
