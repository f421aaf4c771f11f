"""A log that must not be continued is followed by another; older databases are still noticed."""

from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from ironkeep.core.errors import (
    IntegrityError,
    InvalidRequest,
    RolledBack,
    Sealed,
    Unavailable,
)
from ironkeep.core.event import Entry
from ironkeep.core.evidence.leaf import EpochStart
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Row
from ironkeep.journal.epochs import (
    begin_epoch,
    continued,
    is_inherited,
    outbox_digest,
    split_origin,
    start_from,
    start_of,
)
from ironkeep.journal.log import Log
from ironkeep.kernel import adoption
from ironkeep.kernel.opening import initialise, open_with_key_file
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.seal.reading_key import reading_key_of, stored_origin
from ironkeep.store import ledger
from ironkeep.store.standing.buckets import BUCKETS
from ironkeep.store.standing.guard import MAX_WIDTH
from ironkeep.testing.memory import Fault, SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.testing.parts import number
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import ORIGIN, Vault
from ironkeep.tlog.checkpoint import open_checkpoint
from ironkeep.tlog.note import NoteVerifier
from tests.support.log.sample_journal import READING_KEY, sample_entry
from tests.support.tampering import reopened

EPOCH_2 = "vault.example/audit/node-1/2"
EPOCH_3 = "vault.example/audit/node-1/3"


def estate() -> Vault:
    """A vault whose log has a checkpoint over everything so far."""
    vault = Vault.started(PLUGINS)
    for secret in range(3):
        vault.write(f"secret/data/app/{secret}", {"data": {"password": f"p{secret}"}})
    vault.journal.checkpoint()
    return vault


def notice(forced: bool = False) -> Entry:
    audited: dict[str, Any] = {"forced": forced}
    return Entry(
        "notice", 1, op="epoch", reason="the disk broke", name="admin (uid 0)", audited=audited
    )


def note_of(log: Log) -> bytes:
    assert log.published is not None
    return log.published.note.serialise()


def begun(
    vault: Vault, origin: str = EPOCH_2, *, note: bytes | None = None, forced: bool = False
) -> LogDisk:
    """Begin an epoch on a new disk; note is the checkpoint that it continues, else vault's."""
    disk = LogDisk()
    key = reading_key_of(vault.storage, SeededEntropy(0)).public
    start = start_from(vault.storage, note_of(vault.journal.log) if note is None else note)
    files = MemoryLogFiles(disk)
    begin_epoch(files, SeededEntropy(77), origin, key, start, notice(forced)).close()
    return disk


def in_epoch(vault: Vault, disk: LogDisk, origin: str = EPOCH_2, older: Log | None = None) -> Vault:
    """Start a server on vault's database with another log; older is the log before, if at hand."""
    fresh = vault.restarted(disk=disk, origin=origin)
    fresh.house.older_log = lambda name: older if older and older.origin == name else None
    return fresh


def opened(vault: Vault) -> Entry:
    """Return the entry that ties the database to its log."""
    entries = [entry for _, entry in vault.house.audit_reader().entries()]
    (found,) = [entry for entry in entries if entry.op == "epoch" and "before" in entry.audited]
    return found


def test_all_is_there_in_the_next_epoch_and_it_says_what_it_continues() -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault), older=vault.journal.log)
    assert stored_origin(fresh.storage) == ORIGIN
    assert fresh.unseal().body["sealed"] is False
    assert fresh.read("secret/data/app/1").data["data"] == {"password": "p1"}
    assert stored_origin(fresh.storage) == EPOCH_2
    start = start_of(fresh.journal.log)
    assert start is not None
    signed = open_checkpoint(start.checkpoint, [NoteVerifier(vault.journal.key)]).checkpoint
    assert continued(start) == signed
    assert signed.size == vault.journal.durable_size
    entry = opened(fresh)
    assert entry.audited["before"] == ORIGIN
    assert (entry.audited["why"], entry.audited["who"]) == ("the disk broke", "admin (uid 0)")
    assert str(entry.audited["compared"]).startswith("not older than commit ")


def test_the_epoch_is_taken_up_once() -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault))
    fresh.unseal()
    fresh.write("secret/data/app/9", {"data": {"password": "p9"}})
    again = fresh.restarted()
    assert again.unseal().body["sealed"] is False
    assert again.read("secret/data/app/9").data["data"] == {"password": "p9"}
    assert "not available" in str(opened(again).audited["compared"])


def test_a_key_file_takes_it_up_too() -> None:
    vault = Vault(PLUGINS)
    tx = vault.house.state.begin()
    made, _ = initialise(vault.house, tx, 1, 1, with_key_file=True)
    assert made.key_file is not None
    tx.merge()
    vault.flush()
    vault.journal.checkpoint()
    fresh = in_epoch(vault, begun(vault), older=vault.journal.log)
    open_with_key_file(fresh.house, made.key_file.reveal())
    fresh.flush()
    assert stored_origin(fresh.storage) == EPOCH_2
    again = fresh.restarted()
    open_with_key_file(again.house, made.key_file.reveal())
    assert again.house.barrier is not None


@pytest.mark.parametrize("fault", list(Fault))
def test_an_opening_that_did_not_reach_the_disk_is_made_up_for(fault: Fault) -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault))
    fresh.storage.fail(fault)
    with pytest.raises(OSError, match=r"."):
        fresh.unseal()
    fresh.write("secret/data/app/9", {"data": {"password": "p9"}})
    again = fresh.restarted()
    assert again.unseal().body["sealed"] is False
    assert again.read("secret/data/app/9").data["data"] == {"password": "p9"}
    assert stored_origin(again.storage) == EPOCH_2
    assert again.restarted().unseal().body["sealed"] is False


def test_restarts_before_the_first_opening_are_fine() -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault)).restarted().restarted()
    assert is_inherited(fresh.journal.log, fresh.storage)
    assert fresh.unseal().body["sealed"] is False
    assert not is_inherited(fresh.journal.log, fresh.storage)


def test_without_the_leaf_another_log_is_refused() -> None:
    vault = estate()
    with pytest.raises(IntegrityError, match="do not belong together"):
        vault.restarted(disk=LogDisk(), origin=EPOCH_2)


def test_a_database_that_changed_since_the_epoch_was_begun_is_refused() -> None:
    vault = estate()
    older = vault.storage.snapshot()
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    vault.journal.checkpoint()
    disk = begun(vault)
    vault.storage.restore(older)
    with pytest.raises(RolledBack, match="older database was restored"):
        in_epoch(vault, disk)
    vault.files.close()


def test_another_database_of_the_same_commit_is_refused() -> None:
    vault = estate()
    disk = begun(vault)
    other = Vault.started(PLUGINS, seed=5)
    while other.storage.head().seq < vault.storage.head().seq:
        other.write("secret/data/x", {"data": {"a": "b"}})
    assert other.storage.head().seq == vault.storage.head().seq
    with pytest.raises(IntegrityError, match="do not belong together"):
        in_epoch(other, disk)


def test_an_older_database_in_the_new_epoch_is_noticed_by_what_the_older_log_saw() -> None:
    vault = estate()
    older = vault.storage.snapshot()
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    vault.journal.checkpoint()
    vault.storage.restore(older)
    fresh = in_epoch(vault, begun(vault), older=vault.journal.log)
    reply = fresh.unseal()
    assert reply.error is RolledBack
    assert "-force" in reply.errors[0]
    assert fresh.read("secret/data/app/1").answer.error is not None
    # Where that is meant, it goes on, and says so.
    meant = in_epoch(fresh, begun(vault, forced=True), older=vault.journal.log)
    assert meant.unseal().body["sealed"] is False
    assert str(opened(meant).audited["compared"]).startswith("older: ")


def test_an_epoch_in_between_does_not_hide_what_the_older_log_saw() -> None:
    vault = estate()
    older = vault.storage.snapshot()
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    vault.journal.checkpoint()
    vault.storage.restore(older)
    second = in_epoch(vault, begun(vault))
    second.journal.checkpoint()
    disk = begun(second, EPOCH_3)
    logs = {ORIGIN: vault.journal.log, EPOCH_2: second.journal.log}
    third = in_epoch(second, disk, EPOCH_3)
    third.house.older_log = logs.get
    assert third.unseal().error is RolledBack


@pytest.mark.parametrize("note", [b"", b"no note"])
def test_what_cannot_be_compared_is_said(note: bytes) -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault, note=note), older=vault.journal.log)
    assert fresh.unseal().body["sealed"] is False
    assert str(opened(fresh).audited["compared"]).startswith("not compared: ")


def test_an_older_log_that_is_not_what_was_signed_is_not_believed() -> None:
    vault = estate()
    other = estate_of(seed=3)
    fresh = in_epoch(vault, begun(vault), older=other.journal.log)
    assert fresh.unseal().body["sealed"] is False
    assert "do not match its checkpoint" in str(opened(fresh).audited["compared"])


def estate_of(seed: int) -> Vault:
    vault = Vault.started(PLUGINS, seed=seed)
    for secret in range(9):
        vault.write(f"secret/data/app/{secret}", {"data": {"password": "x"}})
    vault.journal.checkpoint()
    return vault


def test_a_log_that_says_it_continues_itself_ends_the_search() -> None:
    vault = estate()
    first = begun(vault)
    note = bytes(first.files["checkpoint"])
    fresh = in_epoch(vault, begun(vault, note=note), older=vault.journal.log)
    assert fresh.unseal().body["sealed"] is False
    assert "says that it continues" in str(opened(fresh).audited["compared"])


def test_a_rollback_within_the_new_epoch_is_noticed_at_once() -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault))
    before_opening = fresh.storage.snapshot()
    fresh.unseal()
    after_opening = fresh.storage.snapshot()
    fresh.write("secret/data/app/1", {"data": {"password": "new"}})
    for snapshot in (before_opening, after_opening):
        fresh.storage.restore(snapshot)
        fresh = fresh.restarted()
        assert fresh.unseal().error is RolledBack


def test_a_row_changed_in_the_new_epoch_is_named_though_it_was_written_in_the_one_before() -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault))
    fresh.unseal()
    key, row = next((k, r) for k, r in fresh.storage.scan(b"\x01") if vault.storage.get(k))
    fresh.storage.tamper(key, Row(row.value[:-1] + bytes([row.value[-1] ^ 1]), row.due_ns))
    (phrase,) = reopened(fresh).named
    assert key.hex() in phrase


def test_past_the_bound_a_changed_row_is_noticed_and_no_other_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "MAX_RESTATED", 3)
    vault = estate()
    fresh = in_epoch(vault, begun(vault))
    fresh.unseal()
    fresh.write("secret/data/app/1", {"data": {"password": "new"}})
    reader = fresh.house.audit_reader()
    named: set[bytes] = set()
    for _, entry in reader.entries():
        if entry.kind == "commit":
            packed = b64decode(str(entry.audited["rows"]))
            named |= {packed[at : at + 12] for at in range(0, len(packed), 24)}
    rows = list(fresh.storage.scan(b"\x01"))
    old, row = next((k, r) for k, r in rows if ledger.digest_of(k, r)[:12] not in named)
    fresh.storage.tamper(old, Row(row.value[:-1] + bytes([row.value[-1] ^ 1]), row.due_ns))
    watched = reopened(fresh)
    assert old.hex() in watched.text
    assert watched.named == []


def test_rows_changed_before_the_new_epoch_are_refused() -> None:
    vault = estate()
    key, row = next(iter(vault.storage.scan(b"\x01")))
    vault.storage.tamper(key, Row(row.value[:-1] + bytes([row.value[-1] ^ 1]), row.due_ns))
    assert in_epoch(vault, begun(vault)).unseal().error is IntegrityError


def opening(vault: Vault) -> Iterator[Waiting]:
    """Give the last share; yield before each further turn of the opening."""
    shares = vault.keys[: number(vault.read("sys/seal-status", token=None).body, "t")]
    for share in shares[:-1]:
        vault.write("sys/unseal", {"key": share}, token=None)
    data = {"key": shares[-1]}
    outcome = vault.pipeline.handle(vault.asked(Operation.UPDATE, "sys/unseal", data, None))
    while isinstance(outcome, Waiting):
        yield outcome
        vault.flush()
        outcome = outcome.finish(outcome.work())
    vault.flush()
    answers.append(outcome)


answers: list[Answer] = []
"""The last answer to the share that opened a vault."""


def test_taking_up_an_epoch_takes_turns_in_which_the_vault_is_sealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "RESTATED_A_TURN", 4)
    monkeypatch.setattr(adoption, "_RUN", 8)
    monkeypatch.setattr(adoption, "_ENTRIES", 1)
    vault = estate()
    fresh = in_epoch(vault, begun(vault), older=vault.journal.log)
    turns = 0
    for _ in opening(fresh):
        turns += 1
        status = fresh.read("sys/seal-status", token=None).body
        assert (status["sealed"], status.get("cluster_id")) == (True, None)
        assert fresh.read("secret/data/app/1").error is Sealed
        assert fresh.write("sys/seal").error is Sealed
        if turns % 10 == 0:
            share = fresh.write("sys/unseal", {"key": fresh.keys[-1]}, token=None)
            assert share.body["sealed"] is True
            fresh.tick()
    rows = len(list(fresh.storage.scan(b"")))
    # At least the widest steps of the check of all buckets, and a turn for every four rows.
    assert turns >= BUCKETS // MAX_WIDTH + rows // 4 - 3
    assert fresh.read("sys/seal-status", token=None).body["sealed"] is False
    assert fresh.read("secret/data/app/1").data["data"] == {"password": "p1"}
    assert str(opened(fresh).audited["compared"]).startswith("not older than commit ")
    assert fresh.defects == []


@pytest.mark.parametrize("after", [0, 5, 60])
def test_a_vault_that_is_sealed_while_it_is_opened_stays_sealed(after: int) -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault))
    for turn, _ in enumerate(opening(fresh)):
        if turn == after:
            fresh.house.seal_up()
    assert answers[-1].error is Unavailable
    assert fresh.house.barrier is None
    assert fresh.house.seal.sealed
    assert fresh.unseal().body["sealed"] is False
    assert fresh.read("secret/data/app/1").error is None


def test_a_crash_between_the_turns_of_an_opening_leaves_it_to_be_opened_again() -> None:
    for after in (0, 3, 70, 75):
        vault = estate()
        fresh = in_epoch(vault, begun(vault), older=vault.journal.log)
        for turn, _ in enumerate(opening(fresh)):
            fresh.flush()
            if turn == after:
                break
        again = fresh.restarted()
        again.house.older_log = {vault.journal.log.origin: vault.journal.log}.get
        assert again.unseal().body["sealed"] is False
        assert again.read("secret/data/app/1").data["data"] == {"password": "p1"}
        later = again.restarted()
        assert later.unseal().body["sealed"] is False
        assert later.defects == []


def test_a_row_that_is_changed_between_the_turns_of_an_opening_is_not_served() -> None:
    vault = estate()
    fresh = in_epoch(vault, begun(vault))
    key, row = next(iter(fresh.storage.scan(b"\x01")))
    for turn, _ in enumerate(opening(fresh)):
        if turn == 0:
            changed = row.value[:-1] + bytes([row.value[-1] ^ 1])
            fresh.storage.tamper(key, Row(changed, row.due_ns))
    assert answers[-1].error is IntegrityError
    assert fresh.house.barrier is None
    assert fresh.read("sys/seal-status", token=None).body["sealed"] is True


def test_a_log_in_use_is_not_begun_again() -> None:
    vault = estate()
    disk = begun(vault)
    start = EpochStart(0, bytes(32), b"")
    with pytest.raises(InvalidRequest, match="in use already"):
        begin_epoch(
            MemoryLogFiles(disk), SeededEntropy(1), EPOCH_2, READING_KEY, start, sample_entry(0)
        )


@pytest.mark.parametrize(("origin", "parts"), [(EPOCH_2, ("vault.example/audit/node-1", 2))])
def test_an_origin_ends_in_its_epoch(origin: str, parts: tuple[str, int]) -> None:
    assert split_origin(origin) == parts


@pytest.mark.parametrize(
    "origin", ["vault.example", "vault.example/x", "vault.example/", "7", "/7"]
)
def test_an_origin_without_an_epoch_is_refused(origin: str) -> None:
    with pytest.raises(InvalidRequest, match="ends in /<epoch>"):
        split_origin(origin)


def test_an_outbox_digest_tells_where_frames_end() -> None:
    assert outbox_digest([b"ab", b"c"]) != outbox_digest([b"a", b"bc"])
    assert outbox_digest([]) == sha256(b"").digest()
