"""What the vault itself gives out decides whether an exposed version was replaced."""

import pytest

from ironkeep.core.operation import Operation
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import Estate, opened

MAIL = "secret/app/mail version 1"


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def reported(estate: Estate) -> str:
    """Return a case in which a person says that the mail password was replaced."""
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    told = {"secret": "secret/app/mail@1", "method": "reset", "receipt": "mail ticket 9"}
    estate.on(case, "rotate", **told)
    return case


def put(estate: Estate, value: str) -> None:
    estate.must("secret/data/app/mail", {"data": {"password": value}})


def found(estate: Estate, case: str) -> list[tuple[str, str]]:
    compared = tables(estate.on(case, "probe"), "compared")
    return [(text(each, "state"), text(each, "detail")) for each in compared]


def current(estate: Estate, case: str) -> bool:
    return ("still current", MAIL) in opened(estate.verdict(case))


def test_a_report_alone_leaves_it_open(estate: Estate) -> None:
    case = reported(estate)
    assert current(estate, case)
    assert found(estate, case) == [("current", "version 1 is current")]
    assert current(estate, case)


def test_a_new_value_in_its_place_closes_it(estate: Estate) -> None:
    case = reported(estate)
    put(estate, "another one")
    assert found(estate, case) == [("replaced", "version 2 is current")]
    assert not current(estate, case)


def test_the_old_value_under_a_new_number_is_still_current(estate: Estate) -> None:
    case = reported(estate)
    put(estate, "another one")
    put(estate, "mail-secret-91b2")
    assert found(estate, case) == [("current", "version 3 has the value of version 1")]
    assert current(estate, case)


def test_a_secret_that_is_gone_is_not_current(estate: Estate) -> None:
    case = reported(estate)
    gone = estate.request(Operation.DELETE, "secret/metadata/app/mail")
    assert gone.error is None
    assert found(estate, case) == [("replaced", "the vault has no such secret any more")]
    assert not current(estate, case)


def test_a_mount_that_is_gone_gives_nothing_out(estate: Estate) -> None:
    case = reported(estate)
    assert estate.request(Operation.DELETE, "sys/mounts/secret").error is None
    assert found(estate, case) == [("replaced", "the vault has no such secret any more")]


def test_a_mount_without_versions_cannot_tell(estate: Estate) -> None:
    estate.must("sys/mounts/plain", {"type": "kv"})
    estate.must("plain/key", {"v": "one"})
    policy = {"policy": 'path "plain/*" { capabilities = ["read"] }'}
    estate.must("sys/policies/acl/mail", policy)
    estate.get("plain/key", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate", secret="plain/key@0", method="reset", receipt="ticket 9")
    estate.must("plain/key", {"v": "two"})
    ((state, detail),) = found(estate, case)
    assert state == "current"
    assert "keeps no versions" in detail


def test_a_managed_credential_is_compared_too(estate: Estate) -> None:
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="3s")
    for step in ("contain", "rotate", "kill"):
        estate.on(case, step)
    assert [state for state, _ in found(estate, case)] == ["replaced"]


def test_a_comparison_shows_no_value(estate: Estate) -> None:
    case = reported(estate)
    put(estate, "mail-secret-91b2")
    found(estate, case)
    bodies = [str(entry) for _, entry in estate.vault.house.audit_reader().entries(0)]
    assert any("'incident': 'compared'" in body for body in bodies)
    assert not any("mail-secret" in body for body in bodies)
