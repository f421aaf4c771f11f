"""Batches: the database first, then the journal, then the answers; and every way to fail."""

import pytest

from ironkeep.core.errors import Sealed, Unavailable
from ironkeep.core.event import Entry
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Commit, Row
from ironkeep.store.ledger import DIGEST_BYTES, ROWS_AN_ENTRY, Batch, digest_of
from ironkeep.testing.memory import Fault
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

WRITE = {"data": {"x": "1"}}


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def execute(vault: Vault, op: Operation, path: str) -> None:
    vault.pipeline.handle(vault.asked(op, path, WRITE if op is Operation.UPDATE else None, "root"))


def closed(vault: Vault) -> Batch:
    batch = vault.house.ledger.close()
    assert batch is not None
    return batch


def entries(vault: Vault, kind: str = "request") -> list[Entry]:
    return [entry for _, entry in vault.house.audit_reader().entries() if entry.kind == kind]


def test_a_batch_without_writes_touches_the_journal_alone(vault: Vault) -> None:
    before = vault.storage.head()
    execute(vault, Operation.READ, "sys/mounts")
    batch = closed(vault)
    assert (batch.commit, batch.writes) == (None, None)
    vault.house.ledger.persist(batch)
    vault.house.ledger.settle(batch)
    assert vault.storage.head() == before
    assert entries(vault)[-1].path == "sys/mounts"


def test_listeners_get_each_commit_with_all_its_rows_once_it_is_durable(vault: Vault) -> None:
    heard: list[Commit] = []
    vault.house.ledger.listeners.append(heard.append)
    seq = vault.house.ledger.seq
    for _ in range(3):
        execute(vault, Operation.UPDATE, "secret/data/same")
        batch = closed(vault)
        vault.house.ledger.persist(batch)
        count = len(heard)
        vault.house.ledger.settle(batch)
        assert len(heard) == count + 1
        assert heard[-1] is batch.commit
    assert [commit.seq for commit in heard] == [seq + 1, seq + 2, seq + 3]
    assert all(commit.writes for commit in heard)
    execute(vault, Operation.READ, "sys/mounts")
    vault.flush()
    assert len(heard) == 3, "a batch without rows is no commit"


def test_nothing_executed_is_no_batch(vault: Vault) -> None:
    assert vault.house.ledger.has_open_batch() is False
    assert vault.house.ledger.close() is None
    execute(vault, Operation.READ, "sys/mounts")
    assert vault.house.ledger.has_open_batch() is True


def test_many_requests_are_one_commit_and_one_frame(vault: Vault) -> None:
    seq = vault.house.ledger.seq
    for number in range(5):
        execute(vault, Operation.UPDATE, f"secret/data/{number}")
    batch = closed(vault)
    assert batch.commit is not None
    assert (batch.commit.seq, batch.commit.drained_seq) == (seq + 1, seq)
    assert vault.journal.vouched(batch.commit.frame) == batch.frame.data
    vault.house.ledger.persist(batch)
    vault.house.ledger.settle(batch)
    assert vault.house.ledger.seq == vault.storage.head().seq == seq + 1
    assert len([e for e in entries(vault, "commit") if e.audited["seq"] == seq + 1]) == 1


def test_the_outbox_holds_the_last_frame_alone(vault: Vault) -> None:
    for number in range(4):
        vault.write(f"secret/data/{number}", WRITE)
        assert [seq for seq, _ in vault.storage.outbox()] == [vault.house.ledger.seq]


def test_a_crash_between_database_and_journal_is_drained(vault: Vault) -> None:
    execute(vault, Operation.UPDATE, "secret/data/app")
    batch = closed(vault)
    assert batch.commit is not None
    vault.storage.commit(batch.commit)
    again = vault.restarted()
    again.unseal()
    assert again.read("secret/data/app").data["data"] == {"x": "1"}
    assert [entry.path for entry in entries(again)].count("secret/data/app") == 2


def test_the_journal_never_knows_of_what_the_database_does_not(vault: Vault) -> None:
    execute(vault, Operation.UPDATE, "secret/data/app")
    batch = closed(vault)
    vault.storage.fail(Fault.NOT_PERSISTED)
    with pytest.raises(OSError, match="NOT_PERSISTED"):
        vault.house.ledger.persist(batch)
    again = vault.restarted()
    again.unseal()
    assert "secret/data/app" not in [entry.path for entry in entries(again)]


def test_a_batch_executed_after_a_lost_one_is_lost_with_it(vault: Vault) -> None:
    ledger, seq = vault.house.ledger, vault.house.ledger.seq
    execute(vault, Operation.UPDATE, "secret/data/a")
    batch = closed(vault)
    execute(vault, Operation.UPDATE, "secret/data/b")
    vault.storage.fail(Fault.NOT_PERSISTED)
    with pytest.raises(OSError, match="NOT_PERSISTED"):
        ledger.persist(batch)
    ledger.recover()
    assert ledger.close() is None
    assert ledger.seq == seq
    for path in ("a", "b"):
        assert vault.read(f"secret/data/{path}").error is not None
    assert vault.write("secret/data/b", WRITE).error is None


@pytest.mark.parametrize("fault", Fault)
def test_a_journal_that_failed_cannot_be_recovered(vault: Vault, fault: Fault) -> None:
    execute(vault, Operation.UPDATE, "secret/data/app")
    batch = closed(vault)
    vault.files.fail(0, fault)
    with pytest.raises(OSError, match="Input/output error"):
        vault.house.ledger.persist(batch)
    with pytest.raises(Unavailable):
        vault.house.ledger.recover()
    again = vault.restarted()
    again.unseal()
    assert again.read("secret/data/app").data["data"] == {"x": "1"}, "the outbox had it"


def test_rows_cannot_change_without_a_key_to_account_for_them(vault: Vault) -> None:
    vault.write("sys/seal")
    tx = vault.house.state.begin()
    tx.put(b"\x00" + bytes(32), Row(b"x"))
    tx.merge()
    with pytest.raises(Sealed):
        vault.house.ledger.close()


def test_each_commit_says_which_rows_it_changed(vault: Vault) -> None:
    tx = vault.house.state.begin()
    keys = [b"\x01" + number.to_bytes(40, "big") for number in range(ROWS_AN_ENTRY + 1)]
    for key in keys:
        tx.put(key, Row(b"x"))
    tx.merge()
    vault.flush()
    found = [e for e in entries(vault, "commit") if e.audited["seq"] == vault.house.ledger.seq]
    assert len(found) == 2, "one entry holds so many rows"
    assert found[0].audited["mark"] == found[1].audited["mark"]


def test_a_digest_tells_every_part_of_a_row() -> None:
    rows = [Row(b"a"), Row(b"b"), Row(b"a", 0), Row(b"a", 1), Row(b""), None]
    digests = {digest_of(b"key", row) for row in rows} | {digest_of(b"other", Row(b"a"))}
    assert len(digests) == len(rows) + 1
    assert {len(digest) for digest in digests} == {2 * DIGEST_BYTES}
    assert digest_of(b"key", None).endswith(bytes(DIGEST_BYTES))
