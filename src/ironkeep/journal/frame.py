"""Frames and WAL files of the journal's write-ahead log, as bytes.

A WAL file is a header, then frames without gaps, then zeros up to its allocated size:

    WAL file  "IKWS" ‖ version 1 ‖ 0 0 0 ‖ first index u64 ‖ previous digest 32
             ‖ SHA-256(origin) 32 ‖ crc32
    frame    "IKWF" ‖ version 1 ‖ 0 0 0 ‖ first index u64 ‖ count u32 ‖ payload length u32
             ‖ digest 32 ‖ crc32 ‖ payload

Numbers are big-endian. A payload is exactly a c2sp.org/tlog-tiles entry bundle of `count` leaves. A
frame's digest is SHA-256(previous digest ‖ header before the digest ‖ payload), so frames form a
chain, across WAL files too. The crc32 covers the whole frame, so that a frame is recognised without
its predecessor. That distinguishes a torn tail (no valid frame follows) from damage (one does).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Final
from zlib import crc32

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.tile import decode_entries

MAX_FRAME_ENTRIES: Final = 1 << 16
"""Leaves of a frame: enough for a second of requests at full speed."""

MAX_FRAME_BYTES: Final = 16 << 20
"""Bytes of a frame's payload, which is held in memory and synced as one piece."""

GENESIS: Final = bytes(32)
"""The previous digest of the first frame of a log."""

_FRAME: Final = Struct(">4sB3xQII")
_TAIL: Final = Struct(">32sI")
_FILE: Final = Struct(">4sB3xQ32s32s")
_CRC: Final = Struct(">I")
_FRAME_MAGIC: Final = b"IKWF"
_FILE_MAGIC: Final = b"IKWS"
_VERSION: Final = 1

FRAME_HEADER: Final = _FRAME.size + _TAIL.size
"""Bytes before a frame's payload."""

FILE_HEADER: Final = _FILE.size + _CRC.size
"""Bytes before a WAL file's first frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A batch in the form written to the log: leaves [first, first + count) as exact bytes."""

    first: int
    count: int
    data: bytes
    previous: bytes
    digest: bytes
    leaf_hashes: Sequence[bytes]

    @property
    def end(self) -> int:
        """The index after the last leaf."""
        return self.first + self.count

    @property
    def payload(self) -> bytes:
        """The leaves as an entry bundle."""
        return self.data[FRAME_HEADER:]


def build_frame(previous: bytes, first: int, payload: bytes, leaf_hashes: Sequence[bytes]) -> Frame:
    """Return the frame of the leaves in payload, chained to the frame with digest previous."""
    head = _FRAME.pack(_FRAME_MAGIC, _VERSION, first, len(leaf_hashes), len(payload))
    digest = _digest(previous, head, payload)
    tail = _TAIL.pack(digest, _checksum(head, digest, payload))
    whole = b"".join((head, tail, payload))
    return Frame(first, len(leaf_hashes), whole, previous, digest, leaf_hashes)


@dataclass(frozen=True, slots=True)
class _Header:
    """A frame's header, with its numbers checked against their limits."""

    first: int
    count: int
    length: int
    digest: bytes
    crc: int


def _read_header(data: bytes, at: int) -> _Header | None:
    """Return the header at an offset, or None if no valid header is there."""
    if at + FRAME_HEADER > len(data):
        return None
    magic, version, first, count, length = _FRAME.unpack_from(data, at)
    digest, crc = _TAIL.unpack_from(data, at + _FRAME.size)
    sound = magic == _FRAME_MAGIC and version == _VERSION and not any(data[at + 5 : at + 8])
    if not (sound and 0 < count <= MAX_FRAME_ENTRIES and length <= MAX_FRAME_BYTES):
        return None
    return _Header(first, count, length, digest, crc)


def read_frame(data: bytes, at: int, previous: bytes) -> Frame | None:
    """Return the frame at an offset of data, or None if it is not whole.

    Raises IntegrityError for a whole frame that does not chain to previous, or whose payload is not
    a bundle of its leaves: no crash leaves such a frame.
    """
    header = _read_header(data, at)
    if header is None or at + FRAME_HEADER + header.length > len(data):
        return None
    begin = at + FRAME_HEADER
    payload = data[begin : begin + header.length]
    head = data[at : at + _FRAME.size]
    if _checksum(head, header.digest, payload) != header.crc:
        return None
    if _digest(previous, head, payload) != header.digest:
        raise IntegrityError("a whole frame does not chain to the frame before it")
    hashes = [leaf_hash(leaf) for leaf in decode_entries(payload, header.count)]
    whole = data[at : begin + header.length]
    return Frame(header.first, header.count, whole, previous, header.digest, hashes)


def read_leaves(data: bytes) -> tuple[int, list[bytes]]:
    """Return (first index, leaves) of the one frame in data. Does not check its chain.

    Raises IntegrityError if data is not exactly one whole frame.
    """
    header = _read_header(data, 0)
    payload = data[FRAME_HEADER:]
    if header is None or len(payload) != header.length:
        raise IntegrityError("not one whole frame")
    if _checksum(data[: _FRAME.size], header.digest, payload) != header.crc:
        raise IntegrityError("a frame's checksum does not match")
    return header.first, decode_entries(payload, header.count)


def find_frame(data: bytes, at: int) -> int | None:
    """Return the offset of the first whole frame that starts after offset at, or None."""
    while (at := data.find(_FRAME_MAGIC, at + 1)) >= 0:
        header = _read_header(data, at)
        if header is not None:
            begin = at + FRAME_HEADER
            payload = data[begin : begin + header.length]
            head = data[at : at + _FRAME.size]
            if _checksum(head, header.digest, payload) == header.crc:
                return at
    return None


def file_header(first: int, previous: bytes, origin: str) -> bytes:
    """Return the header of the WAL file that starts with leaf first of the log named origin."""
    name = sha256(origin.encode()).digest()
    head = _FILE.pack(_FILE_MAGIC, _VERSION, first, previous, name)
    return head + _CRC.pack(crc32(head))


def read_file_header(data: bytes, first: int, origin: str) -> bytes:
    """Return the digest that the WAL file's first frame chains to.

    Raises IntegrityError if the header is not that of this WAL file. The header is durable before
    the WAL file gets its name, so no crash leaves a bad one.
    """
    if len(data) >= FILE_HEADER:
        previous: bytes = _FILE.unpack_from(data)[3]
        if data[:FILE_HEADER] == file_header(first, previous, origin):
            return previous
    raise IntegrityError("the WAL file's header is damaged, or belongs to another log or index")


def split_frames(data: bytes, at: int, previous: bytes) -> Iterator[Frame]:
    """Yield the frames from an offset on, until one is not whole."""
    while (frame := read_frame(data, at, previous)) is not None:
        yield frame
        at += len(frame.data)
        previous = frame.digest


def _digest(previous: bytes, head: bytes, payload: bytes) -> bytes:
    digest = sha256(previous + head)
    digest.update(payload)
    return digest.digest()


def _checksum(head: bytes, digest: bytes, payload: bytes) -> int:
    return crc32(payload, crc32(head + digest))
