"""Lent credentials end with their lease: after failures, a crash or an unmount too."""

from collections.abc import Mapping

import pytest

from ironkeep.core.errors import InvalidRequest, UpstreamFailed
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.leases import IRREVOCABLE
from ironkeep.identity.lending.performing import AT_ONCE
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.effects.effects import GROUP_AT_ONCE
from ironkeep.plugin.route import Plugin
from ironkeep.testing.parts import number, table, tables, text
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Reply, Vault
from tests.support.lender import Crash, Lender, System


class Bench:
    """A vault with a lending engine at lend/, and the system outside."""

    def __init__(self) -> None:
        self.system = System()
        plugins: Mapping[str, Plugin] = {**PLUGINS, "lender": Lender(self.system)}
        self.vault = Vault.started(plugins)
        self.mount("lend")

    def mount(self, path: str) -> None:
        assert self.vault.write(f"sys/mounts/{path}", {"type": "lender"}).error is None
        assert self.vault.write(f"{path}/settings").error is None

    def borrow(self, token: str = "root", mount: str = "lend") -> Reply:
        reply = self.vault.read(f"{mount}/creds/app", token=token)
        assert reply.error is None, reply.errors
        return reply

    def lease(self, token: str = "root", mount: str = "lend") -> str:
        return text(self.borrow(token, mount).body, "lease_id")

    def revoke(self, lease_id: str, *, sync: bool = False) -> Reply:
        return self.vault.write("sys/leases/revoke", {"lease_id": lease_id, "sync": sync})

    def in_force(self, lease_id: str) -> bool:
        return self.vault.write("sys/leases/lookup", {"lease_id": lease_id}).error is None

    def stuck(self) -> list[dict[str, object]]:
        return tables(self.vault.read("sys/leases", data={"type": "irrevocable"}).data["leases"])

    def assert_clean(self) -> None:
        """Nothing is lent, nothing is due, nothing failed."""
        vault = self.vault
        assert self.system.users == {}
        assert vault.house.leases.count(vault.house.state.begin()) == 0
        assert vault.storage.due(vault.clock.now_ns(), 10) == []
        assert vault.defects == []


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_lease_ends_its_credential_at_expiry(bench: Bench) -> None:
    reply = bench.borrow()
    assert text(reply.data, "user") in bench.system.users
    assert number(reply.body, "lease_duration") == 60
    bench.vault.tick(59)
    assert len(bench.system.users) == 1
    bench.vault.tick(2)
    bench.assert_clean()


def test_revoking_ends_it_now_and_waits_if_asked_to(bench: Bench) -> None:
    later, now = bench.lease(), bench.lease()
    assert bench.revoke(now, sync=True).error is None
    assert len(bench.system.users) == 1
    assert bench.revoke(later).answer.accepted
    assert not bench.in_force(later)
    bench.vault.tick(1)
    bench.assert_clean()


def test_a_failed_revocation_is_told_and_goes_on(bench: Bench) -> None:
    lease = bench.lease()
    bench.system.refuses = 1
    answer = bench.revoke(lease, sync=True)
    assert answer.error is UpstreamFailed
    assert "goes on trying" in answer.errors[0]
    assert not bench.in_force(lease)
    bench.vault.tick(5)
    bench.assert_clean()


def test_a_lease_that_cannot_be_revoked_is_listed_alarmed_and_ends_at_last(bench: Bench) -> None:
    bench.revoke(bench.lease())
    bench.system.refuses = IRREVOCABLE + 2
    for _ in range(IRREVOCABLE):
        assert bench.stuck() == []
        bench.vault.tick(200)
    (stuck,) = bench.stuck()
    assert stuck["error"] == "the system does not answer"
    counted = bench.vault.read("sys/leases/count", data={"type": "irrevocable"}).data
    assert (number(counted, "lease_count"), len(table(counted, "counts"))) == (1, 1)
    alerts = bench.vault.house.features.alerts
    tx = bench.vault.house.state.begin()
    found = [alerts.get(tx, name) for name in alerts.names(tx)]
    assert [each.kind for each in found if each] == ["irrevocable-lease"]
    for _ in range(3):
        bench.vault.tick(1_000)
    assert len(bench.system.drops) == IRREVOCABLE + 3
    assert bench.stuck() == []
    bench.assert_clean()


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("sys/leases", {}),
        ("sys/leases", {"type": "x"}),
        ("sys/leases", {"type": "irrevocable", "limit": "-1"}),
        ("sys/leases/count", {}),
        ("sys/leases/count", {"type": "x"}),
    ],
)
def test_a_wrong_question_about_leases_is_refused(
    bench: Bench, path: str, data: dict[str, str]
) -> None:
    assert bench.vault.read(path, data=data).error is InvalidRequest


def test_force_gives_up_the_credential_and_nothing_comes_back(bench: Bench) -> None:
    bench.revoke(bench.lease())
    bench.system.refuses = 1_000
    for _ in range(IRREVOCABLE):
        bench.vault.tick(200)
    assert bench.vault.write("sys/leases/revoke-force/lend").error is None
    assert bench.stuck() == []
    tried = len(bench.system.drops)
    for _ in range(3):
        bench.vault.tick(5_000)
    assert len(bench.system.drops) == tried
    assert len(bench.system.users) == 1, "as the operator was told"
    assert bench.vault.house.leases.count(bench.vault.house.state.begin()) == 0


def test_a_crash_after_the_work_repeats_it(bench: Bench) -> None:
    bench.revoke(bench.lease())
    bench.system.crashes_after_drop = True
    with pytest.raises(Crash):
        bench.vault.tick(1)
    bench.system.crashes_after_drop = False
    bench.vault = bench.vault.restarted()
    bench.vault.unseal()
    bench.vault.tick(1)
    assert len(bench.system.drops) == 2
    bench.assert_clean()


def test_a_crash_before_the_answer_leaves_a_lease_and_no_unknown_credential(bench: Bench) -> None:
    asked = bench.vault.asked(Operation.READ, "lend/creds/app", None, "root")
    waiting = bench.vault.pipeline.handle(asked)
    assert isinstance(waiting, Waiting)
    bench.vault.flush()
    waiting.work()
    bench.vault = bench.vault.restarted()
    bench.vault.unseal()
    assert len(bench.system.users) == 1
    bench.vault.tick(61)
    bench.assert_clean()


def test_a_lease_ends_with_its_token_and_the_person(bench: Bench) -> None:
    token = bench.vault.write("auth/token/create", {"policies": ["root"]}).token
    child = bench.vault.write("auth/token/create", {"policies": ["root"]}, token=token).token
    leases = [bench.lease(token), bench.lease(child)]
    bench.vault.write("auth/token/revoke", {"token": token})
    assert not any(bench.in_force(lease) for lease in leases)
    bench.vault.tick(1)
    bench.vault.tick(1)
    assert bench.system.users == {}


def test_renewal_tells_the_system_first(bench: Bench) -> None:
    reply = bench.borrow()
    user, lease = text(reply.data, "user"), text(reply.body, "lease_id")
    renewed = bench.vault.write("sys/leases/renew", {"lease_id": lease, "increment": 300})
    assert number(renewed.body, "lease_duration") == 300
    assert bench.system.users[user] == bench.vault.clock.now_ns() + 300 * SECOND_NS
    bench.system.refuses = 1
    failed = bench.vault.write("sys/leases/renew", {"lease_id": lease, "increment": 500})
    assert failed.error is UpstreamFailed
    bench.vault.tick(301)
    bench.assert_clean()


def test_an_unmounted_engine_takes_back_what_it_lent_before_its_records_go(bench: Bench) -> None:
    leases = [bench.lease() for _ in range(20)]
    assert bench.vault.delete("sys/mounts/lend").error is None
    assert not any(bench.in_force(lease) for lease in leases)
    bench.mount("lend")
    kept = bench.lease()
    bench.system.refuses = 5
    for _ in range(12):
        bench.vault.tick(1)
    assert len(bench.system.users) == 1
    assert bench.in_force(kept), "a lease of the new mount at the path"
    bench.vault.tick(10)
    assert bench.vault.house.demolition.doomed(bench.vault.house.state.begin()) == frozenset()


def test_the_leases_of_a_dead_system_hold_up_no_other_kind(bench: Bench) -> None:
    bench.mount("other")
    for _ in range(3 * AT_ONCE):
        bench.lease()
    wrapped = bench.vault.write("secret/data/x", {"data": {"a": "b"}}, wrap=1)
    accessor = text(wrapped.body, "wrap_info", "accessor")
    bench.lease(mount="other")
    bench.vault.clock.advance(seconds=61)
    started = bench.vault.start_due()
    bench.vault.flush()
    # The system of lend/ hangs: four of its leases wait for it. Those of other/ have begun.
    assert len(started) == GROUP_AT_ONCE + 1
    assert bench.vault.write("auth/token/lookup-accessor", {"accessor": accessor}).error
    for waiting in started:
        bench.vault.settle(waiting)
    del started, waiting
    for _ in range(8):
        bench.vault.tick(1)
    assert bench.system.users == {}
