"""Tampering with stored state: every row changed, removed, replayed or moved is found and named.

Before the start, and under a server that has read all rows already: one pass over all rows finds it
and seals the vault, then the search in the journal names it.
"""

from collections.abc import Callable

import pytest

from ironkeep.core.errors import IntegrityError, RolledBack, Unavailable
from ironkeep.core.ports import Row
from ironkeep.testing.memory import MemoryStorage
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.tampering import Watched


def estate() -> Vault:
    vault = Vault.started(PLUGINS)
    for number in range(3):
        vault.write(f"secret/data/app/{number}", {"data": {"password": f"p{number}"}})
    vault.write("auth/token/create", {"policies": ["default"], "ttl": "1h"})
    return vault


def keys(storage: MemoryStorage) -> list[bytes]:
    return [key for key, _ in storage.scan(b"")]


def found(vault: Vault, tampered: Callable[[], None], *, online: bool) -> Watched:
    """Change the storage before a restart, or under a server that knows all rows; check them.

    A start or an unsealing may refuse already; the vault has no keys then.
    """
    if not online:
        tampered()
        vault.house.seal_up()
        try:
            vault = vault.restarted()
        except IntegrityError as error:
            # A damaged seal refuses at the start.
            watched = Watched(vault)
            watched.text = str(error)
            return watched
    watched = Watched(vault)
    if online:
        list(vault.house.check_rows())
        tampered()
    else:
        reply = vault.unseal()
        if reply.error is not None:
            watched.text = watched.text or reply.errors[0]
            return watched
    watched.check()
    return watched


KEYS = range(len(keys(estate().storage)))


ONLINE = pytest.mark.parametrize("online", [False, True], ids=["stopped", "running"])


@ONLINE
def test_untouched_it_goes_on(online: bool) -> None:
    vault = estate()
    sealed = found(vault, lambda: None, online=online)
    assert sealed.text == ""
    assert sealed.vault.read("secret/data/app/1").error is None


@ONLINE
@pytest.mark.parametrize("position", KEYS)
def test_a_changed_row_is_named(position: int, online: bool) -> None:
    vault = estate()
    key = keys(vault.storage)[position]
    row = vault.storage.get(key)
    assert row is not None
    flipped = row.value[:-1] + bytes([row.value[-1] ^ 1])
    sealed = found(
        vault, lambda: vault.storage.tamper(key, Row(flipped, row.due_ns)), online=online
    )
    assert sealed.text
    assert sealed.vault.house.barrier is None
    if sealed.named:
        (phrase,) = sealed.named
        assert key.hex() in phrase
        assert "was changed" in phrase
    else:
        assert not online, "only a row that the unsealing needs is found before there is a reader"


@ONLINE
@pytest.mark.parametrize("position", KEYS)
def test_a_removed_row_is_named(position: int, online: bool) -> None:
    vault = estate()
    key = keys(vault.storage)[position]
    sealed = found(vault, lambda: vault.storage.tamper(key, None), online=online)
    assert sealed.text
    assert sealed.vault.house.barrier is None
    if sealed.named:
        (phrase,) = sealed.named
        assert phrase.endswith("was removed")
    else:
        assert not online


@ONLINE
def test_rows_put_back_from_an_older_copy_are_named(online: bool) -> None:
    vault = estate()
    before = dict(vault.storage.scan(b""))
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    changed = [key for key, row in before.items() if vault.storage.get(key) != row]
    assert changed

    def put_back() -> None:
        for key in changed:
            vault.storage.tamper(key, before[key])

    sealed = found(vault, put_back, online=online)
    assert len(sealed.named) == len(changed)
    assert all("was put back from an older copy" in phrase for phrase in sealed.named)


@ONLINE
def test_two_rows_swapped_are_named(online: bool) -> None:
    vault = estate()
    first, second = [key for key in keys(vault.storage) if key[:1] == b"\x01"][:2]
    one, two = vault.storage.get(first), vault.storage.get(second)

    def swap() -> None:
        vault.storage.tamper(first, two)
        vault.storage.tamper(second, one)

    sealed = found(vault, swap, online=online)
    assert {first.hex(), second.hex()} == {phrase.split()[1] for phrase in sealed.named}


@ONLINE
@pytest.mark.parametrize("tail", [b"\x00\x00", b""])
def test_an_added_row_is_named(tail: bytes, online: bool) -> None:
    vault = estate()
    key = b"\x01" + bytes(30) + (tail or keys(vault.storage)[-1][-2:])
    sealed = found(vault, lambda: vault.storage.tamper(key, Row(b"\x01" * 60)), online=online)
    assert [phrase for phrase in sealed.named if key.hex() in phrase and "was added" in phrase]


@ONLINE
def test_a_due_time_changed_is_named(online: bool) -> None:
    vault = estate()
    key, row = next((k, r) for k, r in vault.storage.scan(b"") if r.due_ns is not None)
    assert row.due_ns is not None
    later = Row(row.value, row.due_ns + 10**15)
    sealed = found(vault, lambda: vault.storage.tamper(key, later), online=online)
    assert [phrase for phrase in sealed.named if key.hex() in phrase and "was changed" in phrase]


def test_the_journal_says_that_rows_differ() -> None:
    vault = estate()
    reader = vault.house.audit_reader()
    key = keys(vault.storage)[-1]
    found(vault, lambda: vault.storage.tamper(key, None), online=True)
    (entry,) = [e for _, e in reader.entries() if (e.kind, e.op) == ("notice", "rows-differ")]
    assert entry.outcome == "integrity"
    assert "bucket" in str(entry.audited["what"])


def test_nothing_is_served_or_written_after_the_first_mismatch() -> None:
    vault = estate()
    before = dict(vault.storage.scan(b""))
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    again = vault.restarted()
    again.unseal()
    for key, row in before.items():
        again.storage.tamper(key, row)
    seq = again.storage.head().seq
    assert again.read("secret/data/app/1").error is not None
    reply = again.write("secret/data/app/2", {"data": {"password": "later"}})
    assert reply.error is Unavailable
    assert "does not verify" in reply.errors[0]
    assert again.storage.head().seq == seq


def test_an_older_database_under_a_newer_journal_refuses() -> None:
    vault = estate()
    snapshot = vault.storage.snapshot()
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    vault.storage.restore(snapshot)
    reply = vault.restarted().unseal()
    assert reply.error is RolledBack
    assert "older copy" in reply.errors[0]


def test_a_refused_unseal_leaves_no_keys() -> None:
    vault = estate()
    snapshot = vault.storage.snapshot()
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    vault.storage.restore(snapshot)
    again = vault.restarted()
    again.unseal()
    assert again.house.barrier is None
    assert again.house.seal.sealed
    assert again.read("secret/data/app/1").error is not None


def test_an_emptied_outbox_is_refused_at_the_start() -> None:
    vault = estate()
    vault.storage._outbox.clear()
    with pytest.raises(IntegrityError, match="does not end in the journal frame of commit"):
        vault.restarted()


def test_an_older_frame_in_the_outbox_is_refused() -> None:
    vault = estate()
    ((seq, older),) = vault.storage.outbox()
    vault.write("secret/data/app/1", {"data": {"password": "new"}})
    vault.storage._outbox[seq + 1] = older
    again = vault.restarted()
    reply = again.unseal()
    assert reply.error is IntegrityError
    assert "another frame than that of commit" in reply.errors[0]
    assert again.house.barrier is None
