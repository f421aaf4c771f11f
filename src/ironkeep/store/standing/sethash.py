"""The set-hash: a number that stands for a set of rows, and is updated with each write.

    element(row) = keyed BLAKE2b-32( u32 key length ‖ has-due ‖ due i64 ‖ key ‖ value )
    sum          = Σ element(row) mod 2^256, over the rows of a bucket

Source: MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend, Suh, "Incremental multiset hash
functions and their application to memory integrity checking", ASIACRYPT 2003. A row that is
removed, restored from an older copy, or added outside Ironkeep changes the sum, although each row
by itself decrypts.

The sums must stay secret, like the key. An observer of a sum before and after one write learns the
element of that row by subtraction. The more elements are known, the cheaper Wagner's generalised
birthday attack (CRYPTO 2002) finds another set of old rows with the same sum: for 256 bits and 2^31
elements in about 2^32 steps, not 2^128. So the sums are stored encrypted (accounts.py). The
journal's commit entries carry `SetHash.mark` instead: a PRF of the number of the commit and the
value that stands for all rows after it.

That value is the commit's link (accounts.py). Up to schema 1 of the database it was one sum over
all rows, which a start compared with all of them; `decode_totals` reads it for the migration.
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
REMEDY: Final = "keep a copy of the data for evidence and restore from a snapshot"


@dataclass(frozen=True, slots=True)
class RowTotals:
    """The value that stands for all rows after commit seq; secret: see the module docstring."""

    seq: int
    total: int

    def __repr__(self) -> str:
        return f"RowTotals(seq={self.seq})"


class SetHash:
    """Computes elements, sums, links and marks under the row-hash key."""

    __slots__ = ("_element", "_link", "_mark")

    def __init__(self, row_hash_key: Secret) -> None:
        key = row_hash_key.reveal()
        self._element: Final = hashlib.blake2b(
            digest_size=ELEMENT_BYTES, key=key, person=b"ironkeep-rows-v1"
        )
        self._link: Final = hashlib.blake2b(
            digest_size=ELEMENT_BYTES, key=key, person=b"ironkeep-link-v1"
        )
        self._mark: Final = hashlib.blake2b(
            digest_size=ELEMENT_BYTES, key=key, person=b"ironkeep-mark-v1"
        )

    def element(self, key: bytes, row: Row) -> bytes:
        """Return the 32 bytes that stand for the row at key."""
        element = self._element.copy()
        due = row.due_ns
        element.update(_ROW.pack(len(key), due is not None, due or 0) + key + row.value)
        return element.digest()

    def of(self, rows: Iterable[tuple[bytes, Row]]) -> int:
        """Return the total over rows."""
        total = 0
        for key, row in rows:
            total += int.from_bytes(self.element(key, row), "big")
        return total % MODULUS

    def link(self, content: bytes) -> bytes:
        """Return the 32 bytes that stand for a commit with this content."""
        link = self._link.copy()
        link.update(content)
        return link.digest()

    def mark(self, totals: RowTotals) -> bytes:
        """Return 32 public bytes that are equal only for equal totals."""
        mark = self._mark.copy()
        mark.update(_TOTALS.pack(totals.seq, totals.total.to_bytes(ELEMENT_BYTES, "big")))
        return mark.digest()


def decode_totals(head: StoreHead, ciphers: Ciphers) -> RowTotals:
    """Return the totals in a head of schema 1: one sum over all rows.

    Raise IntegrityError if it does not open or was stored with another commit.
    """
    seq, total = _TOTALS.unpack(ciphers.decrypt(head.state, _PURPOSE + _segment(ciphers)))
    if seq != head.seq:
        raise IntegrityError(
            f"the store is at commit {head.seq}, but its state is of commit {seq}: {REMEDY}"
        )
    return RowTotals(seq, int.from_bytes(total, "big"))


def verify_not_older(
    totals: RowTotals, journalled_seq: int, journalled_mark: bytes, set_hash: SetHash
) -> None:
    """Check totals against the last commit in a journal that was verified on its own.

    The store may be ahead, as at the beginning of an epoch. Raise RolledBack if it is behind,
    IntegrityError if the rows after the same commit differ.
    """
    if totals.seq < journalled_seq:
        raise RolledBack(
            f"the store is at commit {totals.seq}, but commit {journalled_seq} was journalled: "
            f"it was restored from an older copy; {REMEDY} that is newer"
        )
    if totals.seq == journalled_seq and not hmac.compare_digest(
        set_hash.mark(totals), journalled_mark
    ):
        raise IntegrityError(
            f"the rows of the store are not those journalled at commit {totals.seq}: {REMEDY}"
        )


def verify_last(
    totals: RowTotals, journalled_seq: int, journalled_mark: bytes, set_hash: SetHash
) -> None:
    """Check totals as `verify_not_older`, against a journal that the outbox was drained into.

    Raise IntegrityError also if the store is ahead.
    """
    verify_not_older(totals, journalled_seq, journalled_mark, set_hash)
    if totals.seq > journalled_seq:
        raise IntegrityError(
            f"the store is at commit {totals.seq}, but the last one that was journalled is "
            f"{journalled_seq}: its frame was removed from the outbox, or an older copy of the "
            f"journal was put back; {REMEDY}"
        )


def _segment(ciphers: Ciphers) -> bytes:
    return ciphers.keyring.segment.encode()
