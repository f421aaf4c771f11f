"""A machine's clock that is moved while the server is down changes no finding of a case."""

import copy

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.event import CLOCK_STEP
from ironkeep.core.operation import Operation
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.testing.memory import FakeClock, MemoryStorage
from ironkeep.testing.parts import tables
from ironkeep.testing.vault import Vault
from tests.support.incident.incident_estate import PASSWORD, Estate

HOUR = 3_600
DAY = 86_400
SECOND_NS = 10**9
DOWN = 5
READ = 'path "secret/data/app/mail" { capabilities = ["read"] }'


def restarted(estate: Estate, step: int) -> Estate:
    """Return the estate after DOWN seconds, in which the machine's clock was set by step."""
    old, storage = estate.vault, MemoryStorage()
    storage.restore(old.storage.snapshot())
    vault = Vault(
        PLUGINS,
        storage=storage,
        disk=old.disk.copy(),
        clock=FakeClock(old.machine.wall_ns() + (step + DOWN) * SECOND_NS),
        seed=7,
        connectors={"postgresql": estate.system},
        settings=old.settings,
    )
    vault.keys, vault.root = old.keys, old.root
    assert vault.unseal().error is None
    again = copy.copy(estate)
    vars(again).update(vault=vault)
    return again


def findings(
    step: int, *, busy: int = 20
) -> tuple[dict[str, list[str]], dict[str, object], Estate]:
    """Return what a case finds of a read before a restart, its verdict, and the estate."""
    e = Estate.fresh()
    e.must("sys/policies/acl/ann", {"policy": READ})
    e.must("auth/userpass/users/ann", {"password": PASSWORD, "token_policies": "ann"})
    e.vault.clock.advance(seconds=2 * HOUR)
    start_ns = e.vault.clock.now_ns()
    e.vault.clock.advance(seconds=20)
    token = e.login("ann")
    e.get("secret/data/app/mail", token)
    e = restarted(e, step)
    e.must("sys/policies/acl/ann", {"policy": "# nothing"})
    for _ in range(busy):
        e.request(Operation.READ, "auth/token/lookup-self", {})
    # The clock is right again.
    e.vault.machine.step(-step)
    e.vault.tick()
    e.vault.clock.advance(seconds=abs(step) + 30 if abs(step) <= DAY else 30)
    vars(e).update(responder=e.login("responder"))
    since = (e.vault.clock.now_ns() - start_ns) // SECOND_NS + 1
    case = e.open_case("person:ann", start=f"{since}s")
    e.on(case, "contain")
    e.state(case)
    listed = e.get(f"incident/cases/{case}/exposure", e.responder)
    found = {
        kind: sorted(str(row["label"]) for row in tables(listed, kind))
        for kind in ("did_read", "could_read", "could_reach")
    }
    verdict = e.verdict(case)
    assert verify_pack(e.pack(case), e.trust()).verdict.outcome == verdict["outcome"]
    return found, verdict, e


def checks(verdict: dict[str, object]) -> set[str]:
    return {str(item["check"]) for item in tables(verdict, "open_items")}


@pytest.mark.parametrize("step", [-120, -HOUR, -DAY, 120, HOUR, DAY, 400 * DAY])
def test_a_clock_that_is_moved_changes_no_finding_and_is_an_open_item(step: int) -> None:
    plain, before, _ = findings(0)
    found, verdict, estate = findings(step)
    assert found["did_read"]
    assert found == plain
    assert checks(verdict) - checks(before) == {"clock step"}
    assert "clock step" not in checks(before)
    entries = [entry for _, entry in estate.vault.house.audit_reader().entries()]
    assert CLOCK_STEP in {entry.op for entry in entries}
    times = [entry.time_ns for entry in entries]
    assert times == sorted(times)


def test_the_open_item_has_the_size_of_the_step() -> None:
    _, verdict, _ = findings(-HOUR)
    back, forward = (
        str(item["words"])
        for item in tables(verdict, "open_items")
        if item["check"] == "clock step"
    )
    assert 3_500 < int(back.removeprefix("the clock was moved by -").split()[0]) < 3_700
    # When the clock is right again, the vault's time makes up for the time that it was down.
    assert forward.startswith(f"the vault's time was set by +{DOWN} s")


def test_steps_at_four_restarts_do_not_add_up_to_hide_a_read() -> None:
    e = Estate.fresh()
    at = e.vault.clock.now_ns()
    for _ in range(4):
        e = restarted(e, -290)
        assert e.vault.clock.now_ns() > at
        at = e.vault.clock.now_ns()
        e.request(Operation.READ, "auth/token/lookup-self", {})
