"""Readings of the journal that take several requests: a search page by page, a cursor followed.

The first request of a reading is journalled with its conditions and bounds, and names the reading.
Later requests of the same token get more of exactly that, and leave no entry of their own:
otherwise a follower would read its own requests for ever. What they were given is counted, and a
notice says how many entries it was, from where to where: about once a minute, and at the end.

If the server dies, the last minute's notice is missing. A reading without an end before the next
start must be taken to have been given everything in its bounds up to there.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.core.errors import NotFound, Unavailable
from ironkeep.core.event import Entry, Value
from ironkeep.core.ids import base62
from ironkeep.core.ports import Entropy
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.effects.heads import Heads
from ironkeep.plugin.token import Session

NOTICE: Final = "journal-read"
"""The operation of the notices."""
NOTICE_SECONDS: Final = 60
IDLE_SECONDS: Final = 300
"""Time after the last request of a reading until it ends."""
MAX_READINGS: Final = 1_024
MAX_OF_TOKEN: Final = 32

_ID_LENGTH: Final = 20


@dataclass(slots=True)
class Reading:
    """One reading. `about` is what its first request asked for; times are POSIX nanoseconds."""

    id: str
    token: str
    entity: str
    name: str
    accessor: str
    about: Any
    used_ns: int
    told_ns: int
    given: int = 0
    first: int = -1
    end: int = -1
    is_due: bool = False


class Readings:
    """The open readings of this server.

    `heads` resumes followers, who wait for an entry; `witnessed` those who wait for a head that
    witnesses have seen, or could have.
    """

    def __init__(self, append: Callable[[Entry], object], entropy: Entropy) -> None:
        self.heads: Final = Heads()
        self.witnessed: Final = Heads()
        self._append: Final = append
        self._entropy: Final = entropy
        self._open: Final[dict[str, Reading]] = {}

    def begin(self, session: Session, about: Any, now_ns: int) -> Reading:
        """Begin a reading of session's token; past the limits the one that rested longest ends."""
        token = _name_of(session)
        mine = [each for each in self._open.values() if each.token == token]
        for among, most in ((mine, MAX_OF_TOKEN), (self._open.values(), MAX_READINGS)):
            if len(among) >= most:
                self._tell(min(among, key=_used), now_ns, over=True)
        made = base62(self._entropy.token(2 * _ID_LENGTH), _ID_LENGTH)
        record = session.record
        reading = Reading(
            made, token, record.entity, session.name, record.accessor, about, now_ns, now_ns
        )
        self._open[made] = reading
        return reading

    def get(self, session: Session, given: str, now_ns: int) -> Reading:
        """Return a reading of session's token; raise NotFound if it has ended, or is another's."""
        reading = self._open.get(given)
        if reading is None or reading.token != _name_of(session):
            raise NotFound("this reading of the journal has ended: begin it again, at its cursor")
        reading.used_ns = now_ns
        return reading

    def hand_out(self, reading: Reading, first: int, end: int, count: int, notices: int) -> None:
        """Count the `count` entries of [first, end), `notices` of them notices of readings."""
        if not count:
            return
        reading.given += count
        reading.first = first if reading.first < 0 else min(first, reading.first)
        reading.end = max(end, reading.end)
        # A notice that is handed out is counted, and calls for no notice by itself.
        reading.is_due |= count > notices

    def tick(self, now_ns: int) -> None:
        """Write the notices that are due, and end readings that are no longer used."""
        for reading in list(self._open.values()):
            over = now_ns - reading.used_ns > IDLE_SECONDS * SECOND_NS
            due = reading.is_due and now_ns - reading.told_ns >= NOTICE_SECONDS * SECOND_NS
            if over or due:
                self._tell(reading, now_ns, over=over)

    def close(self, now_ns: int) -> None:
        """End all readings: the server is sealed, or stops."""
        for reading in list(self._open.values()):
            self._tell(reading, now_ns, over=True)

    def _tell(self, reading: Reading, now_ns: int, *, over: bool) -> None:
        if over:
            del self._open[reading.id]
            if not reading.given and reading.about is not None:
                return  # a search that had no further answer: its entry says all
        audited: dict[str, Value] = {
            "reading": reading.id,
            "entries": reading.given,
            "from": max(reading.first, 0),
            "to": max(reading.end, 0),
            "over": over,
        }
        with suppress(Unavailable):  # a failing journal: tried again, or lost with the server
            self._append(
                Entry(
                    kind="notice",
                    time_ns=now_ns,
                    op=NOTICE,
                    entity=reading.entity,
                    name=reading.name,
                    accessor=reading.accessor,
                    audited=audited,
                )
            )
            reading.told_ns, reading.is_due = now_ns, False


def _used(reading: Reading) -> int:
    return reading.used_ns


def _name_of(session: Session) -> str:
    return session.record.accessor or session.hash
