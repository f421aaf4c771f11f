"""A rotation on real servers, killed before and after each of its steps."""

import secrets
from dataclasses import dataclass, field

import psycopg
import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.connectors.rotator import perform
from ironkeep.core.connector import Connector, Probe, Target
from ironkeep.core.rotation import (
    Action,
    Done,
    Killed,
    KillSessions,
    Lost,
    NotKilled,
    Prepare,
    Prepared,
    Present,
    Refused,
    Set,
    Unsure,
    Wait,
    break_glass,
    next_action,
    observe,
    start,
    take_over,
)
from ironkeep.core.rotation_record import Stage, State, Strategy, adopt, decode, encode
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer

STEPS = 9
"""Of a plain rotation by the account itself; test_rotation.py names them."""


@dataclass
class Driver:
    """What a caller of the machine does; `stored` and `material` are all that a kill leaves."""

    connector: Connector
    target: Target
    username: str
    strategy: Strategy
    now: int = 0
    epoch: int = 1
    material: dict[int, Secret] = field(default_factory=lambda: {1: Secret(b"first")})
    stored: bytes = b""

    def begin(self) -> None:
        record = adopt(self.username, self.strategy, epoch=self.epoch, refusals=10, current=1)
        self.stored = encode(start(record, self.epoch))

    def step(self, *, killed: str = "") -> Action:
        record = decode(self.stored)
        action = next_action(record, self.now)
        if isinstance(action, Prepare) and killed != "before":
            self.material[action.version] = Secret(secrets.token_urlsafe(24).encode())
            if not killed:
                seen = Prepared(action.version)
                self.stored = encode(observe(record, seen, self.now, self.epoch))
        elif isinstance(action, Wait):
            self.now = action.until_ns
        elif isinstance(action, Present | Set | KillSessions) and killed != "before":
            found = perform(action, self.connector, self.target, self.username, self.material)
            if not killed:
                self.stored = encode(observe(record, found, self.now, self.epoch))
        if killed:
            self.epoch += 1
            self.stored = encode(take_over(decode(self.stored), self.epoch))
        return action

    def finish(self) -> Action:
        while not isinstance(action := self.step(), Done | Lost):
            pass
        return action

    def states(self) -> dict[int, Probe]:
        return {
            number: self.connector.probe(self.target, self.username, secret).state
            for number, secret in self.material.items()
        }


@pytest.fixture(params=Strategy)
def driver(
    request: pytest.FixtureRequest, postgres: PostgresServer, connector: PostgreSQL, role: str
) -> Driver:
    made = Driver(connector, postgres.target(), role, request.param)
    made.begin()
    return made


@pytest.mark.parametrize("killed", ["before", "after"])
@pytest.mark.parametrize("at", range(STEPS))
def test_killed_at_any_step_it_ends_with_one_working_credential(
    driver: Driver, at: int, killed: str
) -> None:
    for _ in range(at):
        driver.step()
    driver.step(killed=killed)
    assert isinstance(driver.finish(), Done)
    record = decode(driver.stored)
    (current,) = record.at(Stage.CURRENT)
    assert driver.states() == {
        number: Probe.ALIVE if number == current else Probe.DEAD for number in driver.material
    }
    assert record.at(Stage.PREVIOUS) == [1]


def test_the_session_opened_with_the_old_password_is_ended(
    postgres: PostgresServer, driver: Driver
) -> None:
    with postgres.connect(driver.username, "first") as session:
        driver.finish()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_a_password_changed_by_somebody_else_is_lost_to_the_account_and_not_to_the_admin(
    postgres: PostgresServer, driver: Driver
) -> None:
    postgres.execute(f"ALTER ROLE \"{driver.username}\" PASSWORD 'stolen'")
    end = driver.finish()
    if driver.strategy is Strategy.SELF:
        assert isinstance(end, Lost)
        driver.stored = encode(break_glass(decode(driver.stored), driver.epoch))
        end = driver.finish()
    assert isinstance(end, Done)
    assert driver.states() == {1: Probe.DEAD, 2: Probe.ALIVE}
    stolen = driver.connector.probe(driver.target, driver.username, Secret(b"stolen"))
    assert stolen.state is Probe.DEAD


def test_a_server_that_is_down_moves_nothing_and_it_goes_on_afterwards(
    connector: PostgreSQL,
) -> None:
    with PostgresServer() as server:
        server.execute("CREATE ROLE app LOGIN PASSWORD 'first'")
        driver = Driver(connector, server.target(), "app", Strategy.SELF)
        driver.begin()
        driver.step()
        server.stop()
        for _ in range(6):
            driver.step()
        assert decode(driver.stored).state is State.PREPARED
        server.start()
        assert isinstance(driver.finish(), Done)
        assert driver.states() == {1: Probe.DEAD, 2: Probe.ALIVE}


def test_failures_are_told_apart(
    postgres: PostgresServer, connector: PostgreSQL, role: str
) -> None:
    material = {1: Secret(b"first"), 2: Secret(b"second")}
    target, down = postgres.target(), Target("127.0.0.1", 1, "", "a", Secret(b"b"))
    assert isinstance(perform(Set(2, None), connector, target, "nobody here", material), Refused)
    assert isinstance(perform(Set(2, None), connector, down, role, material), Unsure)
    assert isinstance(perform(Set(1, 2), connector, target, role, material), Unsure)
    assert isinstance(perform(KillSessions(), connector, down, role, material), NotKilled)
    assert isinstance(perform(KillSessions(), connector, target, role, material), Killed)
