"""Leaked texts: what is found counts for everybody, is told to few, and is asked for seldom."""

from base64 import b64encode
from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest, TooLarge, TooManyRequests
from ironkeep.core.operation import Operation
from ironkeep.incident.case.documents import AT_ONCE, MAX_AN_HOUR, MAX_DOCUMENT
from ironkeep.incident.case.guesses import DAY_NS, HOUR_NS, MAX_HITS
from ironkeep.testing.parts import tables
from ironkeep.testing.vault import Reply
from tests.support.incident.incident_estate import BACKUP_KEY, CIPHERTEXT, Estate, document

PASSWORD_OF_MAIL = "mail-secret-91b2"


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def submit(estate: Estate, text: str, token: str, name: str = "leak") -> Reply:
    data = {"name": name, "content": document(text.encode())}
    return estate.request(Operation.UPDATE, "incident/documents", data, token)


def test_a_match_is_on_record_and_told_only_to_whom_may_read_it(estate: Estate) -> None:
    text = f"mail={PASSWORD_OF_MAIL}\nkey={BACKUP_KEY}"
    assert submit(estate, text, "root", "one").data["found"] == [
        "secret/app/mail@1",
        "secret/backup/key@1",
    ]
    reader = estate.login("colleague")
    assert submit(estate, text, reader, "two").data["found"] == ["secret/app/mail@1"]
    engineer = estate.login("engineer")
    guessed = submit(estate, text, engineer, "three").data
    wrong = submit(estate, "mail=mail-secret-91b3", engineer, "four").data
    # Who guesses learns nothing: a hit that they may not read looks like a miss.
    assert {**guessed, "document": ""} == {**wrong, "document": ""}
    case = estate.open_case("document:three", start="2s")
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    rows = {row["label"]: row for row in tables(found, "could_reach")}
    assert {"secret/app/mail version 1", "secret/backup/key version 1"} <= set(rows)
    assert [step["by"] for step in tables(rows["secret/app/mail version 1"], "why")] == ["holds"]


def test_submissions_are_budgeted_for_a_person_and_not_for_a_token(estate: Estate) -> None:
    token = estate.login("engineer")
    for number in range(MAX_AN_HOUR):
        assert submit(estate, f"guess {number}", token).error is None
    child = estate.request(Operation.UPDATE, "auth/token/create", {"ttl": "1h"}, token)
    for again in (token, child.token, estate.login("engineer")):
        assert submit(estate, "one more", again).error is TooManyRequests
    assert submit(estate, "somebody else's", estate.login("colleague")).error is None
    estate.vault.clock.advance(ns=HOUR_NS)
    assert submit(estate, "an hour later", estate.login("engineer")).error is None


def test_a_refused_submission_counts_too(estate: Estate) -> None:
    token = estate.login("engineer")
    for _ in range(MAX_AN_HOUR):
        bad = {"name": "x", "content": "not base64!"}
        assert estate.request(Operation.UPDATE, "incident/documents", bad, token).error is (
            InvalidRequest
        )
    assert submit(estate, "x", token).error is TooManyRequests


def test_the_text_is_kept_nowhere(estate: Estate) -> None:
    marker = "a sentence that stands in this document alone"
    assert submit(estate, marker, "root").error is None
    stored = b"".join(row.value for _, row in estate.vault.storage.scan(b""))
    logged = b"".join(bytes(data) for data in estate.vault.disk.files.values())
    entries = "".join(str(entry) for _, entry in estate.vault.house.audit_reader().entries())
    for form in (marker.encode(), b64encode(marker.encode())):
        assert form not in stored + logged
    assert marker not in entries
    assert b64encode(marker.encode()).decode() not in entries


def test_limits(estate: Estate) -> None:
    at_limit = {"name": "x", "content": document(bytes(MAX_DOCUMENT))}
    past = {"name": "x", "content": document(bytes(MAX_DOCUMENT + 1))}
    path = "incident/documents"
    assert estate.request(Operation.UPDATE, path, past).error is TooLarge
    for name in ("", " ", "x" * 300, "line\nbreak", "\ud800"):
        bad = {"name": name, "content": ""}
        assert estate.request(Operation.UPDATE, path, bad).error is InvalidRequest
    assert estate.request(Operation.UPDATE, path, at_limit).error is None
    assert estate.vault.defects == []


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": ""},
        {"sha256": "00"},
        {"sha256": ["00" * 32] * 65},
        {"wraps": "secret/backup/key@*"},
        {"opened_by": []},
        {"opened_by": "secret/nothing/here"},
        {"wraps": "nowhere/at/all@1"},
    ],
)
def test_a_registered_copy_names_what_it_is(estate: Estate, change: dict[str, Any]) -> None:
    good = {
        "name": "copy",
        "sha256": "AB" * 32,
        "wraps": "secret/backup/key@1",
        "opened_by": "secret/backup/wrapping",
    }
    path = "incident/documents/registered"
    refused = estate.request(Operation.UPDATE, path, {**good, **change}, estate.responder)
    assert refused.error is InvalidRequest
    assert estate.request(Operation.UPDATE, path, good, estate.responder).error is None
    listed = estate.request(Operation.LIST, "incident/documents/", token=estate.responder).data
    assert listed["keys"] == ["copy"]


def test_a_copy_is_recognised_inside_a_document(estate: Estate) -> None:
    estate.register_copy()
    text = "backup: " + b64encode(CIPHERTEXT).decode()
    found = submit(estate, text, estate.responder).data
    assert (found["copies"], found["complete"]) == (["document:repository copy"], True)


def test_all_of_a_large_vault_is_searched(estate: Estate) -> None:
    """More secrets than are fingerprinted in one turn."""
    for number in range(2 * AT_ONCE + 1):
        path = f"secret/data/many/{number}"
        estate.must(path, {"data": {"password": f"password number {number:04d}"}})
    text = "\n".join(f"password number {number:04d}" for number in (0, AT_ONCE, 2 * AT_ONCE))
    found = submit(estate, text, "root").data["found"]
    assert found == [f"secret/many/{number}@1" for number in (0, AT_ONCE, 2 * AT_ONCE)]


@pytest.mark.parametrize("secret_class", ["guarded", "two-person", "custody"])
def test_a_match_is_not_told_for_what_takes_more_than_policy(
    estate: Estate, secret_class: str
) -> None:
    estate.must("sys/classes/secret/data/app", {"class": secret_class})
    reader = estate.login("colleague")
    for token in (reader, "root"):
        guessed = submit(estate, f"mail={PASSWORD_OF_MAIL}", token, "guess").data
        wrong = submit(estate, "mail=mail-secret-91b3", token, "guess").data
        assert guessed == wrong
    alerts = [e for _, e in estate.vault.house.audit_reader().entries() if e.op == "alert"]
    told = [e for e in alerts if e.audited["alert"] == "documents"]
    assert len(told) == 2
    assert {e.audited["text"] for e in told} == {
        f"a document contains a secret of class {secret_class}"
    }


def test_who_hits_secrets_of_two_persons_is_stopped_soon(estate: Estate) -> None:
    estate.must("sys/classes/secret/data/app", {"class": "two-person"})
    reader = estate.login("colleague")
    for number in range(MAX_HITS):
        assert submit(estate, f"{number} {PASSWORD_OF_MAIL}", reader).error is None
    for again in (reader, estate.login("colleague")):
        assert submit(estate, "one more", again).error is TooManyRequests
    assert submit(estate, PASSWORD_OF_MAIL, estate.responder).error is None
    estate.vault.clock.advance(ns=DAY_NS)
    assert submit(estate, "a day later", estate.login("colleague")).error is None


def test_a_match_is_charged_as_a_read(estate: Estate) -> None:
    estate.must("sys/budgets/defaults/entity", {"hour": 1, "day": 1, "month": 1})
    estate.must("sys/budgets/defaults", {"soft": 100})
    reader = estate.login("colleague")
    text = f"mail={PASSWORD_OF_MAIL}"
    assert submit(estate, text, reader).data["found"] == ["secret/app/mail@1"]
    estate.must("secret/data/app/mail", {"data": {"password": "another value of mail"}})
    estate.must("secret/data/app/more", {"data": {"password": "another value of more"}})
    estate.must(
        "sys/policies/acl/mail", {"policy": 'path "*" { capabilities = ["update", "read"] }'}
    )
    again = submit(estate, "another value of more", estate.login("colleague")).data
    assert again["found"] == []
