"""Periods, limits, several hosts; what a person does to an account by hand."""

import pytest

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, TooManyRequests, UpstreamFailed
from ironkeep.plugin.effects.effects import GROUP_AT_ONCE, MAX_AT_ONCE
from ironkeep.testing.parts import array, tables
from tests.support.credentials.credential_bench import ADMIN, FIRST, TARGET, Bench
from tests.support.credentials.simulated import Account, Fault


@pytest.fixture(params=[False, True], ids=["admin", "self"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(self_managed=request.param)


def test_a_replica_that_lags_is_waited_for() -> None:
    bench = Bench(url=TARGET.replace("db.example:5432", "db.example,replica.example:6000"))
    bench.system.stale["replica.example:6000"] = {"app": FIRST.encode()}
    reply = bench.rotate()
    assert reply.error is None
    assert "not in force at every host" in reply.body["warnings"][0]
    assert bench.state()["state"] == "retiring"
    assert bench.served() == bench.system.accounts["app"].password != FIRST.encode()
    assert bench.vault.read("database/static-creds/app").body["warnings"] is None
    bench.system.stale.clear()
    bench.settle()
    bench.assert_sound()
    reply = bench.write("database/probe/app", version=1)
    assert [each["endpoint"] for each in tables(reply.data, "answers")] == [
        "db.example:5432",
        "replica.example:6000",
    ]


def test_a_period_rotates_by_itself_and_only_then(bench: Bench) -> None:
    bench.role("app", rotation_period="1h")
    assert bench.vault.read("database/static-creds/app").data["ttl"] == 3600
    bench.vault.tick(3599)
    assert bench.working() == [1]
    bench.vault.tick(2)
    assert bench.working() == [2]
    bench.assert_sound()
    bench.vault.tick(3598)
    assert bench.working() == [2]
    bench.role("app", rotation_period=0)
    bench.vault.tick(1_000_000)
    assert bench.working() == [2]


def test_many_due_at_once_are_begun_a_few_at_a_time() -> None:
    bench = Bench()
    names = [f"app{number}" for number in range(3 * GROUP_AT_ONCE)]
    for name in names:
        bench.system.accounts[name] = Account(b"first")
        bench.role(name, password="first", skip_import_rotation=True, rotation_period="1h")
    bench.vault.clock.advance(seconds=3601)
    started = bench.vault.start_due()
    assert len(started) == GROUP_AT_ONCE
    bench.vault.flush()
    assert bench.vault.start_due() == [], "the rest was put off"
    bench.vault.flush()
    for waiting in started:
        bench.vault.settle(waiting)
    del started, waiting
    for _ in range(6):
        bench.vault.tick(1)
    assert all(bench.system.accounts[name].password != b"first" for name in names)


def test_operations_at_once_are_limited() -> None:
    bench = Bench()
    waiting = []
    for number in range(MAX_AT_ONCE):
        name = f"app{number}"
        bench.system.accounts[name] = Account(b"first")
        bench.role(name, password="first", skip_import_rotation=True)
        waiting.append(bench.start(f"database/rotate-role/{name}"))
    assert bench.rotate().error is TooManyRequests
    bench.vault.settle(waiting.pop())
    assert bench.rotate().error is None


def test_probing_says_alive_or_dead_of_any_version_kept(bench: Bench) -> None:
    bench.rotate()
    dead = bench.write("database/probe/app", version=1).data
    assert (dead["state"], dead["version"]) == ("dead", 1)
    assert bench.write("database/probe/app").data["state"] == "alive"
    bench.system.break_down("probe", Fault.UNREACHABLE)
    assert bench.write("database/probe/app").data["state"] == "unknown"
    assert bench.vault.write("database/probe/app", {"version": 99}).body["errors"]


def test_refused_logins_are_budgeted_whoever_asks(bench: Bench) -> None:
    bench.rotate()
    left = bench.system.refusals_per_minute - bench.system.refused["app"]
    for _ in range(left):
        assert bench.write("database/probe/app", version=1).data["state"] == "dead"
    assert bench.vault.write("database/probe/app", {"version": 1}).error is TooManyRequests
    refused = bench.rotate().error
    assert refused in {UpstreamFailed, TooManyRequests}, "nor does a rotation go past it"
    begun = bench.state()["state"] != "idle"
    assert begun == (refused is UpstreamFailed), "what was not begun is not said to go on"
    assert bench.system.refused["app"] == bench.system.refusals_per_minute
    bench.vault.tick(61)
    bench.settle()
    bench.assert_sound()


def test_probes_leave_a_rotation_under_way_the_refusals_that_it_needs(bench: Bench) -> None:
    """Somebody who keeps asking would take each free one before it."""
    bench.system.accounts["own"] = Account(b"first")
    bench.role("own", password="first", self_managed=True, skip_import_rotation=True)
    bench.system.break_down("set", Fault.LOST_REPLY)
    assert bench.vault.write("database/rotate-role/own").error is UpstreamFailed
    for _ in range(130):
        bench.vault.clock.advance(seconds=1)
        bench.vault.write("database/probe/own", {"version": 1})
        bench.vault.tick(0)
    assert bench.vault.read("database/static-roles/own").data["state"] == "idle"
    assert bench.vault.write("database/rotate-role/own").error in {None, TooManyRequests}


def test_sessions_are_listed_ended_and_counted(bench: Bench) -> None:
    assert len(array(bench.vault.read("database/sessions/app").data, "sessions")) == 2
    ended = bench.write("database/kill/app").data
    assert (ended["ended"], ended["remaining"], ended["killed"]) == (2, 0, True)
    bench.system.break_down("sessions", Fault.UNREACHABLE)
    ended = bench.write("database/kill/app").data
    assert ended["remaining"] == -1, "what was not looked at is not nothing"


def test_a_locked_account_takes_no_login_until_it_is_unlocked(bench: Bench) -> None:
    bench.write("database/lock/app")
    assert bench.write("database/probe/app").data["state"] == "dead"
    bench.write("database/unlock/app")
    assert bench.write("database/probe/app").data["state"] == "alive"


def test_a_number_is_never_given_twice(bench: Bench) -> None:
    bench.rotate()
    assert bench.vault.delete("database/static-roles/app").error is None
    assert bench.vault.read("database/static-creds/app").error is InvalidRequest
    bench.role("app")
    assert bench.vault.read("database/static-creds/app").data["version"] == 3
    bench.assert_sound()


def test_an_account_belongs_to_one_role(bench: Bench) -> None:
    taken = {"db_name": "main", "username": "app"}
    assert bench.vault.write("database/static-roles/again", taken).error is Conflict
    taken["username"] = ADMIN
    assert bench.vault.write("database/static-roles/again", taken).error is InvalidRequest
    bench.vault.delete("database/static-roles/app")
    taken["username"] = "app"
    assert bench.vault.write("database/static-roles/again", taken).error is None


def test_a_role_is_not_removed_while_it_is_worked_on(bench: Bench) -> None:
    waiting = bench.start()
    assert bench.vault.delete("database/static-roles/app").error is Conflict
    assert bench.vault.settle(waiting).error is None


def test_an_unmounted_engine_is_driven_no_more(bench: Bench) -> None:
    bench.role("app", rotation_period="1h")
    before = sum(bench.system.calls.values())
    bench.vault.delete("sys/mounts/database")
    for _ in range(5):
        bench.vault.tick(3601)
    assert sum(bench.system.calls.values()) == before
    assert bench.vault.defects == []


def test_an_account_that_is_not_there_is_said_at_once() -> None:
    bench = Bench()
    reply = bench.vault.write(
        "database/static-roles/ghost", {"db_name": "main", "username": "ghost"}
    )
    assert reply.error is InvalidRequest
    assert "there is no such account" in reply.errors[0]
    assert bench.vault.read("database/static-roles/ghost").error is NotFound


# What others are told.


def test_what_a_credential_opens_is_told_when_it_is_made_and_when_its_system_moves() -> None:
    bench = Bench()
    told: list[tuple[str, str]] = []
    bench.vault.house.credentials.on_linked.append(
        lambda _turn, which, system: told.append((which.path, system))
    )
    bench.system.accounts["other"] = Account(b"first")
    bench.role("other", password="first", skip_import_rotation=True)
    first = "system:postgresql/db.example:5432"
    assert told == [("static-creds/other", first)]
    assert (
        bench.vault.house.credentials.system_of(
            bench.vault.house.state.begin(), bench.id("static-creds/other")
        )
        == first
    )
    told.clear()
    bench.configure(TARGET.replace("sslmode=disable", ""))
    assert told == [], "the same system, reached otherwise"
    bench.configure(TARGET.replace("db.example", "db.new"))
    moved = "system:postgresql/db.new:5432"
    assert sorted(told) == [
        ("config/main", moved),
        ("static-creds/app", moved),
        ("static-creds/other", moved),
    ]
    assert bench.vault.read("database/config/main").data["baselines"] == [1, 2]


def test_a_baseline_is_told_of_in_the_commit_that_keeps_it() -> None:
    bench = Bench()
    told = []
    bench.vault.house.baselines.on_baseline.append(lambda _turn, kept: told.append(kept))
    shown = bench.write("database/baseline/main").data
    assert [(kept.number, kept.digest) for kept in told] == [(2, shown["digest"])]
