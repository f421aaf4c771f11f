"""A sealed segment in a case: what it keeps is unknown, which is neither lost nor safe."""

from typing import Final

import pytest

from ironkeep.core.errors import NotFound, Sealed
from ironkeep.core.operation import Operation
from ironkeep.testing.parts import number, table, tables, text
from tests.support.incident.incident_estate import Estate, document, opened

ONE: Final = {"secret_shares": 1, "secret_threshold": 1}
PASSWORD: Final = "vaulted-secret-77aa10"


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def segmented(estate: Estate) -> str:
    """Make an open segment `prod` with one secret that the engineer may read; return its share."""
    share = text(estate.must("segment/segments/prod", ONE), "keys", 0)
    options = {"version": "2", "segment": "prod"}
    estate.must("sys/mounts/prod", {"type": "kv", "options": options})
    estate.must("segment/flows/house/prod", {})
    estate.must("segment/segments/prod/unseal", {"key": share})
    estate.must("prod/data/db", {"data": {"password": PASSWORD}})
    return share


def test_a_survey_that_misses_a_sealed_segment_stays_open_until_it_is_known(
    estate: Estate,
) -> None:
    share = segmented(estate)
    text = 'path "prod/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/engineer", {"policy": text})
    estate.login("engineer")
    estate.must("segment/segments/prod/seal")
    case = estate.open_case("person:engineer")
    told = table(estate.on(case, "contain"), "contained", 0)
    assert told["not_known_of"] == ["prod/ is sealed: unseal it and contain again"]
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert "not known" in {check for check, _ in opened(verdict)}
    estate.must("segment/segments/prod/unseal", {"key": share})
    told = table(estate.on(case, "contain"), "contained", 0)
    assert (told["not_known_of"], number(told, "secrets_readable") > 0) == ([], True)
    assert not {"not known", "not surveyed"} & {check for check, _ in opened(estate.verdict(case))}
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert "prod/db version 1" in {row["label"] for row in tables(found, "could_reach")}


@pytest.mark.parametrize("deleted", [False, True])
def test_what_went_with_its_segment_unread_is_open_by_name(estate: Estate, deleted: bool) -> None:
    """One secret of it may have been removed, and recorded, before: that says nothing of others."""
    segmented(estate)
    rule = 'path "prod/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/engineer", {"policy": rule})
    estate.login("engineer")
    estate.must("prod/data/other", {"data": {"password": "another"}})
    if deleted:
        assert estate.request(Operation.DELETE, "prod/metadata/other").error is None
    estate.must("segment/segments/prod/seal")
    estate.must("segment/segments/prod/destroy", {"confirm": "prod"})
    case = estate.open_case("person:engineer", start="30s")
    told = table(estate.on(case, "contain"), "contained", 0)
    assert told["not_known_of"] == ["prod/ was removed with its segment, unread"]
    assert "not known" in {check for check, _ in opened(estate.verdict(case))}


@pytest.mark.parametrize("deleted", [False, True])
def test_a_mount_that_was_removed_before_its_segment_is_known_whole(
    estate: Estate, deleted: bool
) -> None:
    segmented(estate)
    if deleted:
        assert estate.request(Operation.DELETE, "prod/metadata/db").error is None
    rule = 'path "prod/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/engineer", {"policy": rule})
    estate.login("engineer")
    assert estate.request(Operation.DELETE, "sys/mounts/prod").error is None
    estate.must("segment/segments/prod/seal")
    estate.must("segment/segments/prod/destroy", {"confirm": "prod"})
    case = estate.open_case("person:engineer", start="30s")
    assert table(estate.on(case, "contain"), "contained", 0)["not_known_of"] == []
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    listed = {row["label"] for row in tables(found, "could_reach")}
    assert any("db version 1" in str(label) for label in listed) is not deleted


def test_a_leaked_text_is_not_said_to_hold_nothing_while_a_segment_is_sealed(
    estate: Estate,
) -> None:
    share = segmented(estate)
    estate.must("segment/segments/prod/seal")
    content = document(f"password={PASSWORD}".encode())
    told = estate.must("incident/documents", {"name": "one", "content": content})
    assert (told["found"], told["complete"], told["mounts_not_known"]) == ([], False, 1)
    estate.must("segment/segments/prod/unseal", {"key": share})
    told = estate.must("incident/documents", {"name": "two", "content": content})
    assert told["found"] == ["prod/db@1"]
    assert (told["complete"], told["mounts_not_known"]) == (True, 0)


def test_what_is_asked_of_a_sealed_segment_by_name_says_why_it_is_not_answered(
    estate: Estate,
) -> None:
    segmented(estate)
    estate.must("segment/segments/prod/seal")
    estate.login("engineer")
    case = estate.open_case("person:engineer")
    estate.on(case, "contain")
    reply = estate.request(
        Operation.UPDATE, f"incident/cases/{case}/rotate", {"secret": "prod/db"}, "root"
    )
    assert reply.error is Sealed
    assert "segment 'prod' is sealed" in reply.errors[0]
    assert estate.vault.defects == []


def test_reads_in_a_sealed_segment_are_stated_for_what_the_journal_knows(estate: Estate) -> None:
    segmented(estate)
    estate.must("segment/segments/prod/seal")
    estate.witness()
    for secret, error in (("prod/db", None), ("prod/bd", NotFound)):
        given = {"secret": secret, "start": "1h"}
        request = estate.vault.asked(Operation.READ, "incident/did-read", given, estate.responder)
        assert estate.vault.settle(estate.vault.pipeline.handle(request)).error is error
