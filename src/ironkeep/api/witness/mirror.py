"""The mirror's side of c2sp.org/tlog-mirror: it signs a checkpoint when it holds all its leaves.

It first learns a checkpoint as a witness does (`Witness`, without cosigning), then takes entries in
packages, each proven to stand in that checkpoint's tree, and at last signs. So a copy is consistent
whoever uploads it, and a cosignature says that the leaves are on this disk.
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
    """The copy of one log."""

    def __init__(self, files: LogFiles, log: WitnessedLog) -> None:
        self.log: Final = log
        self.lock: Final = threading.Lock()
        self._files: Final = files
        self.static = StaticLog(files, log.tag, log.key)
        if self.size > log.head.size:
            raise RolledBack(
                f"the copy of {log.key.name} is at {self.size}, and the witness's own memory of it "
                f"at {log.head.size}: bring that back, or make a new witness with a new key"
            )

    @property
    def size(self) -> int:
        """The size of the checkpoint that we hold all leaves of."""
        return self.static.head.checkpoint.size if self.static.head else 0

    def reopen(self) -> None:
        """Go back to what the disk holds, after it failed; call with the lock held."""
        self.static = StaticLog(self._files, self.log.tag, self.log.key)


class Mirror:
    """All copies, and their uploads. Any thread may call."""

    def __init__(self, files: LogFiles, witness: Witness) -> None:
        """Open the copies of witness's logs; raise IntegrityError if one is damaged."""
        self.witness: Final = witness
        self._files: Final = files
        self._copies: Final = {origin: Copy(files, log) for origin, log in witness.logs.items()}
        self._by_tag: Final = {copy.log.tag: copy for copy in self._copies.values()}

    def upload(self) -> "Session":
        """Return a session for one add-entries request."""
        return Session(self)

    def copy_of(self, origin: str) -> Copy | None:
        """Return the copy of a log; None if we keep none."""
        return self._copies.get(origin)

    def checkpoint(self, tag: str) -> bytes | None:
        """Return the checkpoint of a copy, with our cosignature; None before the first."""
        copy = self._by_tag.get(tag)
        head = copy.static.head if copy is not None else None
        return head.note.serialise() if head is not None else None

    def tile(self, tag: str, tile: Tile) -> bytes | None:
        """Return a bundle or tile under the checkpoint of a copy; None if there is no such one."""
        copy = self._by_tag.get(tag)
        if copy is None or not tile.within(copy.size):
            return None
        return read_tile(self._files, tag, tile)


class Session:
    """One add-entries request, fed as it arrives. Holds at most one package at a time."""

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
        """Bytes of the package that has not all come."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Answer | None:
        """Take more of the body; return an answer as soon as there is one to give early.

        Raises OSError if entries could not be written; they were not promised then.
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
        """Return the answer to what has arrived: the body has ended, or is cut here."""
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
                # Somebody else's upload has gone further meanwhile.
                return self._progress(409, copy)
            return self._commit(copy, pending)

    def _begin(self) -> Answer | None:
        """Read the head of the request, if it has all arrived; return an answer if it is a no."""
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
        """Store every package that has arrived as a whole; raise IntegrityError for a bad one."""
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
        # Nothing belongs after the last package; what comes is dropped.
        self._buffer.clear()

    def _store(self, copy: Copy, first: int, entries: list[bytes], proof: list[bytes]) -> None:
        """Check a package against the checkpoint, and add what is new in it."""
        static, pending = copy.static, self._pending
        assert pending is not None
        known = static.next_index
        if first + len(entries) <= known:
            return
        start = known - known % TILE_WIDTH
        if not start <= first <= known:
            raise IntegrityError("the copy changed during the upload: ask again how far it is")
        hashes = [*static.edge_hashes()[: first - start], *map(leaf_hash, entries)]
        checkpoint = pending.checkpoint
        verify_package(start, hashes, checkpoint.size, proof, checkpoint.root)
        try:
            static.append(entries[known - first :])
        except OSError:
            copy.reopen()
            raise

    def _commit(self, copy: Copy, pending: SignedCheckpoint) -> Answer:
        """Sign what we hold all of; the cosignature is durable before it leaves."""
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
        """Return an answer that says how far the copy is."""
        info = MirrorInfo(copy.log.head.size, copy.static.next_index)
        return Answer(status, info.serialise(), INFO)


def _say(status: int, reason: object) -> Answer:
    return Answer(status, f"{reason}\n".encode())
