"""`sys/clock`: an operator compares the vault's time with the machine's, and accepts a step."""

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.testing.vault import Vault

HOUR = 3_600


def test_it_shows_whether_the_vault_s_time_follows() -> None:
    vault = Vault.started()
    shown = vault.read("sys/clock").data
    assert (shown["offset"], shown["follows"], shown["problem"]) == (0, True, "")
    assert shown["vault_time"] == shown["machine_time"] == "2026-01-01T00:00:00Z"
    vault.machine.step(-HOUR)
    vault.tick()
    shown = vault.read("sys/clock").data
    assert (shown["offset"], shown["follows"]) == (-HOUR, False)
    assert "1h0m0s behind" in str(shown["problem"])


def test_only_the_offset_that_was_seen_is_accepted() -> None:
    vault = Vault.started()
    before = vault.write("sys/clock", {"offset": 0})
    assert before.error is InvalidRequest
    assert "nothing to accept" in before.errors[0]
    vault.machine.step(HOUR)
    vault.tick()
    refused = vault.write("sys/clock", {"offset": 60})
    assert refused.error is InvalidRequest
    assert "is 3600 seconds from the vault's time, not 60" in refused.errors[0]
    assert vault.write("sys/clock", {}).error is InvalidRequest
    done = vault.write("sys/clock", {"offset": HOUR - 30})
    assert (done.data["offset"], done.data["follows"]) == (0, True)
    entry = [each for _, each in vault.house.audit_reader().entries()][-1]
    assert (entry.path, entry.audited["offset"]) == ("sys/clock", HOUR - 30)


def test_a_clock_behind_is_met_slowly() -> None:
    vault = Vault.started()
    vault.machine.step(-HOUR)
    vault.tick()
    at = vault.clock.now_ns()
    done = vault.write("sys/clock", {"offset": -HOUR})
    assert "runs slower until the two meet" in str(done.data["problem"])
    assert vault.clock.now_ns() >= at
    vault.tick(1)
    vault.tick(1000)
    assert vault.clock.now_ns() - at == (1 + 995) * 10**9


def test_it_takes_sudo() -> None:
    vault = Vault.started()
    vault.write("sys/policies/acl/some", {"policy": 'path "sys/*" { capabilities = ["update"] }'})
    token = vault.write("auth/token/create", {"policies": "some"}).token
    vault.machine.step(HOUR)
    vault.tick()
    assert vault.read("sys/clock", token=token).error is PermissionDenied
    assert vault.write("sys/clock", {"offset": HOUR}, token=token).error is PermissionDenied
    assert vault.write("sys/clock", {"offset": HOUR}, token=None).error is PermissionDenied
