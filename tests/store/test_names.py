import hashlib

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.ids import ROOT_NAMESPACE, MountUuid, NamespaceId
from ironkeep.core.secret import Secret
from ironkeep.store import names as module
from ironkeep.store.keyring import HOUSE, SegmentId
from ironkeep.store.names import Names, Place

KEY = Secret(bytes(range(32)))
PLACE = Place(ROOT_NAMESPACE, MountUuid("uuid-1"))
PATHS = st.text(st.sampled_from("ab/é"), max_size=12)


def prf(data: bytes) -> bytes:
    return hashlib.blake2b(
        data, digest_size=16, key=KEY.reveal(), person=b"ironkeep-name-v1"
    ).digest()


def test_a_row_key_is_the_chain_written_out() -> None:
    root = prf(b"\x00\x00\x05house\x00\x04root\x00\x06uuid-1")
    a = prf(b"\x01" + root + b"a")
    b = prf(b"\x01" + a + "é".encode())
    names = Names(HOUSE, KEY).of(PLACE)
    assert names.key_of("a") == b"\x01" + root + b"\x01" + a
    assert names.key_of("a/é") == b"\x01" + a + b"\x01" + b
    assert [folder.row_key for folder in names.folders("a/é")] == [b"\x01" + root + b"\x00" + a]
    assert names.folders("a/é")[0].children == names.children("a/") == b"\x01" + a
    assert names.children("") == b"\x01" + root


@given(st.sets(PATHS, min_size=2))
def test_paths_never_share_a_key(paths: set[str]) -> None:
    names = Names(HOUSE, KEY).of(PLACE)
    assert len({names.key_of(path) for path in paths}) == len(paths)


@given(PATHS)
def test_places_segments_and_keys_have_nothing_in_common(path: str) -> None:
    root = ROOT_NAMESPACE
    keys = {
        Names(HOUSE, KEY).of(PLACE).key_of(path),
        Names(HOUSE, KEY).of(Place(root, MountUuid("uuid-2"))).key_of(path),
        Names(HOUSE, KEY).of(Place(NamespaceId("other"), PLACE.mount)).key_of(path),
        Names(HOUSE, KEY).of(Place(NamespaceId("rootu"), MountUuid("uid-1"))).key_of(path),
        Names(SegmentId("other"), KEY).of(PLACE).key_of(path),
        Names(HOUSE, Secret(bytes(32))).of(PLACE).key_of(path),
    }
    assert len({key[1:17] for key in keys}) == len({key[18:] for key in keys}) == 6


@given(PATHS)
def test_the_memo_changes_nothing(path: str) -> None:
    names = Names(HOUSE, KEY)
    first = names.of(PLACE).key_of(path)
    assert names.of(PLACE).key_of(path) is first
    assert Names(HOUSE, KEY).of(PLACE).key_of(path) == first


@given(st.lists(PATHS, min_size=1, max_size=6))
def test_the_memo_of_folders_changes_nothing(paths: list[str]) -> None:
    names = Names(HOUSE, KEY).of(PLACE)
    for path in paths * 2:
        fresh = Names(HOUSE, KEY).of(PLACE)
        assert names.folders(path) == fresh.folders(path)
        above = fresh.folders(path)
        assert names.parent(path) == (above[-1] if above else None)
        assert names.children(path) == fresh.children(path)
        assert names.key_of(path) == fresh.key_of(path)


def test_the_memo_of_folders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMO_CHARS", 3 * (module.MEMO_ENTRY_CHARS + 9))
    names = Names(HOUSE, KEY).of(PLACE)
    held = [names.children(f"folder{number}") for number in range(9)]
    assert len(names._folders) <= 3
    assert [names.children(f"folder{number}") for number in range(9)] == held


def test_the_memo_is_bounded_over_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMO_CHARS", 3 * (module.MEMO_ENTRY_CHARS + 1))
    names = Names(HOUSE, KEY)
    places = [names.of(Place(ROOT_NAMESPACE, MountUuid(uuid))) for uuid in "pqr"]
    for place in places:
        place.key_of("a")
    held = [place.key_of("a") for place in places]
    assert [len(place._memo) for place in places] == [1, 1, 1]
    places[0].key_of("b")
    assert [len(place._memo) for place in places] == [1, 0, 0]
    assert [place.key_of("a") for place in places] == held


def test_limits_on_length_and_depth() -> None:
    names = Names(HOUSE, KEY).of(PLACE)
    names.key_of("é" * (module.MAX_PATH_BYTES // 2))
    with pytest.raises(TooLarge, match="4096"):
        names.key_of("é" * (module.MAX_PATH_BYTES // 2) + "a")
    names.key_of("/" * (module.MAX_DEPTH - 1))
    names.children("/" * module.MAX_DEPTH)
    with pytest.raises(TooLarge, match="128"):
        names.key_of("/" * module.MAX_DEPTH)
    with pytest.raises(TooLarge):
        names.children("a" * (module.MAX_PATH_BYTES + 1))


def test_text_that_utf8_cannot_carry_is_refused() -> None:
    names = Names(HOUSE, KEY).of(PLACE)
    with pytest.raises(InvalidRequest, match="Unicode"):
        names.key_of("a/\ud800")
    with pytest.raises(InvalidRequest, match="Unicode"):
        names.children("\udfff/")
