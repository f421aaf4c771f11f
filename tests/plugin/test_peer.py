"""Who is at the other end: what a certificate is taken to say, and hostile ones."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.plugin.peer import MAX_CERTIFICATE, Peer, vouched
from tests.support.devices.authority import BEGINS, ENDS, Asked, Authority

KEY = generate_private_key(SECP256R1())


def certificate(*extensions: x509.ExtensionType) -> bytes:
    name = x509.Name([])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(minutes=20))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def uris(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names])


def test_a_device_is_named_by_its_one_spiffe_id() -> None:
    peer = Peer.of(certificate(uris("spiffe://ironkeep/device/d-1")))
    assert (peer.domain, peer.device) == ("ironkeep", "d-1")
    assert (peer.until_ns - peer.from_ns) == 20 * 60 * 10**9


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("spiffe://ironkeep/device/d-1", "spiffe://ironkeep/device/d-2"),
        ("https://ironkeep/device/d-1",),
        ("spiffe://ironkeep/device/",),
        ("spiffe:///device/d-1",),
        ("spiffe://ironkeep/device/d-1/more",),
        ("spiffe://ironkeep/ns/d-1",),
    ],
)
def test_other_names_are_no_device(names: tuple[str, ...]) -> None:
    extensions = (uris(*names),) if names else ()
    assert Peer.of(certificate(*extensions)).device == ""


def test_a_name_of_a_kind_that_nobody_uses_is_refused() -> None:
    # An x400Address: [3] IMPLICIT SEQUENCE, empty.
    oid = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    with pytest.raises(InvalidRequest):
        Peer.of(certificate(x509.UnrecognizedExtension(oid, bytes.fromhex("3002a300"))))


def test_a_huge_certificate_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Peer.of(b"0" * (MAX_CERTIFICATE + 1))


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_byte_changed_is_read_or_refused(at: int, value: int) -> None:
    raw = bytearray(certificate(uris("spiffe://ironkeep/device/d-1")))
    raw[at % len(raw)] = value
    with contextlib.suppress(InvalidRequest):
        Peer.of(bytes(raw))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def at(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


NOW = at(BEGINS + (ENDS - BEGINS) / 2)


def test_a_certificate_is_vouched_for_by_what_signed_it() -> None:
    ours, namesake = Authority("ours"), Authority("ours")
    peer = ours.peer()
    assert vouched(peer, [der(namesake.certificate), der(ours.certificate)], NOW)
    assert not vouched(peer, [der(namesake.certificate)], NOW)
    assert not vouched(peer, [], NOW)
    assert vouched(peer, [peer.certificate], NOW), "a role may name the very certificate"
    assert not vouched(peer, [der(ours.certificate)], at(ENDS) + 1)
    assert not vouched(peer, [der(ours.certificate)], at(BEGINS) - 1)


def test_what_was_sent_with_it_is_checked_step_by_step() -> None:
    root, between, stranger = Authority("root"), Authority("between"), Authority("between")
    signed = root.issue(Asked("between", is_authority=True), between.key)
    leaf = between.peer().certificate
    trusted = [der(root.certificate)]
    assert vouched(Peer.of(leaf, (signed,)), trusted, NOW)
    assert not vouched(Peer.of(leaf), trusted, NOW), "nothing joins it to the root"
    assert not vouched(Peer.of(leaf, (der(between.certificate),)), trusted, NOW)
    assert not vouched(Peer.of(stranger.peer().certificate, (signed,)), trusted, NOW)
    plain = root.issue(Asked("between"), between.key)
    assert not vouched(Peer.of(leaf, (plain,)), trusted, NOW), "one that is no CA signs nothing"
    assert not vouched(Peer.of(leaf, (b"junk",)), trusted, NOW)


def authority(
    path_length: int | None = None, *usages: x509.KeyUsage
) -> tuple[Authority, list[bytes]]:
    """Return a CA with these limits on itself, as what it signs with and as what is trusted."""
    made = Authority("limited")
    builder = (
        x509.CertificateBuilder()
        .subject_name(made.certificate.subject)
        .issuer_name(made.certificate.subject)
        .public_key(made.key.public_key())
        .serial_number(9)
        .not_valid_before(BEGINS)
        .not_valid_after(ENDS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    )
    for usage in usages:
        builder = builder.add_extension(usage, critical=True)
    return made, [der(builder.sign(made.key, hashes.SHA256()))]


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs, crl_sign=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def test_an_authority_signs_what_it_says_that_it_signs() -> None:
    able, trusted = authority(None, usage(signs=True))
    assert vouched(able.peer(), trusted, NOW)
    unable, trusted = authority(None, usage(signs=False))
    assert not vouched(unable.peer(), trusted, NOW)


@pytest.mark.parametrize(("path_length", "taken"), [(None, True), (0, False), (1, True)])
def test_an_authority_has_no_more_below_it_than_it_says(
    path_length: int | None, taken: bool
) -> None:
    root, trusted = authority(path_length)
    between = Authority("between")
    signed = root.issue(Asked("between", is_authority=True), between.key)
    assert vouched(root.peer(), trusted, NOW), "its own are always within it"
    assert vouched(Peer.of(between.peer().certificate, (signed,)), trusted, NOW) is taken
