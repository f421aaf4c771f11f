"""Paths of tiles and bundles, and the bytes of bundles."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge
from ironkeep.tlog.tile import (
    MAX_ENTRY,
    MAX_LEVEL,
    Tile,
    decode_entries,
    encode_entries,
    entry_in,
    tiles_of,
)

MAX_INDEX = (1 << 55) - 1


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(3, 999, 1), "tile/3/999.p/1"),
        (Tile(63, 1000, 255), "tile/63/x001/000.p/255"),
        (Tile(None, 70_000), "tile/entries/x070/000"),
        (Tile(None, 5, 7), "tile/entries/005.p/7"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


tiles = st.builds(
    Tile,
    st.none() | st.integers(0, MAX_LEVEL),
    st.integers(0, 2000) | st.integers(0, MAX_INDEX),
    st.integers(1, 256),
)


@given(tiles)
def test_paths_round_trip(tile: Tile) -> None:
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/", "tile/0", "tile/0/", "tile/00/000", "tile/64/000", "tile/-1/000",
        "tile/0/0", "tile/0/1", "tile/0/0000", "tile/0/1234", "tile/0/x000/001", "tile/0/x001",
        "tile/0/001/001", "tile/0/x01/001", "tile/0/x001/x001", "tile/0/000.p/0",
        "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/000/",
        "/tile/0/000", "tile/0/000.p/1/", "0/000", "tile/entries/", "tile/Entries/000",
        "tile/data/000", "tile/8/0/000", "tile/0/../000", "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/x036/x028/x797/x018/x963/968",
    ],
)  # fmt: skip
def test_other_spellings_are_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        Tile.parse(path)


def test_long_paths_are_refused_unread() -> None:
    with pytest.raises(InvalidRequest, match="longer than any"):
        Tile.parse("tile/0/" + "x001/" * 12 + "000")
    longest = Tile(None, MAX_INDEX, 255).path
    assert len(longest) == 47
    assert Tile.parse(longest).index == MAX_INDEX


@given(st.text(alphabet="tile/0123456789x.p", max_size=40).map("tile/".__add__) | st.text())
def test_any_text_is_a_path_or_refused(path: str) -> None:
    try:
        tile = Tile.parse(path)
    except InvalidRequest:
        return
    assert tile.path == path


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, MAX_INDEX + 1, 1), (0, 0, 0), (0, 0, 257)],
)
def test_no_such_tile(level: int, index: int, width: int) -> None:
    with pytest.raises(InvalidRequest):
        Tile(level, index, width)


def test_the_tiles_of_70_000_leaves() -> None:
    """The worked example of the specification."""
    paths = [tile.path for tile in tiles_of(70_000)]
    assert len([path for path in paths if path.startswith("tile/0/") and ".p" not in path]) == 273
    partial = {path for path in paths if ".p" in path}
    assert partial == {
        "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112",
    }  # fmt: skip
    assert "tile/1/000" in paths


def test_the_tiles_of_256_leaves_and_of_none() -> None:
    assert [tile.path for tile in tiles_of(256)] == [
        "tile/entries/000", "tile/0/000", "tile/1/000.p/1",
    ]  # fmt: skip
    assert list(tiles_of(0)) == []


@given(st.integers(0, 200_000), tiles)
def test_within(size: int, tile: Tile) -> None:
    leaves_needed = tile.end << (8 * (tile.level or 0))
    assert tile.within(size) is (leaves_needed <= size)


@given(st.integers(0, 200_000))
def test_every_tile_of_a_log_is_within_it(size: int) -> None:
    tiles = list(tiles_of(size))
    assert all(tile.within(size) for tile in tiles)
    assert sum(tile.width for tile in tiles if tile.level is None) == size


@given(st.lists(st.binary(max_size=300), max_size=300))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    data = encode_entries(entries)
    assert decode_entries(data, len(entries)) == entries
    for wrong in (len(entries) - 1, len(entries) + 1):
        if wrong >= 0:
            with pytest.raises(IntegrityError):
                decode_entries(data, wrong)
    if data:
        with pytest.raises(IntegrityError, match="cut short"):
            decode_entries(data[:-1], len(entries))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=300), st.data())
def test_one_entry_of_a_bundle_is_that_of_all(entries: list[bytes], data: st.DataObject) -> None:
    """Unless the bundle is cut before its end."""
    number = data.draw(st.integers(0, len(entries) - 1))
    assert entry_in(encode_entries(entries), number) == entries[number]
    upto = encode_entries(entries[: number + 1])
    assert entry_in(upto, number) == entries[number]
    if entries[number]:
        with pytest.raises(IntegrityError, match="cut short"):
            entry_in(upto[:-1], number)


def test_bundle_bytes() -> None:
    assert encode_entries([b"one", b"", b"three"]) == b"\0\3one\0\0\0\5three"


@pytest.mark.parametrize("data", [b"\0", b"\0\1", b"\xff\xff", b"\0\0\0"])
def test_cut_bundles(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_entries(data, 1)


@given(st.binary(max_size=64), st.integers(0, 20))
def test_any_bytes_are_a_bundle_or_refused(data: bytes, count: int) -> None:
    try:
        entries = decode_entries(data, count)
    except IntegrityError:
        return
    assert encode_entries(entries) == data


def test_the_longest_entry() -> None:
    longest = bytes(MAX_ENTRY)
    assert decode_entries(encode_entries([longest]), 1) == [longest]
    with pytest.raises(TooLarge):
        encode_entries([longest + b"x"])
