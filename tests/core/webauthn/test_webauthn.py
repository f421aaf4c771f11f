"""Passkeys verified: what fido2 leaves out, hostile bytes, the verdict of another library."""

import base64
import warnings
from contextlib import suppress
from typing import Any

import pytest
import webauthn as other
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from hypothesis import given, strategies as st
from webauthn.helpers.exceptions import WebAuthnException

from ironkeep.core.errors import InvalidCredentials, InvalidRequest
from ironkeep.core.webauthn.webauthn import (
    Demands,
    Party,
    Registered,
    decode,
    encode,
    require_progress,
    signed_of,
    verify_assertion,
    verify_registration,
)
from tests.support.people.softauth import BE, BS, ORIGIN, UP, UV, Maker, SoftAuthenticator

PARTY = Party("vault.example", (ORIGIN,))
CHALLENGE = b"c" * 32
CREATION: dict[str, Any] = {
    "rp": {"id": PARTY.rp_id},
    "user": {"id": encode(b"entity")},
    "challenge": encode(CHALLENGE),
}
REQUEST: dict[str, Any] = {"challenge": encode(CHALLENGE)}

CHANGES: list[dict[str, Any]] = [
    {},
    {"flags": UP | UV | BE},
    {"flags": UP | UV | BE | BS},
    {"origin": "https://evil.example"},
    {"origin": "https://vault.example:8443"},
    {"origin": "https://x.vault.example"},
    {"origin": "http://vault.example"},
    {"cross_origin": True},
    {"flags": UP},
    {"flags": UV},
    {"flags": 0},
    {"flags": UP | UV | BS},
]
STRICTER = [{"cross_origin": True}]
"""Where we refuse and the other library lets pass: it reads crossOrigin and never looks at it."""


def register(key: SoftAuthenticator, demands: Demands | None = None) -> Registered:
    made = key.create(CREATION)
    return verify_registration(PARTY, CHALLENGE, demands or Demands(), made)


@pytest.mark.parametrize("change", CHANGES)
def test_an_assertion_gets_the_verdict_of_the_other_library(change: dict[str, Any]) -> None:
    key = SoftAuthenticator()
    known = register(key)
    for name, value in change.items():
        setattr(key, name, value)
    document = key.get(REQUEST)
    ours = theirs = True
    try:
        verify_assertion(PARTY, CHALLENGE, known.key, signed_of(document))
    except InvalidCredentials:
        ours = False
    try:
        other.verify_authentication_response(
            credential=document,
            expected_challenge=CHALLENGE,
            expected_rp_id=PARTY.rp_id,
            expected_origin=list(PARTY.origins),
            credential_public_key=known.key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except WebAuthnException:
        theirs = False
    assert ours == (theirs and change not in STRICTER)


@pytest.mark.parametrize("change", CHANGES)
def test_a_registration_gets_the_verdict_of_the_other_library(change: dict[str, Any]) -> None:
    key = SoftAuthenticator(**change)
    document = key.create(CREATION)
    ours = theirs = None
    with suppress(InvalidCredentials):
        ours = verify_registration(PARTY, CHALLENGE, Demands(), document)
    with suppress(WebAuthnException):
        theirs = other.verify_registration_response(
            credential=document,
            expected_challenge=CHALLENGE,
            expected_rp_id=PARTY.rp_id,
            expected_origin=list(PARTY.origins),
            require_user_verification=True,
        )
    assert (ours is not None) == (theirs is not None and change not in STRICTER)
    if ours is not None and theirs is not None:
        assert (ours.credential, ours.key, ours.counter, ours.aaguid) == (
            theirs.credential_id,
            theirs.credential_public_key,
            theirs.sign_count,
            theirs.aaguid,
        )


@pytest.mark.parametrize("attestation", ["self", "packed"])
def test_the_other_library_takes_the_attestations_that_tests_make(attestation: Any) -> None:
    maker = Maker()
    document = SoftAuthenticator(attestation=attestation, maker=maker).create(CREATION)
    found = other.verify_registration_response(
        credential=document,
        expected_challenge=CHALLENGE,
        expected_rp_id=PARTY.rp_id,
        expected_origin=ORIGIN,
        pem_root_certs_bytes_by_fmt={
            other.helpers.structs.AttestationFormat.PACKED: [maker.pem.encode()]
        },
    )
    assert found.fmt == "packed"


def test_the_other_party_and_the_other_challenge_are_refused() -> None:
    key = SoftAuthenticator()
    known = register(key)
    signed = signed_of(key.get(REQUEST))
    verify_assertion(PARTY, CHALLENGE, known.key, signed)
    for party, challenge in (
        (Party("other.example", PARTY.origins), CHALLENGE),
        (Party(PARTY.rp_id, ()), CHALLENGE),
        (PARTY, b"d" * 32),
        (PARTY, CHALLENGE[:-1]),
        (PARTY, b""),
    ):
        with pytest.raises(InvalidCredentials):
            verify_assertion(party, challenge, known.key, signed)


def test_a_registration_is_no_assertion_and_the_other_way_round() -> None:
    key = SoftAuthenticator()
    made, got = key.create(CREATION), None
    got = key.get(REQUEST)
    known = verify_registration(PARTY, CHALLENGE, Demands(), made)
    made["response"]["clientDataJSON"] = got["response"]["clientDataJSON"]
    with pytest.raises(InvalidCredentials, match=r"webauthn\.create"):
        verify_registration(PARTY, CHALLENGE, Demands(), made)
    other_made = key.create(CREATION)
    got["response"]["clientDataJSON"] = other_made["response"]["clientDataJSON"]
    with pytest.raises(InvalidCredentials, match=r"webauthn\.get"):
        verify_assertion(PARTY, CHALLENGE, known.key, signed_of(got))


def test_a_key_of_another_curve_or_algorithm_is_refused() -> None:
    key = SoftAuthenticator()
    signed = signed_of(key.get(REQUEST, _credential(key)))
    for cose in (
        {1: 2, 3: -7, -1: 2, -2: b"\x01" * 32, -3: b"\x02" * 32},
        {1: 2, 3: -47, -1: 8, -2: b"\x01" * 32, -3: b"\x02" * 32},
        {1: 2, 3: -7, -1: 1, -2: b"\x01" * 32, -3: b"\x02" * 32},
        {1: 3, 3: -65535, -1: b"n", -2: b"e"},
        {1: 2, 3: -7},
        {},
    ):
        with pytest.raises(InvalidCredentials):
            verify_assertion(PARTY, CHALLENGE, cbor.encode(cose), signed)
    for raw in (b"", b"\xff", b"\x00", b"\xa1"):
        with pytest.raises(InvalidCredentials):
            verify_assertion(PARTY, CHALLENGE, raw, signed)


@given(st.sampled_from(["client_data", "authenticator_data", "signature"]), st.data())
def test_any_flipped_bit_is_refused(name: str, data: st.DataObject) -> None:
    known, signed = _signed()
    raw = bytearray(getattr(signed, name))
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    changed = type(signed)(**{**_fields(signed), name: bytes(raw)})
    with pytest.raises(InvalidCredentials):
        verify_assertion(PARTY, CHALLENGE, known.key, changed)


@given(st.binary(max_size=400))
def test_hostile_bytes_are_refused_and_never_crash(raw: bytes) -> None:
    key = SoftAuthenticator()
    made = key.create(CREATION)
    made["response"]["attestationObject"] = encode(raw)
    with pytest.raises((InvalidRequest, InvalidCredentials)):
        verify_registration(PARTY, CHALLENGE, Demands(), made)
    known, signed = _signed()
    for name in ("client_data", "authenticator_data", "signature"):
        changed = type(signed)(**{**_fields(signed), name: raw})
        with pytest.raises(InvalidCredentials):
            verify_assertion(PARTY, CHALLENGE, known.key, changed)


@given(st.data())
def test_a_damaged_attestation_proves_nothing_else_and_never_crashes(data: st.DataObject) -> None:
    """A few bits say nothing (a length past the end, the name of the same algorithm)."""
    raw = bytearray(decode(_PACKED["response"]["attestationObject"], 9_999))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[at]))
    made = {**_PACKED, "response": {**_PACKED["response"], "attestationObject": encode(bytes(raw))}}
    demands = Demands(attestation="packed", roots=(_MAKER.root,))
    whole = verify_registration(PARTY, CHALLENGE, demands, _PACKED)
    with suppress(InvalidRequest, InvalidCredentials), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cryptography, about names in damaged certificates
        assert verify_registration(PARTY, CHALLENGE, demands, made) == whole


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"type": "public-key"},
        {"type": "password", "response": {}},
        {"type": "public-key", "rawId": "YQ", "response": []},
        {"type": "public-key", "rawId": 7, "response": {}},
        {"type": "public-key", "rawId": "YQ==", "response": {}},
        {"type": "public-key", "rawId": "YR", "response": {}},
        {"type": "public-key", "rawId": "Y Q", "response": {}},
        {"type": "public-key", "rawId": "é", "response": {}},
        {"type": "public-key", "rawId": "YQ" * 9_999, "response": {}},
    ],
)
def test_what_is_no_credential_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        signed_of(document)
    with pytest.raises((InvalidRequest, InvalidCredentials)):
        verify_registration(PARTY, CHALLENGE, Demands(), document)


@given(st.binary(max_size=64))
def test_base64url_has_one_spelling(raw: bytes) -> None:
    text = encode(raw)
    assert decode(text, 64) == raw
    assert text == base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 5), (5, 6)])
def test_a_counter_that_goes_up_or_does_not_count_is_taken(before: int, after: int) -> None:
    require_progress(before, after)


@pytest.mark.parametrize(("before", "after"), [(5, 5), (5, 4), (5, 0), (1, 0), (2**32 - 1, 1)])
def test_a_counter_that_stands_still_or_goes_back_is_refused(before: int, after: int) -> None:
    with pytest.raises(InvalidCredentials):
        require_progress(before, after)


def test_a_signature_of_another_key_is_refused() -> None:
    known, signed = _signed()
    mallory = ec.generate_private_key(ec.SECP256R1())
    forged = type(signed)(
        **{**_fields(signed), "signature": mallory.sign(b"x", ec.ECDSA(hashes.SHA256()))}
    )
    with pytest.raises(InvalidCredentials, match="signature"):
        verify_assertion(PARTY, CHALLENGE, known.key, forged)


def _signed() -> tuple[Registered, Any]:
    return _KNOWN, _SIGNED


def _fields(signed: Any) -> dict[str, Any]:
    return {name: getattr(signed, name) for name in signed.__struct_fields__}


def _credential(key: SoftAuthenticator) -> Any:
    key.create(CREATION)
    return key.credentials[-1]


_KEY = SoftAuthenticator()
_KNOWN = register(_KEY)
_SIGNED = signed_of(_KEY.get(REQUEST))
_MAKER = Maker()
_PACKED = SoftAuthenticator(attestation="packed", maker=_MAKER).create(CREATION)
