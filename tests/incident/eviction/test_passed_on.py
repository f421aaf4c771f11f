"""What an exposed person passed on or began, seen through the API: users, deeds, factors."""

from typing import Any

import pytest

from ironkeep.core.errors import PermissionDenied, UpstreamFailed
from ironkeep.core.operation import Operation
from ironkeep.incident.survey.holdings import IN_A_TURN
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.testing.parts import part, tables, text
from tests.support.credentials.simulated import Account, Fault
from tests.support.incident.incident_estate import PASSWORD, Estate, opened

ADMIN = """
path "auth/userpass/users/*" { capabilities = ["create", "update"] }
path "auth/approle/role/*" { capabilities = ["create", "update", "read"] }
path "database/static-roles/*" { capabilities = ["create", "update", "read"] }
"""
MAIL = "secret/data/app/mail"
USERS = "auth/userpass/users/"


@pytest.fixture
def estate() -> Estate:
    estate = Estate.fresh()
    estate.must("sys/policies/acl/admin", {"policy": ADMIN})
    estate.must(f"{USERS}engineer", {"token_policies": "admin"})
    return estate


def labels(estate: Estate, case: str, kind: str) -> list[str]:
    shown = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    return [text(row, "label") for row in tables(shown, kind)]


def checks(estate: Estate, case: str) -> set[str]:
    return {check for check, _ in opened(estate.verdict(case))}


def test_what_a_user_made_by_somebody_exposed_read_is_read_by_the_intruder(estate: Estate) -> None:
    ann = estate.login("engineer")
    estate.must(f"{USERS}bob", {"password": PASSWORD, "token_policies": "mail"}, ann)
    bob = estate.login("bob")
    estate.get(MAIL, bob)
    estate.request(Operation.DELETE, f"{USERS}bob")
    case = estate.open_case("person:engineer", start="10s")
    assert labels(estate, case, "did_read") == ["secret/app/mail version 1"]
    estate.on(case, "contain")
    assert estate.request(Operation.READ, MAIL, token=bob).error is not None
    assert "secret/app/mail version 1" in labels(estate, case, "could_read")
    pack = verify_pack(estate.pack(case), estate.trust())
    assert [row.node for row in pack.exposure.did_read if "app/mail" in row.node]


def test_a_machine_whose_role_somebody_exposed_wrote_is_exposed(estate: Estate) -> None:
    estate.must("sys/auth/approle", {"type": "approle"})
    ann = estate.login("engineer")
    role = "auth/approle/role/machine"
    given = {"token_policies": "mail", "secret_id_wrapping": "optional", "secret_id_num_uses": 0}
    estate.must(role, given, ann)
    # The secret id is somebody else's: what the role lets its machines do is ann's.
    secret = text(estate.request(Operation.UPDATE, f"{role}/secret-id", {}).data, "secret_id")
    named = {"role_id": text(estate.get(f"{role}/role-id"), "role_id"), "secret_id": secret}
    reply = estate.request(Operation.UPDATE, "auth/approle/login", named, "")
    estate.get(MAIL, reply.token)
    case = estate.open_case("person:engineer", start="10s")
    assert labels(estate, case, "did_read") == ["secret/app/mail version 1"]


def test_a_person_whose_password_was_changed_is_exposed_from_then_on(estate: Estate) -> None:
    estate.login("colleague")
    ann = estate.login("engineer")
    estate.must(f"{USERS}colleague/password", {"password": PASSWORD + "!"}, ann)
    case = estate.open_case("person:engineer", start="4s")
    assert "person userpass-colleague" in labels(estate, case, "could_reach")


def test_a_write_that_was_answered_with_an_error_is_a_deed(estate: Estate) -> None:
    estate.system.accounts["payroll"] = Account(b"payroll password")
    ann = estate.login("engineer")
    estate.system.break_down("set_password", Fault.NO_ANSWER)
    estate.system.break_down("probe", *[Fault.UNREACHABLE] * 8)
    path, given = "database/static-roles/mine", {"db_name": "orders", "username": "payroll"}
    assert estate.request(Operation.UPDATE, path, given, ann).error is UpstreamFailed
    estate.system.faults.clear()
    estate.get(path)
    case = estate.open_case("person:engineer", start="5s")
    items = tables(estate.verdict(case), "open_items")
    (words,) = (text(item, "words") for item in items if item["check"] == "unfinished deed")
    assert words.startswith(f"update {path} by somebody exposed ended in upstream_failed")


def test_a_write_that_was_refused_leaves_nothing_to_explain(estate: Estate) -> None:
    ann = estate.login("engineer")
    for path, given in ((f"{USERS}bob", {}), ("sys/policies/acl/x", {"policy": ""})):
        assert estate.request(Operation.UPDATE, path, given, ann).error is not None
    case = estate.open_case("person:engineer", start="5s")
    assert not checks(estate, case) & {"unfinished deed", "foothold in vault"}


def test_a_readmission_is_open_until_another_person_changed_the_password(estate: Estate) -> None:
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    estate.on(case, "readmit", principal="person:engineer", reason="new machine")
    assert "unchanged factor" in checks(estate, case)
    given: dict[str, Any] = {"password": PASSWORD + "!"}
    # Settings are no factor, and a password of her own choice was chosen by whoever holds her.
    estate.must(f"{USERS}engineer", {"token_policies": "engineer,admin"})
    assert "unchanged factor" in checks(estate, case)
    estate.must(f"{USERS}engineer/password", given, estate.login("engineer"))
    assert "unchanged factor" in checks(estate, case)
    estate.must(f"{USERS}engineer/password", {"password": PASSWORD + "?"})
    left = [
        i for i in tables(estate.verdict(case), "open_items") if i["check"] == "unchanged factor"
    ]
    # What she did meanwhile, with the old one, stays for somebody to answer.
    assert [text(item, "item").partition("#")[2] for item in left] == [""]


def test_a_responder_made_by_somebody_exposed_cuts_off_nobody(estate: Estate) -> None:
    ann = estate.login("engineer")
    given = {"password": PASSWORD, "token_policies": "responder"}
    estate.must(f"{USERS}puppet", given, ann)
    puppet = estate.login("puppet")
    # More subjects than are ended in a turn come before the one that lets the caller in.
    others = [estate.login("colleague") for _ in range(IN_A_TURN + 1)]
    named = [
        "token:" + text(estate.get("auth/token/lookup-self", each), "accessor")
        for each in (*others, ann)
    ]
    case = estate.open_case(*named, start="10m", token="root")
    path = f"incident/cases/{case}/contain"
    assert estate.request(Operation.UPDATE, path, {}, puppet).error is PermissionDenied
    for each in (*others, ann):
        assert estate.request(Operation.READ, "auth/token/lookup-self", token=each).error is None


def test_a_token_that_nobody_knows_to_have_unwrapped_is_open(estate: Estate) -> None:
    """An administrator's wrapped token, opened by the intruder, works on after the eviction."""
    ann = estate.login("engineer")
    made = estate.vault.request(
        Operation.UPDATE, "auth/token/create", {"policies": ["mail"]}, wrap=600
    )
    wrapping = text(part(made.body or {}, "wrap_info"), "token")
    auth = estate.request(Operation.UPDATE, "sys/wrapping/unwrap", {"token": wrapping}, ann).auth
    case = estate.open_case("person:engineer", start="10s")
    estate.on(case, "contain")
    estate.state(case)
    assert checks(estate, case) == {"unattributed record"}
    assert [
        each.check for each in verify_pack(estate.pack(case), estate.trust()).verdict.open_items()
    ] == ["unattributed record"]
    assert estate.request(Operation.READ, MAIL, token=text(auth, "client_token")).error is None
    estate.on(
        case,
        "widen",
        basis="it may have been unwrapped by the intruder",
        subjects=[f"token:{text(auth, 'accessor')}"],
    )
    estate.on(case, "contain")
    assert estate.request(Operation.READ, MAIL, token=text(auth, "client_token")).error is not None
    assert "unattributed record" not in checks(estate, case)


@pytest.mark.parametrize("way", ["same", "put back", "made again"])
def test_a_password_of_before_is_no_new_one(estate: Estate, way: str) -> None:
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="5s")
    estate.on(case, "contain")
    user = f"{USERS}engineer"
    if way == "put back":
        estate.must(f"{user}/password", {"password": "another one, for now"})
    if way == "made again":
        assert estate.request(Operation.DELETE, user).error is None
    estate.must(user, {"password": PASSWORD, "token_policies": "engineer"})
    estate.on(case, "readmit", principal="person:engineer", reason="new machine")
    assert "unchanged factor" in checks(estate, case)
    estate.login("engineer")
    estate.must(f"{user}/password", {"password": "a new one at last"})
    left = {label for check, label in opened(estate.verdict(case)) if check == "unchanged factor"}
    assert left
    assert not [each for each in left if "#" in each]  # not the factor: the login before it


@pytest.mark.parametrize("path", ["auth/token/lookup", "sys/capabilities", "auth/token/renew"])
def test_a_token_of_somebody_else_that_was_looked_up_is_held(estate: Estate, path: str) -> None:
    estate.must(
        "sys/policies/acl/admin", {"policy": f'path "{path}" {{ capabilities=["update"] }}'}
    )
    ann, ben = estate.login("engineer"), estate.login("colleague")
    estate.request(Operation.UPDATE, path, {"token": ben, "path": MAIL}, ann)
    accessor = text(estate.get("auth/token/lookup-self", ben), "accessor")
    case = estate.open_case("person:engineer", start="10s")
    assert f"session {accessor}" in labels(estate, case, "could_reach")
    estate.on(case, "contain")
    assert estate.request(Operation.READ, MAIL, token=ben).error is PermissionDenied
    assert "secret/app/mail version 1" in labels(estate, case, "could_read")
    assert estate.request(Operation.READ, MAIL, token=estate.login("colleague")).error is None


def test_an_answer_that_was_wrapped_again_is_open(estate: Estate) -> None:
    estate.login("engineer")
    given = {"policies": ["mail"]}
    made = estate.vault.request(Operation.UPDATE, "auth/token/create", given, wrap=600)
    token = text(part(made.body or {}, "wrap_info"), "token")
    again = estate.vault.request(Operation.UPDATE, "sys/wrapping/rewrap", token=token)
    info = part(again.body or {}, "wrap_info")
    case = estate.open_case("person:engineer", start="10s")
    estate.on(case, "contain")
    assert "unattributed record" in checks(estate, case)
    accessor = text(info, "accessor")
    estate.on(case, "widen", basis="unknown hands", subjects=[f"token:{accessor}"])
    estate.on(case, "contain")
    assert "unattributed record" not in checks(estate, case)
    opening = {"token": text(info, "token")}
    assert estate.request(Operation.UPDATE, "sys/wrapping/unwrap", opening).error is not None


def test_break_glass_codes_of_before_are_a_factor(estate: Estate) -> None:
    ann = estate.login("engineer")
    config = {"threshold": 2, "policies": ["mail"], "ttl": "30m"}
    estate.must("sys/break-glass/config", config)
    estate.must("sys/break-glass/people/engineer")
    estate.must("sys/break-glass/codes", token=ann)
    estate.vault.clock.advance(seconds=60)
    case = estate.open_case("person:engineer", start="5s")
    estate.on(case, "contain")
    estate.on(case, "readmit", principal="person:engineer", reason="new machine")
    estate.must(f"{USERS}engineer/password", {"password": "a new one at last"})
    left = [label for check, label in opened(estate.verdict(case)) if check == "unchanged factor"]
    assert [each.partition("#")[2] for each in left] == ["codes:engineer"]
    void = estate.request(Operation.DELETE, "sys/break-glass/people/engineer")
    assert void.error is None
    assert "unchanged factor" not in checks(estate, case)
