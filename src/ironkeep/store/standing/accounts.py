"""The accounts: the sums of all buckets as of the last closed commit, and how they are stored.

    content of a commit = u64 seq ‖ link before ‖ frame before ‖ u64 base ‖ identity of the snapshot
                          ‖ ( u16 bucket ‖ sum ) for each bucket that changed
    link                = PRF( content ‖ BLAKE2b-32 of the packed keys )
    state               = 0x02 ‖ envelope( content ‖ frame )
    AAD                 = "ironkeep/head/v2" ‖ segment

`frame` is the digest of the commit's journal frame, `base` the commit with the newest snapshot of
all sums. Up to SNAPSHOT_COMMITS commits only bring the sums that they changed; then one brings a
snapshot (an envelope under "ironkeep/sums/v1"), and the sums before it are no longer needed. The
last SNAPSHOT_PARTS of these commits encrypt a part of it each: it has the sums of the first of
them, and the commit that brings it also has all sums that changed since.

Each link covers the one before it, so the last one stands for the whole history: the sums and with
them the rows, the numbers, the removals and the frames. Its mark is journalled. A start reads the
snapshot and the records after it, follows the links to the head and compares the mark with the
journal. It reads no row.
"""

import hashlib
import hmac
import struct
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.envelope import HEADER_BYTES, NONCE_BYTES, TAG_BYTES
from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Record, Row, Storage, StoreHead, pack_keys
from ironkeep.store.ciphers import Ciphers, Encryption
from ironkeep.store.standing.buckets import Sums, bucket_of
from ironkeep.store.standing.sethash import (
    MODULUS,
    REMEDY,
    RowTotals,
    SetHash,
    decode_totals,
)
from ironkeep.store.state import Writes

SNAPSHOT_COMMITS: Final = 2_048
"""Commits from one snapshot to the next: a kilobyte of it for each, and 30 ms of a start."""
SNAPSHOT_PARTS: Final = 16
"""Commits over which a snapshot is encrypted: 128 KiB each, some 0.2 ms."""
SNAPSHOT_SUMS: Final = 32_768
"""Changed sums from one snapshot to the next, when commits are large."""

_CONTENT: Final = struct.Struct(">Q32s32sQ32s")
_SUM: Final = struct.Struct(">H32s")
_VERSION: Final = b"\x02"
_STATE: Final = b"ironkeep/head/v2"
_SNAPSHOT: Final = b"ironkeep/sums/v1"
_NONE: Final = bytes(32)


def is_upgraded(head: StoreHead) -> bool:
    """Return whether a release with schema 1 wrote this head."""
    return head.seq > 0 and not head.state.startswith(_VERSION)


class RowsDiffer(IntegrityError):
    """The rows of a store of schema 1 are not those that its one sum stands for."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A closed commit that may not be durable: the sums before it, its elements, its link.

    `elements` has the element of each changed row at its key, or b"" for a removal.
    """

    before: dict[int, int]
    elements: dict[bytes, bytes]
    totals: RowTotals


@dataclass(frozen=True, slots=True)
class _Content:
    """The decrypted state of a commit."""

    seq: int
    link_before: bytes
    frame_before: bytes
    base: int
    snapshot: bytes
    sums: bytes
    frame: bytes
    raw: bytes


@dataclass(slots=True)
class _Making:
    """A snapshot that is being encrypted: of which sums, how far, and what has changed since."""

    ciphers: Ciphers
    sums: bytes
    encryption: Encryption
    done: int = 0
    changed: set[int] = field(default_factory=set)

    def step(self) -> bool:
        """Encrypt the next part; return whether it was the last one."""
        size = -(-len(self.sums) // SNAPSHOT_PARTS)
        self.encryption.add(self.sums[self.done * size : (self.done + 1) * size])
        self.done += 1
        return self.done >= SNAPSHOT_PARTS


class Accounts:
    """The sums, and the number and link of the last closed commit."""

    def __init__(self, set_hash: SetHash, ciphers: Ciphers) -> None:
        self.set_hash: Final = set_hash
        self.ciphers = ciphers
        self.sums = Sums()
        self.totals = RowTotals(0, 0)
        self.pending: Final[deque[Pending]] = deque()
        self.upgraded = False
        """Whether the stored state is of schema 1, so that the next commit brings a snapshot."""
        self._durable = self.totals
        self._frame = _NONE
        self._base = 0
        self._changed = 0
        self._content = b""
        self._making: _Making | None = None

    # -- each commit ----------------------------------------------------------------------------

    def add(self, seq: int, writes: Writes) -> bytes | None:
        """Take the changes of commit seq into the sums; return the snapshot if one is due."""
        elements: dict[bytes, bytes] = {}
        before: dict[int, int] = {}
        after: dict[int, int] = {}
        element, number = self.set_hash.element, int.from_bytes
        for key, new in writes.stored.items():
            bucket, old = bucket_of(key), writes.before[key]
            total = after.get(bucket)
            if total is None:
                total = before[bucket] = self.sums.get(bucket)
            if old is not None:
                total -= number(element(key, old), "big")
            made = elements[key] = b"" if new is None else element(key, new)
            after[bucket] = total + number(made, "big")
        for bucket, total in after.items():
            self.sums.put(bucket, total % MODULUS)
        snapshot, changed = self._snapshot_if_due(seq, after)
        content = _CONTENT.pack(
            seq, _bytes(self.totals), self._frame, self._base,
            _identity(snapshot) if snapshot else _NONE,
        )  # fmt: skip
        stored = self.sums.stored
        content += b"".join([_SUM.pack(bucket, stored(bucket)) for bucket in changed])
        self._content = content
        self.totals = RowTotals(seq, self._link(content, pack_keys(writes.stored)))
        self.pending.append(Pending(before, elements, self.totals))
        return snapshot

    def _snapshot_if_due(
        self, seq: int, changed: Collection[int]
    ) -> tuple[bytes | None, Collection[int]]:
        """Return the snapshot that commit seq brings, if any, and the buckets whose sums it has."""
        self._changed += len(changed)
        making, since = self._making, seq - self._base
        if self.upgraded:
            snapshot = self.ciphers.encrypt(self.sums.encode(), self._aad(_SNAPSHOT))
            return self._begun(seq, snapshot), ()
        if making is None or making.ciphers is not self.ciphers:
            if since <= SNAPSHOT_COMMITS - SNAPSHOT_PARTS and self._changed <= SNAPSHOT_SUMS:
                return None, changed
            encryption = self.ciphers.in_parts(self._aad(_SNAPSHOT))
            making = self._making = _Making(self.ciphers, self.sums.encode(), encryption)
        else:
            making.changed.update(changed)
        if not making.step():
            return None, changed
        return self._begun(seq, making.encryption.end()), making.changed

    def _begun(self, seq: int, snapshot: bytes) -> bytes:
        """Count from the snapshot that commit seq brings, and return it."""
        self._base, self._changed, self.upgraded, self._making = seq, 0, False, None
        return snapshot

    def state(self, frame: bytes) -> bytes:
        """Return the state of the commit just added, whose journal frame has this digest."""
        self._frame = frame
        return _VERSION + self.ciphers.encrypt(self._content + frame, self._aad(_STATE))

    def settled(self) -> Pending:
        """Return the oldest pending commit, which is durable now."""
        oldest = self.pending.popleft()
        self._durable = oldest.totals
        return oldest

    def may_be(self, bucket: int, total: int) -> bool:
        """Return whether total is a sum of bucket as of the last durable commit or a later one."""
        if total == self.sums.get(bucket):
            return True
        return any(total == each.before.get(bucket) for each in self.pending)

    # -- a start --------------------------------------------------------------------------------

    def load(self, storage: Storage) -> None:
        """Read the stored sums, and follow the links to the head.

        The head itself must then be compared with the journal (`verify_not_older`). Raise
        IntegrityError if anything does not fit; RowsDiffer if the rows of schema 1 do not.
        """
        head = storage.head()
        if not head.seq and not head.state:
            return
        if is_upgraded(head):
            self._build(storage.everything(), decode_totals(head, self.ciphers))
            return
        base = self._open(head.seq, head.state).base
        records = storage.records(max(base - 1, 0))
        if [each.seq for each in records] != list(range(base or 1, head.seq + 1)):
            raise IntegrityError(f"records of commits {base} to {head.seq} are missing: {REMEDY}")
        contents = self._follow(records, None if base else _bytes(RowTotals(0, 0)))
        self._read_sums(storage, base, contents)
        self._base, self._frame, self._durable = base, contents[-1].frame, self.totals

    def _follow(self, records: Sequence[Record], before: bytes | None) -> list[_Content]:
        """Follow the links over records; return their contents.

        `before` is the link before the first record, or None if that is not known.
        """
        frame = None
        contents = []
        for record in records:
            content = self._open(record.seq, record.state)
            if (before is not None and content.link_before != before) or (
                frame is not None and content.frame_before != frame
            ):
                raise IntegrityError(
                    f"the record of commit {record.seq} does not follow the one before it: one of "
                    f"them was changed, added or removed outside Ironkeep; {REMEDY}"
                )
            self.totals = RowTotals(record.seq, self._link(content.raw, record.keys))
            before, frame = _bytes(self.totals), content.frame
            contents.append(content)
        return contents

    def _read_sums(self, storage: Storage, base: int, contents: Iterable[_Content]) -> None:
        """Take the snapshot of commit base, and the sums that later commits changed."""
        for content in contents:
            if content.base != base:
                raise IntegrityError(f"commit {content.seq} names another snapshot: {REMEDY}")
            if content.seq == base:
                stored = storage.sums()
                if not hmac.compare_digest(_identity(stored), content.snapshot):
                    raise IntegrityError(f"the sums stored with commit {base} differ: {REMEDY}")
                self.sums = Sums(self.ciphers.decrypt(stored, self._aad(_SNAPSHOT)))
            for bucket, total in _SUM.iter_unpack(content.sums):
                self.sums.put(bucket, int.from_bytes(total, "big"))
                self._changed += 1

    def _build(self, rows: Iterable[tuple[bytes, Row]], totals: RowTotals) -> None:
        """Compute the sums of a store of schema 1 from all its rows, whose one sum is known."""
        element, sums = self.set_hash.element, self.sums
        whole = 0
        for key, row in rows:
            number = int.from_bytes(element(key, row), "big")
            whole += number
            bucket = bucket_of(key)
            sums.put(bucket, (sums.get(bucket) + number) % MODULUS)
        if not hmac.compare_digest(_bytes(RowTotals(0, whole % MODULUS)), _bytes(totals)):
            raise RowsDiffer(
                f"the stored rows are not those of commit {totals.seq}: some were changed, "
                f"removed, added or restored from an older copy outside Ironkeep: {REMEDY}"
            )
        self.totals, self._durable, self.upgraded = totals, totals, True

    # -- the log of commits -----------------------------------------------------------------------

    def vouch(self, records: Sequence[Record]) -> None:
        """Check that records, as read from the store now, lead to a commit made here.

        Raise IntegrityError if one was changed, removed or added.
        """
        if not records:
            return
        checker = Accounts(self.set_hash, self.ciphers)
        checker._follow(records, None)
        if checker.totals not in [self._durable, *(each.totals for each in self.pending)]:
            raise IntegrityError(f"the log of commits does not lead to its head: {REMEDY}")

    def contradicts(self, other: "Accounts") -> bool:
        """Return whether other, loaded again from the store, is not a commit made here."""
        return other.totals not in [self._durable, *(each.totals for each in self.pending)]

    @property
    def frame(self) -> bytes:
        """The digest of the journal frame of the last closed commit."""
        return self._frame

    # -- inside ---------------------------------------------------------------------------------

    def _open(self, seq: int, state: bytes) -> _Content:
        """Decrypt the state of commit seq; raise IntegrityError if it is that of another one."""
        if not state.startswith(_VERSION):
            raise IntegrityError(f"the state of commit {seq} has an unknown version: {REMEDY}")
        plain = self.ciphers.decrypt(state[1:], self._aad(_STATE))
        raw, frame = plain[:-32], plain[-32:]
        number, link, before, base, snapshot = _CONTENT.unpack_from(raw)
        sums = raw[_CONTENT.size :]
        content = _Content(number, link, before, base, snapshot, sums, frame, raw)
        if content.seq != seq:
            raise IntegrityError(
                f"the state stored with commit {seq} is that of commit {content.seq}: {REMEDY}"
            )
        return content

    def _link(self, content: bytes, keys: bytes) -> int:
        digest = hashlib.blake2b(keys, digest_size=32).digest()
        return int.from_bytes(self.set_hash.link(content + digest), "big")

    def _aad(self, purpose: bytes) -> bytes:
        return purpose + self.ciphers.keyring.segment.encode()


def _identity(snapshot: bytes) -> bytes:
    """Return what tells a snapshot from every other one that opens: the digest of nonce and tag.

    Any other byte of it is authenticated by the tag. A digest of all 2 MiB would hold the loop for
    two milliseconds more.
    """
    return hashlib.sha256(snapshot[: HEADER_BYTES + NONCE_BYTES] + snapshot[-TAG_BYTES:]).digest()


def _bytes(totals: RowTotals) -> bytes:
    return totals.total.to_bytes(32, "big")
