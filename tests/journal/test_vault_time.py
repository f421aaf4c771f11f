"""The vault's time under a scripted wall and steady clock: it never runs back nor stands still."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import CLOCK_BACK, CLOCK_SET, CLOCK_STEP
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.journal.vault_time import (
    DOWN_NS,
    LAG_NS,
    MARK_NS,
    SLEW_PPM,
    Step,
    TimeMark,
    VaultTime,
)
from ironkeep.testing.memory import START_NS, FakeClock
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles

HOUR = 3_600
DAY = 86_400


def started(floor_ns: int = START_NS, wall: float = 0, **rest: int) -> tuple[FakeClock, VaultTime]:
    """Return a machine whose wall is `wall` seconds from START_NS, and the vault's time on it."""
    machine = FakeClock(START_NS + round(wall * SECOND_NS))
    return machine, VaultTime(machine, floor_ns, **rest)


def running(machine: FakeClock, clock: VaultTime, seconds: int) -> list[Step]:
    """Let seconds pass, with a look at the wall in each."""
    found = []
    for _ in range(seconds):
        machine.advance(seconds=1)
        found.append(clock.look())
    return [each for each in found if each is not None]


def test_without_a_step_the_time_is_the_wall_s() -> None:
    machine, clock = started()
    assert clock.now_ns() == START_NS
    assert running(machine, clock, 100) == []
    assert clock.now_ns() == machine.wall_ns() == START_NS + 100 * SECOND_NS


@pytest.mark.parametrize("seconds", [-400 * DAY, -HOUR, -3, 3, HOUR, 400 * DAY])
def test_a_step_is_told_once_and_changes_no_time(seconds: int) -> None:
    machine, clock = started()
    before = clock.now_ns()
    machine.step(seconds)
    step = clock.look()
    assert step is not None
    assert (step.op, step.audited["offset_ns"]) == (CLOCK_STEP, seconds * SECOND_NS)
    assert clock.now_ns() == before
    assert running(machine, clock, 100) == []
    assert clock.now_ns() == before + 100 * SECOND_NS
    assert ("ahead of" if seconds > 0 else "behind") in clock.problem
    machine.step(-seconds)
    (back,) = running(machine, clock, 100)
    assert (back.op, clock.problem) == (CLOCK_BACK, "")
    assert clock.now_ns() == machine.wall_ns()


@pytest.mark.parametrize("seconds", [-1.5, 1.5])
def test_a_small_difference_is_made_up_slowly_and_not_overshot(seconds: float) -> None:
    machine, clock = started()
    machine.step(seconds)
    offsets = []
    for _ in range(2_000):
        before = clock.now_ns()
        assert running(machine, clock, 1) == []
        passed = clock.now_ns() - before
        assert abs(passed - SECOND_NS) <= SECOND_NS * SLEW_PPM // 1_000_000
        offsets.append(abs(clock.offset_ns))
    assert offsets == sorted(offsets, reverse=True)
    assert offsets[-1] <= SECOND_NS // 100


def test_a_correction_ends_even_if_nobody_looks_for_a_year() -> None:
    machine, clock = started()
    machine.step(-1)
    clock.look()
    machine.advance(seconds=365 * DAY)
    assert clock.offset_ns == 0


def test_a_suspend_is_time_that_passed() -> None:
    machine, clock = started()
    machine.advance(seconds=400 * DAY)
    assert clock.look() is None
    assert clock.now_ns() == machine.wall_ns()


def test_a_restart_takes_the_wall_s_word_for_a_plausible_time_only() -> None:
    for wall, floor in ((0, 0), (0, START_NS), (30 * DAY, START_NS)):
        machine, clock = started(floor, wall)
        assert clock.now_ns() == machine.wall_ns()
        assert clock.look() is None
    machine, clock = started(START_NS, wall=400 * DAY)
    assert clock.now_ns() == START_NS + 1
    step = clock.look()
    assert step is not None
    assert step.op == CLOCK_STEP
    assert "9599h59m59s ahead of" in step.words
    machine, clock = started(START_NS, wall=2 * DAY, down_ns=DAY * SECOND_NS)
    assert clock.now_ns() == START_NS + 1


def test_a_wall_behind_the_log_does_not_bring_time_back() -> None:
    for seconds in (120, HOUR, DAY):
        machine, clock = started(START_NS, wall=-seconds)
        assert clock.now_ns() == START_NS + 1
        step = clock.look()
        assert step is not None
        assert step.after_ns - step.before_ns == -seconds * SECOND_NS - 1
        assert "behind the vault's time" in step.words
        machine.advance(seconds=5)
        assert clock.now_ns() == START_NS + 1 + 5 * SECOND_NS


def test_a_wall_that_was_behind_at_the_start_may_come_forward_once_by_the_time_down() -> None:
    """A machine whose clock has no battery starts in the past, until the network tells it more."""
    machine, clock = started(START_NS, wall=-20 * 365 * DAY)
    assert clock.look() is not None
    machine.advance(seconds=30)
    machine.step(20 * 365 * DAY + 3 * DAY)
    step = clock.look()
    assert step is not None
    assert (step.op, clock.now_ns()) == (CLOCK_SET, machine.wall_ns())
    machine.step(3 * DAY)
    step = clock.look()
    assert step is not None
    assert step.op == CLOCK_STEP
    # Not further than a start would have taken it, and not once the two have met.
    for ahead, meets in ((32 * DAY, False), (3 * DAY, True)):
        machine, clock = started(START_NS, wall=-HOUR)
        machine.step(HOUR)
        assert not meets or clock.look() is None
        machine.step(ahead)
        step = clock.look()
        assert step is not None
        assert step.op == CLOCK_STEP


def test_the_witnesses_confirm_a_jump_up_to_their_time() -> None:
    machine, clock = started(START_NS, wall=400 * DAY)
    assert clock.look() is not None
    clock.witnessed(machine.wall_ns() - LAG_NS - DAY * SECOND_NS)
    assert running(machine, clock, 10) == []
    clock.witnessed(machine.wall_ns())
    (step,) = running(machine, clock, 1)
    assert step.op == CLOCK_SET
    assert clock.now_ns() == machine.wall_ns()
    # Their word goes on with the steady clock: it does not cover what the wall jumps afterwards.
    machine.step(HOUR)
    (step,) = running(machine, clock, 1)
    assert step.op == CLOCK_STEP


def test_an_operator_accepts_a_wall_ahead_at_once_and_one_behind_slowly() -> None:
    machine, clock = started()
    assert clock.accept("so") is None
    machine.step(HOUR)
    assert clock.look() is not None
    step = clock.accept("so")
    assert step is not None
    assert (step.op, clock.now_ns(), clock.problem) == (CLOCK_SET, machine.wall_ns(), "")
    machine.step(-60)
    assert clock.look() is not None
    before = clock.now_ns()
    step = clock.accept("so")
    assert step is not None
    assert "runs slower" in step.words
    assert clock.now_ns() == before
    steps = running(machine, clock, 60 * 1_000_000 // SLEW_PPM + 500)
    assert [each.op for each in steps] == [CLOCK_BACK]
    assert abs(clock.offset_ns) < SECOND_NS // 50


def test_a_step_during_an_approach_ends_it() -> None:
    machine, clock = started()
    machine.step(-60)
    clock.look()
    clock.accept("so")
    running(machine, clock, 10)
    machine.step(-HOUR)
    (step,) = running(machine, clock, 5)
    assert step.op == CLOCK_STEP
    assert not clock.approaching


def test_raising_only_raises() -> None:
    _, clock = started()
    clock.raise_to(START_NS - 1)
    assert clock.now_ns() == START_NS
    clock.raise_to(START_NS + 500)
    assert clock.now_ns() == START_NS + 501


@dataclass
class World:
    """A machine over restarts: its clocks, what is durable, and a wall behind at the start."""

    machine: FakeClock = field(default_factory=FakeClock)
    durable_ns: int = 0
    behind: bool = False

    def __post_init__(self) -> None:
        self.clock = VaultTime(self.machine, self.durable_ns)

    def restart(self) -> None:
        self.durable_ns = self.clock.now_ns()
        self.machine = FakeClock(self.machine.wall_ns())
        self.behind = self.machine.wall_ns() < self.durable_ns
        self.clock = VaultTime(self.machine, self.durable_ns)


WALLS = st.one_of(st.floats(-3, 3), st.floats(-1000 * DAY, 1000 * DAY))
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.001, 7 * DAY)),
        st.tuples(st.just("step"), WALLS),
        st.tuples(st.just("look"), st.just(0.0)),
        st.tuples(st.just("restart"), st.just(0.0)),
    ),
    max_size=40,
)


@given(EVENTS)
@settings(max_examples=400)
def test_time_is_strictly_monotone_and_goes_on_at_the_steady_rate(
    events: list[tuple[str, float]],
) -> None:
    """Whatever the wall does in a run, a lifetime neither ends early nor grows past its due."""
    world = World()
    last = world.clock.now_ns()
    for what, seconds in events:
        match what:
            case "pass":
                world.machine.advance(seconds=seconds)
                now, passed = world.clock.now_ns(), round(seconds * SECOND_NS)
                assert abs(now - last - passed) <= passed * SLEW_PPM // 1_000_000 + 1
                assert now > last
            case "step":
                world.machine.step(max(seconds, -(world.machine.wall_ns() // SECOND_NS) + 1))
                assert world.clock.now_ns() == last
            case "look":
                step = world.clock.look()
                if step is not None and step.op == CLOCK_SET:
                    assert world.behind
                    assert last < world.clock.now_ns() == world.machine.wall_ns()
                    world.behind = False
                else:
                    assert world.clock.now_ns() == last
            case _:
                world.restart()
                assert last <= world.clock.now_ns() <= last + DOWN_NS
        last = world.clock.now_ns()


@given(EVENTS, st.integers(1, 10 * DAY))
@settings(max_examples=200)
def test_a_lifetime_within_one_run_is_what_was_granted(
    events: list[tuple[str, float]], ttl: int
) -> None:
    machine, clock = started()
    expires, real = clock.now_ns() + ttl * SECOND_NS, 0
    for what, seconds in events:
        if what == "pass":
            machine.advance(seconds=seconds)
            real += round(seconds * SECOND_NS)
        elif what == "step":
            machine.step(max(seconds, -(machine.wall_ns() // SECOND_NS) + 1))
        else:
            clock.look()
        slack = real * SLEW_PPM // 1_000_000 + 2 * len(events)
        if clock.now_ns() >= expires:
            assert real + slack >= ttl * SECOND_NS, "ended early"
        else:
            assert real - slack <= ttl * SECOND_NS, "lives longer than granted"


def test_an_idle_log_is_marked_once_a_minute_and_at_the_end() -> None:
    disk, key = LogDisk(), Secret(b"k" * 32)
    mark = TimeMark(MemoryLogFiles(disk), key)
    assert mark.time_ns == 0
    mark.write(START_NS, START_NS - MARK_NS + 1)
    assert mark.time_ns == 0, "an entry tells the time well enough"
    mark.write(START_NS, START_NS - MARK_NS)
    mark.write(START_NS + 1, 0)
    assert TimeMark(MemoryLogFiles(disk.copy()), key).time_ns == START_NS
    mark.write(START_NS + 2, START_NS + 2, last=True)
    assert TimeMark(MemoryLogFiles(disk.copy()), key).time_ns == START_NS + 2


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, b"\x7f" * 40])
def test_a_mark_of_another_hand_is_refused(data: bytes) -> None:
    disk = LogDisk()
    files = MemoryLogFiles(disk)
    files.replace("time", data)
    with pytest.raises(IntegrityError, match="'time' of the log was not written by its server"):
        TimeMark(files, Secret(b"k" * 32))
