"""The set-hash: one number computed over all rows and updated with each write.

    element(row) = keyed BLAKE2b-32( u32 key length ‖ has-due ‖ due i64 ‖ key ‖ value )
    sum          = Σ element(row) mod 2^256, over the rows of every space

Source: MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend, Suh, "Incremental multiset hash
functions and their application to memory integrity checking", ASIACRYPT 2003. A row that is
removed, restored from an older copy, or added outside Ironkeep changes the sum, although each row
by itself decrypts.

The sum must stay secret, like the key. An observer of the sum before and after one write learns
the element of that row by subtraction. The more elements are known, the cheaper Wagner's
generalised birthday attack (CRYPTO 2002) finds another set of old rows with the same sum: for 256
bits and 2^31 elements in about 2^32 steps, not 2^128. So the sum is stored encrypted in the head of
the store. The journal's commit entries carry `SetHash.mark` instead: a PRF of the sum, which
reveals only whether two sums are equal.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.ports import Row, StoreHead
from ironkeep.core.secret import Secret
from ironkeep.store.ciphers import Ciphers

MODULUS: Final = 2**256
ELEMENT_BYTES: Final = 32
_ROW: Final = struct.Struct(">I?q")
_TOTALS: Final = struct.Struct(">Q32s")
_PURPOSE: Final = b"ironkeep/head/v1"
_REMEDY: Final = "keep a copy of the data for evidence and restore from a snapshot"


@dataclass(frozen=True, slots=True)
class RowTotals:
    """The set-hash after commit seq. `total` is secret: see the module docstring."""

    seq: int
    total: int

    def __repr__(self) -> str:
        return f"RowTotals(seq={self.seq})"


class SetHash:
    """Computes elements, sums and marks under the row-hash key."""

    __slots__ = ("_element", "_mark")

    def __init__(self, row_hash_key: Secret) -> None:
        key = row_hash_key.reveal()
        self._element: Final = hashlib.blake2b(
            digest_size=ELEMENT_BYTES, key=key, person=b"ironkeep-rows-v1"
        )
        self._mark: Final = hashlib.blake2b(
            digest_size=ELEMENT_BYTES, key=key, person=b"ironkeep-mark-v1"
        )

    def add(self, total: int, key: bytes, row: Row) -> int:
        """Return total with the row at key added."""
        return (total + self._of(key, row)) % MODULUS

    def remove(self, total: int, key: bytes, row: Row) -> int:
        """Return total with the row at key subtracted; it must have been added before."""
        return (total - self._of(key, row)) % MODULUS

    def replace(self, total: int, key: bytes, old: Row | None, new: Row | None) -> int:
        """Return total after the row at key changed from old to new; None means no row."""
        if old is not None:
            total -= self._of(key, old)
        if new is not None:
            total += self._of(key, new)
        return total % MODULUS

    def of(self, rows: Iterable[tuple[bytes, Row]]) -> int:
        """Return the total over rows."""
        total = 0
        for key, row in rows:
            total += self._of(key, row)
        return total % MODULUS

    def mark(self, totals: RowTotals) -> bytes:
        """Return 32 public bytes that are equal only for equal totals."""
        mark = self._mark.copy()
        mark.update(_TOTALS.pack(totals.seq, totals.total.to_bytes(ELEMENT_BYTES, "big")))
        return mark.digest()

    def _of(self, key: bytes, row: Row) -> int:
        element = self._element.copy()
        due = row.due_ns
        element.update(_ROW.pack(len(key), due is not None, due or 0) + key + row.value)
        return int.from_bytes(element.digest(), "big")


def encode_totals(totals: RowTotals, ciphers: Ciphers) -> bytes:
    """Return totals encrypted, as the state of the store's head."""
    total = totals.total.to_bytes(ELEMENT_BYTES, "big")
    return ciphers.encrypt(_TOTALS.pack(totals.seq, total), _aad(ciphers))


def decode_totals(head: StoreHead, ciphers: Ciphers) -> RowTotals:
    """Return the totals stored in head; for a new store, a total of 0 at commit 0.

    Raise IntegrityError if it does not open or was stored with another commit.
    """
    if head.seq == 0 and not head.state:
        return RowTotals(0, 0)
    seq, total = _TOTALS.unpack(ciphers.decrypt(head.state, _aad(ciphers)))
    if seq != head.seq:
        raise IntegrityError(
            f"the store is at commit {head.seq}, but its state is of commit {seq}: {_REMEDY}"
        )
    return RowTotals(seq, int.from_bytes(total, "big"))


def verify_rows(totals: RowTotals, rows: Iterable[tuple[bytes, Row]], set_hash: SetHash) -> None:
    """Check that rows are exactly the rows after commit totals.seq.

    Reads all rows: about a microsecond for each and for each kilobyte. Raise IntegrityError if any
    was added, removed, changed, or restored from an older copy; the sum cannot tell which one.
    """
    found = set_hash.of(rows).to_bytes(ELEMENT_BYTES, "big")
    if not hmac.compare_digest(found, totals.total.to_bytes(ELEMENT_BYTES, "big")):
        raise IntegrityError(
            f"the stored rows are not those of commit {totals.seq}: some were changed, removed, "
            f"added or restored from an older copy outside Ironkeep: {_REMEDY}"
        )


def verify_not_older(
    totals: RowTotals, journalled_seq: int, journalled_mark: bytes, set_hash: SetHash
) -> None:
    """Check totals against the last commit in a journal that was verified on its own.

    A store may be ahead by commits whose frames are not drained yet. Raise RolledBack if it is
    behind, IntegrityError if the rows after the same commit differ.
    """
    if totals.seq < journalled_seq:
        raise RolledBack(
            f"the store is at commit {totals.seq}, but commit {journalled_seq} was journalled: "
            f"it was restored from an older copy; {_REMEDY} that is newer"
        )
    if totals.seq == journalled_seq and not hmac.compare_digest(
        set_hash.mark(totals), journalled_mark
    ):
        raise IntegrityError(
            f"the rows of the store are not those journalled at commit {totals.seq}: {_REMEDY}"
        )


def _aad(ciphers: Ciphers) -> bytes:
    return _PURPOSE + ciphers.keyring.segment.encode()
