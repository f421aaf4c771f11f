"""History: the values that a policy, an entity or a mount had at each time of its existence.

    sys/history : kind / name / start time (20 digits) -> the value from then on

Exposure is computed from past values, so records are never rewritten: a change adds a record, and
the start of the next record is the end of the one before. An empty value means removal.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.store.reserved import HISTORY, StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

_VERSION: Final = b"\x01"
_DIGITS: Final = 20
"""Digits of a start time: enough for 2^64 ns; equal lengths sort as text as they do in time."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its time: from start_ns until before end_ns (None: until now)."""

    start_ns: int
    end_ns: int | None
    value: bytes = field(repr=False)


class History:
    """Records values by kind, name and time."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def record(self, tx: Tx, kind: str, name: str, value: bytes, now_ns: int) -> None:
        """Record that name has value from now_ns on; b"" means that it was removed.

        Of two changes at the same nanosecond, the later call wins.
        """
        path = f"{_folder(kind, name)}/{now_ns:0{_DIGITS}d}"
        self._stores(tx, HISTORY).put(path, _VERSION + value)

    def at(self, tx: Tx, kind: str, name: str, time_ns: int) -> bytes | None:
        """Return the value that name had at time_ns, or None if it did not exist then."""
        starts = self._starts(tx, kind, name)
        position = bisect_right(starts, time_ns) - 1
        if position < 0:
            return None
        return self._value(tx, kind, name, starts[position]) or None

    def intervals(self, tx: Tx, kind: str, name: str) -> list[Interval]:
        """Return every interval in which name existed, the oldest first."""
        starts = self._starts(tx, kind, name)
        ends: list[int | None] = [*starts[1:], None]
        found = (
            Interval(start, end, self._value(tx, kind, name, start))
            for start, end in zip(starts, ends, strict=False)
        )
        return [interval for interval in found if interval.value]

    def since(self, tx: Tx, kind: str, name: str, time_ns: int) -> Iterator[tuple[int, bytes]]:
        """Yield (start, value) of what was in force at time_ns or later, the oldest first.

        b"" means that name did not exist. Work in turns can suspend it.
        """
        starts = self._starts(tx, kind, name)
        for start in starts[max(bisect_right(starts, time_ns) - 1, 0) :]:
            yield start, self._value(tx, kind, name, start)

    def names(self, tx: Tx, kind: str) -> list[str]:
        """Return the names of kind that ever existed, sorted."""
        folders = self._stores(tx, HISTORY).list(escape_part(kind))
        return sorted(unescape_part(folder.removesuffix("/")) for folder in folders)

    def each_name(self, tx: Tx, kind: str) -> Iterator[str]:
        """Yield the names of kind that ever existed, in no order; work in turns can suspend it."""
        for folder in self._stores(tx, HISTORY).names_inside(escape_part(kind)):
            yield unescape_part(folder.removesuffix("/"))

    def _starts(self, tx: Tx, kind: str, name: str) -> list[int]:
        return [int(text) for text in self._stores(tx, HISTORY).list(_folder(kind, name))]

    def _value(self, tx: Tx, kind: str, name: str, start_ns: int) -> bytes:
        path = f"{_folder(kind, name)}/{start_ns:0{_DIGITS}d}"
        raw = self._stores(tx, HISTORY).get(path)
        if raw is None or raw[:1] != _VERSION:
            raise IntegrityError("a record of history is missing or of unknown version")
        return raw[1:]


def _folder(kind: str, name: str) -> str:
    return f"{escape_part(kind)}/{escape_part(name)}"
