"""What if it fails just here: moments at which memory and disk could come apart."""

from contextlib import suppress

from ironkeep.app import PLUGINS
from ironkeep.core.errors import IntegrityError, Unavailable
from ironkeep.core.event import Entry
from ironkeep.core.ports import Row
from ironkeep.seal.config import plain_key
from ironkeep.seal.reading_key import HOUSE
from ironkeep.testing.parts import tables
from ironkeep.testing.vault import Vault


def fill_journal(vault: Vault) -> None:
    """Append until the open batch takes no more."""
    for text in ("x" * 32_000, ""):
        filler = Entry(kind="tick", time_ns=0, op="filler", audited={"text": text})
        with suppress(Unavailable):
            while True:
                vault.journal.append(filler)


def test_a_rotation_that_cannot_be_journalled_leaves_the_old_key_in_use() -> None:
    """Gains: everything written from then on is sealed to a key that was never stored."""
    vault = Vault.started(PLUGINS)
    fill_journal(vault)
    assert vault.write("sys/rotate").error is Unavailable
    vault.write("secret/data/app", {"data": {"a": "kept"}})
    again = vault.restarted()
    again.unseal()
    assert again.read("secret/data/app").data["data"] == {"a": "kept"}


def test_a_vault_whose_making_failed_writes_entries_that_can_be_read() -> None:
    """Gains: what an intruder does between a failed init and the next is sealed to a lost key."""
    vault = Vault(PLUGINS)
    fill_journal(vault)
    assert vault.write("sys/init", {"secret_shares": 1, "secret_threshold": 1}).error is Unavailable
    vault.flush()
    assert vault.read("sys/health", token=None).body["initialized"] is False
    vault.initialise()
    vault.unseal()
    found = vault.read("sys/audit/log/search", data={"path": "sys/health"}).data
    assert [entry["path"] for entry in tables(found, "entries")] == ["sys/health"]


def test_another_reading_key_put_in_place_while_sealed_is_noticed() -> None:
    """Gains: who may write the database once reads the journal, and its owner no longer does."""
    vault = Vault.started(PLUGINS)
    key = plain_key(HOUSE, "journal-reading-key")
    rows = vault.storage
    right = rows.get(key)
    assert right is not None
    replace(vault, key, Row(right.value[:1] + bytes(range(32)) + right.value[33:]))
    again = vault.restarted()
    replace(again, key, right)
    refused = again.unseal()
    assert refused.error is IntegrityError
    assert again.read("secret/data/x").errors == ["Vault is sealed"]


def replace(vault: Vault, key: bytes, row: Row) -> None:
    """Write a row past Ironkeep."""
    at = vault.storage._rows[key]
    vault.storage._rows[key] = (at[0], row)
