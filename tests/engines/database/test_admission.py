"""What is kept of a connection or a role that the system refuses: nothing; and what is served."""

import pytest

from ironkeep.core.credential.inventory import Kind, item
from ironkeep.core.errors import InvalidRequest, NotFound, UpstreamFailed
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.testing.parts import text
from tests.support.credentials.credential_bench import ADMIN, FIRST, TARGET, Bench
from tests.support.credentials.simulated import Account, Fault


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.system.accounts["other"] = Account(b"right")
    return made


def role(bench: Bench, name: str, **fields: object) -> type[Exception] | None:
    data = {"db_name": "main", "username": name, **fields}
    return bench.vault.write(f"database/static-roles/{name}", data).error


def gone(bench: Bench, name: str) -> bool:
    return bench.vault.read(f"database/static-roles/{name}").error is NotFound


@pytest.mark.parametrize("how", [{"skip_import_rotation": True}, {"self_managed": True}, {}])
def test_a_wrong_password_is_not_taken_in(bench: Bench, how: dict[str, object]) -> None:
    assert role(bench, "other", password="wrong", **how) is InvalidRequest
    assert gone(bench, "other")
    assert bench.system.accounts["other"].password == b"right"
    # Its name and its account are free.
    assert role(bench, "other", password="right", **how) is None
    assert bench.served("other") == bench.system.accounts["other"].password


def test_a_password_that_could_not_be_tried_is_kept_only_where_nothing_is_verified(
    bench: Bench,
) -> None:
    bench.system.break_down("probe", Fault.NO_ANSWER)
    given = {"password": "right", "skip_import_rotation": True}
    assert role(bench, "other", **given) is UpstreamFailed
    assert gone(bench, "other")
    bench.write("database/config/main", verify_connection=False)
    bench.system.break_down("probe", Fault.NO_ANSWER)
    reply = bench.write("database/static-roles/other", db_name="main", username="other", **given)
    assert "untried" in reply.body["warnings"][0]


def test_no_role_stays_of_an_account_that_is_not_there(bench: Bench) -> None:
    assert role(bench, "nobody") is InvalidRequest
    assert gone(bench, "nobody")
    bench.vault.tick(100_000)
    assert gone(bench, "nobody")
    bench.system.accounts["nobody"] = Account(b"made meanwhile")
    assert role(bench, "nobody") is None
    assert bench.served("nobody") == bench.system.accounts["nobody"].password


def test_a_role_whose_first_rotation_was_interrupted_goes_with_a_certain_refusal(
    bench: Bench,
) -> None:
    bench.system.break_down("set", Fault.NO_ANSWER)
    assert role(bench, "nobody") is UpstreamFailed
    assert not gone(bench, "nobody")
    bench.vault.tick(4000)
    assert gone(bench, "nobody")


def test_a_role_that_had_a_password_is_kept_when_its_account_goes(bench: Bench) -> None:
    del bench.system.accounts["app"]
    assert bench.rotate().error is UpstreamFailed
    assert bench.state()["state"] == "preparing"
    assert "no such account" in bench.state()["reason"]


def test_a_refusal_that_may_pass_keeps_the_role(bench: Bench) -> None:
    bench.system.break_down("set", Fault.REFUSED)
    assert role(bench, "other") is UpstreamFailed
    assert not gone(bench, "other")
    bench.settle("other")
    assert bench.served("other") == bench.system.accounts["other"].password


def test_a_connection_that_is_refused_leaves_nothing(bench: Bench) -> None:
    twin = item(Kind.HOOK, "function", "f", {})
    bench.system.items = [twin, twin]  # what this connector cannot take stock of
    data = {
        "plugin_name": "postgresql-database-plugin", "connection_url": TARGET.replace("app", "b"),
        "username": ADMIN, "password": "admin-password",
    }  # fmt: skip
    assert bench.vault.write("database/config/second", data).error is InvalidRequest
    assert bench.vault.read("database/config/second").error is NotFound
    assert bench.vault.write("database/config/third", data | {"password": "x"}).error
    assert bench.vault.read("database/config/third").error is NotFound
    bench.system.items = []
    bench.write("database/config/second", **data)
    assert bench.vault.read("database/config/second").data["baselines"] == [1]


def test_where_no_room_is_left_the_old_sessions_go_and_the_new_password_is_served(
    bench: Bench,
) -> None:
    bench.system.full = True
    bench.system.accounts["app"].sessions = 5
    assert bench.rotate().error is None
    assert bench.served() == bench.system.accounts["app"].password != FIRST.encode()
    bench.assert_sound()


def test_what_the_system_took_is_served_and_the_reason_is_the_systems(bench: Bench) -> None:
    bench.system.full = True
    bench.system.accounts["app"].sessions = 5
    bench.system.break_down("kill", *[Fault.NO_ANSWER] * 2)
    reply = bench.rotate()
    assert reply.error is UpstreamFailed
    assert bench.state()["state"] == "applied"
    served = bench.vault.read("database/static-creds/app")
    assert text(served.data, "password").encode() == bench.system.accounts["app"].password
    assert served.data["version"] == 2
    bench.settle()
    bench.assert_sound()


def test_a_lock_stands_in_no_line_behind_a_rotation(bench: Bench) -> None:
    waiting = bench.start()
    for path in ("lock", "kill", "unlock"):
        bench.write(f"database/{path}/app")
    assert bench.vault.read("database/sessions/app").error is None
    outcome: Answer | Waiting = waiting
    while isinstance(outcome, Waiting):
        bench.vault.flush()
        outcome = outcome.finish(outcome.work())
    assert outcome.error is None
    bench.vault.flush()
    bench.assert_sound()
