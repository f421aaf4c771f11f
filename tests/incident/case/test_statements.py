"""Statements through the API: made by one person, in force once another has confirmed them."""

from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.evidence import records as ev
from ironkeep.core.operation import Operation
from ironkeep.testing.parts import tables, text
from ironkeep.testing.vault import Reply
from tests.support.incident.incident_estate import PASSWORD, Estate, opened

ALL = 'path "*" { capabilities = ["create", "read", "update", "list", "sudo"] }'


@pytest.fixture
def estate() -> Estate:
    fresh = Estate.fresh()
    for name in ("engineer", "colleague"):
        fresh.login(name)
    return fresh


def evicted(estate: Estate) -> str:
    """Return a case about the engineer in which only what people state is left."""
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    for swept in tables(estate.on(case, "sweep"), "swept"):
        for difference in tables(swept, "differences"):
            estate.on(case, "explain", item=difference["id"], reason="our own rotation")
    estate.on(case, "residue", words="what was seen stays seen")
    return case


def stated(estate: Estate, case: str, item: str = "policies", token: str = "") -> str:
    """State that an item of the root is sound, and return the statement's entry."""
    done = estate.must(
        f"incident/cases/{case}/check-root",
        {"item": item, "sound": True, "detail": "looked at"},
        token or estate.responder,
    )
    return text(done, "confirm")


def refused(estate: Estate, case: str, step: str, **data: str) -> str:
    """Return the errors of a statement that is refused."""
    path = f"incident/cases/{case}/{step}"
    return said(estate.request(Operation.UPDATE, path, data, estate.responder))


def confirm(estate: Estate, case: str, *items: str, token: str = "") -> Reply:
    data = {"items": list(items)}
    path = f"incident/cases/{case}/confirm"
    return estate.request(Operation.UPDATE, path, data, token or estate.auditor)


def said(reply: Reply) -> str:
    body: Any = reply.body
    return " ".join(body["errors"])


def test_a_case_is_proven_once_everything_is_confirmed(estate: Estate) -> None:
    case = evicted(estate)
    entries = [stated(estate, case, item) for item in ev.ROOT_ITEMS]
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert opened(verdict) == {("root check sworn by one", each) for each in entries}
    steps = tables(estate.get(f"incident/cases/{case}/steps", estate.responder), "steps")
    assert {step["item"] for step in steps} == set(entries)
    assert all(f"ironkeep incident confirm {case}" in text(step, "do") for step in steps)
    assert {step["stated"] for step in steps} == {"looked at"}
    assert confirm(estate, case, *entries).error is None
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "PROVEN"
    assert verdict["headline"] == "PROVEN: closed: 1 measured"


def test_an_exemption_that_would_cover_nothing_is_refused(estate: Estate) -> None:
    case = estate.open_case("person:engineer", start="3s")
    item = f"case:{case}"
    assert ("no residue", item) in opened(estate.verdict(case))
    given = {"reason": "later", "ttl": "1h"}
    assert "cannot be exempted" in refused(estate, case, "exempt", item=item, **given)
    assert "give one as its steps name it" in refused(estate, case, "exempt", item="x", **given)


def test_an_entry_that_is_not_open_takes_no_explanation(estate: Estate) -> None:
    """It would be an open item by itself, until another person confirmed it."""
    case = estate.open_case("person:engineer", start="3s")
    for item in ("entry:1", "entry:99999999999999999999"):
        assert "no open item" in refused(estate, case, "explain", item=item, reason="r")


def test_nobody_confirms_their_own_word(estate: Estate) -> None:
    case = estate.open_case("person:engineer", start="3s")
    entry = stated(estate, case)
    again = estate.login("responder")
    for token in (estate.responder, again):
        reply = confirm(estate, case, entry, token=token)
        assert reply.error is PermissionDenied
        assert "another person has to confirm it" in said(reply)


def test_a_person_who_was_made_by_another_is_no_second_one(estate: Estate) -> None:
    """The responder makes a user, and logs in as that user too."""
    estate.must("sys/policies/acl/all", {"policy": ALL})
    estate.must("auth/userpass/users/boss", {"password": PASSWORD, "token_policies": "all"})
    boss = estate.login("boss")
    puppet = {"password": PASSWORD, "token_policies": "all"}
    estate.must("auth/userpass/users/puppet", puppet, boss)
    case = estate.open_case("person:engineer", start="3s")
    entry = stated(estate, case, token=boss)
    reply = confirm(estate, case, entry, token=estate.login("puppet"))
    assert reply.error is PermissionDenied
    assert confirm(estate, case, entry).error is None


def test_a_machine_states_and_confirms_nothing(estate: Estate) -> None:
    """Whoever has its credential, such as a role id that is enough, would be two people by it."""
    estate.must("sys/auth/approle", {"type": "approle"})
    role = "auth/approle/role/machine"
    given = {"token_policies": "responder", "bind_secret_id": False}
    estate.must(role, {**given, "secret_id_bound_cidrs": "127.0.0.1/32"})
    role_id = text(estate.get(f"{role}/role-id"), "role_id")
    machine = estate.request(Operation.UPDATE, "auth/approle/login", {"role_id": role_id}, "").token
    case = estate.open_case("person:engineer", start="3s")
    reply = confirm(estate, case, stated(estate, case), token=machine)
    assert (reply.error, "takes a person" in said(reply)) == (PermissionDenied, True)
    path = f"incident/cases/{case}/check-root"
    checked = {"item": "policies", "sound": True, "detail": "looked at"}
    assert estate.request(Operation.UPDATE, path, checked, machine).error is PermissionDenied
    contain = f"incident/cases/{case}/contain"
    assert estate.request(Operation.UPDATE, contain, {}, machine).error is None


def test_a_token_of_nobody_confirms_nothing(estate: Estate) -> None:
    case = estate.open_case("person:engineer", start="3s")
    reply = confirm(estate, case, stated(estate, case), token="root")
    assert reply.error is PermissionDenied
    assert "a confirmation takes a person" in said(reply)


def test_what_nobody_states_takes_two_confirmations(estate: Estate) -> None:
    case = evicted(estate)
    entries = [stated(estate, case, item, "root") for item in ev.ROOT_ITEMS]
    assert confirm(estate, case, *entries).error is None
    assert estate.verdict(case)["outcome"] == "NOT PROVEN"
    assert confirm(estate, case, *entries).error is PermissionDenied
    assert confirm(estate, case, *entries, token=estate.responder).error is None
    assert estate.verdict(case)["outcome"] == "PROVEN"


def test_somebody_exposed_confirms_nothing(estate: Estate) -> None:
    estate.must(
        "auth/userpass/users/engineer", {"password": PASSWORD, "token_policies": "responder"}
    )
    engineer = estate.login("engineer")
    case = estate.open_case("person:engineer", start="60s")
    reply = confirm(estate, case, stated(estate, case), token=engineer)
    assert reply.error is PermissionDenied
    assert "is exposed in this case" in said(reply)


@pytest.mark.parametrize("items", [[], ["entry:0"], ["17"], ["root:policies"], ["entry:1"] * 101])
def test_what_is_no_statement_is_refused(estate: Estate, items: list[str]) -> None:
    case = estate.open_case("person:engineer", start="3s")
    assert confirm(estate, case, *items).error is InvalidRequest


def test_a_statement_of_another_case_is_none_of_this_one(estate: Estate) -> None:
    first = estate.open_case("person:engineer", start="3s")
    entry = stated(estate, first)
    second = estate.open_case("person:colleague", start="3s")
    assert confirm(estate, second, entry).error is InvalidRequest


def test_an_exemption_holds_once_confirmed_and_makes_an_exception(estate: Estate) -> None:
    case = evicted(estate)
    for item in ev.ROOT_ITEMS[1:]:
        estate.on(case, "check-root", item=item, sound=True, detail="looked at")
    given = {"item": ev.ROOT_ITEMS[0], "reason": "the auditor comes on Monday", "ttl": "72h"}
    waiver = estate.must(f"incident/cases/{case}/exempt", given, estate.responder)
    checks = {check for check, _ in opened(estate.verdict(case))}
    assert checks == {"root not checked"}
    steps = tables(estate.get(f"incident/cases/{case}/steps", estate.responder), "steps")
    (waits,) = [each for each in steps if each["item"] == text(waiver, "confirm")]
    assert "another person: ironkeep incident confirm" in text(waits, "do")
    assert str(given["reason"]) in text(waits, "stated")
    assert confirm(estate, case, text(waiver, "confirm")).error is None
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "PROVEN WITH EXCEPTIONS"
    assert "closed: 1 measured; 1 other items exempt until " in text(verdict, "headline")
    # It is not an open item any more, and can still be taken back.
    ends = estate.must(f"incident/cases/{case}/exempt", {**given, "ttl": "1s"}, estate.responder)
    assert text(ends, "confirm")
    assert estate.verdict(case)["outcome"] == "NOT PROVEN"


def test_a_statement_of_nobody_says_that_two_people_are_missing(estate: Estate) -> None:
    case = evicted(estate)
    given = {"item": ev.ROOT_ITEMS[0], "reason": "later", "ttl": "72h"}
    waiver = text(estate.must(f"incident/cases/{case}/exempt", given), "confirm")
    assert waits_for(estate, case, waiver).endswith(": two people have to confirm it")
    assert confirm(estate, case, waiver).error is None
    words = waits_for(estate, case, waiver)
    assert words.startswith("only a token of nobody states ")
    assert words.endswith(": one person has confirmed it, and a second one has to")


def waits_for(estate: Estate, case: str, waiver: str) -> str:
    """Return what the verdict says of an exemption that waits."""
    (waits,) = tables(estate.verdict(case), "waiting")
    assert f"entry:{waits['entry']}" == waiver
    return text(waits, "words")


def test_an_exemption_without_effect_takes_no_confirmation(estate: Estate) -> None:
    """Whoever confirmed it would be told that it is confirmed, and the item would stay open."""
    case = evicted(estate)
    given = {"item": ev.ROOT_ITEMS[0], "reason": "later"}
    first, second, short = (
        text(estate.must(f"incident/cases/{case}/exempt", data, estate.responder), "confirm")
        for data in (
            {**given, "ttl": "72h"},
            {**given, "ttl": "96h"},
            {**given, "item": ev.ROOT_ITEMS[1], "ttl": "1s"},
        )
    )
    for gone in (first, short):
        reply = confirm(estate, case, gone)
        assert reply.error is InvalidRequest
        assert "its steps list those that wait" in said(reply)
    assert confirm(estate, case, second).error is None
