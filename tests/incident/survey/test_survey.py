"""What a survey finds of mounts and policies that changed while its subject could read."""

import pytest

from ironkeep.core.errors import Unavailable
from ironkeep.core.operation import Operation
from ironkeep.credentials.gone.removed import PLACE
from ironkeep.incident.survey.rules import TEXTS_IN_A_TURN
from ironkeep.incident.survey.survey import Survey
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.testing.parts import part, tables
from tests.support.incident.incident_estate import PASSWORD, Estate, opened


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def found(estate: Estate) -> tuple[int, set[str]]:
    """Contain the colleague; return the number of readable secrets, and all open items."""
    case = estate.open_case("person:colleague", start="60s")
    told = tables(estate.on(case, "contain"), "contained")[0]
    count = told["secrets_readable"]
    assert isinstance(count, int)
    return count, {label for _, label in opened(estate.verdict(case))}


def test_a_secret_is_found_that_was_readable_before_its_mount_moved(estate: Estate) -> None:
    estate.login("colleague")
    estate.must("sys/remount", {"from": "secret", "to": "moved"})
    count, labels = found(estate)
    assert count == 2
    assert "moved/app/mail version 1" in labels


def test_a_secret_is_found_that_was_readable_before_its_mount_had_versions(estate: Estate) -> None:
    estate.must("sys/mounts/old", {"type": "kv"})
    estate.must("old/app/key", {"value": "old-secret-51c3"})
    policy = 'path "old/app/*" { capabilities = ["read"] }'
    estate.must("sys/policies/acl/mail", {"policy": policy})
    estate.login("colleague")
    estate.must("sys/mounts/old/tune", {"options": {"version": "2"}})
    assert "old/app/key version 1" in found(estate)[1]


def test_a_path_that_the_mount_had_before_the_case_is_not_counted(estate: Estate) -> None:
    estate.must("sys/remount", {"from": "secret", "to": "moved"})
    estate.vault.clock.advance(seconds=600)
    estate.login("colleague")
    assert "moved/app/mail version 1" not in found(estate)[1]


def test_a_policy_that_was_written_often_is_read_in_turns(estate: Estate) -> None:
    estate.login("colleague")
    for number in range(4 * TEXTS_IN_A_TURN):
        path = f"secret/data/{'app' if number == 7 else 'other'}/*"
        policy = f'path "{path}" {{ capabilities = ["read"] }} # {number}'
        estate.must("sys/policies/acl/mail", {"policy": policy})
    vault, turns = estate.vault, 0
    given = {"title": "t", "subjects": ["person:colleague"], "start": "60s", "basis": "b"}
    asked = vault.asked(Operation.UPDATE, "incident/cases", given, estate.responder)
    outcome = vault.pipeline.handle(asked)
    while isinstance(outcome, Waiting):
        vault.flush()
        outcome = outcome.finish(outcome.work())
        turns += 1
    vault.flush()
    assert outcome.error is None
    assert turns >= 8
    # It was readable under the first and the eighth text.
    assert "secret/app/mail version 1" in {label for _, label in opened(estate.verdict("1"))}


def could_read(estate: Estate, case: str) -> set[str]:
    found = estate.get(f"incident/cases/{case}/exposure", estate.responder)
    return {str(row["label"]) for row in tables(found, "could_read")}


def gone(estate: Estate, path: str) -> None:
    assert estate.request(Operation.DELETE, path).error is None


@pytest.fixture
def holder(estate: Estate) -> Estate:
    """An estate with a person who reads in kv2/ and kv1/, and by a static role."""
    for version in ("1", "2"):
        estate.must(f"sys/mounts/kv{version}", {"type": "kv", "options": {"version": version}})
    paths = ("kv2/data/*", "kv1/*", "database/static-creds/*")
    rules = "".join(f'path "{path}" {{ capabilities = ["read"] }}\n' for path in paths)
    estate.must("sys/policies/acl/ann", {"policy": rules})
    user = {"password": PASSWORD, "token_policies": "ann", "token_ttl": "5m"}
    estate.must("auth/userpass/users/ann", user)
    estate.must("kv2/data/cloud", {"data": {"k": "first"}})
    estate.must("kv1/cloud", {"k": "first"})
    return estate


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("kv2/metadata/cloud", "kv2/cloud version 1"),
        ("kv1/cloud", "kv1/cloud version 0"),
        ("sys/mounts/kv2", "kv2/cloud version 1"),
        ("sys/mounts/kv1", "kv1/cloud version 0"),
        ("database/static-roles/app", "database/static-creds/app version 2"),
    ],
)
def test_what_is_gone_when_the_case_opens_could_be_read(
    holder: Estate, path: str, label: str
) -> None:
    holder.login("ann")
    gone(holder, path)
    assert label in could_read(holder, holder.open_case("person:ann", start="5s"))


def test_what_was_gone_before_the_window_could_not_be_read_in_it(holder: Estate) -> None:
    holder.login("ann")
    gone(holder, "kv2/metadata/cloud")
    holder.vault.clock.advance(seconds=60)
    assert "kv2/cloud version 1" not in could_read(holder, holder.open_case("person:ann"))


def test_a_version_that_was_trimmed_in_the_window_could_be_read(holder: Estate) -> None:
    holder.must("kv2/metadata/cloud", {"max_versions": 1})
    holder.login("ann")
    for number in range(30):
        holder.must("kv2/data/cloud", {"data": {"k": str(number)}})
    wanted = {f"kv2/cloud version {number}" for number in range(1, 32)}
    assert wanted <= could_read(holder, holder.open_case("person:ann", start="90s"))


@pytest.mark.parametrize(("since", "start", "found"), [(100, "50s", True), (700, "10s", False)])
def test_a_token_that_did_nothing_in_the_window_counts_while_it_was_good(
    holder: Estate, since: int, start: str, found: bool
) -> None:
    holder.login("ann")
    holder.must("auth/userpass/users/ann", {"token_policies": "default"})
    holder.vault.tick(since)
    case = holder.open_case("person:ann", start=start)
    assert ("kv2/cloud version 1" in could_read(holder, case)) is found


def test_a_login_that_nobody_made_counts_by_what_it_would_have_granted(holder: Estate) -> None:
    holder.must("auth/userpass/users/ann", {"token_policies": "default"})
    holder.login("ann")
    holder.must("auth/userpass/users/ann", {"token_policies": "ann"})
    holder.must("auth/userpass/users/ann", {"token_policies": "default"})
    case = holder.open_case("person:ann", start="4s")
    assert "kv2/cloud version 1" in could_read(holder, case)


@pytest.mark.parametrize("makes", [True, False])
def test_a_deny_that_a_child_token_can_leave_out_denies_nothing(
    holder: Estate, makes: bool
) -> None:
    deny = 'path "kv2/data/cloud" { capabilities = ["deny"] }\n'
    make = 'path "auth/token/create" { capabilities = ["update"] }' if makes else ""
    holder.must("sys/policies/acl/less", {"policy": deny + make})
    holder.must("auth/userpass/users/ann", {"token_policies": "ann,less"})
    holder.login("ann")
    case = holder.open_case("person:ann", start="2s")
    assert ("kv2/cloud version 1" in could_read(holder, case)) is makes


def test_what_an_earlier_release_did_not_record_is_open_by_name(holder: Estate) -> None:
    holder.login("ann")
    house = holder.vault.house
    tx = house.state.begin()
    house.store(tx, PLACE).put("since", holder.vault.clock.now_ns().to_bytes(8, "big"))
    tx.merge()
    holder.vault.flush()
    case = holder.open_case("person:ann", start="60s")
    holder.evict(case)
    holder.state(case)
    verdict = holder.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert "earlier releases did not record removals" in str(verdict["open_items"])
    assert "at least" in str(verdict["scope"])


def test_a_survey_that_did_not_take_place_is_not_told_as_nothing(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate.login("colleague")

    def fails(*_: object) -> None:
        raise Unavailable("the process ended")

    monkeypatch.setattr(Survey, "link", fails)
    given = {"title": "t", "subjects": ["person:colleague"], "start": "60s", "basis": "b"}
    reply = estate.request(Operation.UPDATE, "incident/cases", given, estate.responder)
    assert reply.error is Unavailable
    found = estate.get("incident/cases/1/exposure", estate.responder)
    assert part(found, "counts", "could_read") is None
    assert "has not been worked out" in str(found["not_worked_out"])


def test_a_role_id_that_a_role_had_leads_to_what_the_role_granted(holder: Estate) -> None:
    holder.must("sys/auth/approle", {"type": "approle"})
    role = {
        "token_policies": "ann",
        "bind_secret_id": "false",
        "secret_id_bound_cidrs": "0.0.0.0/0",
    }
    holder.must("auth/approle/role/web", role)
    given = {"role_id": holder.get("auth/approle/role/web/role-id")["role_id"]}
    holder.vault.clock.advance(seconds=1)
    reply = holder.vault.request(Operation.UPDATE, "auth/approle/login", given, token=None)
    assert reply.error is None, reply.body
    mine = holder.get("auth/token/lookup-self", reply.token)
    holder.must("auth/approle/role/web", {"token_policies": "default"})
    gone(holder, "auth/approle/role/web")
    case = holder.open_case(f"person:{mine['entity_id']}", start="6s")
    assert "kv2/cloud version 1" in could_read(holder, case)
