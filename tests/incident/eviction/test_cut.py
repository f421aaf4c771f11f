"""What a contained person, device, session, role, segment or window could still try."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import (
    Conflict,
    InvalidRequest,
    PermissionDenied,
    Sealed,
    Unavailable,
)
from ironkeep.core.operation import Operation
from ironkeep.incident.eviction.cut import REMOVED_IN_A_TURN
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.effects.questions import Nobody
from ironkeep.plugin.peer import Peer
from ironkeep.testing.parts import table, tables, text
from ironkeep.testing.vault import Reply
from tests.support.devices.device_estate import DeviceEstate
from tests.support.incident.incident_estate import PASSWORD, Estate, opened

EVERY = 'path "*" { capabilities = ["create", "read", "update", "list", "sudo"] }'
MAIL = "secret/data/app/mail"


@pytest.fixture
def estate() -> Estate:
    estate = Estate.fresh()
    estate.must("sys/policies/acl/every", {"policy": EVERY})
    estate.must("auth/userpass/users/engineer", {"token_policies": "every"})
    return estate


def refused(estate: Estate, token: str, path: str = MAIL) -> bool:
    return estate.request(Operation.READ, path, token=token).error is PermissionDenied


def child(estate: Estate, by: str, path: str = "create", **data: object) -> str:
    return estate.request(Operation.UPDATE, f"auth/token/{path}", data, by).token


def wrap(estate: Estate, token: str) -> str:
    reply = estate.vault.request(Operation.READ, MAIL, token=token, wrap=600)
    return text(reply.body, "wrap_info", "token")


def contain(estate: Estate, case: str, principal: str = "") -> Mapping[str, Any]:
    return table(estate.on(case, "contain", principal=principal), "contained", 0)


def test_what_a_contained_person_made_is_dead(estate: Estate) -> None:
    token = estate.login("engineer")
    renewed = estate.request(Operation.UPDATE, "auth/token/renew-self", {}, token)
    assert renewed.error is None
    wrapped, second = (wrap(estate, token) for _ in range(2))
    again = estate.request(Operation.UPDATE, "sys/wrapping/rewrap", {"token": second}, token)
    rewrapped = text(again.body, "wrap_info", "token")
    estate.must("auth/token/roles/bot", {"allowed_entity_aliases": "*", "orphan": True}, token)
    alias = child(estate, token, "create/bot", entity_alias="bot")
    orphan = child(estate, alias, "create-orphan")
    batch = child(estate, token, type="batch", ttl="1h")
    nested = child(estate, child(estate, token))
    case = estate.open_case("person:engineer", start="60s")
    told = contain(estate, case)
    assert told["tokens_ended"] >= 6
    for each in (token, alias, orphan, batch, nested):
        assert refused(estate, each)
    for each in (wrapped, rewrapped):
        opening = estate.request(Operation.UPDATE, "sys/wrapping/unwrap", {"token": each})
        assert opening.error is not None
    login = estate.vault.request(
        Operation.UPDATE, "auth/userpass/login/engineer", {"password": PASSWORD}, token=None
    )
    assert login.error is PermissionDenied
    # Ended once: a second containment finds nothing that lives.
    assert contain(estate, case)["tokens_ended"] == 0
    assert "not contained" not in {check for check, _ in opened(estate.verdict(case))}


def test_a_contained_session_takes_its_orphans_with_it(estate: Estate) -> None:
    token = estate.login("engineer")
    accessor = text(estate.get("auth/token/lookup-self", token), "accessor")
    orphan = child(estate, token, "create-orphan")
    below = child(estate, orphan)
    case = estate.open_case(f"token:{accessor}", start="60s")
    contain(estate, case, f"token:{accessor}")
    assert all(refused(estate, each) for each in (token, orphan, below))
    assert not refused(estate, estate.login("engineer"))


def approle(estate: Estate, **settings: object) -> str:
    """Mount AppRole with the role `machine`; return its role id."""
    estate.must("sys/auth/approle", {"type": "approle"})
    data = {
        "token_policies": "every", "secret_id_wrapping": "optional", "secret_id_num_uses": 0,
        "secret_id_ttl": "1h",
    }  # fmt: skip
    estate.must("auth/approle/role/machine", {**data, **settings})
    return text(estate.get("auth/approle/role/machine/role-id"), "role_id")


def secret_id(estate: Estate) -> str:
    return text(estate.must("auth/approle/role/machine/secret-id"), "secret_id")


def log_in(estate: Estate, role_id: str, secret: str) -> Reply:
    estate.vault.clock.advance(seconds=1)
    data = {"role_id": role_id, "secret_id": secret}
    return estate.vault.request(Operation.UPDATE, "auth/approle/login", data, token=None)


def test_a_contained_role_issues_nothing_and_its_tokens_and_secret_ids_are_void(
    estate: Estate,
) -> None:
    role_id = approle(estate)
    secret = secret_id(estate)
    token = log_in(estate, role_id, secret).token
    idle = log_in(estate, role_id, secret).token
    orphan = child(estate, token, "create-orphan")
    other = estate.login("colleague")
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="60s")
    told = contain(estate, case, "role:auth/approle/machine")
    assert told["tokens_ended"] == 3
    assert all(refused(estate, each) for each in (token, idle, orphan))
    assert not refused(estate, other)
    assert log_in(estate, role_id, secret).error is not None
    fresh = secret_id(estate)
    assert log_in(estate, role_id, fresh).error is PermissionDenied
    again = {"principal": "role:auth/approle/machine", "reason": "a new machine"}
    estate.on(case, "readmit", **again)
    assert log_in(estate, role_id, secret).error is not None
    assert not refused(estate, log_in(estate, role_id, fresh).token)
    assert all(refused(estate, each) for each in (token, idle, orphan))


@pytest.mark.parametrize(
    ("principal", "error"),
    [
        ("role:auth/userpass/engineer", InvalidRequest),
        ("role:secret/x", InvalidRequest),
        ("role:auth/approle/", InvalidRequest),
        ("window:yesterday/now", InvalidRequest),
        ("window:2026-01-01T00:00:00Z", InvalidRequest),
        ("system:mail", InvalidRequest),
    ],
)
def test_what_cannot_be_contained_is_refused(
    estate: Estate, principal: str, error: type[Exception]
) -> None:
    estate.must("sys/auth/approle", {"type": "approle"})
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="60s")
    path = f"incident/cases/{case}/contain"
    reply = estate.request(Operation.UPDATE, path, {"principal": principal}, estate.responder)
    assert reply.error is error
    assert estate.vault.defects == []


def test_a_contained_window_ends_what_acted_in_it(estate: Estate) -> None:
    before = estate.login("colleague")
    assert not refused(estate, before)
    estate.vault.clock.advance(seconds=600)
    token = estate.login("engineer")
    assert not refused(estate, token)
    orphan = child(estate, token, "create-orphan")
    estate.vault.clock.advance(seconds=600)
    later = estate.login("colleague")
    case = estate.open_case("person:engineer", start="1h")
    told = contain(estate, case, "window:15m/5m")
    assert told["tokens_ended"] == 2
    assert refused(estate, token)
    assert refused(estate, orphan)
    assert not any(refused(estate, each) for each in (before, later))


def test_a_contained_segment_is_sealed(estate: Estate) -> None:
    one = {"secret_shares": 1, "secret_threshold": 1}
    share = text(estate.must("segment/segments/prod", one), "keys", 0)
    options = {"version": "2", "segment": "prod"}
    estate.must("sys/mounts/prod", {"type": "kv", "options": options})
    estate.must("segment/flows/house/prod", {})
    estate.must("segment/segments/prod/unseal", {"key": share})
    estate.must("prod/data/db", {"data": {"password": "p"}})
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="60s")
    contain(estate, case, "segment:prod")
    assert estate.request(Operation.READ, "prod/data/db").error is Sealed


@pytest.mark.parametrize("principal", ["person:responder", "window:10m/0s"])
def test_nobody_ends_their_own_session(estate: Estate, principal: str) -> None:
    estate.get("auth/token/lookup-self", estate.responder)
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="5s")
    path = f"incident/cases/{case}/contain"
    reply = estate.request(Operation.UPDATE, path, {"principal": principal}, estate.responder)
    assert reply.error in {Conflict, InvalidRequest}
    assert estate.get("auth/token/lookup-self", estate.responder)


def test_a_window_that_is_refused_ends_nothing(estate: Estate) -> None:
    token = estate.login("engineer")
    assert not refused(estate, token)
    estate.get("auth/token/lookup-self", estate.responder)
    case = estate.open_case("person:engineer", start="5s")
    path = f"incident/cases/{case}/contain"
    data = {"principal": "window:10m/0s"}
    assert estate.request(Operation.UPDATE, path, data, estate.responder).error is Conflict
    assert not refused(estate, token)


def test_a_window_with_the_session_that_made_the_callers_is_refused(estate: Estate) -> None:
    estate.must("auth/userpass/users/colleague", {"token_policies": "every"})
    maker = estate.login("colleague")
    made = child(estate, maker, "create-orphan")
    estate.vault.clock.advance(seconds=600)
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="1s")
    path = f"incident/cases/{case}/contain"
    data = {"principal": "window:20m/5m"}
    assert estate.request(Operation.UPDATE, path, data, made).error is Conflict
    assert not any(refused(estate, each) for each in (maker, made))


def test_a_role_does_not_end_the_session_that_contains_it(estate: Estate) -> None:
    role_id = approle(estate)
    secret = secret_id(estate)
    own, other = (log_in(estate, role_id, secret).token for _ in range(2))
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="1s")
    path = f"incident/cases/{case}/contain"
    data = {"principal": "role:auth/approle/machine"}
    assert estate.request(Operation.UPDATE, path, data, own).error is Conflict
    assert not any(refused(estate, each) for each in (own, other))


def test_a_containment_that_found_nothing_or_a_sealed_mount_warns(estate: Estate) -> None:
    estate.must("sys/auth/approle", {"type": "approle"})
    one = {"secret_shares": 1, "secret_threshold": 1}
    estate.must("segment/segments/prod", one)
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="60s")
    path = f"incident/cases/{case}/contain"
    told = {}
    for principal in ("role:auth/approle/misspelt", "window:2h/1h", "person:engineer"):
        data = {"principal": principal}
        reply = estate.request(Operation.UPDATE, path, data, estate.responder)
        told[principal.partition(":")[0]] = reply.body["warnings"]
    assert "role auth/approle/misspelt had no token" in told["role"][0]
    assert "had no token" in told["window"][0]
    assert not told["person"]


def test_a_window_is_recorded_by_its_times(estate: Estate) -> None:
    estate.vault.clock.advance(seconds=600)
    assert not refused(estate, estate.login("engineer"))
    estate.vault.clock.advance(seconds=600)
    case = estate.open_case("person:engineer", start="1h")
    told = contain(estate, case, "window:15m/5m")
    begin, _, end = str(told["principal"]).removeprefix("window ").partition("/")
    assert datetime.fromisoformat(end) - datetime.fromisoformat(begin) == timedelta(minutes=10)


def test_the_cut_is_durable_before_anything_is_listed(estate: Estate) -> None:
    """One turn ends a person with hundreds of tokens; the rest follows in bounded turns."""
    token = estate.login("engineer")
    tokens = [child(estate, token) for _ in range(200)]
    case = estate.open_case("person:engineer", start="1h")
    vault = estate.vault
    path = f"incident/cases/{case}/contain"
    outcome = vault.pipeline.handle(vault.asked(Operation.UPDATE, path, {}, estate.responder))
    turns = 0
    while isinstance(outcome, Waiting) and outcome.receipt is None:
        vault.flush()
        outcome = outcome.finish(outcome.work())
        turns += 1
    vault.flush()
    later = vault.restarted()
    later.unseal()
    vars(estate).update(vault=later)
    # The first turn ended everything, before the case was even read.
    assert turns == 0
    assert all(refused(estate, each) for each in (token, tokens[0], tokens[-1]))
    assert contain(estate, case)["tokens_gone"] >= 201


def test_the_rows_of_ended_tokens_are_removed_a_few_in_a_turn(estate: Estate) -> None:
    token = estate.login("engineer")
    for _ in range(60):
        child(estate, token)
    case = estate.open_case("person:engineer", start="1h")
    outcome: Any = begun(estate, f"incident/cases/{case}/contain", estate.responder)
    stored = [len(estate.vault.house.tokens.accessors(estate.vault.house.state.begin()))]
    while isinstance(outcome, Waiting):
        estate.vault.flush()
        outcome = outcome.finish(outcome.work())
        stored.append(len(estate.vault.house.tokens.accessors(estate.vault.house.state.begin())))
    removed = [before - after for before, after in pairwise(stored)]
    assert sum(removed) >= 61
    # A parent takes some of its children with it (identity/tokens.py).
    assert max(removed) <= 2 * REMOVED_IN_A_TURN


@pytest.mark.parametrize("subject", ["person", "token"])
def test_a_subject_is_cut_off_even_if_the_journal_cannot_be_asked(
    estate: Estate, subject: str
) -> None:
    token = estate.login("engineer")
    accessor = text(estate.get("auth/token/lookup-self", token), "accessor")
    named = {"person": "person:engineer", "token": f"token:{accessor}"}[subject]
    case = estate.open_case(named, start="60s")
    questions = estate.vault.house.questions
    answering, questions.answering = questions.answering, Nobody()
    path = f"incident/cases/{case}/contain"
    reply = estate.request(Operation.UPDATE, path, {"principal": named}, estate.responder)
    assert reply.error is Unavailable
    assert refused(estate, token)
    questions.answering = answering
    assert contain(estate, case, named)["tokens_gone"] >= 1


def begun(estate: Estate, path: str, token: str, **data: object) -> Waiting:
    """Begin a request, which must be under way when this returns."""
    estate.vault.clock.advance(seconds=1)
    asked = estate.vault.asked(Operation.UPDATE, path, data, token)
    outcome = estate.vault.pipeline.handle(asked)
    assert isinstance(outcome, Waiting)
    return outcome


def test_a_widened_case_cuts_its_new_subjects_off_at_once(estate: Estate) -> None:
    estate.login("engineer")
    token = estate.login("colleague")
    case = estate.open_case("person:engineer", start="60s")
    estate.on(case, "widen", subjects="person:colleague", basis="a finding")
    estate.vault.house.questions.answering = Nobody()
    path = f"incident/cases/{case}/contain"
    reply = estate.request(Operation.UPDATE, path, {}, estate.responder)
    assert reply.error is Unavailable
    assert refused(estate, token)


def test_orphans_made_in_the_course_of_a_containment_do_not_survive_it(estate: Estate) -> None:
    token = estate.login("engineer")
    accessor = text(estate.get("auth/token/lookup-self", token), "accessor")
    last = child(estate, token, "create-orphan")
    case = estate.open_case(f"token:{accessor}", start="60s")
    outcome: Any = begun(estate, f"incident/cases/{case}/contain", estate.responder)
    made = []
    while isinstance(outcome, Waiting):
        estate.vault.flush()
        reply = estate.request(Operation.UPDATE, "auth/token/create-orphan", {}, last)
        if reply.error is None:
            last = reply.token
            made.append(last)
        outcome = outcome.finish(outcome.work())
    estate.vault.flush()
    assert outcome.error is None
    assert all(refused(estate, each) for each in (last, *made))


def test_a_request_under_way_ends_with_its_session(estate: Estate) -> None:
    token = estate.login("engineer")
    accessor = text(estate.get("auth/token/lookup-self", token), "accessor")
    case = estate.open_case(f"token:{accessor}", start="60s")
    under_way = begun(estate, f"incident/cases/{case}/widen", token, start="2m", basis="x")
    questions = estate.vault.house.questions
    answering, questions.answering = questions.answering, Nobody()
    path = f"incident/cases/{case}/contain"
    assert estate.request(Operation.UPDATE, path, {}, estate.responder).error is Unavailable
    questions.answering = answering
    ended = under_way.finish(under_way.work())
    while isinstance(ended, Waiting):
        ended = ended.finish(ended.work())
    assert b"permission denied" in (ended.body or b"")


@pytest.mark.parametrize("principal", ["role:auth/approle/machine", "person:colleague"])
def test_an_exposed_caller_cuts_nobody_off(estate: Estate, principal: str) -> None:
    role_id = approle(estate)
    machine = log_in(estate, role_id, secret_id(estate)).token
    colleague, caller = estate.login("colleague"), estate.login("engineer")
    case = estate.open_case("person:engineer", "person:colleague", start="60s")
    path = f"incident/cases/{case}/contain"
    for token in (caller, child(estate, caller, "create-orphan")):
        reply = estate.request(Operation.UPDATE, path, {"principal": principal}, token)
        assert reply.error is PermissionDenied
    assert not refused(estate, machine)
    assert not refused(estate, colleague)


def test_nobody_contains_the_role_of_their_own_session(estate: Estate) -> None:
    role_id = approle(estate)
    machine = log_in(estate, role_id, secret_id(estate)).token
    below = child(estate, machine)
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="60s")
    path = f"incident/cases/{case}/contain"
    for token in (machine, below):
        role = {"principal": "role:auth/approle/machine"}
        assert estate.request(Operation.UPDATE, path, role, token).error is Conflict
        assert not refused(estate, token)


def test_a_token_that_is_a_subject_beside_its_person_is_told_as_ended_now(estate: Estate) -> None:
    token = estate.login("engineer")
    accessor = text(estate.get("auth/token/lookup-self", token), "accessor")
    case = estate.open_case(f"token:{accessor}", "person:engineer", start="60s")
    told = contain(estate, case)
    assert (told["tokens_ended"], told["tokens_gone"]) == (1, 0)


def test_a_role_is_cut_off_even_if_the_journal_cannot_be_asked(estate: Estate) -> None:
    role_id = approle(estate)
    secret = secret_id(estate)
    assert log_in(estate, role_id, secret).error is None
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="60s")
    estate.vault.house.questions.answering = Nobody()
    path = f"incident/cases/{case}/contain"
    role = {"principal": "role:auth/approle/machine"}
    reply = estate.request(Operation.UPDATE, path, role, estate.responder)
    assert reply.error is Unavailable
    assert log_in(estate, role_id, secret).error is not None


def person_of(devices: DeviceEstate, token: str) -> str:
    shown = devices.vault.request(Operation.READ, "auth/token/lookup-self", token=token)
    return text(shown.data, "entity_id")


def test_a_contained_device_is_revoked_and_cannot_log_in_again() -> None:
    devices = DeviceEstate(PLUGINS)
    device = devices.active("ann")
    peer: Peer = devices.peer(device)
    token = devices.login("ann", peer)
    devices.vault.request(Operation.READ, "secret/data/x", token=token, peer=peer)
    devices.vault.clock.advance(seconds=5)
    given = {
        "title": "t", "subjects": f"device:{device.id}", "start": "1h", "basis": "b"
    }  # fmt: skip
    # A device that does not exist would be "contained" without an effect.
    wrong = devices.vault.request(
        Operation.UPDATE, "incident/cases", {**given, "subjects": "device:none"}
    )
    assert wrong.error is InvalidRequest
    name = text(devices.vault.read(f"device/devices/{device.id}").data, "name")
    by_name = devices.write("incident/cases", {**given, "subjects": f"device:{name}"})
    assert by_name["subjects"] == [f"device {device.id}"]
    case = text(devices.write("incident/cases", given), "id")
    devices.vault.clock.advance(seconds=5)
    told = tables(devices.write(f"incident/cases/{case}/contain", {}), "contained")
    assert told[0]["devices"] == [device.id]
    dead = devices.vault.request(Operation.READ, "secret/data/x", token=token, peer=peer)
    assert dead.error is PermissionDenied
    again = devices.vault.request(
        Operation.UPDATE, "auth/userpass/login/ann",
        {"password": "correct horse battery"}, token=None, peer=peer,
    )  # fmt: skip
    assert again.error is not None
    renewed = devices.vault.request(Operation.UPDATE, "device/nonce", {"id": device.id}, token=None)
    certificate = renewed.error or devices.vault.request(
        Operation.UPDATE, "device/certificate",
        device.asked(text(renewed.data, "nonce"), ""), token=None,
    ).error  # fmt: skip
    assert certificate is not None
    # The person goes on from elsewhere: the device alone was lost.
    assert devices.login("ann")


def test_the_devices_of_a_contained_person_are_revoked() -> None:
    devices = DeviceEstate(PLUGINS)
    device = devices.active("ann")
    token = devices.login("ann", devices.peer(device))
    given = {
        "title": "t", "subjects": f"person:{person_of(devices, devices.login('ann'))}",
        "start": "1h", "basis": "b",
    }  # fmt: skip
    case = text(devices.write("incident/cases", given), "id")
    devices.vault.clock.advance(seconds=1)
    told = tables(devices.write(f"incident/cases/{case}/contain", {}), "contained")
    assert told[0]["devices"] == [device.id]
    assert token
