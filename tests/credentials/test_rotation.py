"""The rotation machine against a simulated target that fails, lies, is tampered with, goes back."""

from typing import Final

import msgspec
import pytest
from hypothesis import example, given, settings, strategies as st

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import Conflict, IntegrityError, InvalidRequest
from ironkeep.credentials.rotation import (
    KEEP_PREVIOUS,
    MAX_BACKOFF_NS,
    MAX_UNVERIFIED,
    WINDOW_NS,
    next_action,
    observe,
    reset_lost,
    start,
    take_over,
)
from ironkeep.credentials.rotation_actions import (
    Action,
    Applied,
    Done,
    Killed,
    KillSessions,
    Lost,
    Prepare,
    Prepared,
    Present,
    Presented,
    Set,
    Unsure,
    Wait,
)
from ironkeep.credentials.rotation_record import (
    MAX_ENCODED_BYTES,
    Record,
    RotationState,
    Stage,
    Strategy,
    Version,
    adopt,
    decode,
    encode,
)
from tests.support.credentials.rotating import FOREIGN, Fault, Simulation

strategies_ = st.sampled_from(Strategy)
faults_ = st.lists(st.sampled_from(Fault), max_size=25)


@settings(max_examples=1500, deadline=None)
@given(strategies_, faults_)
@example(Strategy.SELF, [Fault.NONE, Fault.NONE, Fault.NONE, Fault.CRASH_AFTER])
@example(Strategy.SELF, [Fault.NONE] * 4 + [Fault.RESTORED])
@example(Strategy.SELF, [Fault.NONE] * 2 + [Fault.TAMPERED])
@example(Strategy.SELF, [Fault.NONE] * 3 + [Fault.WRONGLY_REFUSED])
@example(Strategy.ADMIN, [Fault.NONE] * 2 + [Fault.IGNORED, Fault.NONE, Fault.NONE] * 5)
def test_it_always_ends_with_one_working_version_or_says_lost(
    strategy: Strategy, faults: list[Fault]
) -> None:
    world = Simulation(strategy)
    world.begin()
    for fault in faults:
        world.step(fault)
        assert world.record.at(Stage.CURRENT), "there is always a current version"
    end = world.finish()
    record = world.record
    if isinstance(end, Lost):
        assert world.justly_lost
        return
    assert record.state is RotationState.IDLE
    assert not record.at(Stage.PENDING)
    if world.sure:
        assert [world.password] == record.at(Stage.CURRENT)
    assert all(each.dead for each in record.versions if each.stage is not Stage.CURRENT)


@settings(max_examples=300, deadline=None)
@given(strategies_, faults_, st.integers(1, 4))
def test_the_target_never_sees_more_refused_logins_than_it_bears(
    strategy: Strategy, faults: list[Fault], refusals: int
) -> None:
    world = Simulation(strategy, refusals=refusals)
    world.begin()
    for fault in faults:
        # A kill between the refusal and its record is the one that cannot be counted.
        world.step(Fault.NONE if fault is Fault.CRASH_AFTER else fault)
    world.finish()
    for first, last in zip(world.refused, world.refused[refusals:], strict=False):
        assert last - first >= WINDOW_NS


@settings(max_examples=300, deadline=None)
@given(strategies_, faults_)
def test_a_record_survives_its_encoding_and_no_other_bytes_do(
    strategy: Strategy, faults: list[Fault]
) -> None:
    world = Simulation(strategy)
    world.begin()
    for fault in faults:
        world.step(fault)
        assert encode(decode(world.stored)) == world.stored
        with pytest.raises(IntegrityError):
            decode(world.stored + b" ")


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_REPLY])
@pytest.mark.parametrize("at", range(9))
def test_a_crash_at_each_step_leaves_one_working_credential(
    strategy: Strategy, fault: Fault, at: int
) -> None:
    world = Simulation(strategy)
    world.begin()
    for _ in range(at):
        world.step(Fault.NONE)
    world.step(fault)
    assert isinstance(world.finish(), Done)
    assert world.record.at(Stage.CURRENT) == [2] == [world.password]
    assert world.record.versions[0] == Version(1, Stage.PREVIOUS, dead=True)


def test_a_plain_rotation_takes_these_steps() -> None:
    world = Simulation(Strategy.SELF)
    world.begin()
    steps: list[Action] = []
    while not steps or not isinstance(steps[-1], Done):
        steps.append(world.step(Fault.NONE))
    assert steps == [
        Prepare(2),
        Present(1),
        Set(2, 1),
        Present(2),
        KillSessions(),
        Present(2),
        Present(1),
        Done(),
    ]


def test_an_admin_presents_nothing_that_was_never_sent() -> None:
    world = Simulation(Strategy.ADMIN)
    world.begin()
    steps = [world.step(Fault.NONE) for _ in range(4)]
    assert steps == [Prepare(2), Set(2, None), Present(2), KillSessions()]


@pytest.mark.parametrize("strategy", Strategy)
def test_where_no_connection_is_left_the_old_sessions_are_ended_first(strategy: Strategy) -> None:
    record = driven(strategy, 2 if strategy is Strategy.ADMIN else 3).record
    assert record.state is RotationState.APPLIED
    full = Presented(2, Probe.UNKNOWN, "no room (53300)", full=True)
    record = observe(record, full, 10, 1)
    assert record.serving == 2
    assert decode(encode(record)) == record
    assert next_action(record, 10) == KillSessions()
    record = observe(record, Killed(), 11, 1)
    assert next_action(record, 11) == Present(2)
    # Once; then it waits like everything else, and names what the target said.
    again = observe(record, full, 12, 1)
    wait = next_action(again, 12)
    assert isinstance(wait, Wait)
    assert wait.reason == "no room (53300)"
    later = observe(again, full, wait.until_ns, 1)
    assert next_action(later, wait.until_ns) == KillSessions()
    done = observe(record, Presented(2, Probe.ALIVE), 12, 1)
    assert done.state is RotationState.COMMITTED
    assert done.serving == 2


def test_an_account_that_finds_no_connection_to_set_its_own_password_gets_room() -> None:
    record = driven(Strategy.SELF, 2).record.but(refusals=9)
    assert next_action(record, 10) == Set(2, 1)
    record = observe(record, Unsure(2, "no room", full=True), 10, 1)
    assert (record.serving, next_action(record, 10)) == (1, KillSessions())
    record = observe(record, Killed(), 10, 1)
    assert next_action(record, 10) == Present(2)
    record = observe(record, Presented(2, Probe.DEAD), 10, 1)
    record = observe(record, Presented(1, Probe.UNKNOWN, "no room", full=True), 10, 1)
    assert isinstance(next_action(record, 10), Wait)


def test_an_old_version_is_handed_out_until_the_target_took_the_new_one() -> None:
    world = Simulation(Strategy.SELF)
    world.begin()
    served = []
    while world.record.state is not RotationState.IDLE:
        served.append((world.record.state, world.record.serving, world.password))
        world.step(Fault.NONE)
    assert all(served == password for _, served, password in served)
    assert {state for state, _, _ in served} == set(RotationState) - {
        RotationState.IDLE,
        RotationState.LOST,
    }


def test_an_admin_rotates_a_password_nobody_knows() -> None:
    world = Simulation(Strategy.ADMIN, password=FOREIGN, material=set())
    record = adopt("db/app", Strategy.ADMIN, epoch=1, refusals=2, current=None)
    world.store(start(record, 1))
    assert isinstance(world.finish(), Done)
    assert world.record.versions == (Version(1, Stage.CURRENT),)
    with pytest.raises(InvalidRequest):
        adopt("db/app", Strategy.SELF, epoch=1, refusals=2, current=None)


def driven(strategy: Strategy, steps: int) -> Simulation:
    world = Simulation(strategy)
    world.begin()
    for _ in range(steps):
        world.step(Fault.NONE)
    return world


def test_pending_is_presented_before_current_after_a_crash_that_lost_the_reply() -> None:
    world = driven(Strategy.SELF, 2)
    assert isinstance(world.step(Fault.CRASH_AFTER), Set)
    world.presented.clear()
    world.step(Fault.NONE)
    assert world.presented == [2]
    assert world.record.state is RotationState.COMMITTED


def test_a_commit_cannot_be_run_twice() -> None:
    world = driven(Strategy.SELF, 4)
    assert world.record.state is RotationState.COMMITTED
    with pytest.raises(Conflict):
        observe(world.record, Presented(2, Probe.ALIVE), world.now, world.epoch)
    assert world.record.at(Stage.PREVIOUS) == [1]


def test_an_overtaken_driver_cannot_commit() -> None:
    world = driven(Strategy.SELF, 3)
    late = world.epoch
    world.restart()
    with pytest.raises(Conflict, match="another driver"):
        observe(world.record, Presented(2, Probe.ALIVE), world.now, late)
    with pytest.raises(Conflict, match="took over"):
        take_over(world.record, late)


def test_unknown_moves_nothing_and_pauses() -> None:
    world = driven(Strategy.SELF, 1)
    before = world.record
    assert isinstance(world.step(Fault.NO_ANSWER), Present)
    after = world.record
    assert (after.state, after.versions) == (before.state, before.versions)
    assert isinstance(next_action(after, world.now), Wait)


def test_pauses_grow_to_an_hour_and_a_person_is_told() -> None:
    world = driven(Strategy.SELF, 1)
    waits = []
    for _ in range(30):
        world.step(Fault.NO_ANSWER)
        wait = next_action(world.record, world.now)
        assert isinstance(wait, Wait)
        waits.append((wait.until_ns - world.now, wait.alert))
        world.now = wait.until_ns
    assert waits[0][0] < 10_000_000_000
    assert not waits[0][1]
    assert MAX_BACKOFF_NS - 2_000_000 < waits[-1][0] <= MAX_BACKOFF_NS
    assert waits[-1][1]


def test_a_definite_refusal_makes_another_password() -> None:
    world = driven(Strategy.ADMIN, 1)
    assert isinstance(world.step(Fault.REFUSED), Set)
    assert isinstance(world.finish(), Done)
    assert world.record.versions == (
        Version(1, Stage.PREVIOUS, dead=True),
        Version(2, Stage.RETIRED, dead=True),
        Version(3, Stage.CURRENT),
    )


def test_a_target_restored_from_its_backup_is_found_again() -> None:
    world = driven(Strategy.SELF, 9)
    for _ in range(KEEP_PREVIOUS - 1):
        world.now += WINDOW_NS
        world.store(start(world.record, world.epoch))
        assert isinstance(world.finish(), Done)
    assert world.record.at(Stage.PREVIOUS) == [3, 2, 1]
    world.change(1)
    world.now += WINDOW_NS
    world.store(start(world.record, world.epoch))
    assert isinstance(world.finish(), Done)
    assert world.record.at(Stage.CURRENT) == [5] == [world.password]
    assert world.record.at(Stage.PREVIOUS) == [4, 3, 2]
    assert world.record.at(Stage.RETIRED) == [1]


def test_the_old_version_must_be_refused_before_it_is_done() -> None:
    world = driven(Strategy.SELF, 5)
    record = world.record
    assert record.state is RotationState.RETIRING
    record = observe(record, Presented(2, Probe.ALIVE), world.now, world.epoch)
    record = observe(record, Presented(1, Probe.ALIVE), world.now, world.epoch)
    assert record.state is RotationState.RETIRING
    wait = next_action(record, world.now)
    assert isinstance(wait, Wait)
    assert "old version" in wait.reason
    assert next_action(record, wait.until_ns) == Present(2)


def test_a_lost_credential_waits_for_a_person_who_may_use_the_admin() -> None:
    world = driven(Strategy.SELF, 1)
    world.disturb(Fault.TAMPERED)
    assert isinstance(world.finish(), Lost)
    with pytest.raises(Conflict):
        start(world.record, world.epoch)
    world.store(reset_lost(world.record, world.epoch))
    assert isinstance(world.finish(), Done)
    assert world.record.at(Stage.CURRENT) == [2] == [world.password]
    with pytest.raises(Conflict):
        reset_lost(world.record, world.epoch)


def test_a_target_that_lies_for_ever_is_lost_not_hammered() -> None:
    world = driven(Strategy.ADMIN, 1)
    while not isinstance(world.step(Fault.IGNORED), Lost):
        pass
    assert world.record.unverified == MAX_UNVERIFIED


def proved(state: RotationState, *versions: Version) -> Record:
    return Record(
        secret="db/app", strategy=Strategy.SELF, epoch=1, state=state, versions=versions, refusals=9
    )


def test_a_version_that_came_alive_again_must_be_refused_again() -> None:
    old, current = Version(1, Stage.PREVIOUS, dead=True), Version(2, Stage.CURRENT)
    record = proved(RotationState.PREPARED, old, current, Version(3, Stage.PENDING))
    for number, state in ((3, Probe.DEAD), (2, Probe.DEAD), (1, Probe.ALIVE)):
        record = observe(record, Presented(number, state), 10, 1)
    assert next_action(record, 10) == Set(3, 1)
    assert not record.versions[0].dead


def test_no_proof_stands_once_the_target_refuses_what_it_took() -> None:
    old, current = Version(1, Stage.PREVIOUS, dead=True), Version(2, Stage.CURRENT)
    record = observe(proved(RotationState.RETIRING, old, current), Presented(2, Probe.DEAD), 10, 1)
    assert record.state is RotationState.PREPARING
    assert not record.versions[0].dead


def test_an_answer_about_another_version_is_refused() -> None:
    world = driven(Strategy.SELF, 1)
    with pytest.raises(Conflict, match="does not answer"):
        observe(world.record, Presented(2, Probe.ALIVE), world.now, world.epoch)


def test_only_one_rotation_at_a_time() -> None:
    world = driven(Strategy.SELF, 2)
    with pytest.raises(Conflict, match="let it finish"):
        start(world.record, world.epoch)


@pytest.mark.parametrize("current", [None, 8])
def test_numbers_that_were_used_before_are_not_given_again(current: int | None) -> None:
    record = adopt("db/app", Strategy.ADMIN, epoch=1, refusals=9, current=current, burnt=7)
    assert decode(encode(record)) == record
    assert next_action(start(record, 1), 10) == Prepare(9 if current else 8)
    with pytest.raises(InvalidRequest):
        adopt("db/app", Strategy.ADMIN, epoch=1, refusals=9, current=7, burnt=7)


WRONG: Final = {
    "unknown header": lambda raw: raw.replace(b"/v1", b"/v2"),
    "no json": lambda raw: raw[:-1],
    "another field": lambda raw: raw[:-1] + b',"more":1}',
    "two current": lambda raw: raw.replace(b'"pending"', b'"current"'),
    "pending while idle": lambda raw: raw.replace(b'"prepared"', b'"idle"'),
    "numbers out of order": lambda raw: raw.replace(b"[2,", b"[1,"),
    "no limit": lambda raw: raw.replace(b'"refusals":2', b'"refusals":0'),
    "seen a stranger": lambda raw: raw.replace(b'"seen":[]', b'"seen":[[7,"dead"]]'),
    "a number used before": lambda raw: raw.replace(b'"burnt":0', b'"burnt":1'),
    "too long": lambda raw: raw + b" " * MAX_ENCODED_BYTES,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_record_that_was_not_written_here_is_refused(name: str) -> None:
    world = driven(Strategy.SELF, 1)
    damaged = WRONG[name](world.stored)
    assert damaged != world.stored
    with pytest.raises(IntegrityError):
        decode(damaged)


@given(st.binary(max_size=200))
def test_hostile_bytes_only_raise_integrity_errors(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode(b"ironkeep-rotation/v1\n" + raw)


def test_a_long_reason_is_cut() -> None:
    world = driven(Strategy.ADMIN, 1)
    record = observe(world.record, Unsure(2, "x" * 100_000), world.now, world.epoch)
    assert len(msgspec.json.encode(record)) < MAX_ENCODED_BYTES


def prepared(strategy: Strategy = Strategy.SELF, refusals: int = 2) -> Record:
    record = adopt("db/app", strategy, epoch=1, refusals=refusals, current=1)
    return observe(start(record, 1), Prepared(2), 0, 1)


def test_a_version_that_was_never_sent_is_not_presented() -> None:
    """A refused login is counted by the target; one with an unknown password tells nothing."""
    record = prepared()
    assert next_action(record, 0) == Present(1)
    record = observe(record, Presented(1, Probe.UNKNOWN, "pg_hba rejects the account"), 0, 1)
    record = take_over(record, 2)
    assert next_action(record, WINDOW_NS) == Present(1)
    record = observe(record, Presented(1, Probe.ALIVE), WINDOW_NS, 2)
    assert next_action(record, WINDOW_NS) == Set(2, 1)
    # A driver that takes over now does not know whether it was sent.
    assert next_action(take_over(decode(encode(record)), 3), WINDOW_NS) == Present(2)


def test_what_was_seen_is_kept_over_a_wait_for_the_limit() -> None:
    """With one refusal a minute, each resumption would otherwise present the same version again."""
    record = prepared(refusals=1).but(sent=True)
    now, presented, epoch = 0, [], 1
    while not isinstance(action := next_action(record, now), Set):
        if isinstance(action, Wait):
            now, epoch = action.until_ns, epoch + 1
            record = take_over(decode(encode(record)), epoch)
            continue
        assert isinstance(action, Present)
        presented.append(action.version)
        alive = Probe.DEAD if action.version == 2 else Probe.ALIVE
        record = observe(record, Presented(action.version, alive), now, epoch)
    assert presented == [2, 1]


def test_a_crash_still_drops_what_was_seen() -> None:
    record = prepared(refusals=9).but(sent=True)
    record = observe(record, Presented(2, Probe.DEAD), 0, 1)
    assert next_action(record, 0) == Present(1)
    assert next_action(take_over(record, 2), 0) == Present(2)


def test_the_first_host_decides_that_a_version_is_in_force_and_a_replica_may_follow() -> None:
    record = observe(prepared(Strategy.ADMIN), Applied(2), 0, 1)

    def lags(first: Probe) -> Presented:
        return Presented(2, Probe.UNKNOWN, "replica: refused", first=first, refused=True)

    record = observe(record, lags(Probe.ALIVE), 0, 1)
    assert (record.state, record.serving) == (RotationState.COMMITTED, 2)
    record = observe(record, Killed(), 0, 1)
    record = observe(record, lags(Probe.ALIVE), 0, 1)
    assert record.lagging is True
    assert record.awaited() == [1]
    assert len(record.refused_ns) == 2
    # It asks again within a minute, however long the replica lags.
    now = 0
    for _ in range(50):
        action = next_action(record, now)
        assert isinstance(action, Wait)
        assert action.until_ns - now <= WINDOW_NS
        now = action.until_ns
        if isinstance(next_action(record, now), Wait):
            continue
        record = observe(record, lags(Probe.ALIVE), now, 1)
    now += WINDOW_NS
    record = observe(record, Presented(2, Probe.ALIVE, first=Probe.ALIVE), now, 1)
    assert record.lagging is not True
    record = observe(record, Presented(1, Probe.DEAD, first=Probe.DEAD), now, 1)
    assert record.state is RotationState.IDLE
    assert record.awaited() == []


def test_a_replica_that_refuses_does_not_hide_that_the_first_host_does() -> None:
    record = observe(prepared(Strategy.ADMIN), Applied(2), 0, 1)
    record = observe(record, Presented(2, Probe.UNKNOWN, "no", first=Probe.DEAD), 0, 1)
    assert (record.state, record.unverified) == (RotationState.PREPARED, 1)
