"""A transparency log in memory with keys of its own, for tests of whatever reads or verifies one.

It keeps every entry and signs whatever it is asked to, forks included: no journal would.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from ironkeep.core.secret import Secret
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.cosignature import Cosigner
from ironkeep.tlog.merkle import Frontier, inclusion_proof, leaf_hash
from ironkeep.tlog.note import Note, NoteVerifier, Signer, SigningKey
from ironkeep.tlog.proof import LogProof
from ironkeep.tlog.tile import encode_entries, tiles_of

SAMPLE_TIME = 1_790_000_000
"""When sample cosignatures are made, in POSIX seconds."""


def sample_key(name: str) -> SigningKey:
    """Return a key that follows from its name: never one to trust."""
    return SigningKey(name, Secret(sha256(name.encode()).digest()))


def sample_cosigner(name: str) -> Cosigner:
    """Return a witness with the sample key of that name."""
    return Cosigner(sample_key(name))


class SampleLog:
    """A log of entries, its signing key, and its tiles."""

    def __init__(self, origin: str = "log.example/audit") -> None:
        self.origin = origin
        self.signer = Signer(sample_key(origin))
        self.verifier = NoteVerifier(self.signer.key)
        self.entries: list[bytes] = []
        self.leaves: list[bytes] = []
        self._frontier = Frontier()
        self._levels: list[list[bytes]] = []

    def append(self, entries: Iterable[bytes]) -> None:
        """Append entries."""
        added = list(entries)
        hashes = [leaf_hash(entry) for entry in added]
        self.entries += added
        self.leaves += hashes
        self._frontier.append(hashes, self._levels)

    def read(self, level: int, index: int) -> bytes:
        """Return a hash of a tile level: a HashReader."""
        return self._levels[level][index]

    def root(self, size: int) -> bytes:
        """Return the root of the first size entries."""
        return Frontier.from_tiles(size, self.read).root()

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """Return the head, unsigned."""
        size = len(self.entries) if size is None else size
        return Checkpoint(self.origin, size, self.root(size))

    def signed(self, size: int | None = None, cosigners: Iterable[Cosigner] = ()) -> Note:
        """Return the head, signed by the log and then by cosigners at SAMPLE_TIME."""
        checkpoint = self.checkpoint(size)
        note = checkpoint.sign(self.signer)
        lines = [cosigner.cosign(checkpoint, SAMPLE_TIME) for cosigner in cosigners]
        return Note(note.text, (*note.signatures, *lines))

    def proof(self, index: int, note: Note) -> LogProof:
        """Return the proof that an entry is in the tree of a signed head."""
        size = Checkpoint.parse(note.text).size
        hashes = inclusion_proof(index, size, self.read)
        return LogProof(index, tuple(hashes), note.serialise())

    def publish(self, folder: Path, note: Note) -> None:
        """Write the log of a signed head into folder, as a static server would serve it."""
        (folder / "checkpoint").write_bytes(note.serialise())
        for tile in tiles_of(Checkpoint.parse(note.text).size):
            if tile.level is None:
                data = encode_entries(self.entries[tile.start : tile.end])
            else:
                data = b"".join(self._levels[tile.level][tile.start : tile.end])
            path = folder / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
