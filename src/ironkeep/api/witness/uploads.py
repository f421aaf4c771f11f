"""The uploads that a mirror takes at the same time: few, and within one budget of memory.

Anybody may send one, and a package of up to 16 MiB is held until it is whole. So what all of them
hold together is bounded, counted after unpacking. Where there is no room, the upload goes that
holds most of it, and where there is no place, the one that has stored nothing for the longest: a
log that uploads goes on, whatever strangers begin and leave lying.
"""

from collections.abc import Callable
from typing import Final

from ironkeep.api.witness.mirror import Session
from ironkeep.core.errors import Unavailable
from ironkeep.tlog.mirror import MAX_PACKAGE

MAX_UPLOADS: Final = 16
"""At the same time: a mirror serves some logs, each of which sends one after another."""
ROOM: Final = 4 * MAX_PACKAGE
"""Bytes held by all uploads, some 67 MB; those of a log of ours have 150 kB a package."""


class Slot:
    """One upload under way. Its session and bytes go when another one needs the room."""

    def __init__(self, session: Session, now: float) -> None:
        self._session: Session | None = session
        self.pending = bytearray()
        self.held = 0
        self.since = now

    def require(self) -> Session:
        """Return the session; raise Unavailable when its room was given to another."""
        if self._session is None:
            raise Unavailable("too many uploads at once: the log goes on with the next one")
        return self._session

    def drop(self) -> None:
        """Give the room back."""
        self._session = None
        self.pending = bytearray()
        self.held = 0


class Uploads:
    """All uploads under way."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._open: Final[list[Slot]] = []

    def enter(self, session: Session) -> Slot:
        """Return a place for session."""
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
        """Hold data for slot; raise Unavailable when it has to go itself."""
        slot.require()
        slot.pending += data
        slot.held += len(data)
        while sum(one.held for one in self._open) > ROOM:
            self.leave(max(self._open, key=lambda one: one.held))
        slot.require()

    def fed(self, slot: Slot, session: Session, packages: int) -> None:
        """Note what slot holds now that its session has taken what there was."""
        if slot in self._open:
            slot.held = len(slot.pending) + session.buffered
            if session.packages > packages:
                slot.since = self._clock()
