"""The rows that are due, sorted into kinds: each kind gets its share, whatever another's backlog.

    Storage.due, in pages  →  one queue for each kind, the earliest first  →  kinds take turns

Row keys are blind, so a look reads all due rows, in pages. A look goes on in later turns and at its
end has found every due row. It does not read what it can skip: the next looks begin a minute before
the last one, and only every `WHOLE_NS`, or when a kind's queue had no room, a look begins at the
first due row.

All rows of one folder are of one kind, so one opened row tells the kind of its siblings. The queues
are in memory only: after a restart, the first look fills them again.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ironkeep.core.units import SECOND_NS
from ironkeep.store.names import KIND_AT

PAGE: Final = 128
"""Rows read in one step of a look; about 1 ms when each must be opened to tell its kind."""
HELD: Final = 16_384
"""Rows of one kind in memory, about 130 bytes each; a later look finds the others."""
MAX_FOLDERS: Final = 16_384
"""Folders whose kind is remembered, about 200 bytes each; a full memory is emptied."""
OVERLAP_NS: Final = 60 * SECOND_NS
"""A row can become visible to the storage only after its due time: when its batch is durable."""
WHOLE_NS: Final = 60 * SECOND_NS
MAX_REST_NS: Final = 3_600 * SECOND_NS
"""The longest rest of a row whose work failed; it doubles with each failure, and never ends it."""
MAX_RESTING: Final = 16_384
"""Rows whose failures are remembered; a full memory is emptied, so they are tried sooner."""

DueRows = Callable[[int, int, tuple[int, bytes] | None], list[tuple[int, bytes]]]
KindOf = Callable[[bytes], str | None]
"""Returns the kind of the row at a key; None for a row that cannot be opened now or is gone."""


class DueQueue:
    """The due rows of each kind, and the kinds in the order of their turns."""

    def __init__(self, due: DueRows, kind_of: KindOf) -> None:
        self._due: Final = due
        self._kind_of: Final = kind_of
        self._folders: Final[dict[bytes, str]] = {}
        self._waiting: Final[dict[str, OrderedDict[bytes, None]]] = {}
        self._full: Final[set[str]] = set()
        self._resting: Final[dict[bytes, tuple[int, int]]] = {}
        self._after: tuple[int, bytes] | None = None
        self._before_ns = 0
        self._whole_ns: int | None = None
        self._looking = False

    @property
    def looking(self) -> bool:
        """Return whether a look has pages left to read."""
        return self._looking

    def forget(self) -> None:
        """Drop everything, because the vault or a segment was opened or sealed."""
        self._folders.clear()
        self._waiting.clear()
        self._full.clear()
        self._resting.clear()
        self._whole_ns, self._looking = None, False

    def look_at_all(self) -> None:
        """Make the next look begin at the first due row: a segment was opened."""
        self._whole_ns = None

    def look(self, now_ns: int) -> None:
        """Begin to look for the rows due before now_ns, unless a look is not finished yet."""
        if self._looking:
            return
        if self._whole_ns is None or not 0 <= now_ns - self._whole_ns < WHOLE_NS:
            self._after, self._whole_ns = None, now_ns
        else:
            self._after = self._before_ns - OVERLAP_NS, b""
        self._before_ns, self._looking = now_ns, True

    def read(self) -> None:
        """Read one page of the look into the queues."""
        page = self._due(self._before_ns, PAGE, self._after)
        self._looking = len(page) == PAGE
        if page:
            self._after = page[-1]
        for _, key in page:
            kind = self._folders.get(key[:KIND_AT]) or self._learn(key)
            if kind is None:
                continue
            waiting = self._waiting.get(kind)
            if waiting is None:
                waiting = self._waiting[kind] = OrderedDict()
            if key in waiting:
                continue
            if len(waiting) < HELD:
                waiting[key] = None
            else:
                self._full.add(kind)

    def _learn(self, key: bytes) -> str | None:
        kind = self._kind_of(key)
        if kind is not None:
            if len(self._folders) >= MAX_FOLDERS:
                self._folders.clear()
            self._folders[key[:KIND_AT]] = kind
        return kind

    def take(self, blocked: Callable[[str], bool]) -> tuple[str, bytes] | None:
        """Remove and return the earliest row of the kind whose turn it is, as (kind, key).

        Kinds for which `blocked` holds keep their rows and are passed over. None when no row is
        left to be taken now.
        """
        kind = next((kind for kind in self._waiting if not blocked(kind)), None)
        if kind is None:
            return None
        waiting = self._waiting.pop(kind)
        key, _ = waiting.popitem(last=False)
        if waiting:
            self._waiting[kind] = waiting
        elif kind in self._full:
            self._full.discard(kind)
            self._whole_ns = None
        return kind, key

    def has_work(self, blocked: Callable[[str], bool]) -> bool:
        """Return whether `take` would return a row."""
        return any(not blocked(kind) for kind in self._waiting)

    def put_back(self, kind: str, key: bytes) -> None:
        """Queue a row again, behind the others of its kind: more of its work is left."""
        self._waiting.setdefault(kind, OrderedDict())[key] = None

    @property
    def unseen(self) -> bool:
        """Return whether rows are due that had no room, and a look would find them now."""
        return self._whole_ns is None and not self._looking and bool(self._before_ns)

    def failed(self, key: bytes, now_ns: int) -> None:
        """Let a row rest whose work failed, twice as long as after the failure before."""
        if len(self._resting) >= MAX_RESTING:
            self._resting.clear()
        failures = self._resting.get(key, (0, 0))[0] + 1
        pause = min(SECOND_NS << min(failures, 32), MAX_REST_NS)
        self._resting[key] = failures, now_ns + pause

    def rests(self, key: bytes, now_ns: int) -> bool:
        """Return whether a row rests after a failure."""
        return now_ns < self._resting.get(key, (0, 0))[1]

    def went_well(self, key: bytes) -> None:
        """Forget the failures of a row."""
        if self._resting:
            self._resting.pop(key, None)
