"""The leaves of a log that another process goes on writing.

The writer says how many leaves are durable. The follower reads no further, so it never meets a
frame that is half written, and it reads only the headers of frames to find them.

The writer moves leaves from WAL files into bundles and then deletes the WAL files. A bundle is
durable before its WAL file goes, so a leaf whose file has gone is in a bundle.
"""

from bisect import bisect_right
from typing import Final

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.logport import LogFiles
from ironkeep.journal.frame import FILE_HEADER, frame_extent, payload_of, read_file_header
from ironkeep.journal.wal import WalFile, read_bundle, read_bundled_leaf, wal_file_firsts
from ironkeep.tlog.tile import TILE_WIDTH, decode_entries

CACHED: Final = 64
"""Bundles and frames kept decoded: entries found by an index are often close to each other."""

_HEADERS: Final = 1 << 20
"""Bytes read at a time to find frames: many small ones, or a part of a large one."""
_TRIES: Final = 8
"""Attempts to read a leaf while the writer moves it. Each one follows a WAL file that went away."""


class Follower:
    """A source of leaves (`entries.Leaves`). Not safe for use from several threads at once."""

    def __init__(self, files: LogFiles, origin: str) -> None:
        """Follow the log named origin in files, which are opened for reading; see `grow`."""
        self.origin: Final = origin
        self.size = 0
        self._files: Final = files
        self._wal_files: list[WalFile] = []
        self._cached: Final[dict[int, tuple[int, list[bytes]]]] = {}

    def grow(self, size: int) -> None:
        """Learn from the writer that size leaves are durable; a smaller number changes nothing."""
        self.size = max(self.size, size)

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return leaves [first, last).

        Raises NotFound past the end, IntegrityError if a leaf is missing or damaged.
        """
        if not 0 <= first <= last <= self.size:
            raise NotFound(f"the log has no leaves {first} to {last}")
        found: list[bytes] = []
        while first + len(found) < last:
            index = first + len(found)
            start, leaves = self._run(index, alone=last - first == 1)
            found += leaves[index - start : last - start]
        return found

    def _run(self, index: int, *, alone: bool) -> tuple[int, list[bytes]]:
        """Return (first index, leaves) of the bundle or frame with a leaf, or of the leaf alone."""
        for _ in range(_TRIES):
            try:
                if not self._wal_files or index >= self._wal_files[-1].next:
                    self._look()
                if index < self._wal_files[0].first:
                    return self._bundle(index, alone=alone)
                return self._frame(index)
            except FileNotFoundError:
                # The writer has moved the leaves: see which WAL files are left.
                self._wal_files = []
        raise IntegrityError(f"leaf {index} is in no file of the log")

    def _look(self) -> None:
        """Look which WAL files there are; keep what is known about those that stayed."""
        known = {each.first: each for each in self._wal_files}
        firsts = wal_file_firsts(self._files)
        if not firsts:
            raise IntegrityError("all WAL files of the journal are missing")
        self._wal_files = [known.get(first) or WalFile(first, 0) for first in firsts]

    def _bundle(self, index: int, *, alone: bool) -> tuple[int, list[bytes]]:
        number = index // TILE_WIDTH
        run = self._cached.get(number)
        if run is None and alone:
            return index, [read_bundled_leaf(self._files, index)]
        return run or self._keep(number, read_bundle(self._files, number))

    def _frame(self, index: int) -> tuple[int, list[bytes]]:
        at = bisect_right(self._wal_files, index, key=lambda one: one.first) - 1
        wal_file = self._wal_files[at]
        if index >= wal_file.next:
            self._extend(wal_file, index)
        first, count, offset, length = wal_file.locate(index)
        run = self._cached.get(~first)
        if run is not None:
            return run
        data = self._files.read(wal_file.name, offset, length)
        run = first, decode_entries(payload_of(data), count)
        return self._keep(~first, run) if count <= TILE_WIDTH else run

    def _keep(self, key: int, run: tuple[int, list[bytes]]) -> tuple[int, list[bytes]]:
        if len(self._cached) >= CACHED:
            del self._cached[next(iter(self._cached))]
        self._cached[key] = run
        return run

    def _extend(self, wal_file: WalFile, index: int) -> None:
        """Find the frames of a WAL file up to the one with a leaf; raise IntegrityError if none."""
        if wal_file.offset == FILE_HEADER:
            head = self._files.read(wal_file.name, 0, FILE_HEADER)
            read_file_header(head, wal_file.first, self.origin)
        while wal_file.next <= index:
            base = wal_file.offset
            data = self._files.read(wal_file.name, base, _HEADERS)
            while wal_file.next <= index:
                extent = frame_extent(data, wal_file.offset - base)
                if extent is None or extent[0] != wal_file.next:
                    break
                wal_file.extend(*extent)
            if wal_file.offset == base:
                raise IntegrityError(f"leaf {index} is missing from {wal_file.name}")
