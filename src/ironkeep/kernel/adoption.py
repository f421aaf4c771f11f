"""Adoption: the first unsealing in a new epoch of the log ties the database to that epoch.

Anyone who can write to the disk can begin an epoch (journal/epochs.py). Therefore the first
unsealing, which needs the seal's keys, checks again: the rows must be those of the last commit in
the older log, if that log or a copy of it is available. The result of the comparison, or why it was
impossible, is journalled with the number of the rows' commit. From then on this log alone detects
an older database.
"""

from collections.abc import Generator, Iterator
from typing import Final, TypeVar

from ironkeep.core.errors import IntegrityError, InvalidRequest, NotFound, RolledBack
from ironkeep.core.event import NODE, Entry, Value
from ironkeep.core.evidence.leaf import EpochStart, epoch_start
from ironkeep.journal.entries import Leaves
from ironkeep.journal.epochs import OPENED, continued, split_origin, start_of
from ironkeep.journal.membership import DEPARTED, JOINED, departed, joined
from ironkeep.kernel.house import House
from ironkeep.kernel.rowcheck import last_commit
from ironkeep.seal.reading_key import audit_reader, continue_keys, stored_origin
from ironkeep.store.reserved import JOURNAL
from ironkeep.store.standing.sethash import RowTotals, SetHash, verify_not_older
from ironkeep.store.state import Tx
from ironkeep.tlog.checkpoint import Checkpoint
from ironkeep.tlog.merkle import Frontier, leaf_hash
from ironkeep.tlog.tile import TILE_WIDTH

_RUN: Final = 4 * TILE_WIDTH
"""Number of leaves hashed in one turn: 1.6 ms of CPU."""
_ENTRIES: Final = 128
"""Entries of an older log read in one turn (1 ms), from its end, to find its last commit."""

_JOINED: Final = "joined"
"""The record with the origin of the log that joined last."""

_NOTICE_WITHIN: Final = 4
"""The notice of a new epoch is among its first leaves: epoch, key, notice."""

T = TypeVar("T")

Opening = Generator[None, Tx, T]
"""Work in turns: it yields between two of them, and is sent the transaction of the next."""


def adopt_log(house: House, tx: Tx, totals: RowTotals) -> Opening[Tx]:
    """Tie the rows to the current log if they were last opened with another one.

    All rows are checked first, in turns; the writes are in the last one, whose transaction is
    returned. Raise IntegrityError if one is wrong or the log does not continue
    another one, RolledBack if the rows are older than that log and the epoch was not begun with
    `-force`.
    """
    journal = house.journal
    before = stored_origin(tx)
    if before == journal.origin:
        return tx
    start = start_of(journal.log)
    if start is None:
        raise IntegrityError(
            f"the database was last opened with the log {before}, and {journal.origin} does not "
            "continue it"
        )
    notice = _notice(house)
    age, tx = yield from _compare(
        house, tx, totals, start, forced=bool(notice.audited.get("forced"))
    )
    tx = yield from _paused(house.check_rows(), tx)
    tx = yield from _paused(house.ledger.restate(house.storage.scan(b"")), tx)
    continue_keys(tx, house.store(tx, JOURNAL), journal.origin)
    house.scope.new_epoch(tx)
    audited: dict[str, Value] = {
        "log": journal.origin,
        "before": before,
        "commit": totals.seq,
        "compared": age,
        "why": notice.reason,
        "who": notice.name,
    }
    house.note("notice", OPENED, audited)
    house.note("notice", DEPARTED, departed(before, NODE, _size_of(start, before), totals.seq))
    return tx


def _paused(turns: Iterator[None], tx: Tx) -> Opening[Tx]:
    """Do work that pauses by itself; return the transaction of the last turn."""
    for _ in turns:
        tx = yield
    return tx


def join_log(house: House, tx: Tx) -> None:
    """Record once that the current log is one of the vault's; end the leases of the future."""
    store, origin = house.store(tx, JOURNAL), house.journal.origin
    if store.get(_JOINED) != origin.encode():
        store.put(_JOINED, origin.encode())
        house.note("notice", JOINED, joined(origin, NODE))
        house.leases.end_future(tx, house.clock.now_ns())


def _size_of(start: EpochStart, before: str) -> int:
    """Return the size at which an epoch continues the log named before; 0 if it is not known."""
    try:
        base = continued(start)
    except IntegrityError:
        return 0
    return base.size if base is not None and base.origin == before else 0


def _notice(house: House) -> Entry:
    """Return the entry with the reason for the epoch; raise IntegrityError without one."""
    for _, entry in house.audit_reader().entries(0, _NOTICE_WITHIN):
        if (entry.kind, entry.op) == ("notice", OPENED):
            return entry
    raise IntegrityError(
        f"the log {house.journal.origin} has no notice of its epoch: begin another epoch with "
        "`ironkeep operator new-epoch`"
    )


def _compare(
    house: House, tx: Tx, totals: RowTotals, start: EpochStart, *, forced: bool
) -> Opening[tuple[str, Tx]]:
    """Compare the rows with the older log's last commit; return (the result in words, tx)."""
    try:
        seq, mark, origin, tx = yield from _last_commit(house, tx, start)
    except (IntegrityError, InvalidRequest, NotFound) as error:
        # Nothing is written before the last turn: the next one brings the transaction.
        return f"not compared: {error}", (yield)
    set_hash = SetHash(house.seal.opened.keyring.row_hash_key)
    try:
        verify_not_older(totals, seq, mark, set_hash)
    except RolledBack as error:
        if forced:
            return f"older: {error}", tx
        raise RolledBack(
            f"{error}. To continue with it anyway, begin the epoch with -force"
        ) from None
    return f"not older than commit {seq}, the last one under the checkpoint of {origin}", tx


def _last_commit(house: House, tx: Tx, start: EpochStart) -> Opening[tuple[int, bytes, str, Tx]]:
    """Return number, mark and log of the last commit in an older log, and the last transaction.

    A log without commits, because its epoch was never opened, leads to the log that it continues.
    """
    origin = house.journal.origin
    while (checkpoint := continued(start)) is not None:
        if split_origin(checkpoint.origin)[1] >= split_origin(origin)[1]:
            raise IntegrityError(f"{origin} says that it continues {checkpoint.origin}")
        origin = checkpoint.origin
        older = house.older_log(origin)
        if older is None:
            raise NotFound(f"the entries of {origin} are not available")
        leaves = _Until(older, checkpoint)
        tx = yield from _paused(leaves.verified(), tx)
        reader, seq, mark = audit_reader(leaves, house.store(tx, JOURNAL)), 0, b""
        for last in range(leaves.size, 0, -_ENTRIES):
            seq, mark = last_commit(reader, max(0, last - _ENTRIES), last)
            if seq:
                break
            tx = yield
        below = epoch_start(leaves.leaves(0, 1)[0]) if leaves.size else None
        if seq or below is None:
            return seq, mark, origin, tx
        start = below
    raise NotFound(f"nothing is known of the log before {origin}")


class _Until:
    """The leaves of a log up to a checkpoint, to be verified against its root before use."""

    def __init__(self, leaves: Leaves, checkpoint: Checkpoint) -> None:
        self.origin: Final = checkpoint.origin
        self.size: Final = checkpoint.size
        self.leaves: Final = leaves.leaves
        self._root: Final = checkpoint.root
        if leaves.size < self.size:
            raise IntegrityError(f"the available entries of {self.origin} end at {leaves.size}")

    def verified(self) -> Iterator[None]:
        """Verify all leaves, with pauses between turns; raise IntegrityError."""
        frontier = Frontier()
        for first in range(0, self.size, _RUN):
            last = min(first + _RUN, self.size)
            frontier.append([leaf_hash(leaf) for leaf in self.leaves(first, last)])
            yield
        if frontier.root() != self._root:
            raise IntegrityError(f"the entries of {self.origin} do not match its checkpoint")
