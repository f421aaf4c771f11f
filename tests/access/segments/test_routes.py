"""Segments: keys of their own, and what a sealed, cut or destroyed one answers."""

import gc
from typing import Any, Final

import pytest

from ironkeep.access.segments.routes import SegmentEngine
from ironkeep.core.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Sealed,
)
from ironkeep.plugin.route import Plugin
from ironkeep.store.barrier import Barrier
from ironkeep.store.keyring import Keyring
from ironkeep.testing.plugins import PLUGINS as BASE
from ironkeep.testing.vault import Vault

PLUGINS: Final[dict[str, Plugin]] = {**BASE, "segment": SegmentEngine()}
VALUE: Final = {"data": {"password": "correct-horse-battery"}}


def make(vault: Vault, name: str, shares: int = 1, threshold: int = 1, **rest: Any) -> list[str]:
    """Make a segment and a kv mount in it, with the name of the segment; return its shares."""
    sizes = {"secret_shares": shares, "secret_threshold": threshold}
    made = vault.write(f"segment/segments/{name}", {**sizes, **rest})
    assert made.error is None, made.body
    options = {"version": "2", "segment": name}
    assert vault.write(f"sys/mounts/{name}", {"type": "kv", "options": options}).error is None
    return made.keys


def unseal(vault: Vault, name: str, keys: list[str]) -> Any:
    """Give shares; return the last answer's data."""
    data: Any = None
    for key in keys:
        reply = vault.write(f"segment/segments/{name}/unseal", {"key": key})
        assert reply.error is None, reply.body
        data = reply.data
    return data


def allow(vault: Vault, source: str, target: str) -> None:
    assert vault.write(f"segment/flows/{source}/{target}", {"reason": "test"}).error is None


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


def test_a_segment_is_made_sealed_opened_by_its_shares_and_sealed_again(vault: Vault) -> None:
    keys = make(vault, "prod", 3, 2)
    allow(vault, "house", "prod")
    refused = vault.write("prod/data/db", VALUE)
    assert refused.error is Sealed
    assert "segment 'prod' is sealed" in refused.body["errors"][0]
    assert "ironkeep segment unseal prod" in refused.body["errors"][0]
    assert unseal(vault, "prod", keys[:1])["progress"] == 1
    assert unseal(vault, "prod", keys[1:2])["sealed"] is False
    assert vault.write("prod/data/db", VALUE).error is None
    assert vault.read("prod/data/db").data["data"] == VALUE["data"]
    assert vault.write("segment/segments/prod/seal").error is None
    assert vault.read("prod/data/db").error is Sealed
    assert vault.read("secret/data/x").error is NotFound
    assert vault.defects == []


def test_a_restart_leaves_a_segment_sealed_and_what_it_holds_comes_back(vault: Vault) -> None:
    keys = make(vault, "prod")
    allow(vault, "house", "prod")
    unseal(vault, "prod", keys)
    vault.write("prod/data/db", VALUE)
    again = vault.restarted()
    again.unseal()
    assert again.read("prod/data/db").error is Sealed
    unseal(again, "prod", keys)
    assert again.read("prod/data/db").data["data"] == VALUE["data"]


def test_sealing_the_house_seals_its_segments(vault: Vault) -> None:
    keys = make(vault, "prod")
    unseal(vault, "prod", keys)
    segment = vault.house.segments.find(vault.house.state.begin(), "prod")
    assert vault.house.segments.keys.is_open(segment)
    vault.write("sys/seal")
    assert not vault.house.segments.keys.is_open(segment)


def test_shares_of_one_segment_open_neither_another_nor_the_house(vault: Vault) -> None:
    prod, dev = make(vault, "prod"), make(vault, "dev")
    for name, keys in (("prod", dev), ("dev", prod), ("prod", vault.keys)):
        reply = vault.write(f"segment/segments/{name}/unseal", {"key": keys[0]})
        assert reply.error is InvalidRequest
        assert vault.read(f"segment/segments/{name}").data["sealed"] is True
    vault.write("sys/seal")
    assert vault.write("sys/unseal", {"key": prod[0]}, token=None).error is InvalidRequest
    assert vault.house.barrier is None


@pytest.mark.parametrize(
    "name",
    ["house", "Prod", "1prod", "prod.db", "prod%2fx", "é", "x" * 65, "pro d", "-prod", "..x"],
)
def test_hostile_names_are_refused(vault: Vault, name: str) -> None:
    assert vault.write(f"segment/segments/{name}", {}).error is InvalidRequest
    assert vault.list("segment/segments/").keys == []


def test_a_name_is_given_once_even_after_it_was_destroyed(vault: Vault) -> None:
    make(vault, "prod")
    vault.write("segment/segments/prod/destroy", {"confirm": "prod"})
    vault.tick()
    assert vault.write("segment/segments/prod", {"secret_shares": 1}).error is NotFound
    segments, tx = vault.house.segments, vault.house.state.begin()
    with pytest.raises(Conflict):
        segments.create(tx, "prod", (), (), (1, 1), 1)


def test_a_mount_stays_in_its_segment(vault: Vault) -> None:
    make(vault, "prod")
    make(vault, "dev")
    moved = vault.write("sys/mounts/prod/tune", {"options": {"segment": "dev"}})
    assert moved.error is InvalidRequest
    joined = vault.write("sys/mounts/secret/tune", {"options": {"segment": "dev"}})
    assert joined.error is InvalidRequest
    unknown = {"type": "kv", "options": {"segment": "nowhere"}}
    assert vault.write("sys/mounts/x", unknown).error is NotFound
    assert vault.read("sys/mounts/x").error is InvalidRequest


def test_a_segment_that_is_cut_refuses_at_the_next_request(vault: Vault) -> None:
    keys = make(vault, "prod")
    allow(vault, "house", "prod")
    unseal(vault, "prod", keys)
    vault.write("prod/data/db", VALUE)
    assert vault.read("prod/data/db").error is None
    assert vault.write("segment/segments/prod/cut").data["mounts"] == ["prod/"]
    assert vault.read("prod/data/db").error is Sealed


def test_a_destroyed_segment_is_gone_with_mounts_rows_and_wraps(vault: Vault) -> None:
    keys = make(vault, "prod")
    allow(vault, "house", "prod")
    unseal(vault, "prod", keys)
    for number in range(20):
        vault.write(f"prod/data/db{number}", VALUE)
    assert list(vault.storage.scan(b"\x02"))
    assert vault.write("segment/segments/prod/destroy", {}).error is InvalidRequest
    assert vault.read("prod/data/db1").error is None
    plain = len(list(vault.storage.scan(b"\x00")))
    gone = vault.write("segment/segments/prod/destroy", {"confirm": "prod"})
    assert gone.data["mounts"] == ["prod/"]
    assert len(list(vault.storage.scan(b"\x00"))) == plain - 2
    assert vault.read("prod/data/db1").error is NotFound
    assert vault.write("segment/segments/prod/unseal", {"key": keys[0]}).error is NotFound
    vault.tick()
    assert list(vault.storage.scan(b"\x02")) == []
    assert vault.read("segment/segments/prod").data["state"] == "destroyed"
    again = vault.restarted()
    assert again.unseal().error is None
    assert again.defects == vault.defects == []


def test_routes_that_hold_keys_need_sudo(vault: Vault) -> None:
    make(vault, "prod")
    grants = '["create", "read", "update", "delete", "list"]'
    policy = f'path "segment/*" {{ capabilities = {grants} }}'
    vault.write("sys/policies/acl/nearly", {"policy": policy})
    token = vault.write("auth/token/create", {"policies": ["nearly"]}).token
    for path in ("segments/x", "segments/prod/seal", "segments/prod/cut", "segments/prod/destroy",
                 "segments/prod/rebuild", "flows/house/prod"):  # fmt: skip
        assert vault.write(f"segment/{path}", {}, token=token).error is PermissionDenied
    assert vault.read("segment/segments/prod", token=token).error is None


def test_a_wrapped_secret_of_a_segment_is_sealed_and_gone_with_it(vault: Vault) -> None:
    keys = make(vault, "prod")
    allow(vault, "house", "prod")
    unseal(vault, "prod", keys)
    vault.write("prod/data/db", VALUE)
    one, two, three = (
        vault.read("prod/data/db", wrap=600).body["wrap_info"]["token"] for _ in range(3)
    )
    moved = vault.write("sys/wrapping/rewrap", {"token": three})
    vault.write("segment/segments/prod/seal")
    assert vault.write("sys/wrapping/unwrap", {"token": one}).error is Sealed
    unseal(vault, "prod", keys)
    for token in (one, moved.body["wrap_info"]["token"]):
        opened = vault.write("sys/wrapping/unwrap", {"token": token})
        assert opened.data["data"] == VALUE["data"]
    assert vault.write("sys/wrapping/unwrap", {"token": one}).error is InvalidRequest
    vault.write("segment/segments/prod/destroy", {"confirm": "prod"})
    assert vault.write("sys/wrapping/unwrap", {"token": two}).error is InvalidRequest
    assert vault.defects == []


@pytest.mark.parametrize("deed", ["seal", "cut", "destroy"])
def test_no_object_with_the_keys_of_a_sealed_segment_is_left(vault: Vault, deed: str) -> None:
    keys = make(vault, "prod")
    allow(vault, "house", "prod")
    unseal(vault, "prod", keys)
    vault.write("prod/data/db", VALUE)
    vault.read("prod/data/db")
    id_ = vault.house.segments.find(vault.house.state.begin(), "prod").id

    def held() -> list[object]:
        gc.collect()
        return [
            each
            for each in gc.get_objects()
            if isinstance(each, Barrier | Keyring) and each.segment == id_
        ]

    assert held()
    assert vault.write(f"segment/segments/prod/{deed}", {"confirm": "prod"}).error is None
    assert held() == []


def test_a_creation_that_is_refused_leaves_nothing(vault: Vault) -> None:
    before = dict(vault.storage.scan(b""))
    refused: list[dict[str, Any]] = [
        {"secret_shares": 2, "secret_threshold": 3},
        {"secret_shares": -1},
        {"secret_shares": 10**9},
        {"networks": "10.0.0.0/99"},
        {"devices": "toaster"},
    ]
    for bad in refused:
        assert vault.write("segment/segments/prod", bad).error is InvalidRequest
    assert vault.list("segment/segments/").keys == []
    assert dict(vault.storage.scan(b"\x00")) == {
        key: row for key, row in before.items() if key[:1] == b"\x00"
    }


def test_shares_are_in_no_entry_row_or_later_answer(vault: Vault) -> None:
    keys = make(vault, "prod", 3, 2)
    entries = "".join(str(entry) for _, entry in vault.house.audit_reader().entries())
    shown = str(vault.read("segment/segments/prod").body)
    stored = b"".join(row.value for _, row in vault.storage.scan(b""))
    for key in keys:
        assert key not in entries + shown
        assert bytes.fromhex(key)[:16] not in stored
