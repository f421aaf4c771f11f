"""Uploading a log's entries to a mirror (c2sp.org/tlog-mirror): requests and answers.

Entries are sent in packages that end at multiples of 256. Each package has a proof of its position
in the tree of a checkpoint that the mirror already has. So a mirror stores each package as it
arrives, and an interrupted upload continues after the last one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ironkeep.core.errors import IntegrityError
from ironkeep.tlog.merkle import Frontier, verify_inclusion
from ironkeep.tlog.tile import MAX_ENTRY, TILE_WIDTH, encode_entries
from ironkeep.tlog.wire import (
    HASH_SIZE,
    MAX_SIZE,
    decode_base64,
    decode_decimal,
    decode_text,
    encode_base64,
)

MAX_PACKAGES: Final = 32
"""Packages in one request, as in the specification."""

MAX_HASHES: Final = 63
"""Hashes of a package's proof, as in the specification."""

MAX_PACKAGE: Final = TILE_WIDTH * (2 + MAX_ENTRY) + 1 + MAX_HASHES * HASH_SIZE
"""Bytes of the largest package: 256 of the longest entries, and a proof."""

MAX_TICKET: Final = 4_096
"""Bytes of a ticket kept for a mirror; it may contain a signed checkpoint."""

ENTRIES: Final = "application/octet-stream"
INFO: Final = "text/x.tlog.mirror-info"
"""Content types of a request, and of the 202 and 409 with the mirror's progress."""

_SHORT: Final = 2
_LONG: Final = 8


@dataclass(frozen=True, slots=True)
class Upload:
    """The head of a request: entries [start, end) follow, under the checkpoint of size `end`."""

    origin: str
    start: int
    end: int
    ticket: bytes = b""

    def serialise(self) -> bytes:
        """Return the bytes before the packages."""
        origin = self.origin.encode()
        return b"".join(
            (
                len(origin).to_bytes(_SHORT, "big"),
                origin,
                self.start.to_bytes(_LONG, "big"),
                self.end.to_bytes(_LONG, "big"),
                len(self.ticket).to_bytes(_SHORT, "big"),
                self.ticket,
            )
        )

    @classmethod
    def split(cls, data: bytes) -> tuple[Self, int] | None:
        """Return the head at the start of data and its length; None if data is incomplete."""
        origin_end = _SHORT + int.from_bytes(data[:_SHORT], "big")
        ticket_at = origin_end + 2 * _LONG + _SHORT
        if len(data) < ticket_at:
            return None
        used = ticket_at + int.from_bytes(data[ticket_at - _SHORT : ticket_at], "big")
        if len(data) < used:
            return None
        start = int.from_bytes(data[origin_end : origin_end + _LONG], "big")
        end = int.from_bytes(data[origin_end + _LONG : origin_end + 2 * _LONG], "big")
        if not start <= end <= MAX_SIZE:
            raise IntegrityError("the start of an upload is after its end")
        origin = decode_text(data[_SHORT:origin_end], origin_end)
        return cls(origin, start, end, data[ticket_at:used]), used

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield [first, last) of each package, in order."""
        first = self.start
        while first < self.end:
            last = min(self.end, first - first % TILE_WIDTH + TILE_WIDTH)
            yield first, last
            first = last


def encode_package(entries: Sequence[bytes], proof: Sequence[bytes]) -> bytes:
    """Return a package: its entries, and the hashes from their subtree to the root."""
    return encode_entries(entries) + bytes([len(proof)]) + b"".join(proof)


def split_package(
    data: bytes | bytearray, count: int
) -> tuple[list[bytes], list[bytes], int] | None:
    """Return (entries, proof, length) of the package of count entries at the start of data.

    Return None if the package is incomplete; nothing is copied until it is complete.
    """
    view = memoryview(data)
    ends = []
    at = 0
    for _ in range(count):
        if at + _SHORT > len(data):
            return None
        at += _SHORT + int.from_bytes(view[at : at + _SHORT], "big")
        ends.append(at)
    if at >= len(data):
        return None
    hashes, begin = view[at], at + 1
    if hashes > MAX_HASHES:
        raise IntegrityError(f"a package's proof has at most {MAX_HASHES} hashes")
    end = begin + hashes * HASH_SIZE
    if end > len(data):
        return None
    starts = [0, *ends]
    entries = [bytes(view[a + _SHORT : b]) for a, b in zip(starts, ends, strict=False)]
    proof = [bytes(view[one : one + HASH_SIZE]) for one in range(begin, end, HASH_SIZE)]
    return entries, proof, end


def package_proof(inclusion: Sequence[bytes], width: int) -> Sequence[bytes]:
    """Return the proof of a package's subtree, given the inclusion proof of its first leaf.

    The subtree has width leaves (1 to 256) and begins at that leaf. It is a node of the tree, so
    its proof is the part of the leaf's path above it.
    """
    return inclusion[(width - 1).bit_length() :]


def verify_package(
    start: int, leaves: Sequence[bytes], size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that leaves (hashes) are [start, start + len(leaves)) of the tree of size.

    start must be a multiple of 256, and leaves must end at the next multiple or with the tree. Then
    their subtree is a node, in the position of a leaf in a tree of such blocks. Raises
    IntegrityError.
    """
    end = start + len(leaves)
    block, offset = divmod(start, TILE_WIDTH)
    if offset or not start < end <= size or end != min(size, start + TILE_WIDTH):
        raise IntegrityError("a package must be a block of 256 leaves, or end with the tree")
    subtree = Frontier()
    subtree.append(leaves)
    verify_inclusion(block, -(-size // TILE_WIDTH), subtree.root(), proof, root)


@dataclass(frozen=True, slots=True)
class MirrorInfo:
    """A mirror's progress: the size of its newest checkpoint, and the first entry it lacks."""

    size: int
    next_entry: int
    ticket: bytes = b""

    def serialise(self) -> bytes:
        """Return the body of a 202 or 409."""
        return f"{self.size}\n{self.next_entry}\n{encode_base64(self.ticket)}\n".encode()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return the progress in body; raise IntegrityError if malformed."""
        lines = decode_text(body, 2 * MAX_TICKET).split("\n")
        if len(lines) != 4 or lines.pop():  # noqa: PLR2004 - three lines, each ending in LF
            raise IntegrityError("mirror-info must be three lines")
        size, next_entry, ticket = lines
        return cls(decode_decimal(size), decode_decimal(next_entry), decode_base64(ticket))
