"""A value that another secret of the vault has, too, was not replaced."""

from base64 import b64encode

import pytest

from ironkeep.core.operation import Operation
from ironkeep.incident.case.guesses import MAX_HITS
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import Estate, opened

MAIL = "secret/app/mail version 1"
VALUE = "mail-secret-91b2"
HIDDEN = (
    "another secret, which you may not read, has its value: have it probed by somebody who may "
    "read that one"
)


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def replaced(estate: Estate) -> str:
    """Return a case in which a person replaced the password of the mail, where it was read."""
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    told = {"secret": "secret/app/mail@1", "method": "reset", "receipt": "mail ticket 9"}
    estate.on(case, "rotate", **told)
    estate.must("secret/data/app/mail", {"data": {"password": "another one"}})
    return case


def found(estate: Estate, case: str) -> tuple[str, str]:
    (compared,) = tables(estate.on(case, "probe"), "compared")
    return text(compared, "state"), text(compared, "detail")


def may_read(estate: Estate, path: str) -> None:
    """Let the responder read a path, too."""
    policy = f'path "{path}" {{ capabilities = ["read"] }}'
    estate.must("sys/policies/acl/relay", {"policy": policy})
    user = {"token_policies": "responder,relay"}
    estate.must("auth/userpass/users/responder", user)
    estate.responder = estate.login("responder")


@pytest.mark.parametrize(
    "stored",
    [
        VALUE,
        f" {VALUE}\n",
        f"smtp://sender:{VALUE}@mail.example",
        {"deep": [VALUE]},
        b64encode(f"sender:{VALUE}".encode()).decode(),
        VALUE.encode().hex(),
        "mail%2Dsecret%2D91b2",
        "# a long file\n" * 500 + VALUE,
    ],
)
def test_a_value_at_a_second_path_is_open_until_it_is_replaced_there(
    estate: Estate, stored: object
) -> None:
    estate.must("secret/data/app/relay", {"data": {"login": stored}})
    case = replaced(estate)
    may_read(estate, "secret/data/app/relay")
    assert found(estate, case) == ("current", "secret/app/relay version 1 has its value")
    assert ("still current", MAIL) in opened(estate.verdict(case))
    estate.must("secret/data/app/relay", {"data": {"login": "a new one"}})
    assert found(estate, case) == ("replaced", "version 2 is current")
    assert ("still current", MAIL) not in opened(estate.verdict(case))


def test_where_it_is_is_told_only_to_those_who_may_read_it(estate: Estate) -> None:
    estate.must("secret/data/app/relay", {"data": {"login": VALUE}})
    case = replaced(estate)
    assert found(estate, case) == ("current", HIDDEN)
    assert ("still current", MAIL) in opened(estate.verdict(case))
    may_read(estate, "secret/data/app/relay")
    assert found(estate, case)[1] == "secret/app/relay version 1 has its value"
    # A read of it would take a second person, so a match takes one, too.
    estate.must("sys/classes/secret/data/app/relay", {"class": "two-person"})
    assert found(estate, case) == ("current", HIDDEN)


def test_any_mount_is_looked_at(estate: Estate) -> None:
    estate.must("sys/mounts/plain", {"type": "kv"})
    estate.must("plain/relay", {"login": VALUE})
    case = replaced(estate)
    assert found(estate, case) == ("current", HIDDEN)
    assert estate.request(Operation.DELETE, "plain/relay").error is None
    assert found(estate, case)[0] == "replaced"


@pytest.mark.parametrize("size", [4_096, 100_000])
def test_a_long_text_counts_as_a_whole(estate: Estate, size: int) -> None:
    long = "k" * size
    estate.must("secret/data/app/mail", {"data": {"password": long}})
    estate.must("secret/data/app/relay", {"data": {"login": f"\n{long}"}})
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate", secret="secret/app/mail@2", method="reset", receipt="ticket 9")
    estate.must("secret/data/app/mail", {"data": {"password": "another one"}})
    assert found(estate, case) == ("current", HIDDEN)


def test_what_is_no_secret_may_be_the_same_elsewhere(estate: Estate) -> None:
    """A field that only says where a secret is used, and texts too short to be one."""
    plain = {"username": "mail-sender", "host": "mail.example", "pin": "4711"}
    estate.must("secret/data/app/mail", {"data": {**plain, "password": VALUE}})
    estate.must("secret/data/app/relay", {"data": {**plain, "password": "its own one"}})
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate", secret="secret/app/mail@2", method="reset", receipt="ticket 9")
    changed = {"data": {"username": "mail-sender", "password": "another one"}}
    estate.must("secret/data/app/mail", changed)
    assert found(estate, case) == ("replaced", "version 3 is current")


def test_the_account_that_administers_a_system_is_looked_at(estate: Estate) -> None:
    estate.must("secret/data/app/mail", {"data": {"password": "admin password"}})
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate", secret="secret/app/mail@2", method="reset", receipt="ticket 9")
    estate.must("secret/data/app/mail", {"data": {"password": "another one"}})
    assert found(estate, case) == ("current", HIDDEN)
    may_read(estate, "database/config/orders")
    words = "database/config/orders administers its system with it"
    assert found(estate, case) == ("current", words)
    estate.must("database/rotate-root/orders")
    assert found(estate, case) == ("replaced", "version 3 is current")


def test_a_sealed_segment_may_have_it(estate: Estate) -> None:
    one = {"secret_shares": 1, "secret_threshold": 1}
    share = text(estate.must("segment/segments/prod", one), "keys", 0)
    options = {"version": "2", "segment": "prod"}
    estate.must("sys/mounts/prod", {"type": "kv", "options": options})
    estate.must("segment/flows/house/prod", {})
    estate.must("segment/segments/prod/unseal", {"key": share})
    estate.must("prod/data/relay", {"data": {"password": VALUE}})
    case = replaced(estate)
    estate.must("segment/segments/prod/seal")
    state, detail = found(estate, case)
    assert (state, "in use in prod/ cannot be told" in detail) == ("unknown", True)
    assert ("still current", MAIL) in opened(estate.verdict(case))
    estate.must("segment/segments/prod/unseal", {"key": share})
    assert found(estate, case) == ("current", HIDDEN)
    # What is destroyed nobody can read again, and no system takes what nobody has.
    estate.must("segment/segments/prod/seal")
    estate.must("segment/segments/prod/destroy", {"confirm": "prod"})
    assert found(estate, case) == ("replaced", "version 2 is current")


def test_a_search_that_stops_early_finds_nothing_clean(estate: Estate) -> None:
    """Hundreds of values that begin alike use up the comparisons, and hide the last one."""
    estate.must("secret/data/app/relay", {"data": {"login": "a" * 20_000 + VALUE}})
    many = {f"f{number}": "a" * number + "b" for number in range(8, 150)}
    estate.must("secret/data/app/mail", {"data": {**many, "password": VALUE}})
    estate.get("secret/data/app/mail", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate", secret="secret/app/mail@2", method="reset", receipt="ticket 9")
    estate.must("secret/data/app/mail", {"data": {"password": "another one"}})
    state, detail = found(estate, case)
    assert (state, "too many comparisons" in detail) == ("current", True)


def test_a_version_before_the_current_one_is_not_given_out(estate: Estate) -> None:
    estate.must("secret/data/app/relay", {"data": {"login": VALUE}})
    estate.must("secret/data/app/relay", {"data": {"login": "a new one"}})
    assert found(estate, replaced(estate)) == ("replaced", "version 2 is current")


def test_a_name_like_that_of_a_generated_secret_does_not_make_it_one(estate: Estate) -> None:
    path = "static-creds/mail"
    estate.must(f"secret/data/{path}", {"data": {"pin": 4_711}})
    policy = f'path "secret/data/{path}" {{ capabilities = ["read"] }}'
    estate.must("sys/policies/acl/mail", {"policy": policy})
    estate.get(f"secret/data/{path}", estate.login("colleague"))
    case = estate.open_case("person:colleague", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate", secret=f"secret/{path}@1", method="reset", receipt="ticket 9")
    estate.must(f"secret/data/{path}", {"data": {"pin": 4_711}})
    state, detail = found(estate, case)
    assert state == "current"
    assert "cannot be told" in detail


def test_few_guesses_are_confirmed_to_one_person(estate: Estate) -> None:
    """Whoever may work on cases could store guesses at secrets out of reach."""
    policy = 'path "secret/data/guess/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/mail", {"policy": policy})
    right, wrong = MAX_HITS + 1, 2
    for number in range(right):
        estate.must(f"secret/data/far/{number}", {"data": {"key": f"a secret of {number}"}})
    for number in range(right + wrong):
        estate.must(f"secret/data/guess/{number}", {"data": {"key": f"a secret of {number}"}})
    estate.vault.tick(600)
    thief = estate.login("colleague")
    for number in range(right + wrong):
        estate.get(f"secret/data/guess/{number}", thief)
    case = estate.open_case("person:colleague", start="60s")
    estate.on(case, "contain")
    for number in range(right + wrong):
        told = {"secret": f"secret/guess/{number}@1", "method": "reset", "receipt": "ticket 9"}
        estate.on(case, "rotate", **told)
        estate.must(f"secret/data/guess/{number}", {"data": {"key": f"a new one of {number}"}})
    for _ in range(2):
        assert states(estate, case) == ["current"] * MAX_HITS + ["unknown"] * (1 + wrong)
    entries = [entry for _, entry in estate.vault.house.audit_reader().entries()]
    raised = [each for each in entries if each.op == "alert" and each.audited["alert"] == "probe"]
    assert len(raised) == MAX_HITS
    # A place that the caller may know needs no guess. Whether there are others is not told.
    may_read(estate, "secret/data/far/*")
    assert states(estate, case) == ["current"] * right + ["unknown"] * wrong
    estate.vault.tick(86_400)
    estate.responder = estate.login("responder")
    assert states(estate, case) == ["current"] * right + ["replaced"] * wrong


def states(estate: Estate, case: str) -> list[str]:
    return [text(each, "state") for each in tables(estate.on(case, "probe"), "compared")]
