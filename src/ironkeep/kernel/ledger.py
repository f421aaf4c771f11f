"""From executed to durable: a batch is committed once, journalled once, then answered.

    close (loop thread) → persist (writer thread) → settle (loop thread)

The database commits first and carries the batch's journal frame in its outbox; the journal follows.
So a crash in between leaves a frame to drain at the next start, and the journal never knows of a
change that the database does not. A batch without writes touches the journal alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IntegrityError, RolledBack, Unavailable
from ironkeep.core.event import Entry
from ironkeep.core.ports import Clock, Commit, Storage
from ironkeep.kernel.journal import Frame, Journal
from ironkeep.kernel.sethash import SetHash
from ironkeep.kernel.state import State, Writes


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything executed since the batch before: its frame, and its commit when rows changed."""

    frame: Frame
    commit: Commit | None
    writes: Writes | None


class Ledger:
    """Keeps storage and journal in step, one batch at a time."""

    def __init__(self, storage: Storage, state: State, journal: Journal, clock: Clock) -> None:
        self._storage: Final = storage
        self._state: Final = state
        self._journal: Final = journal
        self._clock: Final = clock
        self.seq = storage.head().seq
        self.sethash: SetHash | None = None
        self.on_closed: list[Callable[[], None]] = []

    def close(self) -> Batch | None:
        """Freeze what was executed; None when there is nothing to make durable."""
        writes = self._state.close_batch()
        commit_state = b""
        if writes is not None:
            commit_state = self._seal_state(writes)
        frame = self._journal.close_batch()
        for callback in self.on_closed:
            callback()
        self.on_closed.clear()
        if frame is None:
            return None
        if writes is None:
            return Batch(frame, None, None)
        rows = writes.for_storage()
        commit = Commit(self.seq, rows, commit_state, frame.data, self.seq - 1)
        return Batch(frame, commit, writes)

    def _seal_state(self, writes: Writes) -> bytes:
        """Give the commit its number, bring the set-hash up to it, and journal both."""
        if self.sethash is None:
            raise RuntimeError("rows changed while no key was there to account for them")
        self.seq += 1
        self.sethash = self.sethash.updated(self.seq, writes.changes())
        audited = {"seq": self.seq, "set_hash": self.sethash.fingerprint()}
        self._journal.append(
            Entry(kind="commit", time_ns=self._clock.now_ns(), op="commit", audited=audited)
        )
        return self.sethash.sealed()

    def persist(self, batch: Batch) -> None:
        """Make batch durable; blocks. Raise OSError when it may or may not have become so."""
        if batch.commit is not None:
            self._storage.commit(batch.commit)
        self._journal.write(batch.frame)

    def settle(self, batch: Batch) -> None:
        """Tell the caches and the tree that batch is durable; after this its answers may leave."""
        self._journal.written(batch.frame)
        if batch.writes is not None:
            self._state.committed(batch.writes)

    def recover(self) -> None:
        """After a failed persist: learn what became of it and bring both sides into step.

        Everything that was not answered is forgotten, or turns out to have happened. Raise
        Unavailable when the journal itself failed: then only a restart helps.
        """
        self._state.close_batch()
        self._state.reset()
        self._journal.discard()
        if self._journal.failed:
            raise Unavailable("the journal failed to reach the disk: restart the server")
        self.catch_up()

    def catch_up(self) -> None:
        """Drain the outbox into the journal, and take over the store's head; also at start-up."""
        frames = self._storage.outbox()
        self._journal.drain([frame for _, frame in frames])
        self.seq = self._storage.head().seq
        if self.sethash is not None:
            self.sethash = self.sethash.reopened(self._storage.head().state)

    def check(self, journalled_seq: int, sethash: SetHash) -> None:
        """At unseal: compare the rows with what was last committed and journalled.

        Raise RolledBack when the database is older than its journal, IntegrityError when rows were
        changed, removed or brought back from an older copy.
        """
        head = self._storage.head()
        if head.seq < journalled_seq:
            raise RolledBack(
                f"the database is at commit {head.seq}, its journal knows commit {journalled_seq}: "
                "an older copy was put in place; bring back the newest one"
            )
        if head.seq != self.seq:
            raise IntegrityError("another process writes to this database")
        sethash.verify(head, self._storage.scan(b""))
        self.sethash = sethash
