"""The guard: compares every row that is read from storage with what was committed.

A bucket is read in whole when one of its rows is first needed, and its sum compared. From then on
16 bytes of each of its rows are remembered:

    fingerprint = BLAKE2b-8(key) ‖ first 8 bytes of the row's element

Elements are computed with a secret key, so a row with the same fingerprint can only be guessed.
With them, a row that is put back, changed, swapped, removed or added later differs when it is read,
and a missing row need not be looked up at all. Beyond MAX_ROWS the buckets unused for longest are
forgotten, and checked again at the next use.

`turn` checks all buckets again and again, a few at a time. It finds rows that nobody reads, above
all removed ones that a scan does not miss.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from ironkeep.core.errors import IntegrityError
from ironkeep.core.ports import Row, Storage
from ironkeep.store.standing.accounts import Accounts
from ironkeep.store.standing.buckets import BUCKETS, bucket_of, tail_of
from ironkeep.store.standing.sethash import MODULUS, REMEDY

MAX_ROWS: Final = 4_194_304
"""Rows whose fingerprints are remembered: a process grows by 75 MB with them."""
SCAN_ROWS: Final = 256
"""Rows of unchecked buckets that one scan reads, in a millisecond; `turn` checks the rest next."""
TURN_COST: Final = 128
"""Rows of one turn, about; KILOBYTES of values and buckets count too. It takes about 1 ms."""
MAX_WIDTH: Final = 1_024
"""Buckets of one turn at most."""

_NAME: Final = 8
_PRINT: Final = 16
_VALUE_BYTES: Final = 2_048
_EMPTY: Final = 16


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A row that is not as committed, or a bucket with one: key is b"" if it is not known."""

    bucket: int
    key: bytes
    what: str

    def __str__(self) -> str:
        where = f"row {self.key.hex()} {self.what}" if self.key else f"a row {self.what}"
        return f"{where}, outside Ironkeep (bucket {self.bucket} of {BUCKETS})"


class Guard:
    """Checks rows against accounts; the first mismatch is reported once, and every one raised."""

    def __init__(
        self, storage: Storage, accounts: Accounts, on_mismatch: Callable[[Mismatch], None]
    ) -> None:
        self._storage: Final = storage
        self._accounts: Final = accounts
        self._element: Final = accounts.set_hash.element
        self._on_mismatch: Final = on_mismatch
        self._held: Final[dict[int, bytes]] = {}
        self._urgent: Final[dict[int, None]] = {}
        self.rows = 0
        """The number of fingerprints."""
        self.checked = 0
        """The buckets that `turn` has checked in this pass."""
        self.passes = 0
        """The passes of `turn` over all buckets that have ended."""
        self.ended_ns = 0
        """When the last pass ended; 0 before the first has."""
        self._width = _EMPTY
        self._budget = 0
        self._found: Mismatch | None = None

    # -- reading one row ------------------------------------------------------------------------

    def knows_absent(self, key: bytes) -> bool:
        """Return whether there is no row at key, if that is known without reading."""
        bucket = bucket_of(key)
        held = self._held.get(bucket)
        if held is None:
            return not self._accounts.sums.get(bucket)
        return _find(held, _name(key)) < 0

    def get(self, key: bytes) -> Row | None:
        """Read the row at key, or None; raise IntegrityError unless it is as `check` wants it."""
        try:
            row = self._storage.get(key)
        except IntegrityError as error:
            self.unreadable(error, key)
        self.check(key, row)
        return row

    def unreadable(self, error: IntegrityError, key: bytes) -> NoReturn:
        """Accuse a row at key, or near it, that storage refuses to give: no commit wrote that."""
        if self._found is not None:
            raise error
        self._accuse(Mismatch(bucket_of(key), b"", f"cannot be read ({error})"))

    def check(self, key: bytes, row: Row | None) -> None:
        """Raise IntegrityError unless row is what the last commit left at key.

        Call right after reading it, and not for a key with a write that is not yet settled.
        """
        bucket = bucket_of(key)
        held = self._held.pop(bucket, None)
        if held is None:
            held = self._learn(bucket, key, row)
        # The order of the dictionary is that of the last uses.
        self._held[bucket] = held
        what = self._difference(held, key, row)
        if what:
            self._accuse(Mismatch(bucket, key, what))

    def page(self) -> None:
        """Take note that a scan begins: it may have SCAN_ROWS rows of unchecked buckets read."""
        self._budget = SCAN_ROWS

    def fits(self, key: bytes, row: Row) -> bool:
        """Return False if the scanned row is known to differ from what was committed.

        Once the scan's budget is spent, the buckets that were never checked are left to `turn`.
        """
        bucket = bucket_of(key)
        held = self._held.get(bucket)
        if held is None:
            if self._budget <= 0:
                self._urgent[bucket] = None
                return True
            held = self._learn(bucket, key, row)
            self._budget -= len(held) // _PRINT
        return not self._difference(held, key, row)

    def _difference(self, held: bytes, key: bytes, row: Row | None) -> str:
        """Return in what the row at key differs from the fingerprints of its bucket; or ""."""
        at = _find(held, _name(key))
        if row is None:
            return "was removed" if at >= 0 else ""
        if at < 0:
            return "was added, or put back after its removal"
        same = held[at + _NAME : at + _PRINT] == self._element(key, row)[:_NAME]
        return "" if same else "was changed, or put back from an older copy"

    def _learn(self, bucket: int, key: bytes, row: Row | None) -> bytes:
        """Check a bucket, remember its fingerprints and return them."""
        if row is not None:
            element = self._element(key, row)
            if int.from_bytes(element, "big") == self._accounts.sums.get(bucket):
                # The row is all that the bucket has: no need to look for others.
                return self._remember(bucket, _name(key) + element[:_NAME])
        rows = self._rows(bucket, bucket)
        return self._remember(bucket, self._summed(bucket, rows, key))

    def _rows(self, first: int, last: int) -> list[tuple[bytes, Row]]:
        """Return all rows of the buckets from first to last."""
        try:
            return self._storage.tails(tail_of(first), tail_of(last))
        except IntegrityError as error:
            self.unreadable(error, tail_of(first))

    def _summed(self, bucket: int, rows: list[tuple[bytes, Row]], key: bytes = b"") -> bytes:
        """Compare all rows of a bucket with its sum; return their fingerprints."""
        total = 0
        prints = []
        for each, row in rows:
            element = self._element(each, row)
            total += int.from_bytes(element, "big")
            prints.append(_name(each) + element[:_NAME])
        if not self._accounts.may_be(bucket, total % MODULUS):
            self._accuse(self._closer(bucket, rows, key))
        return b"".join(prints)

    def _closer(self, bucket: int, rows: list[tuple[bytes, Row]], key: bytes) -> Mismatch:
        """Return which row of a bucket differs from the fingerprints, if there are any."""
        held = self._held.get(bucket)
        if held is not None:
            for each, row in rows:
                if what := self._difference(held, each, row):
                    return Mismatch(bucket, each, what)
            return Mismatch(bucket, b"", "was removed")
        if not key and len(rows) == 1:
            key = rows[0][0]
        if key:
            return Mismatch(bucket, key, "or one beside it was changed, removed, added or put back")
        return Mismatch(bucket, b"", "was changed, removed, added or put back")

    # -- each commit and each turn --------------------------------------------------------------

    def settled(self, elements: dict[bytes, bytes]) -> None:
        """Remember the elements of a commit that is durable now; b"" stands for a removal."""
        for key, element in elements.items():
            bucket = bucket_of(key)
            held = self._held.get(bucket)
            if held is None:
                continue
            name = _name(key)
            at = _find(held, name)
            if at >= 0:
                held = held[:at] + held[at + _PRINT :]
                self.rows -= 1
            if element:
                held += name + element[:_NAME]
                self.rows += 1
            self._held[bucket] = held

    @property
    def begins_pass(self) -> bool:
        """Whether the next turn begins a pass."""
        return self.checked == 0

    @property
    def urgent(self) -> bool:
        """Whether a scan has met buckets that should be checked at once."""
        return bool(self._urgent)

    def turn(self, now_ns: int) -> None:
        """Check the next buckets; about 1 ms. Raise IntegrityError at the first that differs."""
        while self._urgent:
            bucket = self._urgent.popitem()[0]
            if bucket not in self._held:
                self._check_range(bucket, bucket)
                return
        last = min(self.checked + self._width, BUCKETS) - 1
        cost = self._check_range(self.checked, last)
        if cost > TURN_COST:
            self._width = max(self._width // 2, 1)
        elif cost < TURN_COST // 2:
            self._width = min(self._width * 2, MAX_WIDTH)
        self.checked = last + 1
        if self.checked == BUCKETS:
            self.checked = 0
            self.passes += 1
            self.ended_ns = now_ns

    def check_all(self, now_ns: int) -> Iterator[None]:
        """Check all buckets, with a pause after each turn; about 4 µs for each row."""
        self.checked, passes = 0, self.passes
        while self.passes == passes:
            self.turn(now_ns)
            yield

    def _check_range(self, first: int, last: int) -> int:
        """Check the buckets from first to last; return the cost, in rows."""
        found: dict[int, list[tuple[bytes, Row]]] = {}
        size = 0
        rows = self._rows(first, last)
        for key, row in rows:
            found.setdefault(bucket_of(key), []).append((key, row))
            size += len(row.value)
        for bucket in range(first, last + 1):
            inside = found.get(bucket, [])
            prints = self._summed(bucket, inside)
            if inside and bucket not in self._held and self.rows < MAX_ROWS:
                self._remember(bucket, prints)
        return len(rows) + size // _VALUE_BYTES + (last + 1 - first) // _EMPTY

    # -- inside ---------------------------------------------------------------------------------

    def _remember(self, bucket: int, prints: bytes) -> bytes:
        self._held[bucket] = prints
        self.rows += len(prints) // _PRINT
        while self.rows > MAX_ROWS and len(self._held) > 1:
            oldest = next(iter(self._held))
            self.rows -= len(self._held.pop(oldest)) // _PRINT
        return prints

    def _accuse(self, mismatch: Mismatch) -> NoReturn:
        """Report the first mismatch, and refuse the row."""
        if self._found is None:
            self._found = mismatch
            self._on_mismatch(mismatch)
        raise IntegrityError(f"{mismatch}; {REMEDY}")


def _name(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_NAME).digest()


def _find(held: bytes, name: bytes) -> int:
    """Return the offset of the fingerprint with this name, or -1."""
    at = held.find(name)
    while at % _PRINT and at >= 0:
        at = held.find(name, at + 1)
    return at
