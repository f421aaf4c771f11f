"""Static tiles and entry bundles of a log (c2sp.org/tlog-tiles).

A tile is 256 hashes of one level, or fewer at the right edge. A bundle is the same number of
entries, each after its length as an unsigned 16-bit big-endian number.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge
from ironkeep.tlog.merkle import TILE_HEIGHT
from ironkeep.tlog.wire import MAX_SIZE, decode_decimal

TILE_WIDTH: Final = 1 << TILE_HEIGHT
"""Hashes or entries in a full tile."""

MAX_LEVEL: Final = 63
"""Highest tile level of the format."""

MAX_ENTRY: Final = 0xFFFF
"""Bytes in an entry: the largest 16-bit length."""

_LENGTH: Final = 2
_ENTRIES: Final = "entries"
_GROUP: Final = 1000
_MAX_INDEX: Final = MAX_SIZE >> TILE_HEIGHT
_MAX_PATH: Final = 64
"""Characters of a path: the longest one, a partial bundle with 6 groups of digits, has 47."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The coordinates of a tile: level 0 to 63 (None for a bundle), index, and width 1 to 256."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not (
            (self.level is None or 0 <= self.level <= MAX_LEVEL)
            and 0 <= self.index <= _MAX_INDEX
            and 1 <= self.width <= TILE_WIDTH
        ):
            raise InvalidRequest("no such tile")

    @classmethod
    def parse(cls, path: str) -> Self:
        """Return the tile at a path; raise InvalidRequest unless it is in the form of `path`."""
        if len(path) > _MAX_PATH:
            raise InvalidRequest("longer than any path of a tile")
        try:
            tile = cls._parse(path)
        except IntegrityError:
            raise InvalidRequest("not the path of a tile") from None
        if tile.path != path:
            raise InvalidRequest("not the path of a tile")
        return tile

    @classmethod
    def _parse(cls, path: str) -> Self:
        """Read a path leniently; `parse` then compares it with the canonical path."""
        first, _, rest = path.removeprefix("tile/").partition("/")
        level = None if first == _ENTRIES else decode_decimal(first)
        number, partial, width = rest.partition(".p/")
        index = 0
        for group in number.split("/"):
            index = index * _GROUP + decode_decimal(group.removeprefix("x").lstrip("0") or "0")
        return cls(level, index, decode_decimal(width) if partial else TILE_WIDTH)

    @property
    def path(self) -> str:
        """The path under the log's prefix, such as tile/0/x001/x234/067.p/9."""
        index, last = divmod(self.index, _GROUP)
        groups = [f"{last:03d}"]
        while index:
            index, group = divmod(index, _GROUP)
            groups.insert(0, f"x{group:03d}")
        level = _ENTRIES if self.level is None else self.level
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{partial}"

    @property
    def start(self) -> int:
        """The index, on its own level, of the first hash or entry."""
        return self.index * TILE_WIDTH

    @property
    def end(self) -> int:
        """The index, on its own level, after the last hash or entry."""
        return self.start + self.width

    def within(self, size: int) -> bool:
        """Return whether a log of size leaves has all of this tile."""
        return self.end <= size >> (TILE_HEIGHT * (self.level or 0))


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile and bundle of a log of size leaves, with partial ones at the edge."""
    for level in (None, *range(MAX_LEVEL + 1)):
        count = size >> (TILE_HEIGHT * (level or 0))
        for start in range(0, count, TILE_WIDTH):
            yield Tile(level, start // TILE_WIDTH, min(TILE_WIDTH, count - start))


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Return entries as a bundle; raise TooLarge if one is longer than 65,535 bytes."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise TooLarge(f"an entry holds at most {MAX_ENTRY} bytes")
        parts.append(len(entry).to_bytes(_LENGTH, "big"))
        parts.append(entry)
    return b"".join(parts)


def decode_entries(data: bytes, count: int) -> list[bytes]:
    """Return the entries in data; raise IntegrityError unless there are exactly count."""
    entries = []
    at = 0
    for _ in range(count):
        begin = at + _LENGTH
        at = begin + int.from_bytes(data[at:begin], "big")
        # A cut length prefix leaves begin past the end, so this catches both kinds of cut.
        if at > len(data):
            raise IntegrityError("entry bundle is cut short")
        entries.append(data[begin:at])
    if at != len(data):
        raise IntegrityError("entry bundle has more bytes than its entries")
    return entries


def entry_in(data: bytes, number: int) -> bytes:
    """Return one entry of a bundle, without reading those behind it; raise IntegrityError."""
    begin = _LENGTH
    end = begin + int.from_bytes(data[:begin], "big")
    for _ in range(number):
        begin = end + _LENGTH
        end = begin + int.from_bytes(data[end:begin], "big")
    if end > len(data):
        raise IntegrityError("entry bundle is cut short")
    return data[begin:end]
