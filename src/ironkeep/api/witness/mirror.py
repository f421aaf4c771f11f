"""The mirror's side of c2sp.org/tlog-mirror: it signs a checkpoint once it holds all its leaves.

It first learns a checkpoint as a witness does (`Witness`, without cosigning). It then accepts
entries in packages, each with a proof of inclusion in that checkpoint's tree, and signs at the end.
So a copy is consistent no matter which client uploads it, and a cosignature says that the leaves
are on this disk.
"""

import threading
from collections.abc import Iterator
from typing import Final

from ironkeep.api.witness.state import Witness, WitnessedLog
from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.logport import LogFiles
from ironkeep.journal.static_log import StaticLog, read_tile
from ironkeep.tlog.checkpoint import SignedCheckpoint
from ironkeep.tlog.merkle import leaf_hash
from ironkeep.tlog.mirror import INFO, MirrorInfo, Upload, split_package, verify_package
from ironkeep.tlog.note import Note
from ironkeep.tlog.tile import TILE_WIDTH, Tile
from ironkeep.tlog.witness import Answer


class Copy:
    """The stored copy of one log."""

    def __init__(self, files: LogFiles, log: WitnessedLog) -> None:
        self.log: Final = log
        self.lock: Final = threading.Lock()
        self._files: Final = files
        self.static = StaticLog(files, log.tag, log.key)
        if self.size > log.head.size:
            raise RolledBack(
                f"the copy of {log.key.name} has {self.size} entries, but the witness's checkpoint "
                f"of it only {log.head.size}: restore that file, or make a new witness with a new "
                "key"
            )

    @property
    def size(self) -> int:
        """The size of the newest checkpoint whose leaves are all stored."""
        return self.static.head.checkpoint.size if self.static.head else 0

    def reopen(self) -> None:
        """Read the state from disk again after a failed write; call with the lock held."""
        self.static = StaticLog(self._files, self.log.tag, self.log.key)


class Mirror:
    """All copies of a mirror, and the uploads into them. Any thread may call."""

    def __init__(self, files: LogFiles, witness: Witness) -> None:
        """Open the copies of the witness's logs; raise IntegrityError if one is damaged."""
        self.witness: Final = witness
        self._files: Final = files
        self._copies: Final = {origin: Copy(files, log) for origin, log in witness.logs.items()}
        self._by_tag: Final = {copy.log.tag: copy for copy in self._copies.values()}

    def upload(self) -> "Session":
        """Return a session for one add-entries request."""
        return Session(self)

    def copy_of(self, origin: str) -> Copy | None:
        """Return the copy of a log; None for an unknown log."""
        return self._copies.get(origin)

    def checkpoint(self, tag: str) -> bytes | None:
        """Return the checkpoint of a copy, with our cosignature; None before the first."""
        copy = self._by_tag.get(tag)
        head = copy.static.head if copy is not None else None
        return head.note.serialise() if head is not None else None

    def tile(self, tag: str, tile: Tile) -> bytes | None:
        """Return a tile or entry bundle within a copy's checkpoint; None if there is none."""
        copy = self._by_tag.get(tag)
        if copy is None or not tile.within(copy.size):
            return None
        return read_tile(self._files, tag, tile)


class Session:
    """One add-entries request, fed as it arrives. It buffers at most one package at a time."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror: Final = mirror
        self._buffer = bytearray()
        self._copy: Copy | None = None
        self._pending: SignedCheckpoint | None = None
        self._spans: Iterator[tuple[int, int]] = iter(())
        self._span: tuple[int, int] | None = None
        self.packages = 0

    @property
    def buffered(self) -> int:
        """Bytes of the package that is still incomplete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Answer | None:
        """Process more of the body; return an answer to end the request early, else None.

        Raises OSError if entries could not be written; nothing was promised about them then.
        """
        self._buffer += data
        try:
            if self._copy is None:
                refused = self._begin()
                if refused is not None:
                    return refused
            if self._copy is None:
                return None
            self._take(self._copy)
        except IntegrityError as error:
            return _say(422 if self._copy is not None else 400, error)
        return None

    def finish(self) -> Answer:
        """Return the answer to the part that has arrived: the body has ended or was cut short."""
        copy, pending = self._copy, self._pending
        if copy is None or pending is None:
            return _say(400, "the head of an upload is cut short")
        if self._span is not None:
            if not self.packages:
                return _say(400, "the first package is cut short")
            return self._progress(202, copy)
        with copy.lock:
            checkpoint = pending.checkpoint
            if copy.size > checkpoint.size or copy.static.next_index != checkpoint.size:
                # A concurrent upload has advanced the copy.
                return self._progress(409, copy)
            return self._commit(copy, pending)

    def _begin(self) -> Answer | None:
        """Read the head of the request once it is complete; return an answer if it is refused."""
        found = Upload.split(bytes(self._buffer))
        if found is None:
            return None
        head, used = found
        copy = self._mirror.copy_of(head.origin)
        if copy is None:
            return _say(404, "unknown log")
        pending = copy.log.newest
        next_index = copy.static.next_index
        lowest = next_index - next_index % TILE_WIDTH
        known = pending is not None and head.end == pending.checkpoint.size >= copy.size
        if not known or not lowest <= head.start <= next_index:
            return self._progress(409, copy)
        del self._buffer[:used]
        self._copy, self._pending = copy, pending
        self._spans = head.spans()
        self._span = next(self._spans, None)
        return None

    def _take(self, copy: Copy) -> None:
        """Store every complete package; raise IntegrityError for a bad one."""
        while self._span is not None:
            first, last = self._span
            found = split_package(self._buffer, last - first)
            if found is None:
                return
            entries, proof, used = found
            with copy.lock:
                self._store(copy, first, entries, proof)
            del self._buffer[:used]
            self.packages += 1
            self._span = next(self._spans, None)
        # Drop any bytes after the last package.
        self._buffer.clear()

    def _store(self, copy: Copy, first: int, entries: list[bytes], proof: list[bytes]) -> None:
        """Verify a package against the checkpoint, and append its new entries."""
        static, pending = copy.static, self._pending
        assert pending is not None
        known = static.next_index
        if first + len(entries) <= known:
            return
        start = known - known % TILE_WIDTH
        if not start <= first <= known:
            raise IntegrityError("the copy changed during the upload: ask for its size again")
        hashes = [*static.edge_hashes()[: first - start], *map(leaf_hash, entries)]
        checkpoint = pending.checkpoint
        verify_package(start, hashes, checkpoint.size, proof, checkpoint.root)
        try:
            static.append(entries[known - first :])
        except OSError:
            copy.reopen()
            raise

    def _commit(self, copy: Copy, pending: SignedCheckpoint) -> Answer:
        """Sign the checkpoint, all of whose leaves are stored; keep it durably before answering."""
        lines: list[str] = []

        def sign() -> Note:
            note, own = self._mirror.witness.sign(pending)
            lines.append(f"{own.format()}\n")
            return note

        try:
            copy.static.commit(pending.checkpoint, sign)
        except OSError:
            copy.reopen()
            raise
        return Answer(200, "".join(lines).encode())

    def _progress(self, status: int, copy: Copy) -> Answer:
        """Return an answer with the copy's next entry."""
        info = MirrorInfo(copy.log.head.size, copy.static.next_index)
        return Answer(status, info.serialise(), INFO)


def _say(status: int, reason: object) -> Answer:
    return Answer(status, f"{reason}\n".encode())
