"""Devices: the certificates that they get, what a session of one meets, and what is refused."""

from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ironkeep.access.certificates.certificates import LIFE_SECONDS
from ironkeep.core.device.posture_report import MAX_REPORT, Software
from ironkeep.core.errors import (
    DeviceRefused,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooLarge,
)
from ironkeep.plugin.peer import Peer
from tests.support.devices.device_estate import PASSWORD, DeviceEstate
from tests.support.devices.soft_device import SoftDevice, csr_of, fresh_csr

DAY: Final = 86_400


@pytest.fixture
def estate() -> DeviceEstate:
    return DeviceEstate()


# -- certificates


def test_a_certificate_is_short_and_says_only_which_device(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    wanted = x509.UniformResourceIdentifier("spiffe://ironkeep/device/another"), x509.DNSName("x")
    asked = device.asked(estate.nonce(device.id), fresh_csr(*wanted))
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
    for each in (token, made.token, orphan.token):
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
    nonce = estate.nonce(device.id)
    asked = device.asked(nonce, fresh_csr())
    estate.write("device/certificate", asked, token=None)
    vain = [
        asked,
        device.asked(nonce, fresh_csr()),
        device.asked(estate.nonce(other.id), fresh_csr()),
        device.asked("", fresh_csr()),
        device.asked("A" * 56, fresh_csr()),
        device.asked("é" * 56, fresh_csr()),
    ]
    for each in vain:
        refused = estate.refused("device/certificate", each, token=None)
        assert refused.error is PermissionDenied, refused.body
    older, newer = estate.nonce(device.id), None
    estate.vault.clock.advance(seconds=1)
    newer = estate.nonce(device.id)
    estate.write("device/certificate", device.asked(newer, fresh_csr()), token=None)
    late = device.asked(older, fresh_csr())
    assert estate.refused("device/certificate", late, token=None).error is PermissionDenied
    stale = estate.nonce(device.id)
    estate.vault.clock.advance(seconds=301)
    late = device.asked(stale, fresh_csr())
    assert estate.refused("device/certificate", late, token=None).error is PermissionDenied


def test_every_part_of_a_request_is_signed(estate: DeviceEstate) -> None:
    device, other = estate.active("ann"), estate.active("bob")
    asked = device.asked(estate.nonce(device.id), fresh_csr())
    for change in (
        {"csr": fresh_csr()},
        {"report": "{ }"},
        {"nonce": estate.nonce(device.id) + "="},
        {"id": other.id},
        {"signature": other.asked(asked["nonce"], asked["csr"], device=device.id)["signature"]},
    ):
        refused = estate.refused("device/certificate", {**asked, **change}, token=None)
        assert refused.error is PermissionDenied, change
    # What was tried in vain took nothing from the device.
    estate.write("device/certificate", asked, token=None)


def test_a_request_in_vain_is_reported(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    asked = SoftDevice().asked(estate.nonce(device.id), fresh_csr(), device=device.id)
    estate.refused("device/certificate", asked, token=None)
    house = estate.vault.house
    tx = house.state.begin()
    alerts = [house.features.alerts.get(tx, number) for number in house.features.alerts.names(tx)]
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
        asked = device.asked(estate.nonce(device.id), csr)
        refused = estate.refused("device/certificate", asked, token=None)
        assert refused.error is InvalidRequest, csr


def test_a_request_that_its_own_key_did_not_sign_is_refused(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    der = bytearray(x509.load_pem_x509_csr(fresh_csr().encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    csr = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    asked = device.asked(estate.nonce(device.id), csr)
    refused = estate.refused("device/certificate", asked, token=None)
    assert refused.error is InvalidRequest
    assert "not signed by its own key" in refused.errors[0]


def test_huge_requests_are_refused_unread(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    nonce = estate.nonce(device.id)
    for csr, report in ((fresh_csr() + "\n" * 5_000, "{}"), (fresh_csr(), " " * (MAX_REPORT + 1))):
        asked = device.asked(nonce, csr, report)
        assert estate.refused("device/certificate", asked, token=None).error is TooLarge


def test_who_is_not_welcome_gets_no_certificate(estate: DeviceEstate) -> None:
    def refused(device: SoftDevice) -> str:
        asked = device.asked(estate.nonce(device.id), fresh_csr())
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
    assert "has expired" in refused(personal)
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
    asked = device.asked(estate.nonce(device.id), fresh_csr())
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
    nonce = estate.nonce(device.id)
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
    batch = made.token
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
    data = {"password": PASSWORD}
    login = estate.vault.write("auth/userpass/login/ann", data, token=None, peer=forged)
    assert login.error is DeviceRefused, "it is no login from nowhere"


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
