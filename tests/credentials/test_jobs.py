"""What a connector answers, as values: agreement of hosts, three ways of setting, what is left."""

from itertools import combinations_with_replacement

import pytest

from ironkeep.core.credential.connector import Probe, ProbeResult, Target, Tls
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.secret import Secret
from ironkeep.credentials import jobs
from ironkeep.credentials.jobs import Account, EndedAt, Shown
from ironkeep.credentials.rotation_actions import Applied, Refused, Set, Unsure
from tests.support.credentials.simulated import Account as Login, Fault, SimulatedSystem

NEW = Secret(b"new")


@pytest.fixture
def system() -> SimulatedSystem:
    return SimulatedSystem(accounts={"keeper": Login(b"kept"), "app": Login(b"old", sessions=3)})


@pytest.fixture
def account(system: SimulatedSystem) -> Account:
    targets = [
        Target(host, 1, "db", "keeper", Secret(b"kept"), Tls.DISABLE) for host in ("one", "two")
    ]
    return Account(system, targets, NodeId("system:db"), "app")


def shown(*states: Probe) -> Shown:
    return Shown(
        tuple(ProbeResult(each, f"is {each}", f"host{n}", "", 1) for n, each in enumerate(states))
    )


@pytest.mark.parametrize("states", list(combinations_with_replacement(Probe, 2)))
def test_hosts_that_do_not_agree_say_unknown(states: tuple[Probe, Probe]) -> None:
    one, other = states
    found = shown(one, other)
    assert found.state is (one if one is other else Probe.UNKNOWN)
    assert found.refused is (Probe.DEAD in states)
    expected = f"is {one}" if one is other else f"host0: is {one}; host1: is {other}"
    assert found.reason == expected


def test_a_secret_is_presented_to_every_host(system: SimulatedSystem, account: Account) -> None:
    assert jobs.present(account, Secret(b"old")).state is Probe.ALIVE
    system.stale["two:1"] = {"app": b"older"}
    found = jobs.present(account, Secret(b"old"))
    assert [each.state for each in found.answers] == [Probe.ALIVE, Probe.DEAD]


@pytest.mark.parametrize(
    ("fault", "answer", "password"),
    [
        (None, Applied(2), b"new"),
        (Fault.REFUSED, Refused(2, "the policy forbids it"), b"old"),
        (Fault.LOST_REPLY, Unsure(2, "the connection broke"), b"new"),
        (Fault.NO_ANSWER, Unsure(2, "the connection broke"), b"old"),
        (Fault.UNREACHABLE, Unsure(2, "no route to the system"), b"old"),
    ],
)
def test_setting_says_yes_no_or_perhaps(
    system: SimulatedSystem,
    account: Account,
    fault: Fault | None,
    answer: Applied | Refused | Unsure,
    password: bytes,
) -> None:
    if fault is not None:
        system.break_down("set", fault)
    assert jobs.apply(account, Set(2, None), NEW, None) == answer
    assert system.accounts["app"].password == password
    assert system.calls["set"] == 1, "it is set at the first host only"


def test_an_account_sets_its_own_password_with_one_that_works(account: Account) -> None:
    assert isinstance(jobs.apply(account, Set(2, 1), NEW, Secret(b"wrong")), Unsure)
    assert jobs.apply(account, Set(2, 1), NEW, Secret(b"old")) == Applied(2)


@pytest.mark.parametrize(
    ("op", "fault", "ended"),
    [
        ("kill", None, EndedAt("one:1", True, 3, 0)),
        ("kill", Fault.NO_ANSWER, EndedAt("one:1", False, 0, 3, "the connection broke")),
        ("kill", Fault.REFUSED, EndedAt("one:1", False, 0, -1, "the policy forbids it")),
        ("sessions", Fault.UNREACHABLE, EndedAt("one:1", True, 3, -1, "no route to the system")),
    ],
)
def test_ending_sessions_says_what_is_left_and_never_guesses(
    system: SimulatedSystem, account: Account, op: str, fault: Fault | None, ended: EndedAt
) -> None:
    if fault is not None:
        system.break_down(op, fault)
    first, second = jobs.end_sessions(account)
    assert first == ended
    assert second.endpoint == "two:1"


def test_sessions_are_listed_for_every_host(account: Account) -> None:
    found = jobs.sessions(account)
    assert [endpoint for endpoint, _ in found] == ["one:1"] * 3 + ["two:1"] * 3


def test_an_account_does_not_show_its_administrators_password(account: Account) -> None:
    assert "kept" not in repr(account.targets)
