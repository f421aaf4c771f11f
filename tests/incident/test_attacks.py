"""Attacks on a case: by those it is about, by those without rights, and by way of the journal."""

from typing import Any

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import Conflict, InvalidRequest, PermissionDenied
from ironkeep.core.evidence import records as ev
from ironkeep.core.operation import Operation
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.mount import Mount
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import PASSWORD, Estate, opened

SUDO_FREE = {"trust", "documents"}
"""Routes that a plain policy may grant."""


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def test_who_is_exposed_opens_no_case_and_writes_in_none(estate: Estate) -> None:
    own = {"title": "t", "subjects": ["person:responder"], "start": "60s", "basis": "b"}
    refused = estate.request(Operation.UPDATE, "incident/cases", own, estate.responder)
    assert refused.error is PermissionDenied
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="5s")
    estate.must(f"incident/cases/{case}/widen", {"basis": "b", "subjects": ["person:responder"]})
    writes: dict[str, dict[str, Any]] = {
        "contain": {},
        "rotate": {},
        "kill": {},
        "probe": {},
        "sweep": {},
        "widen": {"basis": "b", "start": "1h"},
        "explain": {"item": "entry:1", "reason": "r"},
        "exempt": {"item": "log:witnesses", "reason": "r", "ttl": "1h"},
        "readmit": {"principal": "person:responder", "reason": "r"},
        "check-root": {"item": "policies", "sound": True, "detail": "d"},
        "residue": {"words": "w"},
    }
    size = estate.vault.journal.next_index
    for path, data in writes.items():
        reply = estate.request(
            Operation.UPDATE, f"incident/cases/{case}/{path}", data, estate.responder
        )
        assert reply.error is PermissionDenied, path
    entries = estate.vault.house.audit_reader().entries(size)
    assert not [entry for _, entry in entries if ev.TAG in entry.audited]
    # Reading is not forbidden by this: policies decide on it.
    estate.get(f"incident/cases/{case}/exposure", estate.responder)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", ["child", "orphan", "alias", "user", "password"])
def test_who_is_exposed_writes_in_no_case_through_another(
    estate: Estate, way: str, when: str
) -> None:
    every = 'path "*" { capabilities = ["create", "read", "update", "sudo"] }'
    estate.must("sys/policies/acl/every", {"policy": every})
    estate.must("auth/userpass/users/engineer", {"token_policies": "every"})
    estate.must("auth/userpass/users/colleague", {"token_policies": "every"})
    exposed = estate.login("engineer")
    token = other(estate, way, exposed) if when == "before" else ""
    case = estate.open_case("person:engineer", start="5s")
    token = token or other(estate, way, exposed)
    for path, data in (
        ("residue", {"words": "w"}),
        ("check-root", {"item": ev.ROOT_ITEMS[0], "sound": True, "detail": "d"}),
        ("explain", {"item": "entry:1", "reason": "r"}),
    ):
        at = f"incident/cases/{case}/{path}"
        assert estate.request(Operation.UPDATE, at, data, token).error is PermissionDenied, path


def other(estate: Estate, way: str, exposed: str) -> str:
    """Return a token that is not of who is exposed, and that they made their way to."""
    if way in {"user", "password"}:
        name = "sock" if way == "user" else "colleague"
        path = f"auth/userpass/users/{name}" + ("" if way == "user" else "/password")
        policies = {"token_policies": "every"} if way == "user" else {}
        estate.must(path, {"password": PASSWORD, **policies}, exposed)
        return estate.login(name)
    role = {"allowed_entity_aliases": "*", "orphan": True}
    estate.must("auth/token/roles/bot", role, exposed)
    path, data = {
        "child": ("create", {}), "orphan": ("create-orphan", {}),
        "alias": ("create/bot", {"entity_alias": "bot"}),
    }[way]  # fmt: skip
    reply = estate.request(Operation.UPDATE, f"auth/token/{path}", data, exposed)
    return reply.token


def test_a_responder_lost_later_spoils_what_they_recorded(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    case = estate.open_case("person:engineer", start="5s")
    estate.evict(case)
    estate.state(case)
    assert estate.verdict(case)["outcome"] == "PROVEN"
    estate.must(f"incident/cases/{case}/widen", {"basis": "b", "subjects": ["person:responder"]})
    estate.witness()
    verdict = estate.get(f"incident/cases/{case}/verdict")
    assert "record by an exposed principal" in {check for check, _ in opened(verdict)}


def test_nobody_contains_themselves(estate: Estate) -> None:
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="5s")
    estate.must(f"incident/cases/{case}/widen", {"basis": "b", "subjects": ["person:responder"]})
    contained = tables(estate.must(f"incident/cases/{case}/contain", {}), "contained")
    assert len(contained) == 2
    gone = estate.request(Operation.READ, f"incident/cases/{case}/verdict", token=estate.responder)
    assert gone.error is PermissionDenied


def test_a_contained_token_acts_no_more_and_is_seen_if_it_does(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    case = estate.open_case("person:engineer", start="5s")
    estate.on(case, "contain")
    for path in ("database/static-creds/app", "auth/token/lookup-self"):
        assert estate.request(Operation.READ, path, token=token).error is PermissionDenied
    # Refused attempts are no deeds: they do not undo the containment.
    checks = {check for check, _ in opened(estate.verdict(case))}
    assert not checks & {"acts again", "ended session worked", "not contained"}


def test_without_a_policy_nothing_answers(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    case = estate.open_case("person:engineer", start="5s")
    mount = _mount(estate)
    for route in PLUGINS["incident"].routes(mount):
        path = "incident/" + route.pattern.replace("{id}", case).replace("{link}", "x")
        if route.pattern == "documents" and route.op is Operation.UPDATE:
            continue
        reply = estate.request(route.op, path, {}, token)
        assert reply.error is PermissionDenied, route.pattern
        assert route.sudo or route.pattern in SUDO_FREE, route.pattern
        assert not any((route.open, route.login, route.any_token, route.sealed_ok))


def test_no_route_lets_a_caller_write_a_record(estate: Estate) -> None:
    """A record is an entry of kind effect with the tag: no route takes or declares either."""
    for plugin in PLUGINS.values():
        for options in ({}, {"version": "2"}):
            mount = Mount("x/", plugin.type, *_mount_ids(), options=options)
            for route in plugin.routes(mount):
                assert ev.TAG not in route.audited
    forged = ev.to_audited(ev.Residue("1", "nothing to see"))
    before = estate.vault.journal.next_index
    for path in (
        "incident/cases",
        "incident/links",
        "secret/data/x",
        "sys/audit/log",
        "sys/audit",
    ):
        estate.request(Operation.UPDATE, path, {**forged, "data": forged, "audited": forged})
    entries = estate.vault.house.audit_reader().entries(before)
    assert not [entry for _, entry in entries if ev.TAG in entry.audited]


def test_what_was_read_cannot_be_linked_by_hand(estate: Estate) -> None:
    for kind in ("did-read", "may-read", "anything"):
        link = {"source": "person:x", "kind": kind, "targets": "secret/app/mail@1", "basis": "b"}
        reply = estate.request(Operation.UPDATE, "incident/links", link, estate.responder)
        assert reply.error is InvalidRequest


def test_no_answer_holds_a_value(estate: Estate) -> None:
    token = estate.login("engineer")
    values = {estate.read_password(token), "mail-secret-91b2", "imported password", token}
    case = estate.open_case("person:engineer", start="5s")
    said = ""
    for step in ("contain", "rotate", "kill", "probe", "sweep"):
        said += str(estate.on(case, step))
        values.add(estate.system.accounts["app"].password.decode())
    for path in ("", "/exposure", "/verdict", "/steps"):
        said += str(estate.get(f"incident/cases/{case}{path}", estate.responder))
    text = said + estate.pack(case).decode()
    assert not [value for value in values if value in text]


def test_the_log_itself_is_never_exempt(estate: Estate) -> None:
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="5s")
    path = f"incident/cases/{case}"
    verdict = estate.get(f"{path}/verdict", estate.responder)
    assert "not witnessed" in {check for check, _ in opened(verdict)}
    exempt = {"item": "log:witnesses", "reason": "no witness yet", "ttl": "1h"}
    for ttl in ("0", "1h", "10000h"):
        long = {**exempt, "ttl": ttl}
        refused = estate.request(Operation.UPDATE, f"{path}/exempt", long, estate.responder)
        assert refused.error is InvalidRequest


def test_a_case_stays(estate: Estate) -> None:
    estate.login("engineer")
    case = estate.open_case("person:engineer", start="5s")
    refused = estate.request(Operation.DELETE, f"incident/cases/{case}", token=estate.responder)
    assert refused.error is InvalidRequest
    early = {"principal": "person:engineer", "reason": "r"}
    path = f"incident/cases/{case}/readmit"
    assert estate.request(Operation.UPDATE, path, early, estate.responder).error is Conflict


def _mount(estate: Estate) -> Mount:
    house = estate.vault.house
    table = house.mounts.table(house.store(house.state.begin(), "sys/mounts"))
    return table.by_path["incident/"]


def _mount_ids() -> tuple[Any, Any]:
    return "uuid", "accessor"


def test_each_record_names_its_author(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    size = estate.vault.journal.next_index
    case = estate.open_case("person:engineer", start="5s")
    estate.evict(case)
    estate.state(case)
    tokens = (estate.responder, estate.auditor)
    people = [estate.get("auth/token/lookup-self", token) for token in tokens]
    written = 0
    for _, entry in estate.vault.house.audit_reader().entries(size):
        record = ev.record_of(entry)
        # What the house says of itself (its mounts) has no author.
        if record is not None and not isinstance(record, ev.Mounted):
            me = people[isinstance(record, ev.Confirmed)]
            assert (entry.entity, entry.accessor) == (me["entity_id"], me["accessor"]), record
            written += 1
    assert written > 12


def test_an_orphan_made_with_a_stolen_root_token_ends_with_it(estate: Estate) -> None:
    made = {"policies": ["root"], "no_default_policy": True}
    root = estate.request(Operation.UPDATE, "auth/token/create-orphan", made).auth
    stolen, accessor = text(root, "client_token"), root["accessor"]
    orphan = estate.request(
        Operation.UPDATE, "auth/token/create-orphan", {"policies": ["root"]}, stolen
    ).token
    child = estate.request(Operation.UPDATE, "auth/token/create", {}, orphan).token
    case = estate.open_case(f"token:{accessor}", start="10s")
    estate.on(case, "contain")
    for token in (stolen, orphan, child):
        reply = estate.request(Operation.READ, "secret/data/backup/key", token=token)
        assert reply.error is PermissionDenied
    checks = {check for check, _ in opened(estate.verdict(case))}
    assert "not contained" not in checks
    assert "foothold in vault" in checks


def test_a_crash_between_the_deed_and_its_record_claims_nothing(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    case = estate.open_case("person:engineer", start="5s")
    vault = estate.vault
    path = f"incident/cases/{case}/contain"
    outcome = vault.pipeline.handle(vault.asked(Operation.UPDATE, path, {}, estate.responder))
    while isinstance(outcome, Waiting) and outcome.receipt is None:
        vault.flush()
        outcome = outcome.finish(outcome.work())
    # The tokens are gone from here on; what says so has not been written.
    assert isinstance(outcome, Waiting)
    vault.flush()
    later = vault.restarted()
    later.unseal()
    vars(estate).update(vault=later)
    reply = estate.request(Operation.READ, "database/static-creds/app", token=token)
    assert reply.error is PermissionDenied
    assert "not contained" in {check for check, _ in opened(estate.verdict(case))}
    estate.evict(case)
    estate.state(case)
    assert estate.verdict(case)["outcome"] == "PROVEN"


def test_who_is_lost_again_is_contained_again(estate: Estate) -> None:
    estate.read_password(estate.login("engineer"))
    first = estate.open_case("person:engineer", start="5s")
    estate.evict(first)
    estate.on(first, "readmit", principal="person:engineer", reason="new machine")
    estate.vault.clock.advance(seconds=60)
    token = estate.login("engineer")
    estate.read_password(token)
    second = estate.open_case("person:engineer", start="5s")
    assert "not contained" in {check for check, _ in opened(estate.verdict(second))}
    early = estate.request(
        Operation.UPDATE, f"incident/cases/{second}/rotate", {}, estate.responder
    )
    assert early.error is Conflict
    estate.evict(second)
    estate.state(second)
    reply = estate.request(Operation.READ, "database/static-creds/app", token=token)
    assert reply.error is PermissionDenied
    # That they were given what replaced the first one is told, and is for somebody to answer.
    left = {item["item"] for item in tables(estate.verdict(second), "open_items")}
    for item in left:
        estate.on(second, "exempt", item=item, reason="given when they were back in", ttl="24h")
    assert len(left) <= 1
    assert estate.verdict(second)["outcome"] == "PROVEN WITH EXCEPTIONS"
