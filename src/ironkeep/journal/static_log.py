"""A copy of a log as static files (c2sp.org/tlog-tiles), as kept by a mirror.

    checkpoint                     the copy's size and root, as a signed note
    tile/entries/…, tile/<level>/… bundles and tiles; partial ones for sizes on the way

Files reach the disk in the order bundles, tiles, checkpoint. After a crash the copy has everything
that its checkpoint covers; later files are written again. Any tlog-tiles client can read the copy.
"""

import errno
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.logport import LogFiles
from ironkeep.journal.log import SignedHead
from ironkeep.journal.recovery import read_head
from ironkeep.journal.verify import Verified, cosigners
from ironkeep.journal.wal import MAX_BUNDLE_BYTES
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.merkle import TILE_HEIGHT, Frontier, leaf_hash
from ironkeep.tlog.note import MAX_NOTE, Note, VerifierKey
from ironkeep.tlog.policy import Policy
from ironkeep.tlog.tile import TILE_WIDTH, Tile, decode_entries, encode_entries
from ironkeep.tlog.wire import HASH_SIZE

CHECKPOINT: Final = "checkpoint"

_TILE_BYTES: Final = TILE_WIDTH * HASH_SIZE

Put = Callable[[Tile, bytes], None]
"""Takes a bundle or tile and its bytes."""


def folder_of(origin: str) -> str:
    """Return the folder name of a log's copy, on disk and in URL paths: hex sha256(origin)."""
    return sha256(origin.encode()).hexdigest()


class TileBuilder:
    """Builds bundles and tiles from leaves added in order, and passes each full one to `put`."""

    def __init__(self, put: Put) -> None:
        self._put: Final = put
        self._frontier = Frontier()
        self._bundle: list[bytes] = []
        self._edges: list[bytearray] = []

    @classmethod
    def resume(cls, put: Put, size: int, read: Callable[[Tile], bytes]) -> "TileBuilder":
        """Return a builder that continues after size leaves; read returns their tiles."""
        builder = cls(put)
        edge = _edge_tile(None, size)
        if edge is not None:
            builder._bundle = decode_entries(read(edge), edge.width)
        level = 0
        while size >> (TILE_HEIGHT * level):
            edge = _edge_tile(level, size)
            builder._edges.append(bytearray(read(edge)) if edge is not None else bytearray())
            level += 1

        def hash_at(level: int, index: int) -> bytes:
            # A frontier's subtrees end at the edge, so all its hashes are in edge tiles.
            data = builder._edges[level]
            first = (size >> (TILE_HEIGHT * (level + 1))) * TILE_WIDTH
            at = (index - first) * HASH_SIZE
            return bytes(data[at : at + HASH_SIZE])

        builder._frontier = Frontier.from_tiles(size, hash_at)
        return builder

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._frontier.size

    def root(self) -> bytes:
        """Return the root of the leaves."""
        return self._frontier.root()

    def edge_hashes(self) -> list[bytes]:
        """Return the hashes of the leaves after the last full bundle."""
        data = bytes(self._edges[0]) if self._edges else b""
        return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]

    def append(self, leaves: Sequence[bytes]) -> None:
        """Add leaves, not past the end of a bundle, and put the bundles and tiles they fill."""
        if len(self._bundle) + len(leaves) > TILE_WIDTH:
            raise ValueError("leaves must not go past the end of a bundle")
        levels: list[list[bytes]] = []
        self._bundle += leaves
        self._frontier.append([leaf_hash(leaf) for leaf in leaves], levels)
        if len(self._bundle) == TILE_WIDTH:
            number = self.size // TILE_WIDTH - 1
            self._put(Tile(None, number), encode_entries(self._bundle))
            self._bundle = []
        for level, hashes in enumerate(levels):
            if level == len(self._edges):
                self._edges.append(bytearray())
            edge = self._edges[level]
            edge += b"".join(hashes)
            if len(edge) == _TILE_BYTES:
                number = (self.size >> (TILE_HEIGHT * (level + 1))) - 1
                self._put(Tile(level, number), bytes(edge))
                edge.clear()

    def put_edge(self) -> None:
        """Put the partial bundle and tiles of the current size."""
        bundle = _edge_tile(None, self.size)
        if bundle is not None:
            self._put(bundle, encode_entries(self._bundle))
        for level, edge in enumerate(self._edges):
            tile = _edge_tile(level, self.size)
            if tile is not None:
                self._put(tile, bytes(edge))


class StaticLog:
    """The writer of one copy, in a folder of files."""

    def __init__(self, files: LogFiles, folder: str, key: VerifierKey) -> None:
        """Open an existing copy or start an empty one; raise IntegrityError if it is damaged."""
        self._files: Final = files
        self._folder: Final = folder
        self._failed = False
        self.head: SignedHead | None = read_head(files, f"{folder}/{CHECKPOINT}", key)
        size = self.head.checkpoint.size if self.head else 0
        self._builder: Final = TileBuilder.resume(self._write, size, self.read)
        if self.head is not None:
            _require_root(self.head.checkpoint, self._builder.root())

    @property
    def next_index(self) -> int:
        """The number of leaves added, including those not yet under the checkpoint."""
        return self._builder.size

    def edge_hashes(self) -> list[bytes]:
        """Return the hashes of the leaves after the last full bundle."""
        return self._builder.edge_hashes()

    def append(self, leaves: Sequence[bytes]) -> None:
        """Add leaves, not past the end of a bundle; full bundles are durable on return.

        After an OSError every call raises OSError: open the copy again to learn its state.
        """
        self._begin()
        self._builder.append(leaves)
        self._failed = False

    def commit(self, checkpoint: Checkpoint, sign: Callable[[], Note]) -> SignedHead:
        """Store a checkpoint over exactly the leaves added; return the copy's new head.

        sign is called once all leaves are durable and their root matches. Raises IntegrityError if
        size or root differ.
        """
        if checkpoint.size != self.next_index:
            raise IntegrityError("the copy and the checkpoint differ in size")
        _require_root(checkpoint, self._builder.root())
        self._begin()
        self._builder.put_edge()
        note = sign()
        self._files.replace(f"{self._folder}/{CHECKPOINT}", note.serialise())
        self._failed = False
        self.head = SignedHead(checkpoint, note)
        return self.head

    def read(self, tile: Tile) -> bytes:
        """Return a bundle or tile; IntegrityError if it is missing or damaged."""
        return read_tile(self._files, self._folder, tile)

    def _begin(self) -> None:
        """Set the failed flag until the operation is done: the builder is ahead of the disk."""
        if self._failed:
            raise OSError(errno.EIO, "an earlier write of this copy failed")
        self._failed = True

    def _write(self, tile: Tile, data: bytes) -> None:
        name = f"{self._folder}/{tile.path}"
        self._files.replace(name, data)
        if tile.width == TILE_WIDTH:
            # Readers ask for the full tile once it exists, so its partial ones can go.
            for partial in self._files.names(f"{name}.p"):
                self._files.remove(f"{name}.p/{partial}")


class StaticLeaves:
    """The leaves of a copy under its checkpoint, for `entries.Reader`; verify the copy first."""

    def __init__(self, files: LogFiles, head: Checkpoint, folder: str = "") -> None:
        """Read the copy in folder; by default the one that a mirror gives the log."""
        self.origin: Final = head.origin
        self.size: Final = head.size
        self._files: Final = files
        self._folder: Final = folder or folder_of(head.origin)

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return leaves [first, last); raise NotFound past the end, IntegrityError for damage."""
        if not 0 <= first <= last <= self.size:
            raise NotFound(f"the copy ends at {self.size}")
        found: list[bytes] = []
        for start in range(first - first % TILE_WIDTH, last, TILE_WIDTH):
            width = min(TILE_WIDTH, self.size - start)
            tile = Tile(None, start // TILE_WIDTH, width)
            data = read_tile(self._files, self._folder, tile)
            found += decode_entries(data, width)[max(0, first - start) : last - start]
        return found


def read_tile(files: LogFiles, folder: str, tile: Tile) -> bytes:
    """Return a bundle or tile of a copy; a partial one can be cut from the full one.

    Raises IntegrityError if it is missing or too short.
    """
    full = Tile(tile.level, tile.index)
    # The full one is tried again last: it may replace the partial one during this loop.
    for found in (full,) if tile == full else (full, tile, full):
        try:
            data = files.read(f"{folder}/{found.path}", 0, MAX_BUNDLE_BYTES)
        except FileNotFoundError:
            continue
        if tile.level is None:
            return encode_entries(decode_entries(data, found.width)[: tile.width])
        if len(data) != found.width * HASH_SIZE:
            raise IntegrityError(f"{found.path} is cut short")
        return data[: tile.width * HASH_SIZE]
    raise IntegrityError(f"{tile.path} is missing")


def origin_of_copy(files: LogFiles, folder: str) -> str:
    """Return the origin that a copy claims, unverified, to choose the key for verification."""
    note = Note.parse(files.read(f"{folder}/{CHECKPOINT}", 0, MAX_NOTE))
    return Checkpoint.parse(note.text).origin


def verify_static(
    files: LogFiles, folder: str, key: VerifierKey, policy: Policy | None = None
) -> Verified:
    """Check a whole copy offline; raise IntegrityError at the first problem.

    (1) The checkpoint is signed by the log's key, and (2) by the policy's quorum if one is given.
    (3) Every bundle up to its size is present and whole. (4) The tiles, and (5) the root, match the
    hashes computed from the entries.
    """
    head = read_head(files, f"{folder}/{CHECKPOINT}", key)
    if head is None:
        raise IntegrityError("there is no checkpoint: this is not a copy of a log")
    names = cosigners(head, policy)
    size = head.checkpoint.size

    def compare(tile: Tile, data: bytes) -> None:
        if read_tile(files, folder, tile) != data:
            raise IntegrityError(f"{tile.path} does not match the entries")

    builder = TileBuilder(compare)
    for start in range(0, size, TILE_WIDTH):
        tile = Tile(None, start // TILE_WIDTH, min(TILE_WIDTH, size - start))
        try:
            builder.append(decode_entries(read_tile(files, folder, tile), tile.width))
        except IntegrityError as error:
            raise IntegrityError(f"{tile.path}: {error}") from None
    builder.put_edge()
    _require_root(head.checkpoint, builder.root())
    return Verified(size, head.checkpoint, names, 0)


def _edge_tile(level: int | None, size: int) -> Tile | None:
    """Return the partial tile of a level at the edge of a log of size leaves, if there is one."""
    number, width = divmod(size >> (TILE_HEIGHT * (level or 0)), TILE_WIDTH)
    return Tile(level, number, width) if width else None


def _require_root(checkpoint: Checkpoint, root: bytes) -> None:
    if checkpoint.root != root:
        raise IntegrityError(
            f"the copy does not match its checkpoint at size {checkpoint.size}: files were changed"
        )
