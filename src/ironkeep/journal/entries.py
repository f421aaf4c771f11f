"""Reading the journal's entries with the private reading key.

The run key of an entry is in the last key leaf before it, at most ENTRIES_PER_KEY leaves back.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.event import Entry, decode
from ironkeep.core.evidence.leaf import Disclosed, LeafKey, is_entry, is_key, unwrap_key
from ironkeep.core.secret import Secret
from ironkeep.journal.journal import ENTRIES_PER_KEY
from ironkeep.tlog.tile import TILE_WIDTH

CACHED_KEYS: Final = 256
"""Run keys kept unwrapped: enough for a million entries."""

_CHUNK: Final = 4 * TILE_WIDTH
"""Leaves fetched at a time."""


class Leaves(Protocol):
    """A source of leaves: a log, or a copy of one."""

    @property
    def origin(self) -> str:
        """The log's name, to which every leaf is bound."""
        ...

    @property
    def size(self) -> int:
        """The number of leaves."""
        ...

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return leaves [first, last)."""
        ...


class Reader:
    """Opens the entries of a log. The private key is 32 bytes, X25519."""

    def __init__(self, log: Leaves, private_key: Secret) -> None:
        self._log: Final = log
        self._private_key: Final = private_key
        self._keys: Final[dict[int, LeafKey]] = {}

    def entries(self, first: int, last: int) -> Iterator[tuple[int, Entry]]:
        """Yield (index, entry) for the entries in [first, last), in order, up to the log's end.

        Leaves that are not entries are skipped. Raises IntegrityError at an entry leaf that does
        not open, or does not contain an entry.
        """
        for index, leaf, key in self._sealed(first, min(last, self._log.size)):
            yield index, _decode(index, key.body(index, leaf))

    def entry(self, index: int) -> Entry:
        """Return the entry at index; raise NotFound if there is none."""
        return _decode(index, self.disclose(index).body)

    def opened(self, index: int, leaf: bytes, key_index: int | None) -> Entry:
        """Return the entry in the leaf at index; the key leaf before it is at key_index, if known.

        Raises IntegrityError as `entries` does.
        """
        key = self.key_before(index) if key_index is None else self._key_at(key_index)
        return _decode(index, key.body(index, leaf))

    def disclose(self, index: int) -> Disclosed:
        """Return the disclosure of the entry at index; raise NotFound if there is no entry."""
        if 0 <= index < self._log.size:
            for at, leaf, key in self._sealed(index, index + 1):
                return key.open(at, leaf)
        raise NotFound(f"the journal has no entry {index}")

    def disclosures(self, first: int, last: int) -> Iterator[Disclosed]:
        """Yield what `disclose` returns for each entry in [first, last), in order."""
        for index, leaf, key in self._sealed(first, min(last, self._log.size)):
            yield key.open(index, leaf)

    def search(
        self, accept: Callable[[Entry], bool], first: int, last: int, limit: int
    ) -> list[tuple[int, Entry]]:
        """Return the first limit entries in [first, last) that accept returns true for."""
        found: list[tuple[int, Entry]] = []
        if limit <= 0:
            return found
        for index, entry in self.entries(first, last):
            if accept(entry):
                found.append((index, entry))
                if len(found) == limit:
                    break
        return found

    def _sealed(self, first: int, last: int) -> Iterator[tuple[int, bytes, LeafKey]]:
        """Yield (index, leaf, key) of the entry leaves in [first, last)."""
        key: LeafKey | None = None
        for start in range(first, last, _CHUNK):
            leaves = self._log.leaves(start, min(start + _CHUNK, last))
            for index, leaf in enumerate(leaves, start):
                if is_entry(leaf):
                    if key is None:
                        key = self.key_before(index)
                    yield index, leaf, key
                elif is_key(leaf):
                    key = self.key_in(index, leaf)

    def key_before(self, index: int) -> LeafKey:
        """Return the run key that the leaf at index was encrypted with."""
        low = max(0, index - ENTRIES_PER_KEY)
        while index > low:
            start = max(low, index - TILE_WIDTH)
            leaves = self._log.leaves(start, index)
            for back, leaf in enumerate(reversed(leaves), 1):
                if is_key(leaf):
                    return self.key_in(index - back, leaf)
            index = start
        raise IntegrityError(f"no key leaf in the {ENTRIES_PER_KEY} leaves before an entry")

    def _key_at(self, index: int) -> LeafKey:
        """Return the run key in the key leaf at index, which is read unless the key is known."""
        return self._keys.get(index) or self.key_in(index, self._log.leaves(index, index + 1)[0])

    def key_in(self, index: int, leaf: bytes) -> LeafKey:
        """Return the run key in the key leaf at index, ready for use."""
        key = self._keys.get(index)
        if key is None:
            key = unwrap_key(leaf, index, self._log.origin, self._private_key)
            if len(self._keys) >= CACHED_KEYS:
                del self._keys[next(iter(self._keys))]
            self._keys[index] = key
        return key


def _decode(index: int, body: bytes) -> Entry:
    try:
        return decode(body)
    except msgspec.MsgspecError:
        raise IntegrityError(f"leaf {index} does not contain an audit entry") from None
