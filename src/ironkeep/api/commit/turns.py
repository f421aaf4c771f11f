"""A bounded queue that is fair by address and by name.

Each waiting item has two keys: the client's address and the name that it logs in to. Turns rotate:
one goes to the next name, one to the next address without a recent failure, one to the next
address. An address or a name thus gets one item done in each round, however many it has waiting.
So an address that guesses for many names, and many addresses that guess for one name, delay every
other client by no more than one turn.

A pair of address and name that succeeded before gets every other turn, until it fails once. So
known users do not wait behind a flood from unknown pairs. The first wrong guess of an address marks
it as failing, which exposes a flood however many addresses it comes from.

When the queue is full, the newest item of the longest line gives way to one of a shorter line.
"""

from typing import Final, Generic, TypeVar

MAX_KNOWN: Final = 4_096
"""Pairs that succeeded, and addresses that failed, that are remembered; about 200 bytes each. The
oldest is dropped first."""

T = TypeVar("T")

_Line = dict[int, None]


class _Lines:
    """A queue of items by an outer and an inner key; the outer key that waited longest is next."""

    def __init__(self) -> None:
        self._lines: Final[dict[str, dict[str, _Line]]] = {}
        self.counts: Final[dict[str, int]] = {}

    def add(self, outer: str, inner: str, number: int) -> None:
        self._lines.setdefault(outer, {}).setdefault(inner, {})[number] = None
        self.counts[outer] = self.counts.get(outer, 0) + 1

    def remove(self, outer: str, inner: str, number: int) -> None:
        lines = self._lines[outer]
        del lines[inner][number]
        if not lines[inner]:
            del lines[inner]
        self.counts[outer] -= 1
        if not lines:
            del self._lines[outer], self.counts[outer]

    def of(self, outer: str) -> list[tuple[str, int]]:
        """Return the waiting items of an outer key, each as (inner key, number)."""
        lines = self._lines.get(outer, {})
        return [(inner, number) for inner, line in lines.items() for number in line]

    def next(self) -> int:
        """Return the number of the next item; move its keys to the end of their lines."""
        outer = next(iter(self._lines))
        lines = self._lines[outer] = self._lines.pop(outer)
        inner = next(iter(lines))
        line = lines[inner] = lines.pop(inner)
        return next(iter(line))

    def longest(self) -> tuple[str, int]:
        """Return the key with the most waiting items, and their count."""
        return max(self.counts.items(), key=lambda pair: pair[1])

    def newest_of(self, outer: str) -> int:
        """Return the number of a key's newest item, which has waited least."""
        return max(next(reversed(line)) for line in self._lines[outer].values())


class Turns(Generic[T]):
    """The queue. It has no lock: call it from one thread, or hold a lock."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit: Final = limit
        self._items: Final[dict[int, tuple[T, str, str]]] = {}
        self._by_address: Final = _Lines()
        self._by_name: Final = _Lines()
        self._known: Final[dict[tuple[str, str], None]] = {}
        self._waiting_known: Final[dict[int, None]] = {}
        self._wrong: Final[dict[str, None]] = {}
        self._unblemished: Final = _Lines()
        self._last = 0
        self._turn = self._round = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T, address: str = "", name: str = "") -> T | None:
        """Queue item; return the item that gives way for it: None, an older one, or item itself."""
        gone: T | None = None
        if self._limit is not None and len(self._items) >= self._limit:
            number = self._longest(address, name)
            if number is None:
                return item
            gone = self._remove(number)
        self._last += 1
        self._items[self._last] = item, address, name
        self._by_address.add(address, name, self._last)
        self._by_name.add(name, address, self._last)
        if (address, name) in self._known:
            self._waiting_known[self._last] = None
        if address not in self._wrong:
            self._unblemished.add(address, name, self._last)
        return gone

    def take(self) -> T | None:
        """Remove and return the item whose turn it is; None when the queue is empty."""
        if not self._items:
            return None
        self._turn += 1
        if self._turn % 2 and self._waiting_known:
            return self._remove(next(iter(self._waiting_known)))
        self._round += 1
        if self._round % 3 == 1:
            return self._remove(self._by_name.next())
        lines = self._unblemished if self._round % 3 and self._unblemished.counts else None
        return self._remove((lines or self._by_address).next())

    def learn(self, address: str, name: str, *, right: bool) -> None:
        """Remember whether the latest item of this address and name succeeded (`right`)."""
        self._known.pop((address, name), None)
        if right:
            self._known[address, name] = None
            if len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
            return
        self._wrong.pop(address, None)
        self._wrong[address] = None
        for other, number in self._unblemished.of(address):
            self._unblemished.remove(address, other, number)
        if len(self._wrong) > MAX_KNOWN:
            del self._wrong[next(iter(self._wrong))]

    def _remove(self, number: int) -> T:
        item, address, name = self._items.pop(number)
        self._by_address.remove(address, name, number)
        self._by_name.remove(name, address, number)
        self._waiting_known.pop(number, None)
        if (name, number) in self._unblemished.of(address):
            self._unblemished.remove(address, name, number)
        return item

    def _longest(self, address: str, name: str) -> int | None:
        """Return the newest item of the longest line, if that is longer than the newcomer's line.

        The newcomer's line is counted with the newcomer in it: otherwise two lines of equal length
        would push each other's items out for ever.
        """
        for lines, key in ((self._by_address, address), (self._by_name, name)):
            longest, count = lines.longest()
            if count > lines.counts.get(key, 0) + 1:
                return lines.newest_of(longest)
        return None
