"""The keys of segments in memory: their seals, and the barriers of the open ones.

A seal is loaded when it is first needed. Shares or a key file open it, and then the segment has a
barrier over its own rows. Dropping the keys closes the ciphers, which work in progress may still
hold. Nothing here is stored: after a restart, and when the vault seals, every segment is sealed.
"""

from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import InvalidRequest, NotFound, Sealed
from ironkeep.core.ports import Entropy
from ironkeep.core.text.goformat import rfc3339
from ironkeep.seal.seal import Seal, SealStatus
from ironkeep.seal.segment_record import FIRST_NUMBER, Segment
from ironkeep.seal.upkeep import Upkeep
from ironkeep.store.barrier import Barrier, Store
from ironkeep.store.keyring import SegmentId
from ironkeep.store.state import Tx


@dataclass(slots=True)
class Held:
    """A segment's seal, and its barrier while it is open."""

    segment: Segment
    seal: Seal
    barrier: Barrier | None = None

    def change(self, barrier: Barrier | None) -> None:
        """Replace the barrier; close the previous one, which work in progress may still hold."""
        if self.barrier is not None:
            self.barrier.ciphers.close()
        self.barrier = barrier


class SegmentKeys:
    """Holds the seals of segments, and opens and closes them.

    `served` names the segments that this server may open; None means all of them.
    """

    def __init__(self, entropy: Entropy, served: frozenset[str] | None) -> None:
        self._entropy: Final = entropy
        self._served: Final = served
        self._held: Final[dict[SegmentId, Held]] = {}
        self.opened = 0
        """Counts how often a segment was opened: rows of it may have come due meanwhile."""

    def is_open(self, segment: Segment) -> bool:
        """Return whether the keys of a segment are in memory."""
        held = self._held.get(segment.id)
        return held is not None and held.barrier is not None

    def why_closed(self, segment: Segment) -> str:
        """Return why a segment that is not open is closed, and how to open it."""
        name = segment.name
        if self._served is not None and name not in self._served:
            return f"segment {name!r} is sealed here: this server does not serve it, ask another"
        why = f", cut off {rfc3339(segment.cut_ns)}" if segment.cut_ns else ""
        return (
            f"segment {name!r} is sealed{why}: give its own key shares to "
            f"segment/segments/{name}/unseal, or run `ironkeep segment unseal {name}`"
        )

    def status(self, tx: Tx, segment: Segment) -> SealStatus:
        """Return the state of a segment's seal; a destroyed segment has no keys."""
        if segment.state != "live":
            return SealStatus(initialized=False, sealed=True)
        return self._hold(tx, segment).seal.status()

    def unseal(
        self, tx: Tx, segment: Segment, key: str, *, reset: bool = False, nonce: str = ""
    ) -> SealStatus:
        """Take one share of a segment; open it when that completes the threshold.

        Errors as Seal.unseal; InvalidRequest when this server does not serve it.
        """
        held = self._to_open(tx, segment)
        held.seal.unseal(tx, key, reset=reset, nonce=nonce)
        self._take(held)
        return held.seal.status()

    def unseal_with_file(self, tx: Tx, segment: Segment, content: bytes) -> None:
        """Open a segment with the content of its key file; errors as `unseal`."""
        held = self._to_open(tx, segment)
        held.seal.unseal_with_file(tx, content)
        self._take(held)

    def drop(self, segment: Segment) -> None:
        """Drop the keys of a segment and all that was derived with them, if it is open."""
        held = self._held.pop(segment.id, None)
        if held is not None:
            held.seal.close()
            held.change(None)

    def forget(self) -> None:
        """Drop the keys of all segments."""
        for held in list(self._held.values()):
            self.drop(held.segment)

    def resync(self, tx: Tx) -> None:
        """Read the held seals again, after a commit whose outcome was unknown."""
        for held in list(self._held.values()):
            held.seal.load(tx)
            if held.seal.sealed:
                self.drop(held.segment)
            else:
                held.change(self._barrier(held))

    def barrier(self, segment: Segment) -> Barrier:
        """Return the barrier of a segment.

        Raise Sealed when the segment is sealed, NotFound when it is destroyed.
        """
        held = self._held.get(segment.id)
        if held is not None and held.barrier is not None:
            return held.barrier
        if segment.state != "live":
            raise NotFound(f"segment {segment.name!r} was destroyed")
        raise Sealed(self.why_closed(segment))

    def barrier_at(self, house: Barrier, key: bytes) -> Barrier | None:
        """Return the barrier of the row at key; None when its segment is not open here."""
        if key[0] < FIRST_NUMBER:
            return house
        opened = (each for each in self._held.values() if each.segment.space == key[:1])
        return next((each.barrier for each in opened), None)

    def rotated(self, tx: Tx, store: Store, now_ns: int) -> list[tuple[Held, Barrier]]:
        """Rotate the due keyrings of open segments by the settings in store.

        Return each with its new barrier: put that in place once tx is merged.
        """
        fresh: list[tuple[Held, Barrier]] = []
        for held in self._held.values():
            if held.barrier is not None:
                upkeep = Upkeep(held.seal, self._entropy, held.segment.space)
                changed = upkeep.check(tx, held.barrier, store, now_ns)
                if changed is not None:
                    fresh.append((held, changed))
        return fresh

    def _to_open(self, tx: Tx, segment: Segment) -> Held:
        if self._served is not None and segment.name not in self._served:
            raise InvalidRequest(f"this server does not serve segment {segment.name!r}")
        return self._hold(tx, segment)

    def _hold(self, tx: Tx, segment: Segment) -> Held:
        held = self._held.get(segment.id)
        if held is None:
            seal = Seal(segment.id, self._entropy)
            seal.load(tx)
            held = self._held[segment.id] = Held(segment, seal)
        return held

    def _take(self, held: Held) -> None:
        if not held.seal.sealed and held.barrier is None:
            held.barrier = self._barrier(held)
            self.opened += 1

    def _barrier(self, held: Held) -> Barrier:
        return Barrier(held.seal.opened.keyring, self._entropy, held.segment.space)
