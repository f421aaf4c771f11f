"""The secrets that are gone, and the times at which they could be read.

    sys/removed : since            -> the instant from which removals are recorded
                  mount / head     -> the number of the last row, and what has been forgotten
                  mount / row / n  -> secrets that were removed together

A case asks what could be read in its window, also of what is gone by then. So the removal of a
secret leaves a row here, in the same commit. The rows of a mount (named by its uuid) are a ring of
`ROWS`: the next row takes the place of the oldest, and the head keeps the time up to which removals
have been forgotten in that way. A survey of an earlier time names it, and counts nothing as 0.

The rows of a mount stay when it is removed, as its history does.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from ironkeep.credentials.gone.spans import Span
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

PLACE: Final = "sys/removed"
ROWS: Final = 16_384
"""Rows of one mount, some 5 MB; each has one removal, or `TOGETHER` of a mount that is removed."""
TOGETHER: Final = 16
"""Secrets in one row: they are read, listed and removed in one turn."""

_SINCE: Final = "since"
_SIZE: Final = 8


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """A secret that is gone: its path, the API path that read it, both in its mount; and spans."""

    path: str
    read: str
    spans: tuple[Span, ...]


class Batch(msgspec.Struct, frozen=True):
    """Secrets that were removed at one time."""

    removed_ns: int
    gone: tuple[Gone, ...]


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """The number of the last row, from 1; removals up to `forgotten_ns` may be missing.

    `whole` means that the mount is removed, and all that was in it then is on record.
    """

    seq: int = 0
    forgotten_ns: int = 0
    whole: bool = False


_BATCH: Final = Codec(Batch)
_HEAD: Final = Codec(Head)


class Removed:
    """Records removals, and finds those since an instant."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def begin(self, tx: Tx, now_ns: int) -> None:
        """Record that removals are recorded from now_ns on, unless they already are."""
        store = self._stores(tx, PLACE)
        if store.row(_SINCE) is None:
            store.put(_SINCE, now_ns.to_bytes(_SIZE, "big"))

    def since_ns(self, tx: Tx) -> int:
        """Return the instant from which removals are recorded; 0 for always."""
        return int.from_bytes(self._stores(tx, PLACE).get(_SINCE) or b"", "big")

    def add(self, tx: Tx, mount: str, gone: Iterable[Gone], now_ns: int) -> None:
        """Record that secrets of a mount are removed now, in the transaction that removes them."""
        store = self._stores(tx, PLACE)
        head = self._head(tx, mount)
        seq, forgotten_ns = head.seq + 1, head.forgotten_ns
        oldest = store.get(_row(mount, seq))
        if oldest is not None:
            forgotten_ns = max(forgotten_ns, _BATCH.decode(oldest).removed_ns)
        store.put(_row(mount, seq), _BATCH.encode(Batch(now_ns, tuple(gone))))
        store.put(f"{mount}/head", _HEAD.encode(Head(seq, forgotten_ns, head.whole)))

    def finish(self, tx: Tx, mount: str) -> None:
        """Record that all is on record that a removed mount had."""
        head = self._head(tx, mount)
        if not head.whole:
            finished = msgspec.structs.replace(head, whole=True)
            self._stores(tx, PLACE).put(f"{mount}/head", _HEAD.encode(finished))

    def is_whole(self, tx: Tx, mount: str) -> bool:
        """Return whether a mount is removed, and all is on record that it had then."""
        return self._head(tx, mount).whole

    def after(self, tx: Tx, mount: str, time_ns: int) -> Iterator[Batch]:
        """Yield what was removed from a mount after an instant, the newest first.

        Work in turns can suspend it; what is removed meanwhile is not part of it.
        """
        seq = self._head(tx, mount).seq
        for number in range(seq, max(0, seq - ROWS), -1):
            raw = self._stores(tx, PLACE).get(_row(mount, number))
            batch = None if raw is None else _BATCH.decode(raw)
            if batch is None or batch.removed_ns <= time_ns:
                return
            yield batch

    def forgotten_ns(self, tx: Tx, mount: str) -> int:
        """Return the instant up to which removals from a mount may be missing; 0 for none."""
        return self._head(tx, mount).forgotten_ns

    def _head(self, tx: Tx, mount: str) -> Head:
        raw = self._stores(tx, PLACE).get(f"{mount}/head")
        return Head() if raw is None else _HEAD.decode(raw)


def _row(mount: str, number: int) -> str:
    return f"{mount}/row/{number % ROWS}"
