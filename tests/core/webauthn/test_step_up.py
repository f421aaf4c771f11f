"""The evidence of a touch: anybody verifies it, and nothing in it can be changed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.core.webauthn.step_up import (
    KEY,
    STATEMENT,
    Statement,
    evidence_of,
    key_id,
    verify_evidence,
)
from ironkeep.core.webauthn.webauthn import Demands, Party, encode, signed_of, verify_registration
from tests.support.people.softauth import ORIGIN, SoftAuthenticator

PARTY = Party("vault.example", (ORIGIN,))
ASKED = Statement("read", "secret/data/app", "acc", "entity", "laptop", "0" * 32, 60)
CREATION: dict[str, Any] = {
    "rp": {"id": PARTY.rp_id},
    "user": {"id": encode(b"entity")},
    "challenge": encode(b"c" * 32),
}
CHANGES: list[dict[str, Any]] = [
    {"op": "update"},
    {"path": "secret/data/app2"},
    {"session": "other"},
    {"entity": "other"},
    {"device": ""},
    {"nonce": "1" * 32},
    {"exp": 61},
    {"v": 2},
]

AUTHENTICATOR = SoftAuthenticator()
KNOWN = verify_registration(PARTY, b"c" * 32, Demands(), AUTHENTICATOR.create(CREATION))


def touch(statement: Statement) -> dict[str, str]:
    document = AUTHENTICATOR.get({"challenge": encode(statement.challenge())})
    return evidence_of(statement, signed_of(document), KNOWN.key)


EVIDENCE = touch(ASKED)


def test_the_evidence_says_what_was_touched_for() -> None:
    assert verify_evidence(PARTY, KNOWN.credential, KNOWN.key, EVIDENCE) == ASKED


def test_the_statement_is_canonical_json() -> None:
    assert ASKED.text() == (
        b'{"device":"laptop","entity":"entity","exp":60,"nonce":"00000000000000000000000000000000",'
        b'"op":"read","path":"secret/data/app","session":"acc","v":1}'
    )


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_statement_does_not_verify(change: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(ASKED, **change)
    assert changed.challenge() != ASKED.challenge()
    forged = {**EVIDENCE, STATEMENT: changed.text().decode()}
    with pytest.raises(IntegrityError):
        verify_evidence(PARTY, KNOWN.credential, KNOWN.key, forged)


@given(st.sampled_from(sorted(EVIDENCE)), st.data())
def test_any_changed_character_is_refused(name: str, data: st.DataObject) -> None:
    text = EVIDENCE[name]
    at = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.characters().filter(lambda each: each != text[at]))
    forged = {**EVIDENCE, name: text[:at] + char + text[at + 1 :]}
    with pytest.raises(IntegrityError):
        verify_evidence(PARTY, KNOWN.credential, KNOWN.key, forged)


@pytest.mark.parametrize("name", sorted(EVIDENCE))
@pytest.mark.parametrize("value", [None, "", "{}", "null", "[]", "\ud800", "A" * 100_000])
def test_missing_and_hostile_evidence_is_refused(name: str, value: str | None) -> None:
    forged = {each: text for each, text in EVIDENCE.items() if each != name}
    if value is not None:
        forged[name] = value
    with pytest.raises(IntegrityError):
        verify_evidence(PARTY, KNOWN.credential, KNOWN.key, forged)


def test_a_statement_in_another_spelling_is_refused() -> None:
    for text in (
        ASKED.text().decode().replace(",", ", "),
        ASKED.text().decode().replace("}", ',"more":1}'),
        ASKED.text().decode().replace("read", "\\u0072ead"),
    ):
        with pytest.raises(IntegrityError):
            verify_evidence(PARTY, KNOWN.credential, KNOWN.key, {**EVIDENCE, STATEMENT: text})


def test_evidence_of_another_authenticator_is_refused() -> None:
    stranger = SoftAuthenticator()
    other = verify_registration(PARTY, b"c" * 32, Demands(), stranger.create(CREATION))
    document = stranger.get({"challenge": encode(ASKED.challenge())})
    forged = evidence_of(ASKED, signed_of(document), other.key)
    for evidence in (forged, {**forged, KEY: key_id(KNOWN.key)}):
        with pytest.raises(IntegrityError):
            verify_evidence(PARTY, KNOWN.credential, KNOWN.key, evidence)
    with pytest.raises(IntegrityError):
        verify_evidence(PARTY, KNOWN.credential, other.key, EVIDENCE)


@pytest.mark.parametrize(
    "party", [Party("other.example", (ORIGIN,)), Party(PARTY.rp_id, ("https://x.vault.example",))]
)
def test_evidence_for_another_party_is_refused(party: Party) -> None:
    with pytest.raises(IntegrityError):
        verify_evidence(party, KNOWN.credential, KNOWN.key, EVIDENCE)
