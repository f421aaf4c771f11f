"""Attacks on segments: whoever has one of them, or the house, or the disk, has no other."""

from collections.abc import Iterable
from typing import Final

import pytest

from ironkeep.access.segments.routes import SegmentEngine
from ironkeep.core.errors import IntegrityError, InvalidRequest, NotFound, Sealed
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Row
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.plugin.route import Plugin
from ironkeep.seal import config as seal_config
from ironkeep.seal.config import keyring_key
from ironkeep.seal.wraps import open_keyring
from ironkeep.store import due
from ironkeep.store.barrier import DueRecord
from ironkeep.store.keyring import HOUSE, SegmentId
from ironkeep.store.state import Tx
from ironkeep.testing.memory import Fault
from ironkeep.testing.parts import table, text
from ironkeep.testing.plugins import PLUGINS as BASE
from ironkeep.testing.vault import Vault
from tests.support.tampering import reopened

PLUGINS: Final[dict[str, Plugin]] = {**BASE, "segment": SegmentEngine()}
ONE: Final = {"secret_shares": 1, "secret_threshold": 1}
VALUE: Final = {"data": {"password": "correct-horse-battery"}}


def make(vault: Vault, name: str) -> str:
    """Make a segment with a mount of its name, open it, put one secret in; return its share."""
    share: str = vault.write(f"segment/segments/{name}", ONE).keys[0]
    options = {"version": "2", "segment": name}
    assert vault.write(f"sys/mounts/{name}", {"type": "kv", "options": options}).error is None
    assert vault.write(f"segment/flows/house/{name}", {}).error is None
    opened = vault.write(f"segment/segments/{name}/unseal", {"key": share})
    assert opened.data["sealed"] is False
    assert vault.write(f"{name}/data/db", VALUE).error is None
    return share


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def stored(vault: Vault, space: bytes) -> dict[bytes, Row]:
    return dict(vault.storage.scan(space))


def states(vault: Vault) -> dict[str, str]:
    keys = table(vault.list("segment/segments/").data, "key_info")
    return {name: text(about, "state") for name, about in keys.items()}


def test_rows_swapped_between_segments_are_named_when_they_are_read(vault: Vault) -> None:
    make(vault, "prod")
    make(vault, "dev")
    ours, theirs = stored(vault, b"\x02"), stored(vault, b"\x03")
    assert len(ours) == len(theirs) > 1
    for key, other in zip(ours, theirs, strict=True):
        vault.storage.tamper(key, theirs[other])
        vault.storage.tamper(other, ours[key])
    vault.house.state.reset()
    for name, rows in (("prod", ours), ("dev", theirs)):
        reply = vault.read(f"{name}/data/db")
        assert reply.error is IntegrityError
        assert any(key.hex() in reply.errors[0] for key in rows)
        assert "was changed or moved" in reply.errors[0]


def test_a_row_of_a_sealed_segment_that_was_changed_is_found_and_named(vault: Vault) -> None:
    make(vault, "prod")
    key, row = next(iter(stored(vault, b"\x02").items()))
    vault.storage.tamper(key, Row(row.value[:-1] + bytes([row.value[-1] ^ 1])))
    (phrase,) = reopened(vault).named
    assert phrase.startswith(f"row {key.hex()} (of the segment with number 2) was changed")


def test_a_row_of_a_sealed_segment_that_was_removed_or_put_back_is_found(vault: Vault) -> None:
    make(vault, "prod")
    old = stored(vault, b"\x02")
    vault.write("prod/data/db", VALUE)
    new = stored(vault, b"\x02")
    changed = next(key for key in new if key in old and old[key] != new[key])
    for row in (None, old[changed]):
        vault.storage.tamper(changed, row)
        vault.house.seal_up()
        watched = reopened(vault)
        vault = watched.vault
        assert changed.hex() in watched.text or "was removed" in watched.named[0]
        assert vault.house.barrier is None


def test_the_root_key_of_the_house_opens_no_segment(vault: Vault) -> None:
    make(vault, "prod")
    tx = vault.house.state.begin()
    segment = vault.house.segments.find(tx, "prod")
    row = tx.get(seal_config.config_key(segment.id))
    assert row is not None
    config = seal_config.decode(row.value)
    root = vault.house.seal.opened.root_key
    with pytest.raises(IntegrityError):
        open_keyring(config, root, tx.get(keyring_key(segment.id)))
    ours = vault.house.seal.config
    assert ours.segment == HOUSE
    with pytest.raises(IntegrityError):
        # Nor does the house's own configuration make it take a segment's keyring for its own.
        open_keyring(ours, root, tx.get(keyring_key(segment.id)))


def test_a_root_token_reads_nothing_of_a_sealed_segment_by_any_route(vault: Vault) -> None:
    make(vault, "prod")
    vault.write("segment/segments/prod/seal")
    for path in ("prod/data/db", "prod/metadata/db", "prod/config", "prod/subkeys/db"):
        reply = vault.read(path)
        assert reply.error is Sealed, path
        assert "correct-horse" not in str(reply.body)
    assert vault.list("prod/metadata/").error is Sealed
    assert vault.write("prod/data/db", VALUE).error is Sealed
    assert vault.delete("prod/data/db").error is Sealed
    assert vault.delete("sys/mounts/prod").error is Sealed
    assert vault.write("segment/segments/prod/rebuild").error is Sealed
    assert vault.write("sys/remount", {"from": "prod", "to": "moved"}).error is None
    assert vault.read("moved/data/db").error is Sealed
    assert vault.defects == []


def test_reads_in_the_batch_of_a_cut_are_answered_before_it_and_refused_after(
    vault: Vault,
) -> None:
    make(vault, "prod")
    asked = [
        vault.asked(op, path, {}, "root")
        for op, path in (
            (Operation.READ, "prod/data/db"),
            (Operation.UPDATE, "segment/segments/prod/cut"),
            (Operation.READ, "prod/data/db"),
            (Operation.LIST, "prod/metadata/"),
        )
    ]
    answers = [vault.pipeline.handle(request) for request in asked]
    vault.flush()
    errors = [answer.error for answer in answers if isinstance(answer, Answer)]
    assert errors == [None, None, Sealed, Sealed]


@pytest.mark.parametrize("fault", Fault)
def test_a_creation_whose_commit_failed_is_whole_or_absent(vault: Vault, fault: Fault) -> None:
    before = len(stored(vault, b"\x00"))
    vault.storage.fail(fault)
    with pytest.raises(OSError, match=fault.name):
        vault.write("segment/segments/prod", ONE)
    made = fault is Fault.PERSISTED_ANYWAY
    assert states(vault) == ({"prod": "sealed"} if made else {})
    vault = vault.restarted()
    vault.unseal()
    assert states(vault) == ({"prod": "sealed"} if made else {})
    assert len(stored(vault, b"\x00")) - before == (2 if made else 0)
    if fault is not Fault.PERSISTED_ANYWAY:
        make(vault, "prod")


@pytest.mark.parametrize("fault", Fault)
def test_a_destruction_whose_commit_failed_is_whole_or_undone(vault: Vault, fault: Fault) -> None:
    share = make(vault, "prod")
    vault.storage.fail(fault)
    with pytest.raises(OSError, match=fault.name):
        vault.write("segment/segments/prod/destroy", {"confirm": "prod"})
    again = vault.restarted()
    again.unseal()
    opened = again.write("segment/segments/prod/unseal", {"key": share})
    if fault is Fault.PERSISTED_ANYWAY:
        assert opened.error is NotFound
        assert again.read("prod/data/db").error is NotFound
        again.tick()
        assert stored(again, b"\x02") == {}
    else:
        assert opened.error is None
        assert again.read("prod/data/db").data["data"] == VALUE["data"]


def test_a_destruction_that_is_killed_between_its_steps_is_taken_up_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironkeep.seal.segments.RAZE_STEP", 3)
    make(vault, "prod")
    for number in range(4):
        vault.write(f"prod/data/x{number}", VALUE)
    vault.write("segment/segments/prod/destroy", {"confirm": "prod"})
    left = [len(stored(vault, b"\x02"))]
    while left[-1]:
        vault = vault.restarted()
        vault.unseal()
        vault.tick()
        left.append(len(stored(vault, b"\x02")))
        assert left[-2] - left[-1] <= 3
        assert len(left) < 50
    assert left == [12, 9, 6, 3, 0]
    vault.tick()
    assert states(vault) == {"prod": "destroyed"}


def test_due_rows_of_a_sealed_segment_hold_up_nobody_and_come_back_with_its_keys(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGE", 5)
    share = make(vault, "prod")
    house, tx = vault.house, vault.house.state.begin()
    mount = house.mounts.table(house.store(tx, "sys/mounts")).by_path["prod/"]
    store = house.mount_store(tx, mount)
    for number in range(20):
        store.put(f"later/{number}", b"x", vault.clock.now_ns() + 1)
    tx.merge()
    vault.flush()
    vault.write("segment/segments/prod/seal")
    wrapped = vault.write("secret/data/y", VALUE, wrap=1)
    assert wrapped.error is None
    accessor = wrapped.body["wrap_info"]["accessor"]
    vault.clock.advance(seconds=5)
    for _ in range(6):
        vault.tick()
    lookup = vault.write("auth/token/lookup-accessor", {"accessor": accessor})
    assert lookup.error is not None
    met: list[DueRecord] = []

    def take(_tx: Tx, records: Iterable[DueRecord], _now_ns: int) -> list[Waiting]:
        met.extend(records)
        return []

    monkeypatch.setattr(house.effects, "tick", take)
    vault.write("segment/segments/prod/unseal", {"key": share})
    for _ in range(6):
        vault.tick()
    assert {record.path for record in met} == {f"later/{number}" for number in range(20)}
    assert vault.defects == []
    assert not house.failure


def test_work_under_way_reads_nothing_more_once_the_segment_is_sealed(vault: Vault) -> None:
    """Gains: who started to go through all secrets before a cut goes on reading after it."""
    make(vault, "prod")
    house, tx = vault.house, vault.house.state.begin()
    mount = house.mounts.table(house.store(tx, "sys/mounts")).by_path["prod/"]
    held = house.mount_store(tx, mount)
    walk = held.walk("")
    assert next(walk)
    vault.write("segment/segments/prod/cut")
    with pytest.raises(Sealed):
        list(walk)
    with pytest.raises(Sealed):
        held.put("x", b"y")
    with pytest.raises(Sealed):
        held.list("")


def test_a_mount_that_claims_another_s_segment_gets_no_keys(vault: Vault) -> None:
    """Gains: the mount table is changed on disk by who has the house's keys, not the segment's."""
    make(vault, "prod")
    house, tx = vault.house, vault.house.state.begin()
    secret = house.mounts.table(house.store(tx, "sys/mounts")).by_path["secret/"]
    with pytest.raises(IntegrityError):
        house.segments.barrier_of_mount(tx, secret.uuid, "prod")


def test_shares_that_are_garbage_are_refused_and_start_over(vault: Vault) -> None:
    make(vault, "prod")
    vault.write("segment/segments/prod/seal")
    for key in ("", "x", "00" * 33, "é" * 44, "00" * 5_000):
        reply = vault.write("segment/segments/prod/unseal", {"key": key})
        assert reply.error is not None
        assert issubclass(reply.error, InvalidRequest)
    assert vault.read("segment/segments/prod").data["progress"] == 0
    assert SegmentId("prod") not in vault.house.segments.keys._held
