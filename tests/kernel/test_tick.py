"""Due work in turns: bounded, kind by kind, and no row holds up another."""

import pytest

from ironkeep.app import PLUGINS
from ironkeep.identity import tokens
from ironkeep.kernel import tick as ticks
from ironkeep.kernel.tick import due_turn, tick
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import TOKENS
from ironkeep.store.state import Tx
from ironkeep.testing.memory import Fault
from ironkeep.testing.vault import Vault


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def make(vault: Vault, count: int, ttl: str = "10s") -> list[str]:
    """Make tokens below the root token."""
    given = {"policies": ["default"], "ttl": ttl}
    return [vault.write("auth/token/create", given).token for _ in range(count)]


def left(vault: Vault) -> int:
    return len(vault.list("auth/token/accessors/").keys)


def begin(vault: Vault, seconds: float) -> None:
    vault.clock.advance(seconds=seconds)
    tick(vault.house, vault.clock.now_ns())


def test_a_turn_ends_when_its_time_is_spent_and_the_next_goes_on(vault: Vault) -> None:
    make(vault, 5)
    begin(vault, 11)
    for count in range(5, 0, -1):
        assert left(vault) == count + 1
        assert due_turn(vault.house, vault.clock.now_ns(), lambda: True).more is (count > 1)
        vault.flush()
    assert left(vault) == 1


def test_a_row_whose_work_fails_holds_up_no_other_and_is_tried_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(vault, 4)
    work, broken, met = vault.house.tokens.due, set[str](), list[str]()

    def fails(tx: Tx, record: DueRecord, now_ns: int) -> bool:
        met.append(record.path)
        if not broken:
            broken.add(record.path)
        more = work(tx, record, now_ns)
        if record.path in broken:
            raise ZeroDivisionError("secret text")
        return more

    monkeypatch.setitem(vault.house.due, TOKENS, fails)
    vault.tick(11)
    assert left(vault) == 2
    assert len(vault.defects) == 1
    vault.tick(1)
    assert len(vault.defects) == 1, "it rests"
    monkeypatch.setitem(vault.house.due, TOKENS, work)
    vault.defects.clear()
    vault.tick(61)
    assert left(vault) == 1
    assert not vault.house.failure


def test_a_turn_whose_batch_is_lost_is_done_again(vault: Vault) -> None:
    make(vault, 3)
    begin(vault, 11)
    due_turn(vault.house, vault.clock.now_ns(), lambda: False)
    vault.storage.fail(Fault.NOT_PERSISTED)
    with pytest.raises(OSError, match="made to fail"):
        vault.flush()
    assert left(vault) == 4
    vault.tick(1)
    assert left(vault) == 1


def test_a_lost_step_of_a_sweep_is_repeated(vault: Vault) -> None:
    """Gains: leases below a revoked prefix that stay, because a batch failed in the middle."""
    make(vault, 6 * tokens.STEP, ttl="1h")
    house, tx = vault.house, vault.house.state.begin()
    house.sweeps.later(tx, "auth/token/create", vault.clock.now_ns())
    tx.merge()
    vault.flush()
    begin(vault, 1)
    for number in range(6):
        due_turn(house, vault.clock.now_ns(), lambda: True)
        if number == 2:
            vault.storage.fail(Fault.NOT_PERSISTED)
            with pytest.raises(OSError, match="made to fail"):
                vault.flush()
        else:
            vault.flush()
    vault.tick(1)
    vault.tick(1)
    assert left(vault) == 1
    assert vault.storage.due(vault.clock.now_ns(), 10) == []


def test_nothing_is_done_while_sealed(vault: Vault) -> None:
    make(vault, 3)
    vault.write("sys/seal")
    begin(vault, 11)
    turn = due_turn(vault.house, vault.clock.now_ns(), lambda: False)
    assert (turn.started, turn.more) == (list[Waiting](), False)
    vault.unseal()
    vault.tick(1)
    assert left(vault) == 1


def test_an_opening_never_has_many_entries_after_the_last_commit_to_read(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for a later commit in them, and reads alone commit nothing."""
    monkeypatch.setattr(ticks, "MAX_UNCOMMITTED", 20)
    house = vault.house
    read_before = []
    for _ in range(3):
        before = house.storage.head().seq
        for _ in range(21):
            vault.read("auth/token/lookup-self")
        assert house.storage.head().seq == before
        vault.tick()
        assert house.storage.head().seq == before + 1
        vault.tick()
        assert house.storage.head().seq == before + 1
        read_before.append(house.journal.next_index - house.ledger.last_commit_first())
    assert max(read_before) < 20


def test_entries_of_before_a_start_count_as_well(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        vault.read("auth/token/lookup-self")
    again = vault.restarted()
    again.unseal()
    monkeypatch.setattr(ticks, "MAX_UNCOMMITTED", 20)
    before = again.house.storage.head().seq
    again.tick()
    assert again.house.storage.head().seq == before + 1
