"""Limits on a mirror's concurrent uploads: their number and their memory together.

Any client may send an upload, and a package of up to 16 MiB is buffered until it is complete. So
the memory of all uploads is limited, counted after decompression. When the memory is used up, the
upload that holds the most is dropped; when there are too many uploads, the one that has stored
nothing for the longest. A log's own upload thus continues whatever unauthenticated clients begin
and abandon.
"""

from collections.abc import Callable
from typing import Final

from ironkeep.api.witness.mirror import Session
from ironkeep.core.errors import Unavailable
from ironkeep.tlog.mirror import MAX_PACKAGE

MAX_UPLOADS: Final = 16
"""Concurrent uploads. A mirror serves a few logs, and each sends one upload after another."""
ROOM: Final = 4 * MAX_PACKAGE
"""Bytes held by all uploads, some 67 MB; an Ironkeep log's packages have some 150 kB."""


class Slot:
    """One running upload. Its session and bytes are dropped when another upload needs the room."""

    def __init__(self, session: Session, now: float) -> None:
        self._session: Session | None = session
        self.pending = bytearray()
        self.held = 0
        self.since = now

    def require(self) -> Session:
        """Return the session; raise Unavailable when its room was given to another upload."""
        if self._session is None:
            raise Unavailable("too many uploads at once: the next upload continues this one")
        return self._session

    def drop(self) -> None:
        """Release the session and its memory."""
        self._session = None
        self.pending = bytearray()
        self.held = 0


class Uploads:
    """All running uploads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._open: Final[list[Slot]] = []

    def enter(self, session: Session) -> Slot:
        """Return a slot for session; when all are taken, drop the one that stalled for longest."""
        if len(self._open) >= MAX_UPLOADS:
            self.leave(min(self._open, key=lambda slot: slot.since))
        slot = Slot(session, self._clock())
        self._open.append(slot)
        return slot

    def leave(self, slot: Slot) -> None:
        """End an upload."""
        slot.drop()
        if slot in self._open:
            self._open.remove(slot)

    def take(self, slot: Slot, data: bytes) -> None:
        """Buffer data for slot; raise Unavailable if that makes it the upload to drop."""
        slot.require()
        slot.pending += data
        slot.held += len(data)
        while sum(one.held for one in self._open) > ROOM:
            self.leave(max(self._open, key=lambda one: one.held))
        slot.require()

    def fed(self, slot: Slot, session: Session, packages: int) -> None:
        """Count the memory of slot again after its session has processed the buffered data."""
        if slot in self._open:
            slot.held = len(slot.pending) + session.buffered
            if session.packages > packages:
                slot.since = self._clock()
