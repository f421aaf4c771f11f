"""The kernel's timed work: once a second what is small, and what is due in turns.

    tick      once a second: expired counters, key rotation; begins to look for due rows
    due_turn  as often as something is due: a few milliseconds of due work, kind by kind

Each place of records is a kind of its own, and so are the leases of each mount, so that a backlog
or a failing row of one kind holds up no other (store/due.py). A due row whose work is too large for
one turn is queued again behind its kind's other rows. What ends with it (a token's tree, an
unmounted engine) is refused from the beginning; the turns only remove the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.kernel.house import House
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.effects.effects import TICK
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import UPKEEP
from ironkeep.store.state import Tx

TURN_NS: Final = 2_000_000
"""The time after which a turn of due work ends; its last row may take a millisecond more."""

MAX_UNCOMMITTED: Final = 32_768
"""Entries after the last commit past which another one is made: an opening reads them in 0.2 s."""

_COMMITTED: Final = "committed"


@dataclass(frozen=True, slots=True)
class DueTurn:
    """The outcome of one turn: the effects it started, and if more can be done at once."""

    started: list[Waiting]
    more: bool


def tick(house: House, now_ns: int) -> list[Waiting]:
    """Do the small timed work, and begin to look for due rows; call it about once a second.

    Return the effects that it started; the caller submits them like requests. `due_turn` does the
    rest.
    """
    house.look_at_clock()
    for entry in house.refusals.flush(now_ns):
        house.journal.append(entry)
    house.readings.tick(now_ns)
    if house.barrier is None:
        return []
    if house.features.alerts.over(now_ns):
        tx = house.state.begin()
        house.features.alerts.flush(tx, now_ns)
        tx.merge()
    _keep_keys(house, now_ns)
    _commit_again(house)
    house.segments.tick(house.state.begin(), house.note, now_ns)
    house.look_for_due(now_ns)
    return _resume_effects(house, now_ns)


def _resume_effects(house: House, now_ns: int) -> list[Waiting]:
    """Start the effects that waited in memory for their turn."""
    if not house.effects.late:
        return []
    tx = house.state.begin()
    try:
        started = house.effects.tick(tx, (), now_ns)
    except IntegrityError as error:
        _distrust(house, error)
        return []
    tx.merge()
    return started


def due_turn(house: House, now_ns: int, spent: Callable[[], bool]) -> DueTurn:
    """Work off due rows until `spent`, each kind in its turn."""
    queue = house.due_queue
    if house.barrier is None:
        return DueTurn([], more=False)
    tx, started, count, looked_at = house.state.begin(), list[Waiting](), 0, 0
    try:
        if queue.unseen:
            queue.look(now_ns)
        if queue.looking:
            queue.read()
        while not (looked_at and spent()):
            taken = queue.take(house.is_held_up)
            if taken is None:
                break
            looked_at += 1
            found = _take_up(house, tx, taken, now_ns)
            if found is not None:
                count += 1
                started += found
    except IntegrityError as error:
        _distrust(house, error)
        return DueTurn(started, more=False)
    if count:
        house.note("tick", "expire", {"due": count})
    tx.merge()
    return DueTurn(started, queue.looking or queue.unseen or queue.has_work(house.is_held_up))


def _take_up(house: House, tx: Tx, taken: tuple[str, bytes], now_ns: int) -> list[Waiting] | None:
    """Do the work of one row, or its next part; return the effects started, None if not due."""
    kind, key = taken
    record = house.record_due(tx, key, now_ns)
    if record is None or house.due_queue.rests(key, now_ns):
        return None
    inner = tx.nested()
    try:
        more, started = _work(house, inner, record, now_ns)
    except (IntegrityError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - one row must not hold up the others
        house.on_defect(TICK, error)
        house.due_queue.failed(key, now_ns)
        return []
    inner.merge()
    house.due_queue.went_well(key)
    if more:
        house.due_queue.put_back(kind, key)
    return started


def _work(house: House, tx: Tx, record: DueRecord, now_ns: int) -> tuple[bool, list[Waiting]]:
    """Pass a record to the service of its place, or to its driver if it needs an effect."""
    take_up = house.due.get(record.place.mount)
    if take_up is not None and not house.leases.needs_effect(record):
        return bool(take_up(tx, record, now_ns)), []
    if record.place.mount in house.demolition.doomed(tx):
        return False, []
    return False, house.effects.tick(tx, (record,), now_ns)


def _distrust(house: House, error: IntegrityError) -> None:
    house.fail(f"a stored row does not verify: {error}")


def _commit_again(house: House) -> None:
    """Write a row when many entries follow the last commit: an opening reads all of these."""
    index = house.journal.next_index
    if index - house.ledger.committed > MAX_UNCOMMITTED:
        tx = house.state.begin()
        house.store(tx, UPKEEP).put(_COMMITTED, index.to_bytes(8, "big"))
        tx.merge()


def _keep_keys(house: House, now_ns: int) -> None:
    """Rotate the key when it is due, or save its use count."""
    tx = house.state.begin()
    fresh = house.upkeep.check(tx, house.keys(), house.store(tx, UPKEEP), now_ns)
    if fresh is not None:
        house.note("tick", "keys", {"term": fresh.ciphers.keyring.current.number})
        tx.merge()
        house.take(fresh)
