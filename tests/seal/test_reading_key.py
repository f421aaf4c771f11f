"""Who reads the journal: entries of before the first keys, of sealed times, and of every run."""

from dataclasses import replace

import pytest

from ironkeep.core.errors import IntegrityError, IronkeepError, Sealed
from ironkeep.core.evidence.leaf import check_disclosed
from ironkeep.core.ports import Row
from ironkeep.seal.config import plain_key
from ironkeep.seal.reading_key import HOUSE, new_reading_key, reading_key_of, stored_origin
from ironkeep.testing.memory import MemoryStorage, SeededEntropy
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault


def lived() -> Vault:
    """A vault that was asked things before it had keys, while sealed, and in two more runs."""
    vault = Vault(PLUGINS)
    vault.read("sys/health", token=None)
    vault.initialise()
    vault.read("sys/leader", token=None)
    for _ in range(2):
        vault = vault.restarted()
        vault.read("sys/init", token=None)
        vault.unseal()
    return vault


def test_all_of_it_is_read_in_order() -> None:
    found = list(lived().house.audit_reader().entries())
    paths = [entry.path for _, entry in found if entry.kind == "request"]
    assert paths[:3] == ["sys/health", "sys/init", "sys/leader"]
    assert paths.count("sys/init") == 3
    indices = [index for index, _ in found]
    assert indices == sorted(set(indices))


@pytest.mark.parametrize("stretch", [(0, None), (2, 5), (3, 3), (0, 10**6)])
def test_stretches_are_parts_of_the_whole(stretch: tuple[int, int | None]) -> None:
    reader = lived().house.audit_reader()
    first, last = stretch
    whole = [item for item in reader.entries() if item[0] >= first and item[0] < (last or 10**9)]
    assert list(reader.entries(first, last)) == whole


def test_what_is_disclosed_is_what_the_leaf_commits_to() -> None:
    vault = lived()
    reader, log = vault.house.audit_reader(), vault.house.journal.log
    for disclosed in reader.disclosures(0, log.size):
        check_disclosed(log.leaf(disclosed.index), disclosed)
        assert reader.disclose(disclosed.index) == disclosed
        changed = replace(disclosed, body=disclosed.body + b" ")
        with pytest.raises(IntegrityError):
            check_disclosed(log.leaf(disclosed.index), changed)
    for index in (-1, log.size, log.size + 1):
        with pytest.raises(IronkeepError):
            reader.disclose(index)


def test_search_stops_when_it_has_enough() -> None:
    reader = lived().house.audit_reader()
    assert len(reader.search(lambda _entry: True, 0, None, 3)) == 3
    assert reader.search(lambda _entry: False, 0, None, 3) == []


def test_without_keys_nothing_is_read() -> None:
    vault = lived()
    vault.write("sys/seal")
    with pytest.raises(Sealed):
        vault.house.audit_reader()


def test_only_the_public_half_is_outside_the_barrier() -> None:
    vault = lived()
    key = reading_key_of(vault.storage, SeededEntropy(9))
    assert key.private is None
    assert key.public == vault.house.reading_key.public
    fresh = reading_key_of(MemoryStorage(), SeededEntropy(9))
    assert fresh.private is not None


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(32)])
def test_a_damaged_public_half_is_refused(raw: bytes) -> None:
    vault = lived()
    vault.storage.tamper(plain_key(HOUSE, "journal-reading-key"), Row(raw))
    with pytest.raises(IntegrityError, match="restore from a snapshot"):
        reading_key_of(vault.storage, SeededEntropy(9))


def test_a_changed_name_of_the_log_is_refused_with_what_to_do() -> None:
    vault = lived()
    row = vault.storage.get(plain_key(HOUSE, "journal-reading-key"))
    assert row is not None
    changed = replace(row, value=row.value[:-1] + b"\0")
    vault.storage.tamper(plain_key(HOUSE, "journal-reading-key"), changed)
    with pytest.raises(IntegrityError, match=r"changed outside Ironkeep: .* from a snapshot"):
        stored_origin(vault.storage)


def test_a_private_half_is_shown_by_no_repr() -> None:
    key = new_reading_key(SeededEntropy(3))
    assert key.private is not None
    assert key.private.reveal().hex() not in repr(key)
