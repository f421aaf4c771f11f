"""The audit journal: every executed request is recorded durably before its answer leaves.

    append → close_batch (loop thread) → write (writer thread) → written (loop thread) → answers
    checkpoint, add_cosignatures, rotate_wal, check_files (one worker thread, about once a
    second)

These invariants, and those of `checkpoints`, keep the server from forking its own log, which would
end it:

(1) There is one writer: the files are locked, and frames reach the disk strictly in order.
(2) A failed write or sync is final. The operating system may have dropped the pages, so a later
    successful sync would prove nothing: the journal refuses everything until a restart has read
    the disk. Only operations that the system refused to begin (`core.logport.TRANSIENT`: no room,
    no descriptor, no permission) may be repeated in full, after `discard`.
(3) A run key encrypts an index once. Discarding a batch therefore discards the key.
"""

import hmac
from binascii import b2a_base64
from collections import deque
from collections.abc import Iterable
from hashlib import blake2b, sha256
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError, TooLarge, Unavailable
from ironkeep.core.event import NODE, Entry, encode
from ironkeep.core.evidence.leaf import KEY_SIZE, MAX_BODY, LeafKey, wrap_key
from ironkeep.core.logport import LogFiles, is_transient
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.journal.checkpoints import Checkpoints
from ironkeep.journal.frame import (
    MAX_FRAME_BYTES,
    MAX_FRAME_ENTRIES,
    Frame,
    build_frame,
    read_frame,
    read_leaves,
)
from ironkeep.journal.log import Heads, Log, origin_tag
from ironkeep.journal.tree import HashTree
from ironkeep.journal.vault_time import TimeMark
from ironkeep.journal.wal import Wal
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.note import Signature, Signer, VerifierKey
from ironkeep.tlog.tile import MAX_ENTRY

__all__ = ["ENTRIES_PER_KEY", "Frame", "Journal", "Receipt"]

ENTRIES_PER_KEY: Final = 4_096
"""Leaves from one key leaf to the next: a reader of one entry looks back no further."""

_OUTBOX: Final = b"outbox"
_MAC_SIZE: Final = 32
_PREFIX: Final = 2
_PAYLOAD_ROOM: Final = MAX_FRAME_BYTES - 2 * (MAX_ENTRY + _PREFIX)
"""Payload bytes up to which a batch takes entries: one more, with its key leaf, always fits."""


_FAILED: Final = "the journal failed to reach the disk: restart the server"


class Receipt(msgspec.Struct, frozen=True):
    """The index and hash of an entry, and the X-Ironkeep-Audit header with both."""

    index: int
    leaf_hash: bytes
    header: str


class Journal:
    """The only writer of a log, made by `open_journal`.

    The module docstring lists the thread that may call each method.
    """

    def __init__(
        self,
        files: LogFiles,
        entropy: Entropy,
        signer: Signer,
        reading_key: bytes,
        wal: Wal,
        tree: HashTree,
        heads: Heads,
    ) -> None:
        self.key: Final[VerifierKey] = signer.key
        """The public key that verifies the log's checkpoints."""
        self.origin: Final = self.key.name
        self.log: Final = Log(self.origin, wal, tree, heads)
        self.next_index = wal.size
        self._mark: Final = TimeMark(files, signer.secret_for(b"time"))
        self.latest_ns = self._mark.time_ns
        """The latest time of any entry or mark; 0 if unknown, in a log of an earlier release."""
        self.commit = 0
        """The number of the last commit, which an entry appended now has seen."""
        self.failed: OSError | None = None
        self._refused = False
        self._files: Final = files
        self._entropy: Final = entropy
        self._reading_key = reading_key
        self._wal: Final = wal
        self._tree: Final = tree
        self._checkpoints: Final = Checkpoints(files, signer, self.log, tree, heads)
        self._tag: Final = origin_tag(self.origin)
        self._outbox_key: Final = signer.secret_for(_OUTBOX)
        self._key: LeafKey | None = None
        self._key_until = 0
        self._parts: list[bytes] = []
        self._hashes: list[bytes] = []
        self._room = _PAYLOAD_ROOM
        self._digest = wal.digest
        self._closed: deque[Frame] = deque()

    @property
    def durable_size(self) -> int:
        """The number of leaves whose frame is durable."""
        return self._wal.size

    def require_working(self) -> None:
        """Raise Unavailable after a failure that only a restart can clear."""
        if self.failed is not None:
            raise Unavailable(_FAILED)

    def append(self, entry: Entry) -> Receipt:
        """Encrypt entry at the next index and add it to the open batch; it is not durable yet.

        Times never run back: the entry gets at least the time of the entry before it. Raises
        TooLarge, or Unavailable if the journal has failed or the batch is full. Nothing is
        recorded then, and the caller must not execute the recorded action.
        """
        if self.failed is not None:
            raise Unavailable(_FAILED)
        if not entry.node or entry.time_ns < self.latest_ns:
            entry = self._placed(entry)
        body = encode(entry)
        if len(body) > MAX_BODY:
            raise TooLarge(f"an audit entry holds at most {MAX_BODY} bytes")
        if self._room < 0 or len(self._hashes) + 1 >= MAX_FRAME_ENTRIES:
            raise Unavailable("the journal cannot keep up with so many requests; try again")
        key = self._key
        if key is None or self.next_index >= self._key_until:
            key = self._start_key()
        self.latest_ns = entry.time_ns
        index = self.next_index
        leaf_hash = self._add(key.encrypt(index, body))
        text = b2a_base64(leaf_hash, newline=False).decode()
        return Receipt(index, leaf_hash, f"{self._tag}/{index}/{text}")

    def _placed(self, entry: Entry) -> Entry:
        """Return an entry with its place in the order of the vault, as far as it has none."""
        at, time_ns = entry.at or self.commit, max(entry.time_ns, self.latest_ns)
        return msgspec.structs.replace(entry, at=at, node=NODE, time_ns=time_ns)

    def append_leaf(self, leaf: bytes) -> None:
        """Add a leaf that is not an entry to the open batch."""
        self.require_working()
        self._add(leaf)

    def set_reading_key(self, reading_key: bytes) -> None:
        """From the next entry on, encrypt to this X25519 reading key (32 bytes)."""
        if reading_key != self._reading_key:
            self._reading_key = reading_key
            self._key = None

    def has_open_batch(self) -> bool:
        """Return whether leaves were appended since the last closed batch."""
        return bool(self._hashes)

    def close_batch(self) -> Frame | None:
        """Freeze the open batch and return its frame; None if it is empty."""
        if not self._hashes:
            return None
        first = self.next_index - len(self._hashes)
        frame = build_frame(
            self._digest, first, b"".join(self._parts), self._hashes, self.latest_ns
        )
        self._digest = frame.digest
        self._closed.append(frame)
        self._reset()
        return frame

    def write(self, frame: Frame) -> None:
        """Make frame durable; frames must come in order. Called on the writer thread.

        An OSError that cannot pass is final: `failed` is set, and the next start finds out whether
        the frame is on the disk. After one that can pass, call `discard`.
        """
        self.require_working()
        if frame.first != self._wal.size or frame.previous != self._wal.digest:
            raise IntegrityError(f"frame {frame.first} does not follow leaf {self._wal.size}")
        try:
            self._wal.append(frame)
        except OSError as error:
            self._failed_by(error)
            raise

    def written(self, frame: Frame) -> None:
        """Add the leaves of a durable frame to the tree. Called on the loop thread."""
        if frame.end > self._wal.size:
            raise IntegrityError(f"frame {frame.first} was not written")
        while self._closed and self._closed[0].end <= self._wal.size:
            self._tree.add(self._closed.popleft().leaf_hashes)

    def discard(self) -> None:
        """Forget all leaves that are not durable; call only while `write` is not running.

        Forget the run key too: the same index will be encrypted with another body, and the
        forgotten leaf may have reached a disk or an outbox, so one key would reuse a nonce.
        """
        while self._closed and self._closed[0].end <= self._wal.size:
            self._tree.add(self._closed.popleft().leaf_hashes)
        self._closed.clear()
        self._reset()
        self._key = None
        self.next_index = self._wal.size
        self._digest = self._wal.digest

    def vouch(self, frame: Frame) -> bytes:
        """Return frame with a MAC under the log's own key, as the database's outbox keeps it.

        Entries are encrypted to a public key, and drained frames get signed. Without the MAC,
        anybody able to write the database could insert entries into the log.
        """
        return frame.data + self._mac(frame.data)

    def vouched(self, data: bytes) -> bytes:
        """Return the frame in data from `vouch`; raise IntegrityError if the MAC is wrong."""
        frame, mac = data[:-_MAC_SIZE], data[-_MAC_SIZE:]
        if not hmac.compare_digest(mac, self._mac(frame)):
            raise IntegrityError("a frame in the outbox was not put there by this log's writer")
        return frame

    def _mac(self, frame: bytes) -> bytes:
        return blake2b(frame, key=self._outbox_key.reveal(), digest_size=_MAC_SIZE).digest()

    def drain(self, frames: Iterable[bytes]) -> None:
        """Write the outbox's frames that the log does not have yet, and compare the others.

        Call at start-up, or after `discard`. Raises IntegrityError if the leaves of a frame differ
        from those of the log, or if a new frame does not chain to the log's last one.
        """
        if self._hashes or self._closed:
            raise RuntimeError("discard the open batch before draining an outbox")
        for data in frames:
            first, leaves = read_leaves(data)
            if first < self._wal.size:
                self._compare(first, leaves)
                continue
            frame = read_frame(data, 0, self._wal.digest)
            assert frame is not None
            self.write(frame)
            self._tree.add(frame.leaf_hashes)
            self.latest_ns = max(self.latest_ns, frame.time_ns)
        self._key = None
        self.next_index = self._wal.size
        self._digest = self._wal.digest

    def checkpoint(self) -> bytes | None:
        """Sign the durable size; return the note, or None if no leaves came since the last one.

        An OSError has the same consequences as in `write`; after one that can pass, the next call
        repeats all steps.
        """
        self.require_working()
        try:
            return self._checkpoints.sign()
        except OSError as error:
            self._failed_by(error)
            raise

    def add_cosignatures(self, checkpoint: Checkpoint, signatures: Iterable[Signature]) -> bytes:
        """Merge verified cosignatures into the note of a checkpoint of this log; return the note.

        Raises as Checkpoints.merge does; an OSError while the note is stored has the same
        consequences as in `write`.
        """
        head = self._checkpoints.merge(checkpoint, signatures)
        try:
            return self._checkpoints.publish(head)
        except OSError as error:
            self._failed_by(error)
            raise

    def rotate_wal(self) -> bool:
        """Allocate the next WAL file and move finished ones into bundles; return if more wait.

        On a full disk the reserve is given up first (`disk_full` becomes true). An OSError has the
        same consequences as in `write`.
        """
        head = self.log.published
        try:
            self._wal.prepare()
            return self._wal.bundle(head.checkpoint.size if head else 0)
        except OSError as error:
            self._failed_by(error)
            raise

    def require_room(self) -> None:
        """After a refused write, raise OSError until there is room for the largest frame.

        `rotate_wal` allocates that room when it can.
        """
        if self._refused:
            self._wal.require_room()
            self._refused = False

    def _failed_by(self, error: OSError) -> None:
        """Mark the journal as failed, unless the cause of error can pass."""
        self._refused = True
        if not is_transient(error):
            self.failed = error

    @property
    def disk_full(self) -> bool:
        """Whether the reserve has been given up: callers must refuse work that can wait."""
        return self._wal.disk_full

    def mark_time(self, now_ns: int, *, last: bool = False) -> None:
        """Keep now_ns, if the log tells no time near it, for the next start.

        Call about once a second, and once with `last` when the server stops. An OSError has the
        same consequences as in `write`.
        """
        self.require_working()
        try:
            self._mark.write(now_ns, self.latest_ns, last=last)
        except OSError as error:
            self._failed_by(error)
            raise

    def check_files(self) -> None:
        """Mark the journal as failed if its open file was moved, deleted or cut.

        Each write looks too; call this about once a second for when there is none. Raises OSError
        if the check itself fails, which is final unless its cause can pass.
        """
        try:
            self._wal.require_linked()
        except FileNotFoundError as error:
            self.failed = error
            raise Unavailable(f"the journal's file was {error.strerror}") from error
        except OSError as error:
            self._failed_by(error)
            raise

    def close(self) -> None:
        """Close and unlock the files; leaves that are not durable are lost."""
        self._files.close()

    def _add(self, leaf: bytes) -> bytes:
        """Add a leaf to the open batch; return its hash."""
        leaf_hash = sha256(b"\x00" + leaf).digest()
        self._parts += (len(leaf).to_bytes(_PREFIX, "big"), leaf)
        self._hashes.append(leaf_hash)
        self._room -= len(leaf) + _PREFIX
        self.next_index += 1
        return leaf_hash

    def _start_key(self) -> LeafKey:
        """Make a run key and record it, wrapped to the reading key, as the next leaf."""
        run_key = Secret(self._entropy.token(KEY_SIZE))
        ephemeral = Secret(self._entropy.token(KEY_SIZE))
        leaf = wrap_key(run_key, self.next_index, self.origin, self._reading_key, ephemeral)
        self._key_until = self.next_index + ENTRIES_PER_KEY
        self._key = key = LeafKey(run_key, self.origin)
        self._add(leaf)
        return key

    def _reset(self) -> None:
        self._parts = []
        self._hashes = []
        self._room = _PAYLOAD_ROOM

    def _compare(self, first: int, leaves: list[bytes]) -> None:
        """Raise IntegrityError unless the log has exactly these leaves from first on."""
        last = first + len(leaves)
        if last > self._wal.size or self._wal.leaves(first, last) != leaves:
            raise IntegrityError(
                f"the database's outbox and the journal differ at entry {first}: one of them was "
                "changed, or comes from another copy. Keep both as evidence"
            )
