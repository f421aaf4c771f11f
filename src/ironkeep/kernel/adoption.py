"""Adoption: the first unsealing in a new epoch of the log ties the database to that epoch.

Anyone who can write to the disk can begin an epoch (journal/epochs.py). Therefore the first
unsealing, which needs the seal's keys, checks again: the rows must be those of the last commit in
the older log, if that log or a copy of it is available. The result of the comparison, or why it was
impossible, is journalled with the number of the rows' commit. From then on this log alone detects
an older database.
"""

from typing import Final

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

_RUN: Final = 16 * TILE_WIDTH
"""Number of leaves hashed at a time."""

_JOINED: Final = "joined"
"""The record with the origin of the log that joined last."""

_NOTICE_WITHIN: Final = 4
"""The notice of a new epoch is among its first leaves: epoch, key, notice."""


def adopt_log(house: House, tx: Tx, totals: RowTotals) -> None:
    """Tie the rows to the current log if they were last opened with another one.

    All rows are checked first. Raise IntegrityError if one is wrong or the log does not continue
    another one, RolledBack if the rows are older than that log and the epoch was not begun with
    `-force`.
    """
    journal = house.journal
    before = stored_origin(tx)
    if before == journal.origin:
        return
    start = start_of(journal.log)
    if start is None:
        raise IntegrityError(
            f"the database was last opened with the log {before}, and {journal.origin} does not "
            "continue it"
        )
    notice = _notice(house)
    age = _compare(house, tx, totals, start, forced=bool(notice.audited.get("forced")))
    house.check_rows()
    house.ledger.restate(house.storage.scan(b""))
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


def _compare(house: House, tx: Tx, totals: RowTotals, start: EpochStart, *, forced: bool) -> str:
    """Compare the rows with the older log's last commit; return the result in words."""
    try:
        seq, mark, origin = _last_commit(house, tx, start)
    except (IntegrityError, InvalidRequest, NotFound) as error:
        return f"not compared: {error}"
    set_hash = SetHash(house.seal.opened.keyring.row_hash_key)
    try:
        verify_not_older(totals, seq, mark, set_hash)
    except RolledBack as error:
        if forced:
            return f"older: {error}"
        raise RolledBack(
            f"{error}. To continue with it anyway, begin the epoch with -force"
        ) from None
    return f"not older than commit {seq}, the last one under the checkpoint of {origin}"


def _last_commit(house: House, tx: Tx, start: EpochStart) -> tuple[int, bytes, str]:
    """Return number, mark and log of the last commit in an older log.

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
        seq, mark = last_commit(audit_reader(leaves, house.store(tx, JOURNAL)), 0)
        below = epoch_start(leaves.leaves(0, 1)[0]) if leaves.size else None
        if seq or below is None:
            return seq, mark, origin
        start = below
    raise NotFound(f"nothing is known of the log before {origin}")


class _Until:
    """The leaves of a log up to a checkpoint, verified against its root."""

    def __init__(self, leaves: Leaves, checkpoint: Checkpoint) -> None:
        self.origin: Final = checkpoint.origin
        self.size: Final = checkpoint.size
        self.leaves: Final = leaves.leaves
        if leaves.size < self.size:
            raise IntegrityError(f"the available entries of {self.origin} end at {leaves.size}")
        frontier = Frontier()
        for first in range(0, self.size, _RUN):
            last = min(first + _RUN, self.size)
            frontier.append([leaf_hash(leaf) for leaf in leaves.leaves(first, last)])
        if frontier.root() != checkpoint.root:
            raise IntegrityError(f"the entries of {self.origin} do not match its checkpoint")
