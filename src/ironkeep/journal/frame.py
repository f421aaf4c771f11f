"""Frames and WAL files of the journal's write-ahead log, as bytes.

A WAL file is a header, then frames without gaps, then zeros up to its allocated size:

    WAL file  "IKWS" ‖ version 1 ‖ 0 0 0 ‖ first index u64 ‖ previous digest 32
             ‖ SHA-256(origin) 32 ‖ crc32
    frame    "IKWF" ‖ version 2 ‖ 0 0 0 ‖ first index u64 ‖ count u32 ‖ payload length u32
             ‖ time u64 ‖ digest 32 ‖ crc32 ‖ payload

Numbers are big-endian. The time is that of the latest entry so far, in POSIX nanoseconds: a sealed
server, which cannot read entries, continues from it. Frames of version 1 have none.

A payload is exactly a c2sp.org/tlog-tiles entry bundle of `count` leaves. A frame's digest is
SHA-256(previous digest ‖ header before the digest ‖ payload), so frames form a chain, across WAL
files too. The crc32 covers the whole frame, so that a frame is recognised without its predecessor.
That distinguishes a torn tail (no valid frame follows) from damage (one does).
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

_FRAME: Final = Struct(">4sB3xQIIQ")
_FRAME_1: Final = Struct(">4sB3xQII")
_TAIL: Final = Struct(">32sI")
_FILE: Final = Struct(">4sB3xQ32s32s")
_CRC: Final = Struct(">I")
_FRAME_MAGIC: Final = b"IKWF"
_FILE_MAGIC: Final = b"IKWS"
_FILE_VERSION: Final = 1
_VERSION: Final = 2
_HEADS: Final = {1: _FRAME_1, _VERSION: _FRAME}

FRAME_HEADER: Final = _FRAME.size + _TAIL.size
"""Bytes before a frame's payload, in the present version."""

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
    time_ns: int = 0

    @property
    def end(self) -> int:
        """The index after the last leaf."""
        return self.first + self.count

    @property
    def payload(self) -> bytes:
        """The leaves as an entry bundle."""
        return payload_of(self.data)


def payload_of(data: bytes) -> bytes:
    """Return the payload of the one whole frame in data."""
    return data[_HEADS[data[len(_FRAME_MAGIC)]].size + _TAIL.size :]


def build_frame(
    previous: bytes, first: int, payload: bytes, leaf_hashes: Sequence[bytes], time_ns: int = 0
) -> Frame:
    """Return the frame of the leaves in payload, chained to the frame with digest previous.

    time_ns is the time of the latest entry up to its end, 0 before the first.
    """
    head = _FRAME.pack(_FRAME_MAGIC, _VERSION, first, len(leaf_hashes), len(payload), time_ns)
    digest = _digest(previous, head, payload)
    tail = _TAIL.pack(digest, _checksum(head, digest, payload))
    whole = b"".join((head, tail, payload))
    return Frame(first, len(leaf_hashes), whole, previous, digest, leaf_hashes, time_ns)


@dataclass(frozen=True, slots=True)
class _Header:
    """A frame's header, with its numbers checked against their limits; `head` precedes its digest.

    `begin` is the offset of the payload.
    """

    head: bytes
    first: int
    count: int
    length: int
    time_ns: int
    digest: bytes
    crc: int
    begin: int

    def payload(self, data: bytes) -> bytes:
        """Return the payload, or less if data ends before it does."""
        return data[self.begin : self.begin + self.length]


def _read_header(data: bytes, at: int) -> _Header | None:
    """Return the header at an offset, or None if no valid header is there."""
    form = _HEADS.get(data[at + 4]) if at + 4 < len(data) else None
    if form is None or at + form.size + _TAIL.size > len(data):
        return None
    magic, _, first, count, length, *times = form.unpack_from(data, at)
    digest, crc = _TAIL.unpack_from(data, at + form.size)
    sound = magic == _FRAME_MAGIC and not any(data[at + 5 : at + 8])
    if not (sound and 0 < count <= MAX_FRAME_ENTRIES and length <= MAX_FRAME_BYTES):
        return None
    begin, time_ns = at + form.size + _TAIL.size, sum(times)
    return _Header(data[at : at + form.size], first, count, length, time_ns, digest, crc, begin)


def frame_extent(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return (first index, count, bytes) of the frame whose header is at an offset of data.

    None if there is no whole header. Reads nothing of the payload and checks neither the checksum
    nor the chain: the frame must be known to be durable.
    """
    header = _read_header(data, at)
    if header is None:
        return None
    return header.first, header.count, header.begin - at + header.length


def read_frame(data: bytes, at: int, previous: bytes) -> Frame | None:
    """Return the frame at an offset of data, or None if it is not whole.

    Raises IntegrityError for a whole frame that does not chain to previous, or whose payload is not
    a bundle of its leaves: no crash leaves such a frame.
    """
    header = _read_header(data, at)
    if header is None or header.begin + header.length > len(data):
        return None
    payload = header.payload(data)
    if _checksum(header.head, header.digest, payload) != header.crc:
        return None
    if _digest(previous, header.head, payload) != header.digest:
        raise IntegrityError("a whole frame does not chain to the frame before it")
    hashes = [leaf_hash(leaf) for leaf in decode_entries(payload, header.count)]
    whole = data[at : header.begin + header.length]
    return Frame(header.first, header.count, whole, previous, header.digest, hashes, header.time_ns)


def read_leaves(data: bytes) -> tuple[int, list[bytes]]:
    """Return (first index, leaves) of the one frame in data. Does not check its chain.

    Raises IntegrityError if data is not exactly one whole frame.
    """
    header = _read_header(data, 0)
    if header is None or len(data) - header.begin != header.length:
        raise IntegrityError("not one whole frame")
    payload = header.payload(data)
    if _checksum(header.head, header.digest, payload) != header.crc:
        raise IntegrityError("a frame's checksum does not match")
    return header.first, decode_entries(payload, header.count)


def frame_digest(data: bytes) -> bytes:
    """Return the digest in the header of the one frame in data; errors as `read_leaves`."""
    read_leaves(data)
    header = _read_header(data, 0)
    assert header is not None
    return header.digest


def find_frame(data: bytes, at: int) -> int | None:
    """Return the offset of the first whole frame that starts after offset at, or None."""
    while (at := data.find(_FRAME_MAGIC, at + 1)) >= 0:
        header = _read_header(data, at)
        if header is not None:
            checksum = _checksum(header.head, header.digest, header.payload(data))
            if checksum == header.crc:
                return at
    return None


def file_header(first: int, previous: bytes, origin: str) -> bytes:
    """Return the header of the WAL file that starts with leaf first of the log named origin."""
    name = sha256(origin.encode()).digest()
    head = _FILE.pack(_FILE_MAGIC, _FILE_VERSION, first, previous, name)
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
