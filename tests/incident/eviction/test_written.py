"""Whoever stores a secret knows it: what an exposed person wrote is exposed."""

import pytest

from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import Estate, opened


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def may_write(estate: Estate, path: str) -> str:
    """Let the engineer write a path without reading it, and log them in."""
    policy = f'path "{path}" {{ capabilities = ["create", "update"] }}'
    estate.must("sys/policies/acl/engineer", {"policy": policy})
    return estate.login("engineer")


def explained(estate: Estate, start: str = "5s") -> str:
    """Return a case on the engineer in which all that they did is explained by two people."""
    case = estate.open_case("person:engineer", start=start)
    estate.on(case, "contain")
    for item in tables(estate.verdict(case), "open_items"):
        if item["check"] == "foothold in vault":
            estate.on(case, "explain", item=item["item"], reason="reviewed: their daily work")
    estate.state(case)
    return case


def test_a_value_that_an_exposed_person_stored_is_exposed(estate: Estate) -> None:
    ann = may_write(estate, "secret/data/app/mail")
    estate.must("secret/data/app/mail", {"data": {"password": "chosen by ann"}}, ann)
    case = explained(estate)
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert ("not revoked", "secret/app/mail version 2") in opened(verdict)
    pack = verify_pack(estate.pack(case), estate.trust())
    assert any(row.node.endswith("app/mail@2") for row in pack.exposure.could_reach)
    assert not any(row.node.endswith("app/mail@1") for row in pack.exposure.could_reach)


def test_so_it_is_in_a_mount_without_versions(estate: Estate) -> None:
    estate.must("sys/mounts/plain", {"type": "kv"})
    ann = may_write(estate, "plain/key")
    estate.must("plain/key", {"v": "chosen by ann"}, ann)
    assert ("not revoked", "plain/key") in {
        (check, label.partition(" version")[0])
        for check, label in opened(estate.verdict(explained(estate)))
    }


def test_a_password_that_an_exposed_person_imported_is_exposed(estate: Estate) -> None:
    ann = may_write(estate, "database/static-roles/mine")
    estate.system.accounts["payroll"] = estate.system.accounts["app"].__class__(b"known to ann")
    given = {"db_name": "orders", "username": "payroll", "password": "known to ann"}
    estate.must("database/static-roles/mine", {**given, "skip_import_rotation": True}, ann)
    case = explained(estate)
    assert ("not revoked", "database/static-creds/mine version 1") in opened(estate.verdict(case))


def test_so_is_that_of_the_account_that_administers_a_system(estate: Estate) -> None:
    ann = may_write(estate, "database/config/orders")
    given = {"password": "admin password", "verify_connection": True}
    estate.must("database/config/orders", given, ann)
    case = explained(estate)
    admin = next(
        label for _, label in opened(estate.verdict(case)) if label.startswith("database/config")
    )
    for step in ("rotate", "kill", "probe"):
        estate.on(case, step)
    left = {check for check, label in opened(estate.verdict(case)) if label == admin}
    assert not {"not revoked", "still current"} & left


def test_what_they_wrote_before_the_breach_is_not(estate: Estate) -> None:
    ann = may_write(estate, "secret/data/app/mail")
    estate.must("secret/data/app/mail", {"data": {"password": "chosen by ann"}}, ann)
    estate.vault.clock.advance(seconds=60)
    assert estate.verdict(explained(estate))["outcome"] == "PROVEN"


def test_what_somebody_else_wrote_is_not(estate: Estate) -> None:
    estate.login("engineer")
    estate.must("secret/data/app/mail", {"data": {"password": "chosen by root"}})
    case = explained(estate)
    shown = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert not [row for row in tables(shown, "could_reach") if "app/mail" in text(row, "label")]
