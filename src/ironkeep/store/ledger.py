"""The ledger makes batches durable: commit to the database, then write the journal, then answer.

    close (loop thread) → persist (writer thread) → settle (loop thread)

The database commits first and carries the batch's journal frame in its outbox; the journal follows.
After a crash in between, the next start drains that frame, so the journal never has a change that
the database lacks. A batch without row changes touches only the journal.

Each commit is journalled with its number, the mark of its link (standing/accounts.py), and a short
digest of every row that it changed. The mark shows whether all rows are the right ones; the digests
show which are not.
"""

import hashlib
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ironkeep.core.errors import IntegrityError, Sealed
from ironkeep.core.event import Entry, Value
from ironkeep.core.ports import Change, Clock, Commit, Row, Storage
from ironkeep.journal.epochs import drain_outbox, is_inherited
from ironkeep.journal.frame import frame_digest, read_leaves
from ironkeep.journal.journal import Frame, Journal
from ironkeep.store.ciphers import Ciphers
from ironkeep.store.standing.accounts import Accounts
from ironkeep.store.standing.guard import Guard, Mismatch
from ironkeep.store.standing.sethash import REMEDY, RowTotals, SetHash
from ironkeep.store.state import State, Writes

DIGEST_BYTES: Final = 12
"""Bytes of the digests of a key and of a row in a commit entry: 96 bits identify a change."""
ROWS_AN_ENTRY: Final = 1_024
"""Digests in one commit entry (32 characters each); a larger commit takes several entries."""
MAX_RESTATED: Final = 250_000
"""Rows whose digests fit into one batch of the journal: they take 8 of its 16 MB."""
RESTATED_A_TURN: Final = 512
"""Digests made in one turn: 0.8 ms of CPU, and the reading of the rows."""

_DUE: Final = struct.Struct(">?q")


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything executed since the last batch: a journal frame, and a commit if rows changed."""

    frame: Frame
    commit: Commit | None
    writes: Writes | None


class Ledger:
    """Makes batches durable in storage and journal, and keeps the two in step."""

    def __init__(self, storage: Storage, state: State, journal: Journal, clock: Clock) -> None:
        self._storage: Final = storage
        self._state: Final = state
        self._journal: Final = journal
        self._clock: Final = clock
        self.seq = journal.commit = storage.head().seq
        self.committed = 0
        """The index of an entry after which no commit is journalled."""
        self.accounts: Accounts | None = None
        self.guard: Guard | None = None
        self._dropping = False
        self.on_mismatch: Callable[[Mismatch], None] = _unheard
        self.on_recovered: Callable[[], None] = _nothing
        self.listeners: Final[list[Callable[[Commit], None]]] = []

    def open(self, set_hash: SetHash, ciphers: Ciphers) -> RowTotals:
        """Load the accounts, keep them from now on, and check all rows that are read.

        Return what stands for all rows, to be compared with the journal. Errors as Accounts.load.
        """
        accounts = Accounts(set_hash, ciphers)
        accounts.load(self._storage)
        self._dropping = False
        self.committed = self.last_commit_first()
        self.accounts = accounts
        self.guard = Guard(self._storage, accounts, self.on_mismatch)
        self._state.trust(self.guard)
        return accounts.totals

    def rekeyed(self, ciphers: Ciphers) -> None:
        """Encrypt the accounts under newer keys from now on."""
        if self.accounts is not None:
            self.accounts.ciphers = ciphers

    def drop(self) -> None:
        """Forget the keys once the open batch, the last one that needs them, is closed."""
        self._dropping = True

    @property
    def failure(self) -> OSError | None:
        """Return the error after which the journal refuses writes until a restart, if any."""
        return self._journal.failed

    def has_open_batch(self) -> bool:
        """Return whether anything was executed since the last closed batch."""
        return self._journal.has_open_batch() or self._state.has_open_batch()

    def close(self) -> Batch | None:
        """Freeze the open batch and return it; None if there is nothing to make durable."""
        writes = self._state.close_batch()
        accounts, sums = self.accounts, None
        if writes is not None:
            if accounts is None:
                raise Sealed("rows changed while the set-hash has no key")
            sums = self._account(writes, accounts)
        frame = self._journal.close_batch()
        if self._dropping:
            self._drop_now()
        if frame is None:
            return None
        if writes is None or accounts is None:
            return Batch(frame, None, None)
        state = accounts.state(frame.digest)
        commit = Commit(
            self.seq, writes.stored, state, self._journal.vouch(frame), self.seq - 1, sums
        )
        return Batch(frame, commit, writes)

    def _account(self, writes: Writes, accounts: Accounts) -> bytes | None:
        """Take the next commit number, update the accounts and journal them.

        Return a snapshot of all sums if one is due.
        """
        self.seq = self._journal.commit = self.seq + 1
        sums = accounts.add(self.seq, writes)
        digests = [digest_of(key, row) for key, row in writes.stored.items()]
        self._state_rows(accounts, _packed(digests), "commit")
        self.committed = self._journal.next_index
        return sums

    def _drop_now(self) -> None:
        self._dropping = False
        self.accounts = self.guard = self._state.guard = None

    def restate(self, rows: Iterable[tuple[bytes, Row]]) -> Iterator[None]:
        """Journal the state of all rows, in the form of commit entries; pauses between turns.

        A log that continues another one then has the same knowledge of the rows: it detects an
        older database and names changed rows. Past MAX_RESTATED rows, it detects changes without
        naming the rows. Rows must not change meanwhile.
        """
        if self.accounts is None:
            raise Sealed("the set-hash has no key: unseal first")
        digests: list[bytes] = []
        for key, row in islice(rows, MAX_RESTATED + 1):
            digests.append(digest_of(key, row))
            if len(digests) % RESTATED_A_TURN == 0:
                yield
        few = len(digests) <= MAX_RESTATED
        for packed in _packed(digests) if few else [""]:
            self._state_rows(self.accounts, [packed], "restate")
            yield

    def _state_rows(self, accounts: Accounts, digests: Iterable[str], op: str) -> None:
        """Journal the set-hash's state and mark, with digests of rows."""
        mark, now = accounts.set_hash.mark(accounts.totals).hex(), self._clock.now_ns()
        for rows in digests:
            audited: dict[str, Value] = {"seq": accounts.totals.seq, "mark": mark, "rows": rows}
            self._journal.append(Entry(kind="commit", time_ns=now, op=op, audited=audited))

    def persist(self, batch: Batch, stored: Callable[[], None] | None = None) -> None:
        """Make batch durable; blocks. After an OSError it is unknown whether it is durable.

        `stored` is called when the database has its rows, and only the journal is left to write.
        """
        if batch.commit is not None:
            self._storage.commit(batch.commit)
            if stored is not None:
                stored()
        self._journal.write(batch.frame)

    def settle(self, batch: Batch) -> None:
        """Update the row cache and the tree for a durable batch; now its answers may leave.

        Then each listener gets the commit with all its rows, one commit after another. A listener
        must be quick, and must not raise.
        """
        self._journal.written(batch.frame)
        if batch.writes is not None:
            if self.accounts is not None:
                settled = self.accounts.settled()
                if self.guard is not None:
                    self.guard.settled(settled.elements)
            self._state.committed(batch.writes)
        if self.listeners and batch.commit is not None:
            for listen in self.listeners:
                listen(batch.commit)

    def recover(self) -> None:
        """After a failed persist, find out what is durable and bring storage and journal into step.

        Unanswered requests are forgotten, unless they turn out to be committed. Raise Unavailable
        if the journal itself failed: only a restart helps then. Raise OSError or MemoryError while
        the cause lasts: execute nothing until another call succeeds.
        """
        self._state.reset()
        self._journal.discard()
        self._journal.require_working()
        self.catch_up()
        self._journal.require_room()
        before = self.accounts
        if before is not None:
            self.open(before.set_hash, before.ciphers)
            if self.accounts is None or before.contradicts(self.accounts):
                raise IntegrityError(f"the database no longer has its last commit: {REMEDY}")
        self.on_recovered()

    def catch_up(self) -> None:
        """Drain the outbox into the journal and load the store's head; also at start-up.

        Raise IntegrityError if the outbox does not end in the frame of the last commit.
        """
        seq = self._storage.head().seq
        frames = [number for number, _ in self._storage.outbox()]
        if frames[-1:] != ([seq] if seq else []):
            raise IntegrityError(
                f"the outbox does not end in the journal frame of commit {seq}, the last one: "
                f"frames were removed or added outside Ironkeep; {REMEDY}"
            )
        drain_outbox(self._journal, self._storage)
        self.seq = self._journal.commit = seq

    def require_own_frame(self) -> None:
        """Raise IntegrityError unless the outbox ends in the frame of the last commit."""
        frames = self._storage.outbox()
        if self.accounts is None or not frames or self.accounts.upgraded:
            return
        if frame_digest(self._journal.vouched(frames[-1][1])) != self.accounts.frame:
            raise IntegrityError(
                f"the outbox holds another frame than that of commit {self.seq}: it was replaced "
                f"outside Ironkeep; {REMEDY}"
            )

    def changes(self, after_seq: int, limit: int) -> list[Change]:
        """Return what Storage.changes does, after checking the log of commits up to its head.

        Raise Sealed without keys, NotFound as Storage.changes, and IntegrityError if a record was
        changed, removed or added. Rows are checked when they are read through the state.
        """
        if self.accounts is None:
            raise Sealed("the set-hash has no key: unseal first")
        self.accounts.vouch(self._storage.records(after_seq))
        return self._storage.changes(after_seq, limit)

    def last_commit_first(self) -> int:
        """Return the index of the first leaf of the last commit's frame; 0 if there is none.

        It is 0 at the beginning of an epoch too, as the last commit is in the older log.
        """
        frames = self._storage.outbox()
        if is_inherited(self._journal.log, self._storage):
            return 0
        return read_leaves(self._journal.vouched(frames[-1][1]))[0] if frames else 0


def _nothing() -> None:
    """Do nothing; the default callback."""


def _unheard(_mismatch: Mismatch) -> None:
    """Do nothing; the default callback."""


def digest_of(key: bytes, row: Row | None) -> bytes:
    """Return a row's digests for a commit entry: of its key, and of its content or zeros."""
    name = hashlib.blake2b(key, digest_size=DIGEST_BYTES).digest()
    if row is None:
        return name + bytes(DIGEST_BYTES)
    content = _DUE.pack(row.due_ns is not None, row.due_ns or 0) + row.value
    return name + hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _packed(digests: Sequence[bytes]) -> Iterator[str]:
    for start in range(0, len(digests), ROWS_AN_ENTRY):
        yield b64encode(b"".join(digests[start : start + ROWS_AN_ENTRY])).decode()
