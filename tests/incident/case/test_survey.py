"""What a survey finds of mounts and policies that changed while its subject could read."""

import pytest

from ironkeep.core.operation import Operation
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.testing.parts import tables
from tests.support.incident.incident_estate import Estate, opened


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


def test_a_policy_that_was_written_often_is_parsed_and_compiled_in_turns(estate: Estate) -> None:
    estate.login("colleague")
    for number in range(20):
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
    assert turns >= 40
    # It was readable under the first and the eighth text.
    assert "secret/app/mail version 1" in {label for _, label in opened(estate.verdict("1"))}
