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
    return reported_as(estate, 1)


def reported_as(estate: Estate, number: int) -> str:
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    told = {"secret": f"secret/app/mail@{number}", "method": "reset", "receipt": "mail ticket 9"}
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


def test_a_secret_that_is_gone_is_not_current_if_it_was_compared_before(estate: Estate) -> None:
    case = reported(estate)
    assert found(estate, case) == [("current", "version 1 is current")]
    gone = estate.request(Operation.DELETE, "secret/metadata/app/mail")
    assert gone.error is None
    for _ in range(2):
        assert found(estate, case) == [("replaced", "the vault has no such secret any more")]
    assert not current(estate, case)


def test_a_secret_that_was_moved_and_removed_unseen_is_open(estate: Estate) -> None:
    case = reported(estate)
    estate.must("secret/data/app/relay", {"data": {"password": "mail-secret-91b2"}})
    assert estate.request(Operation.DELETE, "secret/metadata/app/mail").error is None
    ((state, detail),) = found(estate, case)
    assert (state, "nobody compared it before" in detail) == ("current", True)
    assert current(estate, case)


def test_a_secret_whose_value_was_elsewhere_before_it_was_removed_is_open(estate: Estate) -> None:
    case = reported(estate)
    estate.must("secret/data/app/relay", {"data": {"password": "mail-secret-91b2"}})
    ((_, detail),) = found(estate, case)
    assert detail.startswith("version 1 is current; another secret")
    assert estate.request(Operation.DELETE, "secret/metadata/app/mail").error is None
    assert [state for state, _ in found(estate, case)] == ["current"]


def test_a_mount_that_is_gone_gives_nothing_out(estate: Estate) -> None:
    case = reported(estate)
    found(estate, case)
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


def test_one_more_field_replaces_nothing(estate: Estate) -> None:
    case = reported(estate)
    changed = {"password": " mail-secret-91b2\n", "note": "rotated"}
    estate.must("secret/data/app/mail", {"data": {"old": [changed]}})
    assert found(estate, case) == [("current", "version 2 has the value of version 1")]
    assert current(estate, case)


def test_a_host_may_stay_and_a_password_may_not(estate: Estate) -> None:
    plain = {"username": "mail-sender", "host": "mail.example", "url": "smtp://mail.example"}
    estate.must("secret/data/app/mail", {"data": {**plain, "password": "one-9c41"}})
    case = reported_as(estate, 2)
    estate.must("secret/data/app/mail", {"data": {**plain, "password": "two-5e07"}})
    assert found(estate, case) == [("replaced", "version 3 is current")]
    estate.must("secret/data/app/mail", {"data": {"username": "x", "old": "one-9c41"}})
    assert found(estate, case) == [("current", "version 4 has the value of version 2")]


def test_a_url_with_a_password_in_it_may_not_stay(estate: Estate) -> None:
    url = "smtp://sender:one-9c41@mail.example"
    estate.must("secret/data/app/mail", {"data": {"url": url, "password": "one-9c41"}})
    case = reported_as(estate, 2)
    estate.must("secret/data/app/mail", {"data": {"url": url, "password": "two-5e07"}})
    assert found(estate, case) == [("current", "version 3 has the value of version 2")]


@pytest.mark.parametrize("gone", ["destroy", "delete", "number", "anew"])
def test_a_version_that_cannot_be_looked_at_any_more_was_not_replaced(
    estate: Estate, gone: str
) -> None:
    if gone == "number":
        estate.must("secret/data/app/mail", {"data": {"pin": 4_711}})
        case = reported_as(estate, 2)
        estate.must("secret/data/app/mail", {"data": {"pin": 4_711}})
    else:
        case = reported(estate)
    if gone == "anew":
        assert estate.request(Operation.DELETE, "secret/metadata/app/mail").error is None
        put(estate, "a decoy")
    if gone != "number":
        put(estate, "mail-secret-91b2")
    if gone in {"destroy", "delete"}:
        estate.must(f"secret/{gone}/app/mail", {"versions": [1]})
    ((state, detail),) = found(estate, case)
    assert state == "current"
    assert ("has the value" if gone == "delete" else "cannot be told") in detail


def test_a_version_that_was_compared_before_it_was_destroyed_is_replaced(estate: Estate) -> None:
    case = reported(estate)
    put(estate, "another one")
    assert found(estate, case) == [("replaced", "version 2 is current")]
    estate.must("secret/destroy/app/mail", {"versions": [1]})
    assert found(estate, case) == [("replaced", "version 2 is current")]
    put(estate, "mail-secret-91b2")
    assert [state for state, _ in found(estate, case)] == ["current"]


BELL = "https://hooks.example/T0/B0/8f7a6d5c4b3a29181716"
LINES = "-----BEGIN KEY-----\n{}\n-----END KEY-----"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"password": "one-9c41-x"}, {"password": "new", "dsn": "smtp://u:one-9c41-x@mail"}),
        ({"dsn": "smtp://u:one%2F9c41-x@mail"}, {"dsn": "smtp://u:new@mail", "old": "one/9c41-x"}),
        ({"key": LINES.format("c0ffee")}, {"key": LINES.format("c0ffee").replace("\n", "\r\n")}),
        ({"password": "b25lLTljNDEteA=="}, {"password": "one-9c41-x"}),
        ({"password": "one-9c41-x"}, {"password": "b25lLTljNDEteA=="}),
        ({"env": "A=1\nDB_PASSWORD=one-9c41-x\n"}, {"env": "A=1", "password": "one-9c41-x"}),
        ({"pin": 83_150_224, "note": "old"}, {"pin": 83_150_224, "note": "new"}),
        ({"url": BELL, "room": "ops"}, {"url": BELL, "room": "dev"}),
    ],
)
def test_a_value_in_another_form_is_the_same_value(
    estate: Estate, before: dict[str, object], after: dict[str, object]
) -> None:
    estate.must("secret/data/app/mail", {"data": before})
    case = reported_as(estate, 2)
    estate.must("secret/data/app/mail", {"data": after})
    assert found(estate, case) == [("current", "version 3 has the value of version 2")]
    estate.must("secret/data/app/mail", {"data": {"password": "altogether new"}})
    assert found(estate, case) == [("replaced", "version 4 is current")]


def test_a_secret_in_a_field_of_free_text_is_current_while_it_stands_there(estate: Estate) -> None:
    fields = {"password": "first", "note": "the key is 5c1f"}
    estate.must("secret/data/app/mail", {"data": fields})
    case = reported_as(estate, 2)
    estate.must("secret/data/app/mail", {"data": {**fields, "password": "another one"}})
    assert found(estate, case)[-1] == ("current", "version 3 has the value of version 2")
    estate.must("secret/data/app/mail", {"data": {"password": "another one", "note": "reset"}})
    assert found(estate, case)[-1] == ("replaced", "version 4 is current")
