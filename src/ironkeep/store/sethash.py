"""The set-hash: one number that stands for all rows, and moves with each write.

    element(row) = keyed BLAKE2b-32( u32 key length ‖ has-due ‖ due i64 ‖ key ‖ value )
    sum          = Σ element(row) mod 2^256, over the rows of every space

Source: MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend, Suh, "Incremental multiset hash
functions and their application to memory integrity checking", ASIACRYPT 2003. A row that was
removed, put back from an older copy, or added without Ironkeep changes the sum, though each row by
itself opens.

The sum must stay secret, like the key. Who sees it before and after one write learns the element of
that row by subtraction; the more elements are known, the cheaper Wagner's generalised birthday
attack (CRYPTO 2002) finds another set of old rows with the same sum: for 256 bits and 2^31 elements
in about 2^32 steps, not 2^128. So the sum rests encrypted in the head of the store. What may be
shown, and what the journal's commit entries carry, is `SetHash.mark`: a PRF of it, equal when the
sum is, that tells nothing else.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.core.ports import Head, Row
from ironkeep.core.secret import Secret
from ironkeep.store.ciphers import Ciphers

MODULUS: Final = 2**256
ELEMENT_BYTES: Final = 32
_ROW: Final = struct.Struct(">I?q")
_STANDING: Final = struct.Struct(">Q32s")
_PURPOSE: Final = b"ironkeep/head/v1"
_REMEDY: Final = "keep a copy of the data for evidence and restore from a snapshot"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store held after commit seq. Do not show total: see the module's text."""

    seq: int
    total: int

    def __repr__(self) -> str:
        return f"Standing(seq={self.seq})"


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
        """Return total with row at key counted in."""
        return (total + self._of(key, row)) % MODULUS

    def remove(self, total: int, key: bytes, row: Row) -> int:
        """Return total with row at key taken out; it must have been counted in."""
        return (total - self._of(key, row)) % MODULUS

    def replace(self, total: int, key: bytes, old: Row | None, new: Row | None) -> int:
        """Return total after the row at key changed from old to new; None is no row."""
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

    def mark(self, standing: Standing) -> bytes:
        """Return 32 bytes that may be shown, equal for equal standings only."""
        mark = self._mark.copy()
        mark.update(_STANDING.pack(standing.seq, standing.total.to_bytes(ELEMENT_BYTES, "big")))
        return mark.digest()

    def _of(self, key: bytes, row: Row) -> int:
        element = self._element.copy()
        due = row.due_ns
        element.update(_ROW.pack(len(key), due is not None, due or 0) + key + row.value)
        return int.from_bytes(element.digest(), "big")


def encode_standing(standing: Standing, ciphers: Ciphers) -> bytes:
    """Return standing encrypted, as the state of the store's head."""
    total = standing.total.to_bytes(ELEMENT_BYTES, "big")
    return ciphers.seal(_STANDING.pack(standing.seq, total), _aad(ciphers))


def decode_standing(head: Head, ciphers: Ciphers) -> Standing:
    """Return the standing filed with head; for a new store, nothing at commit 0.

    Raise IntegrityError when it does not open or was filed with another commit.
    """
    if head.seq == 0 and not head.state:
        return Standing(0, 0)
    seq, total = _STANDING.unpack(ciphers.open_sealed(head.state, _aad(ciphers)))
    if seq != head.seq:
        raise IntegrityError(
            f"the store is at commit {head.seq}, but its state was filed with {seq}: {_REMEDY}"
        )
    return Standing(seq, int.from_bytes(total, "big"))


def verify_rows(standing: Standing, rows: Iterable[tuple[bytes, Row]], set_hash: SetHash) -> None:
    """Check that rows are exactly those that commit standing.seq left.

    Reads all rows: about a microsecond for each and for each kilobyte. Raise IntegrityError if any
    was added, removed, changed, or put back from an older copy; which one, the sum cannot tell.
    """
    found = set_hash.of(rows).to_bytes(ELEMENT_BYTES, "big")
    if not hmac.compare_digest(found, standing.total.to_bytes(ELEMENT_BYTES, "big")):
        raise IntegrityError(
            f"the stored rows are not those of commit {standing.seq}: some were changed, removed, "
            f"added or put back from an older copy outside Ironkeep: {_REMEDY}"
        )


def verify_not_older(
    standing: Standing, journalled_seq: int, journalled_mark: bytes, set_hash: SetHash
) -> None:
    """Check standing against the last commit in a journal that someone else vouches for.

    A store may be ahead by commits that the journal has yet to drain. Raise RolledBack when it is
    behind, IntegrityError when the same commit left other rows.
    """
    if standing.seq < journalled_seq:
        raise RolledBack(
            f"the store is at commit {standing.seq}, but commit {journalled_seq} was journalled: "
            f"it was restored from an older copy; {_REMEDY} that is newer"
        )
    if standing.seq == journalled_seq and not hmac.compare_digest(
        set_hash.mark(standing), journalled_mark
    ):
        raise IntegrityError(
            f"the journal saw other rows at commit {standing.seq} than the store holds: {_REMEDY}"
        )


def _aad(ciphers: Ciphers) -> bytes:
    return _PURPOSE + ciphers.keyring.segment.encode()
