"""Reading a log's leaves from the disk without changes, and telling a torn tail from damage.

A frame that is not whole is a torn tail only in the last segment, and only if no whole frame
follows it. Anything else raises IntegrityError with the file and the offset.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.logport import LogFiles
from ironkeep.journal.frame import (
    GENESIS,
    SEGMENT_HEADER,
    Frame,
    find_frame,
    read_segment_header,
    split_frames,
)
from ironkeep.journal.wal import Segment, read_bundle, segment_firsts, segment_name
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.tile import TILE_WIDTH

EVIDENCE: Final = "Keep the directory as evidence, compare it with a mirror, and start a new epoch"

_RUN: Final = 1 << 15
"""Leaf hashes that `sealed_hashes` yields at a time."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The content of a log's segments; `torn` is the half-written tail that a crash left."""

    segments: list[Segment]
    frames: list[Frame]
    digest: bytes
    torn: bytes

    @property
    def start(self) -> int:
        """The first leaf in a segment; earlier leaves are in bundles."""
        return self.segments[0].first

    @property
    def size(self) -> int:
        """The number of leaves in the log."""
        return self.segments[-1].next

    def leaf_hashes(self) -> list[bytes]:
        """Return the hashes of the leaves from `start` on."""
        return [leaf for frame in self.frames for leaf in frame.leaf_hashes]


def replay(files: LogFiles, origin: str) -> Replayed:
    """Return the content of the segments of the log named origin."""
    firsts = segment_firsts(files)
    if not firsts:
        raise IntegrityError(f"all segments of the journal are missing. {EVIDENCE}")
    # The first segment found can only be checked if it is the log's first: it chains to GENESIS.
    digest = None if firsts[0] else GENESIS
    segments: list[Segment] = []
    frames: list[Frame] = []
    torn = b""
    for first in firsts:
        name = segment_name(first)
        if segments and segments[-1].next != first:
            raise IntegrityError(
                f"{name} does not start where the segment before it ends. {EVIDENCE}"
            )
        segment = Segment(first, files.size(name))
        segments.append(segment)
        data = files.read(name, 0, segment.capacity)
        try:
            found, digest = _read_segment(data, segment, origin, digest)
            torn = _torn_tail(data, segment, last=first == firsts[-1])
        except IntegrityError as error:
            where = f"{name} at offset {segment.offset}"
            raise IntegrityError(f"{where}: {error}. {EVIDENCE}") from None
        frames += found
    assert digest is not None
    _check_seam(files, firsts[0], frames)
    return Replayed(segments, frames, digest, torn)


def sealed_hashes(files: LogFiles, end: int) -> Iterator[list[bytes]]:
    """Yield the leaf hashes below end, read from bundles, in runs of about _RUN."""
    hashes: list[bytes] = []
    for number in range(-(-end // TILE_WIDTH)):
        first, leaves = read_bundle(files, number)
        hashes += [leaf_hash(leaf) for leaf in leaves[: end - first]]
        if len(hashes) >= _RUN:
            yield hashes
            hashes = []
    yield hashes


def _read_segment(
    data: bytes, segment: Segment, origin: str, digest: bytes | None
) -> tuple[list[Frame], bytes]:
    """Return a segment's whole frames and the digest for the next segment; record the frames in it.

    digest is the one that this segment must chain to; None if the older segments are gone.
    """
    previous = read_segment_header(data, segment.first, origin)
    if digest not in {None, previous}:
        raise IntegrityError("the segment does not chain to the segment before it")
    frames = []
    for frame in split_frames(data, SEGMENT_HEADER, previous):
        if frame.first != segment.next:
            raise IntegrityError(
                f"the frame starts with leaf {frame.first}, expected leaf {segment.next}"
            )
        segment.add(frame)
        frames.append(frame)
    return frames, frames[-1].digest if frames else previous


def _torn_tail(data: bytes, segment: Segment, *, last: bool) -> bytes:
    """Return the bytes after the last whole frame, without the zeros at the segment's end."""
    torn = data[segment.offset :].rstrip(b"\x00")
    if not torn:
        return b""
    if not last:
        raise IntegrityError("the segment is damaged, and more segments follow")
    follows = find_frame(data, segment.offset)
    if follows is not None:
        raise IntegrityError(
            f"the segment is damaged, and a whole frame follows at offset {follows}"
        )
    return torn


def _check_seam(files: LogFiles, start: int, frames: list[Frame]) -> None:
    """Check that bundles reach up to start, and match the segments where the two overlap.

    Without the oldest segments a later one would look like the first. The bundle before it is
    missing then, which is noticed here.
    """
    if start == 0:
        return
    first, leaves = read_bundle(files, (start - 1) // TILE_WIDTH)
    beyond = [leaf_hash(leaf) for leaf in leaves[start - first :]]
    kept = [leaf for frame in frames[: len(beyond)] for leaf in frame.leaf_hashes]
    if beyond != kept[: len(beyond)]:
        raise IntegrityError(f"the bundle and the segment with leaf {start} differ. {EVIDENCE}")
