"""The Merkle tree of the journal on disk: one flat file of hashes for each tile level.

hash/L<n> holds, in order, the roots of all complete subtrees of 256^n leaves (c2sp.org/tlog-tiles),
so a tile of any width, at any size, is a slice. The files are derived: they can be rebuilt from the
leaves.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.logport import LogFiles
from ironkeep.tlog.merkle import TILE_HEIGHT, Frontier, HashReader
from ironkeep.tlog.tile import TILE_WIDTH
from ironkeep.tlog.wire import HASH_SIZE


class HashTree:
    """The tree over a prefix of the leaves.

    One thread adds leaves, another saves, and any may read.
    """

    def __init__(self, files: LogFiles, frontier: Frontier) -> None:
        self._files: Final = files
        self._frontier: Final = frontier
        self._saved = frontier.copy()
        self._fresh: Final[deque[tuple[list[list[bytes]], Frontier]]] = deque()

    def add(self, leaf_hashes: Sequence[bytes]) -> None:
        """Append leaves by their hashes, in memory only until `save`.

        Per batch, this costs the event loop a microsecond a leaf. Adding a second's leaves at once
        on another thread would hold the interpreter lock for the time of many batches.
        """
        levels: list[list[bytes]] = []
        self._frontier.append(leaf_hashes, levels)
        self._fresh.append((levels, self._frontier.copy()))

    def save(self) -> tuple[int, bytes]:
        """Write all added hashes durably to the files; return the size and root hash they cover."""
        # Hashes stay in memory until they are durable, so a failed save can be repeated in full.
        before, whole, fresh = self._saved.size, list[list[bytes]](), tuple(self._fresh)
        for levels, _ in fresh:
            whole.extend([] for _ in range(len(levels) - len(whole)))
            for level, hashes in enumerate(levels):
                whole[level] += hashes
        for level, hashes in enumerate(whole):
            if hashes:
                at = (before >> (TILE_HEIGHT * level)) * HASH_SIZE
                self._files.write(_name(level), at, b"".join(hashes))
                self._files.sync(_name(level))
        if fresh:
            self._saved = fresh[-1][1]
            for _ in fresh:
                self._fresh.popleft()
        return self._saved.size, self._saved.root()

    def root_at(self, size: int) -> bytes:
        """Return the root hash of the first size leaves."""
        return Frontier.from_tiles(size, self.reader()).root()

    def reader(self) -> HashReader:
        """Return a reader that fetches each tile once; make one for each proof."""
        return hash_reader(self._files)

    def slice(self, level: int, first: int, last: int) -> bytes:
        """Return hashes [first, last) of a level, joined; raise IntegrityError past its end."""
        length = (last - first) * HASH_SIZE
        data = _read(self._files, level, first * HASH_SIZE, length)
        if len(data) != length:
            raise IntegrityError(f"{_name(level)} is too short: restart the server to rebuild it")
        return data


def hash_reader(files: LogFiles) -> HashReader:
    """Return a reader of the hash files that fetches each tile once."""
    tiles: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        tile, slot = divmod(index, TILE_WIDTH)
        data = tiles.get((level, tile))
        if data is None:
            width = TILE_WIDTH * HASH_SIZE
            data = tiles[level, tile] = _read(files, level, tile * width, width)
        return data[slot * HASH_SIZE : (slot + 1) * HASH_SIZE]

    return read


def _name(level: int) -> str:
    return f"hash/L{level}"


def _read(files: LogFiles, level: int, at: int, length: int) -> bytes:
    try:
        return files.read(_name(level), at, length)
    except FileNotFoundError:
        return b""
