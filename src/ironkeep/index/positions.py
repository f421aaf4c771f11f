"""The positions of one term in a run of leaves, as bytes.

    chunk    the offsets of a term in one level-0 run: strictly ascending numbers below 4,096
    record   chunks of several level-0 runs: (ordinal u8 ‖ length varint ‖ chunk)…, ascending

A chunk is the list of gaps (offset - previous offset - 1, starting from -1), each an unsigned
LEB128 varint. If that takes 512 bytes or more, the chunk is a bitmap of 512 bytes instead, with
offset 0 in the lowest bit of the first byte. Its length tells which. Every set of positions has
exactly one encoding: decoding refuses any other.

The ordinal of a run counts from the first run of the record's range. So records of neighbouring
ranges merge by changing ordinals: no chunk is decoded.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from ironkeep.core.errors import IntegrityError

RUN: Final = 4_096
"""Leaves of a level-0 run."""

FAN: Final = 64
"""Runs of a level that one run of the next level holds."""

_BITMAP: Final = RUN // 8
_MORE: Final = 0x80
_LOW: Final = 0x7F


def encode_chunk(offsets: Sequence[int]) -> bytes:
    """Return the chunk of strictly ascending offsets below RUN; there must be at least one."""
    if len(offsets) == 1:
        return _VARINTS[offsets[0]]
    if len(offsets) < _BITMAP:
        gaps = [_VARINTS[after - before - 1] for before, after in pairwise(offsets)]
        data = _VARINTS[offsets[0]] + b"".join(gaps)
        if len(data) < _BITMAP:
            return data
    bitmap = bytearray(_BITMAP)
    for offset in offsets:
        bitmap[offset >> 3] |= 1 << (offset & 7)
    return bytes(bitmap)


def decode_chunk(chunk: bytes) -> list[int]:
    """Return the offsets in a chunk; raise IntegrityError unless it is their only encoding."""
    if len(chunk) == _BITMAP:
        offsets = [
            at * 8 + bit for at, byte in enumerate(chunk) if byte for bit in range(8)
            if byte >> bit & 1
        ]  # fmt: skip
    elif len(chunk) < _BITMAP:
        offsets = []
        last = at = 0
        while at < len(chunk):
            gap, at = _read_varint(chunk, at)
            last += gap
            offsets.append(last)
            last += 1
    else:
        raise IntegrityError("index: a chunk of positions is too long")
    if not offsets or offsets[-1] >= RUN or encode_chunk(offsets) != chunk:
        raise IntegrityError("index: a chunk of positions is not in its canonical form")
    return offsets


def record_of(chunk: bytes) -> bytes:
    """Return the record of a level-0 run with this chunk."""
    return b"\x00" + _VARINTS[len(chunk)] + chunk


def chunks_of(record: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (ordinal, chunk) of a record; raise IntegrityError unless it is well-formed."""
    at, last = 0, -1
    while at < len(record):
        ordinal = record[at]
        length, begin = _read_varint(record, at + 1)
        at = begin + length
        if not last < ordinal < FAN or at > len(record):
            raise IntegrityError("index: a record's runs are out of order, or it is cut short")
        yield ordinal, record[begin:at]
        last = ordinal
    if last < 0:
        raise IntegrityError("index: a record is empty")


def positions_of(record: bytes, start: int, first: int = 0, last: int | None = None) -> list[int]:
    """Return the positions in [first, last) of a record whose range starts with leaf `start`."""
    found: list[int] = []
    for ordinal, chunk in chunks_of(record):
        begin = start + ordinal * RUN
        if begin + RUN <= first or (last is not None and begin >= last):
            continue
        inside = (begin + offset for offset in decode_chunk(chunk))
        if begin >= first and (last is None or begin + RUN <= last):
            found.extend(inside)
        else:
            found.extend(at for at in inside if at >= first and (last is None or at < last))
    return found


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= _MORE:
        out.append(number & _LOW | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return (number, next offset); at most three bytes, without a final zero byte."""
    number = 0
    for shift in (0, 7, 14):
        if at >= len(data):
            raise IntegrityError("index: a number is cut short")
        byte = data[at]
        at += 1
        number |= (byte & _LOW) << shift
        if byte < _MORE:
            if shift and not byte:
                raise IntegrityError("index: a number is not in its shortest form")
            return number, at
    raise IntegrityError("index: a number is too long")


def union(lists: Iterable[list[int]]) -> list[int]:
    """Return all positions of ascending lists, ascending, each once."""
    present = [each for each in lists if each]
    if len(present) <= 1:
        return present[0] if present else []
    return sorted(set().union(*present))


_VARINTS: Final = tuple(map(_varint, range(RUN)))
"""The varint of every number that a chunk or the length of one can have."""
