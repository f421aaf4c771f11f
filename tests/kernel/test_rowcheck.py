"""Naming rows that are not as journalled: bounded, with the path where it still opens."""

from ironkeep.core.ports import Row
from ironkeep.kernel import rowcheck
from ironkeep.kernel.rowcheck import MAX_NAMED, last_commit, name_rows
from ironkeep.store.names import KIND_AT
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault


def estate() -> Vault:
    vault = Vault.started(PLUGINS)
    for number in range(3):
        vault.write(f"secret/data/app/{number}", {"data": {"a": str(number)}})
    return vault


def named(vault: Vault) -> list[str]:
    return name_rows(vault.house.audit_reader(), vault.storage.scan(b""), vault.house.barrier)


def records(vault: Vault) -> list[bytes]:
    return [key for key, _ in vault.storage.scan(b"\x01") if key[KIND_AT] == 1]


def test_nothing_is_named_when_all_is_well() -> None:
    assert named(estate()) == []


def test_the_last_commit_is_the_head() -> None:
    vault = estate()
    reader, ledger = vault.house.audit_reader(), vault.house.ledger
    seq, mark = last_commit(reader, ledger.last_commit_first())
    assert seq == vault.storage.head().seq
    assert len(mark) > 16
    assert last_commit(reader, vault.house.journal.durable_size) == (0, b"")


def test_a_row_put_in_the_place_of_another_is_named_by_both() -> None:
    vault = estate()
    one, two = records(vault)[:2]
    row = vault.storage.get(two)
    vault.storage.tamper(one, row)
    (phrase,) = named(vault)
    assert one.hex() in phrase
    assert "(does not open)" in phrase
    assert "was changed (last written by commit" in phrase


def test_a_due_time_alone_is_a_change_and_the_path_is_shown() -> None:
    vault = estate()
    key = records(vault)[0]
    row = vault.storage.get(key)
    assert row is not None
    vault.storage.tamper(key, None)
    (gone,) = named(vault)
    assert gone.startswith("the row with digest ")
    vault.storage.tamper(key, row)
    assert named(vault) == []


def test_what_was_removed_and_put_back_is_named() -> None:
    vault = estate()
    before = dict(vault.storage.scan(b""))
    vault.delete("secret/metadata/app/1")
    gone = [key for key in before if vault.storage.get(key) is None]
    assert gone
    vault.storage.tamper(gone[0], before[gone[0]])
    (phrase,) = named(vault)
    assert "put back" in phrase


def test_the_list_is_bounded() -> None:
    vault = estate()
    extra = 5
    for number in range(MAX_NAMED + extra):
        vault.storage.tamper(b"\x01" + number.to_bytes(40, "big"), Row(b"\x01" * 60))
    phrases = named(vault)
    assert len(phrases) == MAX_NAMED + 1
    assert phrases[-1] == f"and {extra} more"


def test_without_keys_rows_are_named_by_their_key_alone() -> None:
    vault = estate()
    key = records(vault)[0]
    vault.storage.tamper(key, Row(b"\x01" * 60))
    (phrase,) = rowcheck.name_rows(
        vault.house.audit_reader(), vault.storage.scan(b""), barrier=None
    )
    assert phrase.startswith(f"row {key.hex()} was changed")
