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

CACHED: Final = 64 * TILE_WIDTH
"""Leaves kept decoded: entries found by an index are often close to each other, and the leaves of a
run are read twice, to find index leaves in them and to index them."""

_HEADERS: Final = 1 << 20
"""Bytes read at a time to find frames: many small ones, or a part of a large one."""
_AHEAD: Final = 1 << 18
"""Bytes of small frames read at a time when a range is asked for; they may have a leaf each."""
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
        self._kept = 0

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
            start, leaves = self._run(index, last, alone=last - first == 1)
            found += leaves[index - start : last - start]
        return found

    def _run(self, index: int, last: int, *, alone: bool) -> tuple[int, list[bytes]]:
        """Return (first index, leaves) of the bundle or frame with a leaf, or of the leaf alone.

        The leaf is of a range that ends before leaf last.
        """
        for _ in range(_TRIES):
            try:
                if not self._wal_files or index >= self._wal_files[-1].next:
                    self._look()
                if index < self._wal_files[0].first:
                    return self._bundle(index, alone=alone)
                return self._frame(index, last)
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

    def _frame(self, index: int, last: int) -> tuple[int, list[bytes]]:
        at = bisect_right(self._wal_files, index, key=lambda one: one.first) - 1
        wal_file = self._wal_files[at]
        if index >= wal_file.next:
            self._extend(wal_file, index)
        first, count, offset, length = wal_file.locate(index)
        run = self._cached.get(~first)
        if run is not None:
            return run
        if count <= TILE_WIDTH:
            _, _, begin, extent = wal_file.locate(min(last, wal_file.next) - 1)
            length = max(length, min(begin + extent - offset, _AHEAD))
        data = self._files.read(wal_file.name, offset, length)
        return self._decode(wal_file, first, data)

    def _decode(self, wal_file: WalFile, first: int, data: bytes) -> tuple[int, list[bytes]]:
        """Return the first frame in data; keep the frames that are whole and small."""
        found, at = None, 0
        while (extent := frame_extent(data, at)) is not None and at + extent[2] <= len(data):
            begin, count, length = extent
            run = begin, decode_entries(payload_of(data[at : at + length]), count)
            if count <= TILE_WIDTH:
                self._keep(~begin, run)
            found = found or run
            at += length
        if found is None or found[0] != first:
            raise IntegrityError(f"leaf {first} is missing from {wal_file.name}")
        return found

    def _keep(self, key: int, run: tuple[int, list[bytes]]) -> tuple[int, list[bytes]]:
        self._kept += len(run[1])
        while self._kept > CACHED:
            oldest = self._cached.pop(next(iter(self._cached)))
            self._kept -= len(oldest[1])
        if key in self._cached:
            self._kept -= len(self._cached[key][1])
        self._cached[key] = run
        return run

    def _extend(self, wal_file: WalFile, index: int) -> None:
        """Find the frames of a WAL file with a leaf and behind it; raise IntegrityError if none."""
        if wal_file.offset == FILE_HEADER:
            head = self._files.read(wal_file.name, 0, FILE_HEADER)
            read_file_header(head, wal_file.first, self.origin)
        while wal_file.next <= index:
            base = wal_file.offset
            data = self._files.read(wal_file.name, base, _HEADERS)
            while wal_file.next < self.size:
                extent = frame_extent(data, wal_file.offset - base)
                if extent is None or extent[0] != wal_file.next:
                    break
                wal_file.extend(*extent)
            if wal_file.offset == base:
                raise IntegrityError(f"leaf {index} is missing from {wal_file.name}")
