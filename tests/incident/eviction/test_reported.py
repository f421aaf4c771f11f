"""Reports of a revocation by hand: the slips that are refused before they are on record."""

import pytest

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.testing.parts import tables
from tests.support.incident.incident_estate import Estate


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


@pytest.mark.parametrize(
    "slip",
    [
        {"replacement": "secret/app/mail@1"},
        {"replacement": "secret/app/mail@*"},
        {"replacement": "secret/app/mail@7"},
        {"system": "system:typo"},
        {"system": ""},
        {"secret": ""},
    ],
    ids=str,
)
def test_a_report_that_can_only_be_a_slip_is_refused(estate: Estate, slip: dict[str, str]) -> None:
    """A report cannot be taken back: such a one would keep the case open until it is exempted."""
    estate.must("secret/metadata/app/mail", {"custom_metadata": {"ironkeep-opens": "system:mail"}})
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    told = {
        "secret": "secret/app/mail@1", "system": "system:mail",
        "method": "reset", "receipt": "mail ticket 9",
    }  # fmt: skip
    path = f"incident/cases/{case}/rotate"
    refused = estate.request(Operation.UPDATE, path, {**told, **slip}, estate.responder)
    assert refused.error is InvalidRequest
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert {row["state"] for row in tables(found, "did_read")} == {"exposed"}
    estate.on(case, "rotate", **told)
