"""Reading a log's leaves from the disk without changes, and telling a torn tail from damage.

A frame that is not whole is a torn tail only in the last WAL file, and only if no whole frame
follows it. Anything else raises IntegrityError with the file and the offset.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.logport import LogFiles
from ironkeep.journal.frame import (
    FILE_HEADER,
    GENESIS,
    Frame,
    find_frame,
    read_file_header,
    split_frames,
)
from ironkeep.journal.wal import (
    FILE_BYTES,
    Wal,
    WalFile,
    read_bundle,
    wal_file_firsts,
    wal_file_name,
)
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.tile import TILE_WIDTH

EVIDENCE: Final = "Keep the directory as evidence, compare it with a mirror, and start a new epoch"

_RUN: Final = 1 << 15
"""Leaf hashes that `bundled_hashes` yields at a time."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The content of a log's WAL files; `torn` is the half-written tail that a crash left."""

    wal_files: list[WalFile]
    frames: list[Frame]
    digest: bytes
    torn: bytes

    @property
    def start(self) -> int:
        """The first leaf in a WAL file; earlier leaves are in bundles."""
        return self.wal_files[0].first

    @property
    def size(self) -> int:
        """The number of leaves in the log."""
        return self.wal_files[-1].next

    @property
    def latest_ns(self) -> int:
        """The time of the latest entry in a WAL file; 0 if frames of version 1 hide it."""
        return max((frame.time_ns for frame in self.frames), default=0)

    def leaf_hashes(self) -> list[bytes]:
        """Return the hashes of the leaves from `start` on."""
        return [leaf for frame in self.frames for leaf in frame.leaf_hashes]


def replay(files: LogFiles, origin: str) -> Replayed:
    """Return the content of the WAL files of the log named origin."""
    firsts = wal_file_firsts(files)
    if not firsts:
        raise IntegrityError(f"all WAL files of the journal are missing. {EVIDENCE}")
    # The first WAL file found can only be checked if it is the log's first: it chains to GENESIS.
    digest = None if firsts[0] else GENESIS
    wal_files: list[WalFile] = []
    frames: list[Frame] = []
    torn = b""
    for first in firsts:
        name = wal_file_name(first)
        if wal_files and wal_files[-1].next != first:
            raise IntegrityError(
                f"{name} does not start where the WAL file before it ends. {EVIDENCE}"
            )
        wal_file = WalFile(first, files.size(name))
        wal_files.append(wal_file)
        data = files.read(name, 0, wal_file.capacity)
        try:
            found, digest = _read_wal_file(data, wal_file, origin, digest)
            torn = _torn_tail(data, wal_file, last=first == firsts[-1])
        except IntegrityError as error:
            where = f"{name} at offset {wal_file.offset}"
            raise IntegrityError(f"{where}: {error}. {EVIDENCE}") from None
        frames += found
    assert digest is not None
    _check_seam(files, firsts[0], frames)
    return Replayed(wal_files, frames, digest, torn)


class ClosedLog:
    """The leaves of a log as it was when this was made, for `entries.Reader`; verify it first."""

    def __init__(self, files: LogFiles, origin: str) -> None:
        self.origin: Final = origin
        self._files: Final = files
        self._wal = self._open()
        self.size: Final = self._wal.size

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return leaves [first, last)."""
        try:
            return self._wal.leaves(first, last)
        except FileNotFoundError:
            # A server that runs beside this one has moved leaves into bundles.
            self._wal = self._open()
            return self._wal.leaves(first, last)

    def _open(self) -> Wal:
        replayed = replay(self._files, self.origin)
        return Wal(self._files, self.origin, replayed.wal_files, replayed.digest, FILE_BYTES)


def bundled_hashes(files: LogFiles, end: int) -> Iterator[list[bytes]]:
    """Yield the leaf hashes below end, read from bundles, in runs of about _RUN."""
    hashes: list[bytes] = []
    for number in range(-(-end // TILE_WIDTH)):
        first, leaves = read_bundle(files, number)
        hashes += [leaf_hash(leaf) for leaf in leaves[: end - first]]
        if len(hashes) >= _RUN:
            yield hashes
            hashes = []
    yield hashes


def _read_wal_file(
    data: bytes, wal_file: WalFile, origin: str, digest: bytes | None
) -> tuple[list[Frame], bytes]:
    """Return a WAL file's whole frames and the digest for the next file; record the frames in it.

    digest is the one that this WAL file must chain to; None if the older WAL files are gone.
    """
    previous = read_file_header(data, wal_file.first, origin)
    if digest not in {None, previous}:
        raise IntegrityError("the WAL file does not chain to the WAL file before it")
    frames = []
    for frame in split_frames(data, FILE_HEADER, previous):
        if frame.first != wal_file.next:
            raise IntegrityError(
                f"the frame starts with leaf {frame.first}, expected leaf {wal_file.next}"
            )
        wal_file.add(frame)
        frames.append(frame)
    return frames, frames[-1].digest if frames else previous


def _torn_tail(data: bytes, wal_file: WalFile, *, last: bool) -> bytes:
    """Return the bytes after the last whole frame, without the zeros at the WAL file's end."""
    torn = data[wal_file.offset :].rstrip(b"\x00")
    if not torn:
        return b""
    if not last:
        raise IntegrityError("the WAL file is damaged, and more WAL files follow")
    follows = find_frame(data, wal_file.offset)
    if follows is not None:
        raise IntegrityError(
            f"the WAL file is damaged, and a whole frame follows at offset {follows}"
        )
    return torn


def _check_seam(files: LogFiles, start: int, frames: list[Frame]) -> None:
    """Check that bundles reach up to start, and match the WAL files where the two overlap.

    Without the oldest WAL files a later one would look like the first. The bundle before it is
    missing then, which is noticed here.
    """
    if start == 0:
        return
    first, leaves = read_bundle(files, (start - 1) // TILE_WIDTH)
    beyond = [leaf_hash(leaf) for leaf in leaves[start - first :]]
    kept = [leaf for frame in frames[: len(beyond)] for leaf in frame.leaf_hashes]
    if beyond != kept[: len(beyond)]:
        raise IntegrityError(f"the bundle and the WAL file with leaf {start} differ. {EVIDENCE}")
