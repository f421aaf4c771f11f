"""The rows as executed: committed rows, batches not yet durable, and a request's own writes.

    Tx (one request) → State.dirty (executed, not yet durable) → cache → Storage (committed)

The writes of a successful request are merged into the dirty rows, so that the next request sees
them, although neither is answered before both are durable. A row enters the cache only after its
commit. After a failed commit, `reset` forgets everything that was not read from storage.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NoReturn, Protocol

from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Row, Storage
from ironkeep.store.names import KIND_AT

CACHE_ROWS: Final = 65_536
"""Rows kept in memory, about 1.6 KB each with their objects; a full cache drops its oldest."""
DROPPED: Final = 256
"""Rows dropped at once: half of a cache at once held up the loop for 20 ms."""
CACHE_BYTES: Final = 256 << 20
"""Bytes of all cached values: users choose the size of a row, up to a mebibyte."""

MAX_WATCHED: Final = 131_072
"""Watched keys, 100 bytes each with their place in the set; past it the watch begins again."""

_ABSENT: Final = Row(b"")
"""Stands for "known to be absent" in a mapping where None means "not known"."""


class Overlay(dict[bytes, Row]):
    """Written rows that hide those below them, indexed by key and by folder.

    Revoking a few hundred tokens writes thousands of rows and scans as many folders: without the
    index by folder, scanning all rows for each took seconds.
    """

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        super().__init__()
        self._inside: Final[dict[bytes, set[bytes]]] = {}

    def put(self, key: bytes, row: Row) -> None:
        """Write row at key."""
        if key not in self:
            inside = self._inside.get(key[:KIND_AT])
            if inside is None:
                self._inside[key[:KIND_AT]] = {key}
            else:
                inside.add(key)
        self[key] = row

    def drop(self, key: bytes) -> None:
        """Forget the row written at key."""
        del self[key]
        inside = self._inside[key[:KIND_AT]]
        inside.discard(key)
        if not inside:
            del self._inside[key[:KIND_AT]]

    def below(self, prefix: bytes) -> list[bytes]:
        """Return the keys that start with prefix, sorted; fast for the prefix of a folder."""
        if len(prefix) == KIND_AT:
            return sorted(self._inside.get(prefix, ()))
        return sorted(key for key in self if key.startswith(prefix))


_NOTHING: Final = Overlay()
"""The shared empty overlay of a transaction before its first write; most never write."""


class Check(Protocol):
    """Compares rows from storage with what was committed: see `store.standing.guard`."""

    def knows_absent(self, key: bytes) -> bool:
        """Return whether there is no row at key, if that is known without reading."""
        ...

    def get(self, key: bytes) -> Row | None:
        """Read the row at key; raise IntegrityError unless it is what the last commit left."""
        ...

    def page(self) -> None:
        """Take note that a scan begins, which may have a share of unchecked buckets read."""
        ...

    def fits(self, key: bytes, row: Row) -> bool:
        """Return False if the scanned row is known to differ from what was committed."""
        ...

    def unreadable(self, error: IntegrityError, key: bytes) -> NoReturn:
        """Accuse a row at key, or near it, that storage refuses to give."""
        ...


class State:
    """The shared view of rows; used by one thread only.

    Every row that comes from storage is compared with `guard`, while there is one; what comes from
    the cache was compared before.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage: Final = storage
        self._cache: dict[bytes, Row] = {}
        self._cached_bytes = 0
        self.cache_bytes = CACHE_BYTES
        self._dirty = Overlay()
        self._batch: dict[bytes, Row] = {}
        self._before: dict[bytes, Row | None] = {}
        self.stamp = 1
        """A number that changes whenever the result of a look-up may change; read it only."""
        self.edition = 1
        """A number that changes whenever the row at a watched key may change; read it only."""
        self._watched: Final[set[bytes]] = set()
        self.guard: Check | None = None

    def trust(self, guard: Check) -> None:
        """Compare all rows with guard from now on, also those that were read before."""
        self.guard = guard
        self._cache, self._cached_bytes = {}, 0
        self.stamp += 1
        self.edition += 1

    def watch(self, keys: Iterable[bytes]) -> None:
        """Watch keys from now on. A full watch begins again, and then all editions are new."""
        if len(self._watched) >= MAX_WATCHED:
            self._watched.clear()
            self.edition += 1
        self._watched.update(keys)

    def begin(self) -> "Tx":
        """Open a transaction over everything executed so far."""
        return Tx(self)

    def get(self, key: bytes) -> Row | None:
        """Return the row at key as executed, or None."""
        row = self._dirty.get(key) if self._dirty else None
        if row is None:
            row = self._cache.get(key)
            if row is None:
                row = self._load(key)
        return None if row is _ABSENT else row

    def _load(self, key: bytes) -> Row:
        guard = self.guard
        if guard is not None and guard.knows_absent(key):
            row = _ABSENT
        else:
            found = self._storage.get(key) if guard is None else guard.get(key)
            row = found or _ABSENT
        self._keep(key, row)
        return row

    def _keep(self, key: bytes, row: Row) -> None:
        """Add a row to the cache; drop the oldest rows of a full cache, a few at a time."""
        before = self._cache.get(key)
        self._cached_bytes += len(row.value) - (len(before.value) if before is not None else 0)
        self._cache[key] = row
        while len(self._cache) > CACHE_ROWS or self._cached_bytes > self.cache_bytes:
            for old in list(islice(self._cache, min(DROPPED, (len(self._cache) + 1) // 2))):
                self._cached_bytes -= len(self._cache.pop(old).value)

    def absent(self, key: bytes) -> None:
        """Note that no row is stored at key; if one is known, it is what counts."""
        if key not in self._cache and key not in self._dirty:
            self._keep(key, _ABSENT)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows under prefix as executed, in key order."""
        rows = self._storage.scan(prefix)
        return _merge(
            rows if self.guard is None else self._checked(prefix, rows), self._dirty, prefix
        )

    def _checked(
        self, prefix: bytes, rows: Iterator[tuple[bytes, Row]]
    ) -> Iterator[tuple[bytes, Row]]:
        """Yield rows after comparing each with the cache or the guard."""
        guard = self.guard
        assert guard is not None
        guard.page()
        try:
            for key, row in rows:
                # What was written since hides this row, or is the same.
                cached = self._cache.get(key)
                known = cached == row and cached is not _ABSENT
                if known or key in self._dirty or guard.fits(key, row):
                    yield key, row
                    continue
                # The scan may have been under way while a commit replaced the row.
                fresh = guard.get(key)
                if fresh is not None:
                    yield key, fresh
        except IntegrityError as error:
            guard.unreadable(error, prefix)

    def load(self, keys: Iterable[bytes]) -> None:
        """Read what is at keys now, so that `merge` of writes there cannot fail."""
        for key in keys:
            self.get(key)

    def merge(self, writes: Mapping[bytes, Row]) -> None:
        """Add a request's writes to the open batch; change nothing if a row cannot be read."""
        before = {key: self.get(key) for key in writes if key not in self._before}
        self.stamp += 1
        if not self._watched.isdisjoint(writes):
            self.edition += 1
        self._before |= before
        self._batch |= writes
        for key, row in writes.items():
            self._dirty.put(key, row)

    def close_batch(self) -> "Writes | None":
        """Freeze the open batch and start the next; None if no row changed."""
        if not self._batch:
            return None
        writes = Writes(self._batch, self._before)
        self._batch, self._before = {}, {}
        return writes

    def has_open_batch(self) -> bool:
        """Return whether rows changed since the last closed batch."""
        return bool(self._batch)

    def is_dirty(self) -> bool:
        """Return whether any executed write is not yet durable."""
        return bool(self._dirty)

    def committed(self, writes: "Writes") -> None:
        """Move a durable batch into the cache, except where a later batch wrote again."""
        for key, row in writes.rows.items():
            self._keep(key, row)
            if self._dirty.get(key) is row:
                self._dirty.drop(key)

    def reset(self) -> None:
        """After a failed commit, forget everything that is not in storage, and the guard."""
        self.guard = None
        self.stamp += 1
        self.edition += 1
        self._cache, self._dirty, self._batch, self._before = {}, Overlay(), {}, {}
        self._cached_bytes = 0


class Writes:
    """One batch's changes, with each row before the change for the set-hash."""

    __slots__ = ("before", "rows", "stored")

    def __init__(self, rows: dict[bytes, Row], before: dict[bytes, Row | None]) -> None:
        self.rows: Final = rows
        self.before: Final = before
        self.stored: Final = {key: None if row is _ABSENT else row for key, row in rows.items()}
        """The rows in the storage port's form."""


class Tx:
    """One request's view and writes; nothing is shared until `merge`."""

    __slots__ = ("_state", "outer", "writes")

    def __init__(self, state: State, outer: "Tx | None" = None) -> None:
        self._state: Final = state
        self.outer: Final = outer
        self.writes = _NOTHING

    def nested(self) -> "Tx":
        """Open a transaction inside this one, to be merged or dropped."""
        return Tx(self._state, self)

    def stamp(self) -> int:
        """Return the state's stamp, or 0 (never a stamp of the state) if this request wrote."""
        if self.writes or (self.outer is not None and self.outer.writes):
            return 0
        return self._state.stamp

    def edition(self) -> int:
        """Return the edition of the watched rows, or 0 (never one) if this request wrote.

        What was derived from rows stays valid while the edition is the same: look the rows up, have
        their keys watched, and then take the edition.
        """
        if self.writes or (self.outer is not None and self.outer.writes):
            return 0
        return self._state.edition

    def watch(self, keys: Iterable[bytes]) -> None:
        """Have the edition change when the row at one of the keys does."""
        self._state.watch(keys)

    def get(self, key: bytes) -> Row | None:
        """Return the row at key, or None, including this request's writes."""
        tx: Tx | None = self
        while tx is not None:
            if tx.writes:
                row = tx.writes.get(key)
                if row is not None:
                    return None if row is _ABSENT else row
            tx = tx.outer
        return self._state.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows under prefix in key order, including this request's writes."""
        below = self._state if self.outer is None else self.outer
        return _merge(below.scan(prefix), self.writes, prefix)

    def absent(self, key: bytes) -> None:
        """Note that no row is stored at key, which saves its first look-up."""
        self._state.absent(key)

    def put(self, key: bytes, row: Row) -> None:
        """Write row at key."""
        if self.writes is _NOTHING:
            self.writes = Overlay()
        self.writes.put(key, row)

    def delete(self, key: bytes) -> None:
        """Remove the row at key, if there is one."""
        self.put(key, _ABSENT)

    def load(self) -> None:
        """Read what the writes will replace: `merge` cannot fail then."""
        self._state.load(self.writes)

    def merge(self) -> None:
        """Move the writes into the outer transaction, or into the state if there is none."""
        if self.writes:
            if self.outer is None:
                self._state.merge(self.writes)
            elif self.outer.writes is _NOTHING:
                self.outer.writes = self.writes
            else:
                for key, row in self.writes.items():
                    self.outer.writes.put(key, row)
            self.writes = _NOTHING


def _merge(
    below: Iterator[tuple[bytes, Row]], above: Overlay, prefix: bytes
) -> Iterator[tuple[bytes, Row]]:
    """Yield the union of both in key order; above wins and can mark a row as removed.

    Rows may be written while this is suspended, as work in turns does: it yields each row that was
    there all the time exactly once, and those that came or went meanwhile perhaps.
    """
    fresh = [(key, above[key]) for key in above.below(prefix)] if above else []
    if not fresh:
        yield from below
        return
    position = 0
    for key, row in below:
        while position < len(fresh) and fresh[position][0] < key:
            if fresh[position][1] is not _ABSENT:
                yield fresh[position]
            position += 1
        if position < len(fresh) and fresh[position][0] == key:
            continue
        yield key, row
    for written in fresh[position:]:
        if written[1] is not _ABSENT:
            yield written
