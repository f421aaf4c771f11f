"""The vault's time over restarts and steps of the machine's clock, as its users see it."""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from zlib import crc32

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidCredentials, InvalidRequest, PermissionDenied
from ironkeep.core.event import CLOCK_SET, CLOCK_STEP, NODE, Entry
from ironkeep.core.operation import Operation
from ironkeep.journal.frame import Frame
from ironkeep.journal.vault_time import MARK_NS
from ironkeep.testing.memory import FakeClock
from ironkeep.testing.vault import Vault

HOUR = 3_600
DAY = 86_400
SECOND_NS = 10**9


def restarted(vault: Vault, step: float = 0, down: float = 10) -> Vault:
    """Restart after `down` seconds, with the machine's clock set by `step` seconds meanwhile."""
    vault.files.close()
    machine = FakeClock(vault.machine.wall_ns() + round((step + down) * SECOND_NS))
    again = Vault(
        vault.plugins, storage=vault.storage, disk=vault.disk, clock=machine,
        seed=vault.seed + 1, settings=vault.settings,
    )  # fmt: skip
    again.keys, again.root = vault.keys, vault.root
    assert again.unseal().error is None
    return again


def entries(vault: Vault) -> list[Entry]:
    return [entry for _, entry in vault.house.audit_reader().entries()]


def steps(vault: Vault) -> list[int]:
    """Return the sizes of the journalled steps, in seconds."""
    found = [each.audited["offset_ns"] for each in entries(vault) if each.op == CLOCK_STEP]
    return [round(int(str(each)) / SECOND_NS) for each in found]


def frame_of_version_1(
    previous: bytes, first: int, payload: bytes, hashes: Sequence[bytes], _time_ns: int
) -> Frame:
    head = Struct(">4sB3xQII").pack(b"IKWF", 1, first, len(hashes), len(payload))
    digest = sha256(previous + head + payload).digest()
    data = head + digest + crc32(head + digest + payload).to_bytes(4, "big") + payload
    return Frame(first, len(hashes), data, previous, digest, hashes)


def token(vault: Vault, **rest: object) -> str:
    return vault.write("auth/token/create", {"policies": "default", **rest}).token


def ttl(vault: Vault, of: str) -> int:
    return int(str(vault.read("auth/token/lookup-self", token=of).data["ttl"]))


@pytest.mark.parametrize("step", [-120, -HOUR, -DAY, -400 * DAY])
def test_a_clock_put_back_while_the_server_is_down_does_not_bring_time_back(step: int) -> None:
    vault = Vault.started()
    vault.read("secret/data/app")
    before = entries(vault)[-1].time_ns
    vault = restarted(vault, step)
    vault.read("secret/data/app")
    times = [each.time_ns for each in entries(vault)]
    assert times == sorted(times)
    assert times[-1] > before
    (size,) = steps(vault)
    assert abs(size - step) <= 20
    (problem,) = vault.read("sys/seal-status", token=None).body["problems"]
    assert "behind the vault's time" in problem


def test_an_idle_server_knows_how_late_it_was() -> None:
    vault = Vault.started()
    vault.clock.advance(seconds=2 * HOUR)
    at = vault.clock.now_ns()
    vault = restarted(vault, step=-290, down=0)
    assert vault.clock.now_ns() > at
    assert steps(vault) == [-290]


def test_a_small_step_over_a_restart_is_no_step_and_time_goes_on() -> None:
    vault = Vault.started()
    before = vault.clock.now_ns()
    vault = restarted(vault, step=-11, down=10)
    assert vault.clock.now_ns() > before
    assert steps(vault) == []


@pytest.mark.parametrize("down", [10, DAY, 30 * DAY])
def test_a_plausible_time_down_passes_for_tokens_too(down: int) -> None:
    vault = Vault.started()
    short, long = token(vault, ttl="10s"), token(vault, ttl="700h")
    vault = restarted(vault, down=down)
    assert vault.read("auth/token/lookup-self", token=short).error is PermissionDenied
    gone = down > 700 * HOUR
    assert (vault.read("auth/token/lookup-self", token=long).error is PermissionDenied) is gone
    assert steps(vault) == []


def test_a_start_400_days_ahead_ends_nothing_until_somebody_says_so() -> None:
    vault = Vault.started()
    held = token(vault, ttl="1h")
    vault = restarted(vault, step=400 * DAY)
    assert HOUR - 60 < ttl(vault, held) <= HOUR
    vault.tick()
    assert len(steps(vault)) == 1
    offset = vault.read("sys/clock").data["offset"]
    assert vault.write("sys/clock", {"offset": offset}).error is None
    assert vault.clock.now_ns() == vault.machine.wall_ns()
    assert vault.read("auth/token/lookup-self", token=held).error is PermissionDenied
    assert [each.op for each in entries(vault) if each.op == CLOCK_SET] == [CLOCK_SET]
    # And back again: what was granted meanwhile is not longer than granted.
    fresh = token(vault, ttl="5s")
    vault = restarted(vault, step=-400 * DAY, down=1)
    assert ttl(vault, fresh) <= 5
    vault.tick(6)
    assert vault.read("auth/token/lookup-self", token=fresh).error is PermissionDenied


def test_a_clock_that_runs_ahead_for_a_while_changes_no_lifetime() -> None:
    vault = Vault.started()
    held = token(vault, ttl="100s")
    for seconds in (HOUR, 400 * DAY):
        vault.machine.step(seconds)
        vault.tick(4)
        vault.machine.step(-seconds)
        vault.tick(4)
    assert 60 < ttl(vault, held) <= 84
    vault.tick(90)
    assert vault.read("auth/token/lookup-self", token=held).error is PermissionDenied
    assert steps(vault) == [HOUR, 400 * DAY]


def test_steps_are_noticed_while_sealed() -> None:
    vault = Vault.started()
    vault.write("sys/seal")
    vault.machine.step(-HOUR)
    vault.tick()
    vault.read("sys/health", token=None)
    assert vault.unseal().error is None
    assert steps(vault) == [-HOUR]
    times = [each.time_ns for each in entries(vault)]
    assert times == sorted(times)


def test_every_entry_has_its_node_and_the_last_commit_that_it_saw() -> None:
    vault = Vault.started()
    vault.write("secret/data/app", {"data": {"a": "b"}})
    seen = vault.house.ledger.seq
    vault.read("secret/data/app")
    vault.request(Operation.READ, "secret/data/app", token="wrong")
    found = entries(vault)
    assert {each.node for each in found} == {NODE}
    ats = [each.at for each in found]
    assert ats == sorted(ats)
    read = next(each for each in found if each.op == "read" and each.path == "secret/data/app")
    assert read.at == seen
    for each in found:
        if each.kind == "commit":
            assert each.at == int(str(each.audited["seq"]))


def test_a_log_that_tells_no_time_is_continued_once_it_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A log of an earlier release has frames of version 1, and goes on in frames of version 2."""
    monkeypatch.setattr("ironkeep.journal.journal.build_frame", frame_of_version_1)
    vault = Vault.started()
    last = entries(vault)[-1].time_ns
    monkeypatch.undo()
    vault = restarted(vault, step=-HOUR)
    assert vault.house.untimed
    assert vault.clock.now_ns() > last
    assert [abs(each + HOUR) <= 20 for each in steps(vault)] == [True]
    assert vault.read("secret/data/app").answer.receipt is not None
    assert entries(vault)[-1].time_ns > last
    vault = restarted(vault, step=-HOUR)
    assert not vault.house.untimed


def test_what_an_earlier_release_granted_in_the_future_has_ended() -> None:
    """Rows of a server whose clock was ahead and came back, with far more left than granted."""
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/approle", {"type": "approle"})
    vault.write("auth/approle/role/app", {"secret_id_ttl": "1h", "secret_id_wrapping": "optional"})
    role_id = vault.read("auth/approle/role/app/role-id").data["role_id"]
    vault.house.clock.raise_to(vault.clock.now_ns() + 400 * DAY * SECOND_NS)
    late = token(vault, ttl="5s")
    wrapped = vault.request(Operation.READ, "sys/policies/acl/default", wrap=60)
    secret_id = vault.write("auth/approle/role/app/secret-id").data["secret_id"]
    # No clock of this release comes back: put its line to where an earlier one's would be.
    vault.house.clock._line = (vault.machine.wall_ns(), vault.machine.steady_ns(), 0, 0)
    assert vault.read("auth/token/lookup-self", token=late).error is PermissionDenied
    opened = vault.write("sys/wrapping/unwrap", {"token": wrapped.body["wrap_info"]["token"]})
    assert opened.error is InvalidRequest
    login = {"role_id": role_id, "secret_id": secret_id}
    assert vault.write("auth/approle/login", login, token=None).error is InvalidCredentials
    root = vault.read("auth/token/lookup-self")
    assert root.error is None, "a token without a lifetime has nothing to cap"
    times = [each.time_ns for each in entries(vault)]
    assert times == sorted(times)


def test_a_mark_is_written_beside_an_idle_log_and_no_frame() -> None:
    vault = Vault.started()
    size = vault.journal.durable_size
    vault.clock.advance(ns=MARK_NS)
    assert "time" in vault.files.names("")
    assert vault.journal.durable_size == size
