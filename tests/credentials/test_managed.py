"""A rotation over memory: killed at every call, every commit failed, every fault."""

from collections import Counter
from typing import Final

import pytest

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import Conflict, UpstreamFailed
from ironkeep.core.event import encode
from ironkeep.credentials import managed as credentials
from ironkeep.credentials.rotation import ALERT_ATTEMPT
from ironkeep.credentials.rotation_record import Stage
from ironkeep.credentials.store import CredentialId
from ironkeep.testing.memory import Fault as CommitFault
from tests.support.credentials.credential_bench import FIRST, Bench
from tests.support.credentials.simulated import Fault

CALLS: Final = 7
"""To the system in a rotation by the account itself; the administrator needs one less."""


class Killed(BaseException):
    """The process is gone, here and now."""


@pytest.fixture(params=[False, True], ids=["admin", "self"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(self_managed=request.param)


def calls_of_a_rotation(self_managed: bool) -> int:
    bench = Bench(self_managed=self_managed)
    before = sum(bench.system.calls.values())
    assert bench.rotate().error is None
    return sum(bench.system.calls.values()) - before


def test_a_rotation_makes_a_new_password_and_proves_the_old_one_dead(bench: Bench) -> None:
    assert bench.served() == FIRST.encode()
    assert bench.rotate().error is None
    assert bench.served() == bench.system.accounts["app"].password != FIRST.encode()
    assert bench.system.accounts["app"].sessions == 0
    bench.assert_sound()
    assert bench.working() == [2]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(CALLS))
def test_killed_at_any_call_it_ends_with_one_working_credential(
    bench: Bench, at: int, when: str
) -> None:
    seen = iter(range(100))

    def kill(now: str, _op: str) -> None:
        if now == when and next(seen) == at:
            raise Killed

    bench.system.hook = kill
    try:
        bench.rotate()
    except Killed:
        assert len(bench.working()) == 1, "the vault knows what the system has, at every instant"
        bench.restart()
    bench.settle()
    bench.assert_sound()
    assert bench.served() == bench.system.accounts["app"].password


def test_the_kills_above_reach_the_last_call() -> None:
    assert [calls_of_a_rotation(self_managed) for self_managed in (False, True)] == [
        CALLS - 1,
        CALLS,
    ]


@pytest.mark.parametrize("fault", CommitFault)
@pytest.mark.parametrize("at", range(8))
def test_any_commit_failed_both_ways_it_ends_with_one_working_credential(
    bench: Bench, at: int, fault: CommitFault
) -> None:
    bench.vault.storage.fail(fault, after=at)
    try:
        bench.rotate()
    except OSError:
        assert len(bench.working()) == 1
    bench.vault.storage._faults.clear()
    bench.settle()
    bench.rotate()
    bench.settle()
    bench.assert_sound()


@pytest.mark.parametrize("op", ["set", "probe", "kill", "sessions"])
@pytest.mark.parametrize(
    "fault", [Fault.LOST_REPLY, Fault.NO_ANSWER, Fault.UNREACHABLE, Fault.REFUSED, Fault.IGNORED]
)
def test_any_fault_delays_a_rotation_and_loses_nothing(bench: Bench, op: str, fault: Fault) -> None:
    bench.system.break_down(op, fault, fault)
    bench.rotate()
    assert len(bench.working()) == 1
    bench.settle()
    bench.assert_sound()


def test_a_system_that_is_away_moves_nothing_and_is_asked_less_and_less(bench: Bench) -> None:
    for op in ("probe", "set"):
        bench.system.break_down(op, *[Fault.UNREACHABLE] * 1000)
    bench.system.calls.clear()
    reply = bench.rotate()
    assert reply.error is UpstreamFailed
    assert "continues by itself" in reply.errors[0]
    for _ in range(600):
        bench.vault.tick(1)
    asked = bench.system.calls["probe"] + bench.system.calls["set"]
    assert asked < 15
    stuck = [entry.audited for entry in bench.effects() if entry.op == "stuck"]
    assert stuck[0]["attempts"] == ALERT_ATTEMPT
    assert len(stuck) == asked - ALERT_ATTEMPT + 1
    assert bench.state()["state"] == "prepared"
    assert bench.served() == FIRST.encode()
    bench.system.faults.clear()
    assert bench.rotate().error is None, "a person's request does not wait"
    bench.assert_sound()


def test_a_drive_is_bounded_and_goes_on_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "MAX_STEPS", 3)
    assert bench.rotate().error is Conflict
    monkeypatch.undo()
    assert bench.state()["state"] != "idle"
    bench.settle()
    bench.assert_sound()


def test_a_bug_in_a_connector_is_a_defect_and_is_tried_again(bench: Bench) -> None:
    bench.system.break_down("probe", Fault.DEFECT, Fault.DEFECT)
    assert bench.rotate().body == {"errors": ["internal error"]}
    bench.vault.tick(1)
    assert [type(each) for each in bench.vault.defects] == [RuntimeError, RuntimeError]
    bench.vault.tick(1)
    bench.vault.defects.clear()
    bench.settle()
    bench.assert_sound()


def test_every_outside_call_leaves_an_entry_and_no_entry_a_secret(bench: Bench) -> None:
    bench.system.calls.clear()
    bench.rotate()
    bench.write("database/probe/app", version=1)
    bench.write("database/lock/app")
    bench.write("database/kill/app")
    bench.write("database/unlock/app")
    bench.vault.read("database/inventory/main")
    entries = bench.effects()
    ops = Counter(entry.op for entry in entries)
    for op in ("set", "probe", "kill", "lock", "unlock", "inventory"):
        assert ops[op] == bench.system.calls[op] > 0
    assert ops["baseline"] == 1
    which: CredentialId = bench.id()
    (put,) = [entry for entry in entries if entry.op == "set"]
    assert CredentialId(put.mount, put.path) == which
    assert put.audited["version"] == which.version(2)
    assert put.audited["result"] == "applied"
    last = [entry for entry in entries if entry.op == "probe"][-1]
    assert last.audited["state"] == str(Probe.DEAD)
    assert last.audited["system"] == "system:postgresql/db.example:5432"
    states = [entry.audited["state"] for entry in entries if entry.op == "rotate"]
    assert states == ["prepared", "applied", "committed", "retiring", "idle"]
    text = b"".join(encode(entry) for entry in entries)
    secrets = [*bench.materials().values(), *bench.materials("config/main").values()]
    assert len(secrets) == 3
    assert not [secret for secret in secrets if secret.reveal() in text]


def test_the_intent_is_durable_before_the_system_hears_of_it(bench: Bench) -> None:
    seen = []

    def look(when: str, op: str) -> None:
        if when == "before" and op == "set":
            stored = bench.vault.restarted()
            stored.unseal()
            tx = stored.house.state.begin()
            which = bench.id()
            (pending,) = stored.house.credentials.store.record(tx, which).at(Stage.PENDING)
            seen.append(stored.house.credentials.store.secret(tx, which, pending).reveal())
            raise Killed

    bench.system.hook = look
    with pytest.raises(Killed):
        bench.rotate()
    assert len(seen) == 1
    assert seen[0] not in {FIRST.encode(), b"admin-password"}
