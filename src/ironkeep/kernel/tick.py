"""The kernel's timed work, about once a second: expiry, key rotation, counted refusals."""

from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.kernel.house import House
from ironkeep.kernel.routing import SYS
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.store.barrier import DueRecord
from ironkeep.store.reserved import UPKEEP
from ironkeep.store.state import Tx

EXPIRE_AT_ONCE: Final = 500
"""Due rows processed in one tick: a few milliseconds of work, and at least 500 a second."""


def tick(house: House, now_ns: int) -> list[Waiting]:
    """Do the kernel's timed work; called about once a second.

    Return the effects that it started; the caller submits them like requests.
    """
    house.look_at_clock()
    for entry in house.refusals.flush(now_ns):
        house.journal.append(entry)
    if house.barrier is None:
        return []
    if house.features.alerts.over(now_ns):
        tx = house.state.begin()
        house.features.alerts.flush(tx, now_ns)
        tx.merge()
    _keep_keys(house, now_ns)
    house.segments.tick(house.state.begin(), house.note, now_ns)
    return _expire(house, now_ns)


def _expire(house: House, now_ns: int) -> list[Waiting]:
    """Process due records: tokens, leases, wrapped responses, effects."""
    # Look past the rows of sealed segments, which stay due until their segment is unsealed.
    keys = house.storage.due(now_ns, EXPIRE_AT_ONCE + house.segments.keys.asleep)
    if not keys and not house.effects.late:
        return []
    tx = house.state.begin()
    try:
        records = house.segments.keys.records_due(tx, house.keys(), keys, now_ns)
        if not records and not house.effects.late:
            return []
        started = _take_up(house, tx, records, now_ns)
    except IntegrityError as error:
        house.fail(f"a stored row does not verify: {error}")
        return []
    if records:
        house.note("tick", "expire", {"due": len(records)})
    tx.merge()
    return started


def _take_up(house: House, tx: Tx, records: list[DueRecord], now_ns: int) -> list[Waiting]:
    """Pass each due record to the service of its place."""
    by_place: dict[str, list[DueRecord]] = {}
    for record in records:
        by_place.setdefault(record.place.mount, []).append(record)
    for place, take_up in house.due.items():
        take_up(tx, by_place.pop(place, []), now_ns)
    # The system engine's due records are deleted; those of doomed mounts are left to demolition.
    house.store(tx, SYS.uuid).delete_all([r.path for r in by_place.pop(SYS.uuid, [])])
    doomed = house.demolition.doomed(tx)
    rest = [each for place, found in by_place.items() if place not in doomed for each in found]
    return house.effects.tick(tx, rest, now_ns)


def _keep_keys(house: House, now_ns: int) -> None:
    """Rotate the key when it is due, or save its use count."""
    tx = house.state.begin()
    fresh = house.upkeep.check(tx, house.keys(), house.store(tx, UPKEEP), now_ns)
    if fresh is not None:
        house.note("tick", "keys", {"term": fresh.ciphers.keyring.current.number})
        tx.merge()
        house.take(fresh)
