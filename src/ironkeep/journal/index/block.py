"""A block: the file with the records of one run, encrypted page by page.

    block      header ‖ directory ‖ pages ‖ long pages
    header     "IKIX" ‖ version 1 ‖ level u8 ‖ 0 0 ‖ first leaf u64 ‖ term count u32
               ‖ bytes of long positions u64 ‖ salt 32
    directory  root 32 ‖ key check 16 ‖ (first digest 16 ‖ root 32 ‖ plain bytes u32) for each page
    page       128 records: digest 16 ‖ length u8 ‖ positions, of at most 64 bytes; or digest 16 ‖ 0
               ‖ SHA-256(positions) 32 ‖ offset u64 ‖ length u32, for positions in the long pages
    long page  16,384 bytes of positions

Numbers are big-endian. The directory, each page and each long page are encrypted with AES-256-GCM
under HKDF-SHA256(private reading key, salt); the nonce is the part's number, from 0 for the
directory on, the associated data is the header. A salt is used for one block only. A page's root is
that of a complete subtree, so a proof needs the directory and the pages with the shown records.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ironkeep.core.errors import IntegrityError
from ironkeep.core.secret import Secret
from ironkeep.index.key import CHECK_SIZE, DIGEST_SIZE
from ironkeep.index.leaf import IndexLeaf, Run
from ironkeep.index.records import Record, record_hash, root_of, tree_leaf
from ironkeep.journal.index.build import Steps
from ironkeep.tlog.wire import HASH_SIZE

PAGE: Final = 128
"""Records in a page."""

LONG_PAGE: Final = 1 << 14
"""Bytes in a long page."""

SALT_SIZE: Final = 32

_INLINE: Final = 64
_PAGE_MEMORY: Final = 40_000
_STEP: Final = 64
_MAGIC: Final = b"IKIX"
_VERSION: Final = 1
_HEADER: Final = Struct(f">4sBB2xQIQ{SALT_SIZE}s")
_TOP: Final = Struct(f">{HASH_SIZE}s{CHECK_SIZE}s")
_ROW: Final = Struct(f">{DIGEST_SIZE}s{HASH_SIZE}sI")
_LONG: Final = Struct(f">{HASH_SIZE}sQI")
_NONCE: Final = 12
_TAG: Final = 16
_INFO: Final = b"ironkeep index block v1"

Read = Callable[[int, int], bytes]
"""(offset, length) -> bytes of the block's file."""


class DamagedBlock(IntegrityError):
    """A block that is not what was written; it can be built again from the log."""


class Leaf(NamedTuple):
    """One leaf of a run's tree: its number, digest and positions hash."""

    at: int
    digest: bytes
    positions_hash: bytes


class _Row(NamedTuple):
    """A record in a page: positions, or the place of long ones."""

    digest: bytes
    positions: bytes
    positions_hash: bytes = b""
    offset: int = 0
    length: int = 0

    def leaf(self, at: int) -> Leaf:
        return Leaf(at, self.digest, self.positions_hash or sha256(self.positions).digest())


def encode_block(
    run: Run, records: Sequence[Record], check: bytes, private: Secret, salt: bytes
) -> Steps[tuple[bytes, IndexLeaf]]:
    """Return the block of a run with these sorted records, and its index leaf.

    private is the reading key, salt SALT_SIZE fresh random bytes.
    """
    pages: list[bytes] = []
    rows: list[bytes] = []
    roots: list[bytes] = []
    long = bytearray()
    for at in range(0, len(records), PAGE):
        shown = records[at : at + PAGE]
        page = b"".join([_encode_record(record, long) for record in shown])
        roots.append(root_of(list(map(record_hash, shown))))
        rows.append(_ROW.pack(shown[0][0], roots[-1], len(page)))
        pages.append(page)
        if len(pages) % _STEP == 0:
            yield
    root = root_of(roots)
    header = _HEADER.pack(_MAGIC, _VERSION, run.level, run.first, len(records), len(long), salt)
    aead = _cipher(private, salt)
    parts = [b"".join((_TOP.pack(root, check), *rows)), *pages]
    parts += (bytes(long[at : at + LONG_PAGE]) for at in range(0, len(long), LONG_PAGE))
    sealed = (aead.encrypt(_nonce(number), part, header) for number, part in enumerate(parts))
    return header + b"".join(sealed), IndexLeaf(run, len(records), root, check)


class Block:
    """An open block: its directory is in memory, pages are read when they are asked for.

    Every method raises DamagedBlock for a part that does not decrypt.
    """

    def __init__(self, run: Run, private: Secret, read: Read) -> None:
        self._read: Final = read
        self._header: Final = read(0, _HEADER.size)
        if len(self._header) != _HEADER.size:
            raise DamagedBlock(f"{run}: the block is cut short")
        magic, version, level, first, terms, long, salt = _HEADER.unpack(self._header)
        if (magic, version, level, first) != (_MAGIC, _VERSION, run.level, run.first) or not terms:
            raise DamagedBlock(f"{run}: the block is not one of this run and version")
        self.run: Final = run
        self._long_bytes: Final = long
        self._aead: Final = _cipher(private, salt)
        pages = -(-terms // PAGE)
        directory = self._part(0, _HEADER.size, _TOP.size + pages * _ROW.size)
        root, check = _TOP.unpack_from(directory)
        self.leaf: Final = IndexLeaf(run, terms, root, check)
        self._firsts: Final[list[bytes]] = []
        self._roots: Final[list[bytes]] = []
        # The last page that was read: questions about one digest need it several times.
        self._last: tuple[int, list[_Row]] = (-1, [])
        self._offsets: Final = [_HEADER.size + len(directory) + _TAG]
        for digest, page_root, length in _ROW.iter_unpack(directory[_TOP.size :]):
            self._firsts.append(digest)
            self._roots.append(page_root)
            self._offsets.append(self._offsets[-1] + length + _TAG)

    @property
    def size(self) -> int:
        """The approximate bytes of memory that the directory takes."""
        return len(self._firsts) * 250 + _PAGE_MEMORY

    def find(self, digest: bytes) -> bytes | None:
        """Return the positions of a digest, or None if the run does not have it."""
        number = bisect_right(self._firsts, digest) - 1
        if number < 0:
            return None
        for row in self._page(number):
            if row.digest == digest:
                return self._positions(row)
        return None

    def around(self, digest: bytes) -> list[Leaf]:
        """Return the leaf of a digest, or else its neighbours: two, or one at an end."""
        number = max(bisect_right(self._firsts, digest) - 1, 0)
        start = number * PAGE
        leaves = [row.leaf(start + at) for at, row in enumerate(self._page(number))]
        behind = bisect_right(leaves, digest, key=lambda leaf: leaf.digest)
        if behind and leaves[behind - 1].digest == digest:
            return [leaves[behind - 1]]
        if behind == len(leaves) and number + 1 < len(self._firsts):
            leaves.append(self._page(number + 1)[0].leaf(start + PAGE))
        return leaves[max(behind - 1, 0) : behind + 1]

    def subtree(self, low: int, high: int) -> bytes:
        """Return the root of the leaves [low, high), a subtree at a split point of the tree."""
        if high - low >= PAGE or (low % PAGE == 0 and high == self.leaf.terms):
            return root_of(self._roots[low // PAGE : -(-high // PAGE)])
        number = low // PAGE
        rows = self._page(number)[low - number * PAGE : high - number * PAGE]
        hashes = [tree_leaf(leaf.digest, leaf.positions_hash) for row in rows
                  for leaf in (row.leaf(0),)]  # fmt: skip
        return root_of(hashes)

    def records(self) -> Iterator[Record]:
        """Yield all records, sorted."""
        long = b"".join(
            self._long_page(number) for number in range(-(-self._long_bytes // LONG_PAGE))
        )
        for number in range(len(self._firsts)):
            for row in self._read_page(number):
                end = row.offset + row.length
                yield row.digest, row.positions or long[row.offset : end]

    def _positions(self, row: _Row) -> bytes:
        if row.positions:
            return row.positions
        end = row.offset + row.length
        numbers = range(row.offset // LONG_PAGE, -(-end // LONG_PAGE))
        data = b"".join(map(self._long_page, numbers))
        start = row.offset - numbers.start * LONG_PAGE
        return data[start : start + row.length]

    def _page(self, number: int) -> list[_Row]:
        """Return the records of a page."""
        if self._last[0] != number:
            self._last = (number, list(self._read_page(number)))
        return self._last[1]

    def _read_page(self, number: int) -> Iterator[_Row]:
        begin, end = self._offsets[number], self._offsets[number + 1]
        page = self._part(1 + number, begin, end - begin - _TAG)
        at = 0
        while at < len(page):
            digest, length = page[at : at + DIGEST_SIZE], page[at + DIGEST_SIZE]
            at += DIGEST_SIZE + 1
            if length:
                yield _Row(digest, page[at : at + length])
                at += length
            else:
                yield _Row(digest, b"", *_LONG.unpack_from(page, at))
                at += _LONG.size

    def _long_page(self, number: int) -> bytes:
        begin = self._offsets[-1] + number * (LONG_PAGE + _TAG)
        length = min(LONG_PAGE, self._long_bytes - number * LONG_PAGE)
        return self._part(len(self._offsets) + number, begin, length)

    def _part(self, number: int, at: int, length: int) -> bytes:
        """Return the decrypted part with that number, at an offset of the file."""
        try:
            sealed = self._read(at, length + _TAG)
            return self._aead.decrypt(_nonce(number), sealed, self._header)
        except (InvalidTag, ValueError, FileNotFoundError):
            raise DamagedBlock(f"{self.run}: part {number} of the block is damaged") from None


def _encode_record(record: Record, long: bytearray) -> bytes:
    """Return a record as it stands in a page; long positions are added to `long`."""
    digest, positions = record
    if len(positions) <= _INLINE:
        return digest + len(positions).to_bytes(1, "big") + positions
    place = _LONG.pack(sha256(positions).digest(), len(long), len(positions))
    long += positions
    return digest + b"\x00" + place


def _cipher(private: Secret, salt: bytes) -> AESGCM:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=salt, info=_INFO)
    return AESGCM(hkdf.derive(private.reveal()))


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE, "big")
