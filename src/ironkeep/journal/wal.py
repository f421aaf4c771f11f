"""The journal's write-ahead log: WAL files of frames, each durable before its answers leave.

    wal/<first index, 20 digits>.wal   a WAL file; only the last one is written to wal/spare
    space allocated in advance for the next WAL file tile/entries/...                   full bundles
    of 256 leaves, moved here from finished WAL files reserve                            space to
    give up when the disk is full

Leaves below the first WAL file's first index are read from bundles, the others from WAL files.
`append` runs on the writer thread, `prepare` and `bundle` on one other thread, reading on any.
"""

import errno
from array import array
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.logport import LogFiles, is_transient
from ironkeep.journal.frame import (
    FILE_HEADER,
    FRAME_HEADER,
    GENESIS,
    MAX_FRAME_BYTES,
    Frame,
    file_header,
    payload_of,
)
from ironkeep.tlog.tile import TILE_WIDTH, Tile, decode_entries, encode_entries, entry_in

_T = TypeVar("_T")

FILE_BYTES: Final = 32 << 20
"""Bytes of a WAL file: a restart replays those not bundled, usually one or two, in 0.2 s each."""

FIRST_SEGMENT_BYTES: Final = 1 << 20
"""Bytes of a new log's first WAL file: a first start need not wait for a full-size one."""

CALLS_BEHIND: Final = 16
"""A call of `bundle` writes one in CALLS_BEHIND of the waiting bundles, with two syncs each.

A burst of entries is thus bundled mostly after it ends. Under a lasting load, calls settle at
writing as many bundles as arrive, with about three WAL files waiting at 20,000 entries a second.
"""

MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + 0xFFFF)
"""Bytes of the largest bundle that the format allows."""

RESERVE: Final = "reserve"
"""A file whose space is given up when the disk is full."""

_RESERVE_SEGMENTS: Final = 2
_FOLDER: Final = "wal"
_SUFFIX: Final = ".wal"
_SPARE: Final = "wal/spare"
_DRAFT: Final = "wal/draft"
_TAKEN: Final = "wal/taken"
_SCRATCH: Final = (_SPARE, _DRAFT, _TAKEN)


class WalFile:
    """One file of frames, with the offset of each frame."""

    __slots__ = ("_firsts", "_offsets", "capacity", "first", "name", "next", "offset")

    def __init__(self, first: int, capacity: int) -> None:
        self.first: Final = first
        self.name: Final = wal_file_name(first)
        """The file's name under the log's directory."""
        self.capacity = capacity
        self.next = first
        self.offset = FILE_HEADER
        self._firsts: Final = array("Q")
        self._offsets: Final = array("Q")

    def add(self, frame: Frame) -> None:
        """Record that frame is durable at the WAL file's offset."""
        self.extend(frame.first, frame.count, len(frame.data))

    def extend(self, first: int, count: int, length: int) -> None:
        """Record a durable frame of count leaves and length bytes at the WAL file's offset."""
        # Other threads bisect _firsts and then read _offsets, so the offset must come first.
        self._offsets.append(self.offset)
        self._firsts.append(first)
        self.offset += length
        self.next = first + count

    def locate(self, index: int) -> tuple[int, int, int, int]:
        """Return (first index, count, offset, bytes) of the frame with leaf index."""
        end, stop = self.next, self.offset
        at = bisect_right(self._firsts, index) - 1
        first = self._firsts[at]
        if at + 1 < len(self._firsts):
            end, stop = self._firsts[at + 1], self._offsets[at + 1]
        return first, end - first, self._offsets[at], stop - self._offsets[at]


class Wal:
    """The durable leaves of a log, and the only code that adds to them."""

    def __init__(
        self, files: LogFiles, origin: str, wal_files: list[WalFile], digest: bytes, size: int
    ) -> None:
        self._files: Final = files
        self._origin: Final = origin
        self._wal_files = wal_files
        self._segment_bytes: Final = size
        self._sealed = -(-wal_files[0].first // TILE_WIDTH)
        self.digest = digest
        self.disk_full = False
        self._rotating = False
        self._torn = 0
        self._sealed_files: Final[list[str]] = []

    @property
    def size(self) -> int:
        """The number of durable leaves."""
        return self._wal_files[-1].next

    @property
    def start(self) -> int:
        """The first leaf that is read from a WAL file; earlier leaves are in bundles."""
        return self._wal_files[0].first

    def append(self, frame: Frame) -> None:
        """Make frame durable as the next in order, in a file that is still whole and in its place.

        After an OSError it is unknown whether the frame is durable.
        """
        current = self._wal_files[-1]
        if self._torn:
            # The frame of a failed append may be on disk, whole: a restart would accept it.
            self._files.write_through(current.name, current.offset, bytes(self._torn))
            self._torn = 0
        if self._rotating or current.offset + len(frame.data) > current.capacity:
            current = self._rotate(len(frame.data))
        # A write into a file that was moved away or cut would be acknowledged, and lost.
        self._files.require_linked(current.name, current.capacity)
        self._torn = len(frame.data)
        self._files.write_through(current.name, current.offset, frame.data)
        self._torn = 0
        # The digest first: `current.add` changes `size`, which shows the frame to other threads.
        self.digest = frame.digest
        current.add(frame)

    def _rotate(self, needed: int) -> WalFile:
        """Start the next WAL file: its header is durable before the file gets its name."""
        first = self.size
        capacity = max(self._segment_bytes, FILE_HEADER + needed)
        if capacity == self._segment_bytes and self._has_spare():
            self._files.rename(_SPARE, _TAKEN)
        else:
            self._allocate(_TAKEN, capacity)
        self._files.write_through(_TAKEN, 0, file_header(first, self.digest, self._origin))
        # If the rename fails the file may exist all the same, so nothing may follow in the old one.
        self._rotating = True
        self._files.rename(_TAKEN, wal_file_name(first))
        self._rotating = False
        wal_file = WalFile(first, capacity)
        # The list is changed in place, as `bundle` removes from its other end at the same time.
        if self._wal_files[-1].first == first:
            # The last WAL file held no frame (its tail was torn off): the new file replaced it.
            self._wal_files[-1] = wal_file
        else:
            self._wal_files.append(wal_file)
        return wal_file

    def _has_spare(self) -> bool:
        return _SPARE.rpartition("/")[2] in self._files.names(_FOLDER)

    def prepare(self) -> None:
        """Allocate the next file in advance, so that the writer need not wait; then the reserve.

        The reserve is given up when the disk is full, and `disk_full` becomes true: its space is
        for the last entries. It is allocated again once there is room for twice its size.
        """
        if not self._has_spare():
            self._allocate(_DRAFT, self._segment_bytes)
            self._files.rename(_DRAFT, _SPARE)
        reserve = _RESERVE_SEGMENTS * self._segment_bytes
        if RESERVE in self._files.names(""):
            return
        # As much again must stay free, or the new reserve would be given up at once.
        self.disk_full = self._files.free() < 2 * reserve
        if not self.disk_full:
            self._take(_DRAFT, reserve)
            self._files.rename(_DRAFT, RESERVE)

    def require_room(self) -> None:
        """Raise OSError unless the largest frame fits into this or the spare WAL file."""
        current = self._wal_files[-1]
        if current.offset + MAX_FRAME_BYTES > current.capacity and not self._has_spare():
            raise OSError(errno.ENOSPC, "No space left on the disk of the journal")

    def _allocate(self, name: str, length: int) -> None:
        """Allocate a file; when the disk is full, give up the reserve for it."""
        try:
            self._take(name, length)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            self.disk_full = True
            if RESERVE not in self._files.names(""):
                raise
            self._files.remove(RESERVE)
            self._take(name, length)

    def _take(self, name: str, length: int) -> None:
        """Allocate a file, or remove what was allocated, which may be the disk's last space."""
        try:
            self._files.allocate(name, length)
        except OSError as error:
            if is_transient(error):
                with suppress(OSError):
                    self._files.remove(name)
            raise

    def bundle(self, signed: int) -> bool:
        """Move leaves of finished WAL files into bundles; return whether more are waiting.

        A WAL file is deleted once all its leaves are below signed, the size of the last signed
        checkpoint, and every bundle with one of its leaves is full and durable.
        """
        self._remove_sealed()
        written = 0
        waiting = self._wal_files[-1].first // TILE_WIDTH - self._sealed
        while len(self._wal_files) > 1:
            wal_file = self._wal_files[0]
            end = -(-wal_file.next // TILE_WIDTH)
            if wal_file.next > signed or end * TILE_WIDTH > self.size:
                return False
            while self._sealed < end:
                if written > waiting // CALLS_BEHIND:
                    return True
                leaves = self.leaves(self._sealed * TILE_WIDTH, (self._sealed + 1) * TILE_WIDTH)
                self._files.replace(Tile(None, self._sealed).path, encode_entries(leaves))
                self._sealed += 1
                written += 1
            del self._wal_files[0]
            self._sealed_files.append(wal_file.name)
            self._remove_sealed()
        return False

    def _remove_sealed(self) -> None:
        """Delete bundled WAL files in order: one left behind would be followed by a gap."""
        while self._sealed_files:
            self._files.remove(self._sealed_files[0])
            del self._sealed_files[0]

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return the leaves [first, last), which must be durable."""
        if not 0 <= first <= last <= self.size:
            raise InvalidRequest(f"the journal holds no leaves {first} to {last}")
        if last - first == 1 and first < self.start:
            return [read_bundled_leaf(self._files, first)]
        found: list[bytes] = []
        while first + len(found) < last:
            found += self._run(first + len(found), last)
        return found

    def _run(self, index: int, last: int) -> list[bytes]:
        """Return the leaves from index to the end of its bundle or frame, but none from last on."""
        wal_files = tuple(self._wal_files)
        if index < wal_files[0].first:
            start, leaves = read_bundle(self._files, index // TILE_WIDTH)
        else:
            at = bisect_right(wal_files, index, key=lambda one: one.first) - 1
            try:
                start, leaves = self._read_frame(wal_files[at], index)
            except FileNotFoundError:
                # The leaves moved into bundles after the list was copied.
                if index >= self.start:
                    raise
                return self._run(index, last)
        return leaves[index - start : last - start]

    def _read_frame(self, wal_file: WalFile, index: int) -> tuple[int, list[bytes]]:
        first, count, offset, length = wal_file.locate(index)
        data = self._files.read(wal_file.name, offset, length)
        return first, decode_entries(payload_of(data), count)

    def require_linked(self) -> None:
        """Raise OSError if the open WAL file's name no longer leads to the open file."""
        current = self._wal_files[-1]
        self._files.require_linked(current.name, current.capacity)


def read_bundle(files: LogFiles, number: int) -> tuple[int, list[bytes]]:
    """Return (first index, leaves) of a full bundle; IntegrityError if it is missing or damaged."""
    return number * TILE_WIDTH, _read_bundle(
        files, number, partial(decode_entries, count=TILE_WIDTH)
    )


def read_bundled_leaf(files: LogFiles, index: int) -> bytes:
    """Return one leaf from its bundle; IntegrityError if the bundle is missing or damaged.

    Takes a fifth of the time of `read_bundle`, for entries that an index finds one by one.
    """
    number, at = divmod(index, TILE_WIDTH)
    return _read_bundle(files, number, partial(entry_in, number=at))


def _read_bundle(files: LogFiles, number: int, decode: Callable[[bytes], _T]) -> _T:
    name = Tile(None, number).path
    try:
        return decode(files.read(name, 0, MAX_BUNDLE_BYTES))
    except FileNotFoundError:
        raise IntegrityError(f"{name} is missing: bring it back from a mirror") from None
    except IntegrityError as error:
        raise IntegrityError(f"{name}: {error}; bring it back from a mirror") from None


def wal_file_name(first: int) -> str:
    """Return the name of the WAL file that starts with leaf first."""
    return f"{_FOLDER}/{first:020d}{_SUFFIX}"


def wal_file_firsts(files: LogFiles) -> list[int]:
    """Return the first indexes of all WAL files, ascending; raise IntegrityError on other files."""
    found = []
    for name in files.names(_FOLDER):
        digits = name.removesuffix(_SUFFIX)
        if (
            digits.isascii()
            and digits.isdigit()
            and wal_file_name(int(digits)) == f"{_FOLDER}/{name}"
        ):
            found.append(int(digits))
        elif f"{_FOLDER}/{name}" not in _SCRATCH:
            raise IntegrityError(f"{_FOLDER}/{name} is not a file of this journal: move it away")
    return found


def clear_scratch(files: LogFiles) -> None:
    """Remove half-made files that a crash left, and a spare that may have another size."""
    for name in _SCRATCH:
        files.remove(name)


def create_wal_file(files: LogFiles, origin: str, file_bytes: int) -> None:
    """Make the first WAL file of a new log."""
    files.allocate(_TAKEN, min(file_bytes, FIRST_SEGMENT_BYTES))
    files.write_through(_TAKEN, 0, file_header(0, GENESIS, origin))
    files.rename(_TAKEN, wal_file_name(0))


assert FILE_HEADER + FRAME_HEADER + MAX_FRAME_BYTES <= FILE_BYTES
