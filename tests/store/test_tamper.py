"""Tampering with stored state: every row changed, removed, replayed or moved is found and named."""

import pytest

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.ports import Row
from ironkeep.plugin.effects.answer import Answer
from ironkeep.testing.memory import MemoryStorage
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Reply, Vault


def estate() -> Vault:
    vault = Vault.started(PLUGINS)
    for number in range(3):
        vault.write(f"secret/data/app/{number}", {"data": {"password": f"p{number}"}})
    vault.write("auth/token/create", {"policies": ["default"], "ttl": "1h"})
    return vault


def keys(storage: MemoryStorage) -> list[bytes]:
    return [key for key, _ in storage.scan(b"")]


def unsealed(vault: Vault) -> Reply:
    """Restart and unseal; a seal that is damaged or gone refuses at the start already."""
    try:
        return vault.restarted().unseal()
    except IntegrityError as error:
        return Reply(Answer(None, error=type(error)), {"errors": [str(error)]})


KEYS = range(len(keys(estate().storage)))


def test_untouched_it_opens() -> None:
    assert unsealed(estate()).body["sealed"] is False


@pytest.mark.parametrize("position", KEYS)
def test_a_changed_row_is_named(position: int) -> None:
    vault = estate()
    key = keys(vault.storage)[position]
    row = vault.storage.get(key)
    assert row is not None
    flipped = row.value[:-1] + bytes([row.value[-1] ^ 1])
    vault.storage.tamper(key, Row(flipped, row.due_ns))
    reply = unsealed(vault)
    assert reply.error is not None
    if key.startswith(b"\x01"):
        assert issubclass(reply.error, IntegrityError)
        assert key.hex() in reply.errors[0]
        assert "was changed" in reply.errors[0]


@pytest.mark.parametrize("position", KEYS)
def test_a_removed_row_is_noticed(position: int) -> None:
    vault = estate()
    key = keys(vault.storage)[position]
    vault.storage.tamper(key, None)
    reply = unsealed(vault)
    assert reply.error is not None
    if key.startswith(b"\x01") and "reading keys" not in reply.errors[0]:
        assert "was removed" in reply.errors[0]


def test_a_row_put_back_from_an_older_copy_is_named() -> None:
    vault = estate()
    before = dict(vault.storage.scan(b""))
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    changed = [key for key, row in before.items() if vault.storage.get(key) != row]
    assert changed
    for key in changed:
        vault.storage.tamper(key, before[key])
    reply = unsealed(vault)
    assert reply.error is IntegrityError
    assert "was put back from an older copy" in reply.errors[0]


def test_two_rows_swapped_are_named() -> None:
    vault = estate()
    first, second = [key for key in keys(vault.storage) if key[:1] == b"\x01"][:2]
    one, two = vault.storage.get(first), vault.storage.get(second)
    vault.storage.tamper(first, two)
    vault.storage.tamper(second, one)
    reply = unsealed(vault)
    assert reply.error is not None
    assert issubclass(reply.error, IntegrityError)


def test_an_added_row_is_named() -> None:
    vault = estate()
    vault.storage.tamper(b"\x01" + bytes(32), Row(b"\x01" * 60))
    reply = unsealed(vault)
    assert reply.error is IntegrityError
    assert "was added" in reply.errors[0]


def test_a_due_time_changed_is_named() -> None:
    vault = estate()
    key, row = next((k, r) for k, r in vault.storage.scan(b"") if r.due_ns is not None)
    assert row.due_ns is not None
    vault.storage.tamper(key, Row(row.value, row.due_ns + 10**15))
    reply = unsealed(vault)
    assert reply.error is IntegrityError
    assert "was changed" in reply.errors[0]


def test_an_older_database_under_a_newer_journal_refuses() -> None:
    vault = estate()
    snapshot = vault.storage.snapshot()
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    vault.storage.restore(snapshot)
    reply = unsealed(vault)
    assert reply.error is RolledBack
    assert "older copy" in reply.errors[0]


def test_a_refused_unseal_leaves_no_keys() -> None:
    vault = estate()
    vault.storage.tamper(b"\x01" + bytes(32), Row(b"\x01" * 60))
    again = vault.restarted()
    again.unseal()
    assert again.house.barrier is None
    assert again.house.seal.sealed
    assert again.read("secret/data/app/1").error is not None
