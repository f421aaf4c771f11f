"""The scenarios that must give the right verdict (S1 to S4, S8), and what time does to a case."""

import pytest

from ironkeep.core.errors import NotFound
from ironkeep.core.evidence.verdict import Outcome
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.credentials.scope import MAX_TARGETS
from ironkeep.engines.kv import metadata as meta
from ironkeep.engines.kv.metadata import KeyMetadata, Version
from ironkeep.incident.survey.catalogue import IN_A_TURN
from ironkeep.incident.survey.survey import LOADED_IN_A_TURN
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.parts import number, part, tables, text
from tests.support.credentials.simulated import Account
from tests.support.incident.incident_estate import CIPHERTEXT, Estate, document, opened
from tests.support.log.sample_log import sample_cosigner

APP = "database/static-creds/app version 2"
KEY = "secret/backup/key version 1"


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def stolen(estate: Estate) -> str:
    """Steal the engineer's session, and read the database password with it."""
    token = estate.login("engineer")
    estate.read_password(token)
    return token


def labels(found: object, kind: str) -> set[str]:
    """The labels of one list of an exposure."""
    return {text(row, "label") for row in tables(found, kind)}


def test_what_policies_no_longer_grant_was_readable_then(estate: Estate) -> None:
    token = estate.login("colleague")
    estate.vault.clock.advance(seconds=60)
    estate.must("sys/policies/acl/mail", {"policy": 'path "x" { capabilities = ["read"] }'})
    assert estate.request(Operation.READ, "secret/data/app/mail", token=token).error
    case = estate.open_case("person:colleague", start="30s")
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert "secret/app/mail version 1" in labels(found, "could_read")
    later = estate.open_case("person:colleague", start="1s")
    found = estate.get(f"incident/cases/{later}/exposure", estate.responder)
    # Exposure is the union of all cases, so the first one has to be out of the way.
    assert "secret/app/mail version 1" not in {
        row["label"]
        for row in tables(found, "could_read")
        if text(row, "exposed") >= text(found, "as_of")[:19]
    }


def test_the_first_case_closed_names_the_wrapped_key(estate: Estate) -> None:
    """S1: stolen ciphertext first, the session later; asked as of the first case's day."""
    estate.register_copy()
    text = {"name": "repository", "content": document(CIPHERTEXT)}
    found = estate.must("incident/documents", text, estate.responder)
    assert found["copies"] == ["document:repository copy"]
    first = estate.open_case("document:repository", start="2s")
    estate.state(first)
    closed = estate.vault.clock.now_ns()
    verdict = estate.verdict(first)
    assert verdict["outcome"] == "NOT PROVEN"
    assert ("not revoked", KEY) in opened(verdict)
    estate.vault.clock.advance(seconds=3600)
    estate.must("sys/policies/acl/engineer", {"policy": _WRAPPING})
    token = estate.login("engineer")
    estate.get("secret/data/backup/wrapping", token)
    second = estate.open_case("person:engineer", start="5s")
    found = estate.get(f"incident/cases/{second}/exposure", estate.responder)
    rows = {row["label"]: row for row in tables(found, "could_reach")}
    assert rows[KEY]["in_clear"] is not None
    ago = (estate.vault.clock.now_ns() - closed) // 10**9
    then = estate.verdict(first, as_of=f"{ago + 2}s")
    assert then["outcome"] == "NOT PROVEN"
    assert ("not revoked", KEY) in opened(then)
    report = verify_pack(estate.pack(first, as_of=f"{ago + 3}s"), estate.trust())
    assert report.verdict.outcome is Outcome.NOT_PROVEN


_WRAPPING = 'path "secret/data/backup/wrapping" { capabilities = ["read"] }'


def test_one_believed_unused_among_many_is_named(estate: Estate) -> None:
    """S2: everything is rotated but one."""
    estate.login("engineer")
    names = [f"app-{number}" for number in range(8)]
    for name in names:
        estate.system.accounts[name] = Account(b"imported password")
        role = {"db_name": "orders", "username": name, "password": "imported password"}
        estate.must(f"database/static-roles/{name}", role)
    policy = 'path "database/static-creds/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/engineer", {"policy": policy})
    estate.vault.clock.advance(seconds=60)
    case = estate.open_case("person:engineer", start="30s")
    estate.on(case, "contain")
    for name in ("app", *names[:-1]):
        estate.on(case, "rotate", secret=f"database/static-creds/{name}@2")
    verdict = estate.verdict(case)
    not_revoked = {label for check, label in opened(verdict) if check == "not revoked"}
    assert not_revoked == {"database/static-creds/app-7 version 2"}


def test_a_verifier_that_still_accepts_is_named() -> None:
    """S4, on two hosts of one system: the replica still knows the old password."""
    estate = Estate(hosts="db.example,replica.example")
    stolen(estate)
    old = estate.system.accounts["app"].password
    case = estate.open_case("person:engineer", start="3s")
    for step in ("contain", "rotate"):
        estate.on(case, step)
    estate.system.stale["replica.example:5432"] = {"app": old}
    estate.on(case, "probe")
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "DISPROVEN"
    assert ("worked after revocation", APP) in opened(verdict)


def test_an_intruders_account_is_listed_and_blocks(estate: Estate) -> None:
    """S8: added, it blocks until explained; acting, it disproves."""
    stolen(estate)
    estate.system.accounts["maintenance"] = Account(b"way back in", sessions=1)
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    estate.state(case)
    assert estate.verdict(case)["outcome"] == "DISPROVEN"
    estate.system.accounts["maintenance"].sessions = 0
    swept = tables(estate.on(case, "sweep"), "swept", 0, "differences")
    assert [(one["what"], one["acting"]) for one in swept] == [("added", False)]
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert {check for check, _ in opened(verdict)} == {"not explained"}
    estate.on(case, "explain", item=swept[0]["id"], reason="made by the vendor, ticket 12")
    assert estate.verdict(case)["outcome"] == "PROVEN"
    unknown = {"item": "principal account other", "reason": "none"}
    path = f"incident/cases/{case}/explain"
    assert estate.request(Operation.UPDATE, path, unknown, estate.responder).error is NotFound


def test_a_replacement_read_by_somebody_exposed_is_told(estate: Estate) -> None:
    """S3: somebody is let in again too early, and receives the new secret."""
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    estate.state(case)
    assert estate.verdict(case)["outcome"] == "PROVEN"
    estate.on(case, "readmit", principal="person userpass-engineer", reason="new machine")
    token = estate.login("engineer")
    estate.read_password(token)
    verdict = estate.verdict(case)
    # Readmitted with an owner: that is a decision on record, not a leak.
    assert not {check for check, _ in opened(verdict)} & {"delivered to exposed", "acts again"}


def test_a_new_version_is_not_exposed_by_a_survey_after_it(estate: Estate) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    for step in ("contain", "rotate"):
        estate.on(case, step)
    estate.on(case, "widen", basis="seen earlier in the proxy's log", start="30s")
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    assert "database/static-creds/app version 3" not in labels(found, "could_reach")


def test_a_rotation_that_waits_is_not_recorded_as_done(estate: Estate) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    estate.system.accounts["admin"].may_log_in = False
    done = tables(estate.on(case, "rotate"), "rotated")
    assert [each["state"] for each in done] == ["waiting"]
    assert ("not revoked", APP) in opened(estate.verdict(case))
    estate.system.accounts["admin"].may_log_in = True
    assert [each["state"] for each in tables(estate.on(case, "rotate"), "rotated")] == ["revoked"]


def test_what_root_could_read_is_worked_out_in_turns(estate: Estate) -> None:
    """Everything, of a vault with more secrets than a batch of the journal holds links."""
    count = MAX_TARGETS + 1
    house = estate.vault.house
    tx = house.state.begin()
    mounts = house.mounts.table(house.store(tx, MOUNTS))
    store = house.mount_store(tx, mounts.by_path["secret/"])
    key = KeyMetadata(1, 1, 1, {1: Version(1)})
    for each in range(count):
        meta.save(store, f"many/{each:06d}", key)
    tx.merge()
    estate.vault.flush()
    accessor = estate.get("auth/token/lookup-self")["accessor"]
    turns = []
    estate.vault.clock.advance(seconds=1)
    given = {"title": "t", "subjects": f"token:{accessor}", "start": "1s", "basis": "b"}
    request = estate.vault.asked(Operation.UPDATE, "incident/cases", given, estate.responder)
    outcome = estate.vault.pipeline.handle(request)
    while isinstance(outcome, Waiting):
        estate.vault.flush()
        turns.append(estate.vault.journal.durable_size)
        outcome = outcome.finish(outcome.work())
    estate.vault.flush()
    assert outcome.error is None
    most = count // LOADED_IN_A_TURN + count // IN_A_TURN
    assert count // LOADED_IN_A_TURN < len(turns) < most + 40
    found = estate.get("incident/cases/1/exposure", estate.responder)
    assert number(found, "counts", "could_read") >= count


def test_the_new_secret_in_the_hands_of_somebody_exposed_is_told(estate: Estate) -> None:
    """S3: whoever is found to be exposed later may have been given it already."""
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    estate.state(case)
    estate.read_password(estate.login("colleague"))
    assert estate.verdict(case)["outcome"] == "PROVEN"
    estate.on(case, "widen", subjects="person:colleague", basis="seen on the same machine")
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    new = "database/static-creds/app version 3"
    assert {("delivered to exposed", new), ("not revoked", new)} <= opened(verdict)


def test_the_administering_account_goes_first(estate: Estate) -> None:
    """It could set every other password again."""
    case = estate.open_case("database/config/orders@1", "database/static-creds/app@2", start="1s")
    done = tables(estate.on(case, "rotate"), "rotated")
    assert [each["state"] for each in done] == ["revoked", "revoked"]
    assert part(done, 0, "secret") == "database/config/orders version 1"
    probes = tables(estate.on(case, "probe"), "probes")
    assert {each["state"] for each in probes} == {"dead"}


def test_somebody_deleted_is_found_by_id(estate: Estate) -> None:
    token = stolen(estate)
    entity = EntityId(text(estate.get("auth/token/lookup-self", token), "entity_id"))
    house = estate.vault.house
    tx = house.state.begin()
    house.identity.delete(tx, entity, estate.vault.clock.now_ns())
    tx.merge()
    estate.vault.flush()
    case = estate.open_case(f"person:{entity}", start="3s")
    estate.on(case, "contain")
    checks = {check for check, _ in opened(estate.verdict(case))}
    assert not checks & {"not contained", "not surveyed"}


def test_a_token_with_more_policies_than_an_entry_names(estate: Estate) -> None:
    names = [f"policy-{number:03d}" for number in range(200)]
    reply = estate.request(Operation.UPDATE, "auth/token/create", {"policies": names, "ttl": "1h"})
    accessor, token = reply.auth["accessor"], reply.token
    estate.must("auth/token/revoke", {"token": token})
    case = estate.open_case(f"session:{accessor}", start="60s")
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    # What it could read cannot be known: so everything.
    assert KEY in labels(found, "could_read")


def test_a_head_that_waits_for_its_quorum_does_not_hide_the_one_before(estate: Estate) -> None:
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    estate.state(case)
    assert estate.verdict(case)["outcome"] == "PROVEN"
    journal = estate.vault.journal
    size = journal.durable_size
    estate.get("incident/trust", estate.responder)
    journal.checkpoint()
    head = journal.log.published
    assert head is not None
    seconds = estate.vault.clock.now_ns() // 10**9
    journal.add_cosignatures(
        head.checkpoint, [sample_cosigner("stranger").cosign(head.checkpoint, seconds)]
    )
    assert journal.log.cosigned is not None
    assert journal.log.cosigned.checkpoint.size > size
    verdict = estate.get(f"incident/cases/{case}/verdict", estate.responder)
    assert (verdict["outcome"], number(verdict, "witnessed_size") <= size) == ("PROVEN", True)
    # Its own witness comes late: the newest head is kept, with both signatures.
    journal.add_cosignatures(head.checkpoint, [estate.cosigner.cosign(head.checkpoint, seconds)])
    verdict = estate.get(f"incident/cases/{case}/verdict", estate.responder)
    assert verdict["witnessed_size"] == head.checkpoint.size


@pytest.mark.parametrize(
    ("open_us", "seen"),
    [(10**6, None), (3_600 * 10**6, "used later"), (None, "not watched")],
    ids=["its consumer's", "older than the hand-out", "nobody can tell"],
)
def test_a_session_is_told_by_when_it_began(
    estate: Estate, open_us: int | None, seen: str | None
) -> None:
    """Once the new password is given out, only sessions from before that are the old one's."""
    stolen(estate)
    case = estate.open_case("person:engineer", start="3s")
    for step in ("contain", "rotate", "kill"):
        estate.on(case, step)
    estate.read_password(estate.vault.root)
    estate.vault.clock.advance(seconds=60)
    account = estate.system.accounts["app"]
    account.sessions, account.open_us = 1, open_us
    estate.on(case, "probe")
    found = {check for check, label in opened(estate.verdict(case)) if label == APP}
    assert found & {"used later", "not watched"} == ({seen} if seen else set())
