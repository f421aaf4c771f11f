"""A standby beside a real PostgreSQL: it follows late, and is asked, cleared and swept as well."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from ironkeep.adapters.process.system import SystemClock, SystemEntropy
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.testing.parts import tables, text
from ironkeep.testing.postgres import PostgresServer
from tests.support.incident.incident_estate import Estate, Real, opened
from tests.support.standby import Standby

APP = "database/static-creds/app version 2"


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        server.execute("CREATE ROLE app LOGIN PASSWORD 'imported password'")
        yield server


@pytest.fixture(scope="module")
def standby(primary: PostgresServer) -> Iterator[Standby]:
    with Standby(primary) as server:
        yield server


@pytest.fixture
def estate(primary: PostgresServer, standby: Standby) -> Estate:
    return started(primary, standby, primary.port, standby.port)


def started(primary: PostgresServer, standby: Standby, *ports: int, **changes: str) -> Estate:
    """Return an estate whose database has the hosts at these ports."""
    primary.execute("ALTER ROLE app PASSWORD 'imported password'")
    caught_up(primary, standby)
    where = config(primary, *ports) | changes
    return Estate(real=Real(PostgreSQL(SystemClock(), SystemEntropy()), where))


def config(primary: PostgresServer, *ports: int) -> dict[str, Any]:
    """Return the configuration of a connection to the hosts at these ports."""
    target = primary.target()
    return {
        "host": ",".join(f"127.0.0.1:{port}" for port in ports),
        "sslmode": "disable",
        "username": target.admin_username,
        "password": target.admin_password.reveal().decode(),
    }


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for up to 30 seconds."""
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def caught_up(primary: PostgresServer, standby: Standby) -> None:
    """Wait until the standby has replayed what the primary has committed, even if not written."""
    (at,) = primary.execute("SELECT pg_current_wal_insert_lsn()::text")[0]
    replayed = f"SELECT pg_last_wal_replay_lsn() >= '{at}'"
    until(lambda: standby.execute(replayed)[0][0], "the standby does not follow")


def let_in(standby: Standby, password: str) -> psycopg.Connection:
    """Log in as `app`, for up to ten seconds: what is replayed counts for logins a little later."""
    for _ in range(100):
        try:
            return standby.connect("app", password)
        except psycopg.OperationalError:
            time.sleep(0.1)
    return standby.connect("app", password)


def settled(estate: Estate, primary: PostgresServer, standby: Standby) -> None:
    """Wait until the rotation of the set-up has ended at both hosts."""

    def is_over() -> bool:
        caught_up(primary, standby)
        if estate.get("database/static-roles/app")["state"] == "idle":
            return True
        estate.vault.clock.advance(seconds=61)
        estate.must("database/rotate-role/app")
        return False

    until(is_over, "the rotation of the set-up does not end")


def test_a_rotation_under_way_is_not_taken_for_that_of_the_stolen_version(
    estate: Estate, primary: PostgresServer, standby: Standby
) -> None:
    settled(estate, primary, standby)
    standby.pause()
    try:
        estate.must("database/rotate-role/app")
        assert estate.get("database/static-roles/app")["state"] == "retiring"
        stolen = estate.read_password(estate.login("engineer"))
        case = estate.open_case("person:engineer", start="3s")
        estate.on(case, "contain")
    finally:
        standby.resume()
    caught_up(primary, standby)
    estate.vault.clock.advance(seconds=61)
    estate.on(case, "rotate")
    with pytest.raises(psycopg.OperationalError):
        primary.connect("app", stolen)


def test_a_standby_that_lags_holds_up_no_application_and_is_waited_for(
    estate: Estate, primary: PostgresServer, standby: Standby
) -> None:
    settled(estate, primary, standby)
    stolen = estate.read_password(estate.login("engineer"))
    standby.pause()
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    session = let_in(standby, stolen)
    try:
        (rotated,) = tables(estate.on(case, "rotate"), "rotated")
        assert rotated["state"] == "waiting"
        # The new password is in force, and is served from now on; the old one is refused there.
        assert estate.get("database/static-roles/app")["state"] == "retiring"
        with pytest.raises(psycopg.OperationalError):
            primary.connect("app", stolen)
        assert ("not revoked", APP) in opened(estate.verdict(case))
    finally:
        standby.resume()
    caught_up(primary, standby)
    estate.vault.clock.advance(seconds=61)
    (rotated,) = tables(estate.on(case, "rotate"), "rotated")
    assert rotated["state"] == "revoked"
    for step in ("kill", "probe"):
        estate.on(case, step)
    with pytest.raises(psycopg.Error):
        session.execute("SELECT 1")
    session.close()
    swept = tables(estate.on(case, "sweep"), "swept")
    assert len(swept) == 2
    for one in swept:
        for each in tables(one, "differences"):
            assert each["own"], text(each, "item")
    estate.state(case)
    verdict = estate.verdict(case)
    assert [(i["check"], i["label"], i["words"]) for i in tables(verdict, "open_items")] == []


def test_a_standby_that_lags_behind_its_administrator_is_cleared_all_the_same(
    primary: PostgresServer, standby: Standby
) -> None:
    """The administering account goes first; what is paused still asks for its earlier password."""
    primary.execute("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'first password'")
    keeper = {"username": "keeper", "password": "first password"}
    estate = started(primary, standby, primary.port, standby.port, **keeper)
    settled(estate, primary, standby)
    stolen = estate.read_password(estate.login("engineer"))
    caught_up(primary, standby)
    session = let_in(standby, stolen)
    standby.pause()
    try:
        estate.must("database/rotate-root/orders")
        case = estate.open_case("person:engineer", start="4s")
        estate.on(case, "contain")
        (rotated,) = tables(estate.on(case, "rotate"), "rotated")
        assert rotated["state"] == "waiting"
        assert estate.get("database/static-roles/app")["state"] == "retiring"
        with pytest.raises(psycopg.Error):
            session.execute("SELECT 1")
        assert [one["gaps"] for one in tables(estate.on(case, "sweep"), "swept")] == [[], []]
    finally:
        standby.resume()
        session.close()


def test_a_standby_that_is_gone_is_open_by_its_name(
    estate: Estate, primary: PostgresServer, standby: Standby
) -> None:
    settled(estate, primary, standby)
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    estate.on(case, "rotate")
    caught_up(primary, standby)
    estate.vault.clock.advance(seconds=61)
    estate.on(case, "rotate")
    standby.stop()
    try:
        for step in ("kill", "probe", "sweep"):
            estate.on(case, step)
    finally:
        standby.start()
    estate.state(case)
    left = opened(estate.verdict(case))
    host = f"127.0.0.1:{standby.port}"
    system = f"system postgresql/127.0.0.1:{primary.port}"
    assert {("not answered", APP), ("endpoint not cleared", APP)} <= left
    assert ("host not swept", f"{system}#{host}") in left


def test_a_standby_that_is_not_configured_is_noticed(
    primary: PostgresServer, standby: Standby
) -> None:
    estate = started(primary, standby, primary.port)
    stolen = estate.read_password(estate.login("engineer"))
    caught_up(primary, standby)
    session = let_in(standby, stolen)
    case = estate.open_case("person:engineer", start="3s")
    estate.evict(case)
    estate.state(case)
    assert session.execute("SELECT 1").fetchone() == (1,)
    session.close()
    system = f"system postgresql/127.0.0.1:{primary.port}"
    assert opened(estate.verdict(case)) == {("replicas not listed", system)}
    # Configured as a host, it is asked and cleared like the first one.
    estate.must("database/config/orders", config(primary, primary.port, standby.port))
    for step in ("kill", "probe", "sweep"):
        estate.on(case, step)
    assert ("replicas not listed", system) not in opened(estate.verdict(case))
