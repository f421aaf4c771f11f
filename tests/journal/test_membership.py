"""Which logs belong to a vault: its journal says when each joined and departed."""

from ironkeep.core.event import NODE, Entry
from ironkeep.journal.membership import DEPARTED, JOINED, Member, departed, joined, members
from ironkeep.store.reserved import JOURNAL
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import ORIGIN, Vault
from tests.journal.test_epochs import EPOCH_2, begun, in_epoch


def logs_of(vault: Vault) -> tuple[Member, ...]:
    origin = vault.journal.origin
    found = vault.house.audit_reader().entries()
    return members((origin, index, entry) for index, entry in found)


def test_the_first_log_joins_once() -> None:
    vault = Vault.started(PLUGINS)
    again = vault.restarted()
    assert again.unseal().error is None
    (only,) = logs_of(again)
    assert (only.origin, only.node, only.departed) == (ORIGIN, NODE, None)
    assert only.joined is not None
    (_, entry) = next(again.house.audit_reader().entries(only.joined[1]))
    assert (entry.op, entry.audited["log"]) == (JOINED, ORIGIN)
    notices = [each for _, each in again.house.audit_reader().entries() if each.op == JOINED]
    assert len(notices) == 1


def test_a_log_of_an_earlier_release_joins_when_it_is_opened_again() -> None:
    vault = Vault.started(PLUGINS)
    tx = vault.house.state.begin()
    vault.house.store(tx, JOURNAL).delete("joined")
    tx.merge()
    vault.flush()
    again = vault.restarted()
    assert again.unseal().error is None
    assert len([1 for _, each in again.house.audit_reader().entries() if each.op == JOINED]) == 2
    (only,) = logs_of(again)
    assert only.joined == logs_of(vault)[0].joined


def test_the_log_of_a_new_epoch_records_that_its_predecessor_departed() -> None:
    vault = Vault.started(PLUGINS)
    vault.journal.checkpoint()
    head = vault.journal.log.published
    assert head is not None
    commit = vault.house.ledger.seq
    fresh = in_epoch(vault, begun(vault), older=vault.journal.log)
    assert fresh.unseal().error is None
    before, now = logs_of(fresh)
    assert (before.origin, before.size, before.at) == (ORIGIN, head.checkpoint.size, commit)
    assert before.departed is not None
    assert before.departed[0] == now.origin == EPOCH_2
    assert now.joined is not None
    assert now.joined[1] > before.departed[1]
    assert now.departed is None
    older = [(ORIGIN, i, each) for i, each in vault.house.audit_reader().entries()]
    newer = [(EPOCH_2, i, each) for i, each in fresh.house.audit_reader().entries()]
    first, second = members([*older, *newer])
    assert first.joined == logs_of(vault)[0].joined
    assert first.departed == before.departed
    assert second == now


def test_a_predecessor_without_a_known_checkpoint_departs_with_size_0() -> None:
    vault = Vault.started(PLUGINS)
    fresh = in_epoch(vault, begun(vault, note=b""))
    assert fresh.unseal().error is None
    assert logs_of(fresh)[0].size == 0


def test_repeated_notices_count_once_and_others_are_passed_over() -> None:
    entries = [
        ("a/1", 3, Entry("notice", 1, op=JOINED, audited=joined("a/1", 1))),
        ("a/1", 4, Entry("notice", 1, op="seal")),
        ("a/1", 5, Entry("request", 1, op=JOINED)),
        ("a/1", 9, Entry("notice", 2, op=JOINED, audited=joined("a/1", 1))),
        ("a/2", 2, Entry("notice", 3, op=DEPARTED, audited=departed("a/1", 1, 7, 5))),
        ("a/2", 6, Entry("notice", 3, op=DEPARTED, audited=departed("a/1", 1, 8, 6))),
    ]
    assert members(entries) == (Member("a/1", 1, ("a/1", 3), ("a/2", 6), 8, 6),)
    assert members([]) == ()
