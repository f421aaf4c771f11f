"""A target with one password and a driver that can be killed at every step of a rotation.

Passwords are version numbers. Everything that a crash leaves is in `stored` and `material`.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, assert_never

from ironkeep.core.credential.connector import Probe
from ironkeep.credentials.rotation import MAX_UNVERIFIED, next_action, observe, start, take_over
from ironkeep.credentials.rotation_actions import (
    Action,
    Applied,
    Done,
    Killed,
    KillSessions,
    Lost,
    NotKilled,
    Observation,
    Prepare,
    Prepared,
    Present,
    Presented,
    Refused,
    Set,
    Unsure,
    Wait,
)
from ironkeep.credentials.rotation_record import (
    Record,
    RotationState,
    Stage,
    Strategy,
    adopt,
    decode,
    encode,
)

FOREIGN: Final = -1
"""A password that the vault has never seen."""

MAX_STEPS: Final = 400


class Fault(Enum):
    """What can go wrong with one step."""

    NONE = "everything works"
    CRASH_BEFORE = "killed before the action reached the target"
    CRASH_AFTER = "the action happened, killed before its outcome was stored"
    LOST_REPLY = "the action happened, the reply did not come"
    NO_ANSWER = "the action did not happen, no reply"
    REFUSED = "the target refuses the new password"
    WRONGLY_REFUSED = "the target says no to the new password, and takes it"
    IGNORED = "the target reports success and does nothing"
    TAMPERED = "somebody sets another password first"
    RESTORED = "the target is put back to what it was before"


DISTURBING: Final = {Fault.TAMPERED, Fault.RESTORED}


@dataclass
class Simulation:
    """One target with one password, and a driver that can be killed at every step."""

    strategy: Strategy
    password: int = 1
    epoch: int = 1
    now: int = 1_000_000_000
    refusals: int = 2
    tampered: bool = False
    sure: bool = True
    """Whether the target was left alone since current was last seen to work."""
    steady: bool = True
    """Whether the target was left alone while the versions were presented one by one."""
    justly_lost: bool = False
    history: list[int] = field(default_factory=lambda: [1])
    refused: list[int] = field(default_factory=list)
    presented: list[int] = field(default_factory=list)
    material: set[int] = field(default_factory=lambda: {1})
    stored: bytes = b""

    def begin(self) -> None:
        """Adopt version 1 and start to rotate it."""
        record = adopt("db/app", self.strategy, epoch=self.epoch, refusals=self.refusals, current=1)
        self.store(start(record, self.epoch))

    def store(self, record: Record) -> None:
        """Keep record, and destroy the material of versions that are not in it."""
        if record.state is RotationState.LOST and self.record.state is not RotationState.LOST:
            nothing_works = self.tampered and self.password not in self.material
            lied_to = record.unverified == MAX_UNVERIFIED
            self.justly_lost = nothing_works or lied_to or not self.steady
        self.stored = encode(record)
        self.material &= {each.number for each in record.versions}

    @property
    def record(self) -> Record:
        """Return the record as a driver reads it after a crash."""
        return decode(self.stored)

    def change(self, password: int) -> None:
        """Make password the target's."""
        self.password = password
        self.history.append(password)

    def disturb(self, fault: Fault) -> None:
        """Let somebody else change the target, when fault says so."""
        if fault is Fault.TAMPERED:
            self.change(FOREIGN)
            self.tampered, self.sure = True, False
        elif fault is Fault.RESTORED:
            known = [each for each in self.history[:-1] if each in self.material]
            if known:
                self.change(known[-1])
                self.sure = False

    def step(self, fault: Fault) -> Action:
        """Perform the next action under fault and return it."""
        record = self.record
        self.steady = not record.seen or (self.steady and fault not in DISTURBING)
        self.disturb(fault)
        action = next_action(record, self.now)
        if fault is Fault.CRASH_BEFORE:
            self.restart()
            return action
        observation = self.perform(action, fault)
        if fault is Fault.CRASH_AFTER:
            self.restart()
        elif observation is not None:
            self.store(observe(record, observation, self.now, self.epoch))
            if isinstance(observation, Prepared):
                self.material.add(observation.version)
        self.now += 1_000_000
        return action

    def restart(self) -> None:
        """Begin again from what is stored, as another driver."""
        self.epoch += 1
        self.store(take_over(self.record, self.epoch))

    def perform(self, action: Action, fault: Fault) -> Observation | None:
        """Do action and return what was seen of it, if there is anything to see."""
        silent = fault in {Fault.LOST_REPLY, Fault.NO_ANSWER}
        match action:
            case Prepare(version):
                return Prepared(version)
            case Present(version):
                return self.present(version, silent=silent)
            case Set(version, using):
                return self.set(version, using, fault)
            case KillSessions():
                return NotKilled("no answer") if silent else Killed()
            case Wait(until, _, _):
                self.now = until
                return None
            case Done() | Lost():
                return None
            case _:
                assert_never(action)

    def present(self, version: int, *, silent: bool) -> Presented:
        """Return what the target says to version."""
        assert version in self.material
        self.presented.append(version)
        if silent:
            return Presented(version, Probe.UNKNOWN)
        if version != self.password:
            self.refused.append(self.now)
            return Presented(version, Probe.DEAD)
        if version in self.record.at(Stage.CURRENT):
            self.sure = True
        return Presented(version, Probe.ALIVE)

    def set(self, version: int, using: int | None, fault: Fault) -> Observation:
        """Set version on the target, logged in with version using."""
        assert version in self.material
        if using not in {None, self.password} or fault is Fault.NO_ANSWER:
            return Unsure(version, "cannot log in")
        if fault not in {Fault.REFUSED, Fault.IGNORED}:
            self.change(version)
        if fault in {Fault.REFUSED, Fault.WRONGLY_REFUSED}:
            return Refused(version, "too short")
        return Unsure(version, "no reply") if fault is Fault.LOST_REPLY else Applied(version)

    def finish(self) -> Action:
        """Go on without faults until the machine is done or lost."""
        for _ in range(MAX_STEPS):
            action = self.step(Fault.NONE)
            if isinstance(action, Done | Lost):
                return action
        raise AssertionError(f"no end: {self.record}")
