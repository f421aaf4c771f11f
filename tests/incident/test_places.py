"""Every place that may accept a stolen password is asked and cleared, or is open by its name."""

import pytest

from ironkeep.core.credential.connector import Logins
from ironkeep.core.operation import Operation
from ironkeep.incident.verifier.verifier import verify_pack
from ironkeep.testing.parts import part, tables, text
from tests.support.credentials.simulated import Fault
from tests.support.incident.incident_estate import Estate, opened

APP = "database/static-creds/app version 2"
REPLICA = "replica.example:5432"


def evicted(estate: Estate, start: str = "4s") -> tuple[str, dict[str, object]]:
    """Do everything that a case asks for; return its number and its verdict."""
    case = estate.open_case("person:engineer", start=start)
    estate.evict(case)
    for one in tables(estate.on(case, "sweep"), "swept"):
        for each in tables(one, "differences"):
            estate.on(case, "explain", item=each["id"], reason="our own rotation")
    estate.state(case)
    return case, estate.verdict(case)


def configured(estate: Estate, **changes: object) -> None:
    estate.must("database/config/orders", {"password": "admin password", **changes})


def test_a_host_that_was_dropped_still_takes_the_old_password() -> None:
    estate = Estate(hosts=f"db.example,{REPLICA}")
    old = estate.read_password(estate.login("engineer"))
    configured(estate, host="db.example")
    estate.system.stale[REPLICA] = {"app": old.encode()}
    case, verdict = evicted(estate)
    assert verdict["outcome"] == "DISPROVEN"
    assert ("worked after revocation", APP) in opened(verdict)
    assert estate.get("database/config/orders")["former_hosts"] == [REPLICA]
    # Once it refuses the password, too, there is nothing against it.
    estate.system.stale.clear()
    assert [each["state"] for each in tables(estate.on(case, "probe"), "probes")] == ["dead"]


def test_a_version_that_a_replica_still_takes_is_not_revoked() -> None:
    """The new version is in force already, and the vault serves it."""
    estate = Estate(hosts=f"db.example,{REPLICA}")
    old = estate.read_password(estate.login("engineer"))
    estate.system.stale[REPLICA] = {"app": old.encode()}
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    for _ in range(2):
        assert tables(estate.on(case, "rotate"), "rotated")[0]["state"] == "waiting"
        assert estate.get("database/static-roles/app")["state"] == "retiring"
        assert ("not revoked", APP) in opened(estate.verdict(case))
        estate.vault.clock.advance(seconds=61)
    estate.system.stale.clear()
    assert tables(estate.on(case, "rotate"), "rotated")[0]["state"] == "revoked"


def test_a_rotation_that_was_under_way_is_not_taken_for_that_of_the_stolen_version() -> None:
    estate = Estate(hosts=f"db.example,{REPLICA}")
    before = estate.read_password(estate.login("engineer"))
    estate.system.stale[REPLICA] = {"app": before.encode()}
    estate.must("database/rotate-role/app")
    stolen = estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    estate.system.stale.clear()
    estate.vault.clock.advance(seconds=61)
    assert {each["state"] for each in tables(estate.on(case, "rotate"), "rotated")} == {"revoked"}
    assert estate.system.accounts["app"].password != stolen.encode() != before.encode()


def test_the_first_host_was_exchanged_for_another() -> None:
    """The system of before is asked at its own address, under its own name."""
    estate = Estate(hosts="old.example")
    estate.read_password(estate.login("engineer"))
    configured(estate, host="db.example")
    _, verdict = evicted(estate, start="5s")
    left = {check for check, _ in opened(verdict)}
    assert not left & {"not presented", "endpoint not asked", "endpoint not cleared"}
    assert left <= {"no baseline", "not swept"}


def test_each_address_of_a_name_is_asked() -> None:
    estate = Estate()
    old = estate.read_password(estate.login("engineer"))
    estate.system.names["db.example"] = ("192.0.2.1", "192.0.2.2")
    estate.system.stale["db.example:5432 (192.0.2.2)"] = {"app": old.encode()}
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    assert tables(estate.on(case, "rotate"), "rotated")[0]["state"] == "waiting"
    estate.system.stale.clear()
    estate.vault.clock.advance(seconds=61)
    assert tables(estate.on(case, "rotate"), "rotated")[0]["state"] == "revoked"
    probed = tables(estate.on(case, "probe"), "probes")
    assert [each["state"] for each in probed] == ["dead"]


@pytest.mark.parametrize("found", [Logins(2, 60), Logins(-1, 60), Logins(-1, -1)])
def test_logins_under_way_keep_it_open_until_a_later_count(found: Logins) -> None:
    estate = Estate.fresh()
    estate.read_password(estate.login("engineer"))
    estate.system.under_way = found
    case, verdict = evicted(estate, start="3s")
    assert opened(verdict) == {("logins under way", APP)}
    estate.vault.clock.advance(seconds=61)
    again = estate.on(case, "kill")
    assert part(again, "sessions", 0, "remaining") == 0
    settled = found.under_way < 0 and found.longest_seconds >= 0
    assert ("logins under way", APP) not in opened(estate.verdict(case)) or not settled
    estate.system.under_way = Logins(0, 60)
    for step in ("kill", "probe", "sweep"):
        estate.on(case, step)
    assert estate.verdict(case)["outcome"] == "PROVEN"


@pytest.mark.parametrize(
    ("found", "shown"), [(Logins(0, 60), 0), (Logins(2, 60), 2), (Logins(-1, 60), None)]
)
def test_a_count_of_logins_that_nobody_made_is_not_shown_as_0(
    found: Logins, shown: int | None
) -> None:
    estate = Estate.fresh()
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="3s")
    for step in ("contain", "rotate"):
        estate.on(case, step)
    estate.system.under_way = found
    assert part(estate.on(case, "kill"), "sessions", 0, "logins") == shown


def test_nobody_has_said_whether_there_is_a_pooler() -> None:
    estate = Estate(pooled=None)
    estate.read_password(estate.login("engineer"))
    case, verdict = evicted(estate, start="3s")
    assert opened(verdict) == {("poolers not known", "system postgresql/db.example:5432")}
    assert not verify_pack(estate.pack(case), estate.trust()).proven
    configured(estate, poolers="none")
    estate.on(case, "kill")
    assert "not swept" in {check for check, _ in opened(estate.verdict(case))}
    estate.on(case, "sweep")
    assert estate.verdict(case)["outcome"] == "PROVEN"


def test_a_pooler_is_asked_and_cleared_itself() -> None:
    estate = Estate(pooled="pool.example:6432")
    old = estate.read_password(estate.login("engineer"))
    estate.system.stale["pool.example:6432"] = {"app": old.encode()}
    _, verdict = evicted(estate, start="3s")
    assert ("worked after revocation", APP) in opened(verdict)


def test_what_is_configured_as_a_host_and_is_a_pooler_is_open() -> None:
    estate = Estate.fresh()
    estate.read_password(estate.login("engineer"))
    estate.system.under_way = Logins(0, 60, pooled=True)
    case, verdict = evicted(estate, start="3s")
    assert ("sessions not ended", APP) in opened(verdict)
    assert "pooler" in text(tables(estate.on(case, "kill"), "sessions")[0], "detail")


@pytest.mark.parametrize("names", [["pool"], ["pool:6432", "[::1]:7"], ["none"]])
def test_poolers_are_declared(names: list[str]) -> None:
    estate = Estate.fresh()
    configured(estate, poolers=names)
    want = ["pool:6432" if name == "pool" else name for name in names]
    assert estate.get("database/config/orders")["poolers"] == want


def test_a_connection_without_declared_poolers_shows_none_declared() -> None:
    estate = Estate(pooled=None)
    assert estate.get("database/config/orders")["poolers"] is None


def test_a_pooler_without_an_address_is_refused() -> None:
    estate = Estate.fresh()
    reply = estate.request(Operation.UPDATE, "database/config/orders", {"poolers": ["a b"]})
    assert reply.error is not None


def test_a_pooler_is_added_only_by_somebody_who_knows_the_password() -> None:
    """The password is presented there, so another host could try to guess it."""
    estate = Estate.fresh()
    path = "database/config/orders"
    given: dict[str, object] = {"poolers": ["pool.example"]}
    refused = estate.request(Operation.UPDATE, path, given)
    assert "password again" in refused.errors[0]
    configured(estate, **given)
    for poolers in (["pool.example"], ["none"]):
        assert estate.request(Operation.UPDATE, path, {"poolers": poolers}).error is None


def test_every_host_is_swept() -> None:
    """An account that only the replica has is found there, although the first host has none."""
    estate = Estate(hosts=f"db.example,{REPLICA}")
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="4s")
    estate.evict(case)
    asked = [text(each, "endpoint") for each in tables(estate.on(case, "sweep"), "swept")]
    assert asked == ["db.example:5432", REPLICA]


def test_a_host_that_was_not_swept_is_named() -> None:
    estate = Estate(hosts=f"db.example,{REPLICA}")
    estate.read_password(estate.login("engineer"))
    case = estate.open_case("person:engineer", start="4s")
    for step in ("contain", "rotate", "kill", "probe"):
        estate.on(case, step)
    done: list[str] = []

    def hook(when: str, op: str) -> None:
        if (when, op) == ("before", "inventory"):
            done.append(op)
            if len(done) > 1:
                estate.system.break_down("inventory", Fault.UNREACHABLE)

    estate.system.hook = hook
    first, second = tables(estate.on(case, "sweep"), "swept")
    assert first["gaps"] == []
    assert "not looked at" in text(second, "gaps", 0)
    estate.state(case)
    assert ("host not swept", f"system postgresql/db.example:5432#{REPLICA}") in opened(
        estate.verdict(case)
    )


def test_what_the_vault_did_itself_is_explained() -> None:
    estate = Estate.fresh()
    estate.read_password(estate.login("engineer"))
    estate.must("database/lock/app")
    case = estate.open_case("person:engineer", start="4s")
    swept = tables(estate.on(case, "sweep"), "swept", 0, "differences")
    assert [(text(each, "item")[:21], each["own"]) for each in swept] == [
        ("principal account app", True)
    ]
    # Not by the vault: unlocked here, locked there by somebody else.
    estate.must("database/unlock/app")
    estate.system.accounts["app"].may_log_in = False
    (other,) = tables(estate.on(case, "sweep"), "swept", 0, "differences")
    assert other["own"] is False


def test_a_former_host_does_not_keep_the_connection_from_working() -> None:
    estate = Estate(hosts=f"db.example,{REPLICA}")
    configured(estate, host="db.example")
    estate.system.stale[REPLICA] = {"admin": b"another"}
    estate.must("database/reset/orders")
    estate.must("database/rotate-role/app")


def test_a_responder_is_told_that_a_pooler_may_keep_clients() -> None:
    for pooled, told in ((None, 1), ("none", 0)):
        estate = Estate(pooled=pooled)
        reply = estate.request(Operation.UPDATE, "database/kill/app")
        assert len(reply.body["warnings"] or ()) == told
        estate.system.under_way = Logins(3, 60)
        reply = estate.request(Operation.UPDATE, "database/kill/app")
        assert reply.data["logins"] == 3
        assert len(reply.body["warnings"]) == told + 1
