"""Two drivers of one credential, requests given up, and targets changed by others."""

from collections.abc import Callable
from typing import Any

import pytest

from ironkeep.core.errors import Conflict, InvalidRequest, UpstreamFailed
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.credentials.managed import Credentials, Rotated
from ironkeep.credentials.rotation import KEEP_PREVIOUS
from ironkeep.credentials.store import CredentialId, CredentialStore
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.plugin.effects.effects import Effects, Turn
from ironkeep.plugin.request import Request
from ironkeep.testing.parts import text
from tests.support.credentials.credential_bench import ADMIN, FIRST, Bench


@pytest.fixture(params=[False, True], ids=["admin", "self"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(self_managed=request.param)


def test_of_two_rotations_at_once_the_second_is_refused(bench: Bench) -> None:
    waiting = bench.start()
    reply = bench.rotate()
    assert reply.error is Conflict
    bench.vault.tick(1)
    assert bench.system.calls["set"] == 0, "the clock leaves what a request works on alone"
    assert bench.vault.settle(waiting).error is None
    bench.assert_sound()
    assert bench.system.calls["set"] == 1


def test_a_password_given_by_hand_waits_for_a_rotation_under_way(bench: Bench) -> None:
    waiting = bench.start("database/rotate-root/main")
    given = {"password": "by hand", "verify_connection": False}
    assert bench.vault.write("database/config/main", given).error is Conflict
    assert bench.vault.settle(waiting).error is None
    bench.assert_sound("config/main", ADMIN)


def test_a_driver_that_was_held_up_can_store_nothing(bench: Bench) -> None:
    """What another server that took over would do, with claims of its own."""
    waiting = bench.start()
    result = waiting.work()
    house = bench.vault.house
    effects = Effects(
        house.store, house.state.begin, house.journal.append, house.clock.now_ns, house.on_defect
    )
    store = CredentialStore(house.store, house.entropy)
    rival = Credentials(store, house.credentials.connections, effects)
    finish(bench, rival, bench.id())
    answer = waiting.finish(result)
    assert isinstance(answer, Answer)
    assert answer.error is Conflict
    bench.vault.flush()
    bench.assert_sound()
    # The administering account sets what the other may have set: once more, the same.
    assert bench.system.calls["set"] == (1 if bench.self_managed else 2)


def finish(bench: Bench, credentials: Credentials, which: CredentialId) -> None:
    """Drive a rotation by hand to its end."""
    state, clock = bench.vault.house.state, bench.vault.clock
    turn = Turn(state.begin(), clock.now_ns())
    steps = credentials.rotate(turn, which)
    work: Callable[[], Any] = next(steps)
    rotated: Rotated | None = None
    while rotated is None:
        turn.tx.merge()
        bench.vault.flush()
        result = work()
        turn = Turn(state.begin(), clock.now_ns())
        try:
            work = steps.send((turn, result))
        except StopIteration as end:
            rotated = end.value
    turn.tx.merge()
    bench.vault.flush()
    assert rotated.done


def test_a_token_revoked_during_a_rotation_leaves_it_to_the_clock(bench: Bench) -> None:
    bench.vault.write(
        "sys/policies/acl/rotator", {"policy": 'path "database/*" { capabilities = ["update"] }'}
    )
    made = bench.vault.write("auth/token/create", {"policies": ["rotator"]}).auth
    token = Secret(text(made, "client_token").encode())
    waiting = bench.vault.pipeline.handle(
        Request(Operation.UPDATE, "database/rotate-role/app", {}, token)
    )
    assert isinstance(waiting, Waiting)
    bench.vault.flush()
    bench.vault.write("auth/token/revoke", {"token": made["client_token"]})
    assert bench.vault.settle(waiting).error is not None
    del waiting
    bench.settle()
    bench.assert_sound()


def test_sealing_during_a_rotation_leaves_it_to_the_next_unseal(bench: Bench) -> None:
    waiting = bench.start()
    bench.vault.write("sys/seal")
    assert bench.vault.settle(waiting).error is not None
    del waiting
    bench.vault.tick(10)
    bench.vault.unseal()
    bench.settle()
    bench.assert_sound()


def test_a_password_changed_behind_our_back_is_lost_to_the_account_alone(bench: Bench) -> None:
    bench.system.accounts["app"].password = b"stolen"
    reply = bench.rotate()
    if reply.error is None:
        bench.assert_sound()
        return
    assert reply.error is UpstreamFailed
    assert reply.errors[0].startswith("LOST: the target refuses every known version.")
    assert bench.state()["state"] == "lost"
    assert bench.vault.read("database/static-creds/app").error is UpstreamFailed
    bench.vault.tick(100_000)
    assert bench.system.accounts["app"].password == b"stolen", "only a person may go on"
    assert bench.rotate().error is UpstreamFailed
    assert bench.vault.write("database/break-glass/app").error is None
    bench.assert_sound()


def test_breaking_glass_is_for_what_is_lost(bench: Bench) -> None:
    assert bench.vault.write("database/break-glass/app").error is InvalidRequest


def test_a_target_restored_from_its_backup_is_found_by_a_version_that_was_kept(
    bench: Bench,
) -> None:
    for _ in range(KEEP_PREVIOUS):
        assert bench.rotate().error is None
        bench.vault.tick(61)
    bench.system.accounts["app"].password = FIRST.encode()
    reply = bench.rotate()
    bench.settle()
    assert reply.error in {None, UpstreamFailed}
    bench.assert_sound()
    assert bench.system.accounts["app"].password != FIRST.encode()


def test_a_lost_administrator_is_given_its_password_by_a_person(bench: Bench) -> None:
    assert bench.vault.write("database/rotate-root/main").error is None
    bench.assert_sound("config/main", ADMIN)
    bench.system.accounts[ADMIN].password = b"set by hand"
    assert bench.vault.write("database/rotate-root/main").error is UpstreamFailed
    bench.vault.tick(61)
    bench.configure(password="set by hand")
    assert bench.working("config/main", ADMIN) == [4]
    bench.vault.tick(61)
    assert bench.vault.write("database/rotate-root/main").error is None
    bench.assert_sound("config/main", ADMIN)


def test_passwords_set_by_hand_are_kept_as_few_as_others(bench: Bench) -> None:
    for number in range(12):
        bench.system.accounts[ADMIN].password = b"by hand %d" % number
        bench.configure(password=f"by hand {number}")
    assert len(bench.materials("config/main")) == 1 + KEEP_PREVIOUS
    assert bench.working("config/main", ADMIN) == [13]


def test_the_same_password_again_is_no_new_version(bench: Bench) -> None:
    house, made_ns = bench.vault.house, bench.vault.clock.now_ns()
    bench.vault.tick(60)
    bench.configure()
    assert list(bench.materials("config/main")) == [1]
    about = house.credentials.store.about(house.state.begin(), bench.id("config/main"))
    assert about.created_ns == made_ns
    bench.system.accounts[ADMIN].password = b"by hand"
    bench.configure(password="by hand")
    about = house.credentials.store.about(house.state.begin(), bench.id("config/main"))
    assert about.rotated_ns == bench.vault.clock.now_ns()
