"""The sums of the rows by bucket.

    bucket of a row = the last two bytes of its key, big-endian

The keys of records end in the output of a PRF (store/names.py), those of the seal in a hash, so the
buckets fill evenly: a bucket has 15 rows of a million. Reading one takes some 0.1 ms then, and
1 ms with ten million rows.
"""

from typing import Final

BUCKETS: Final = 65_536
SUM_BYTES: Final = 32
TAIL_BYTES: Final = 2


def bucket_of(key: bytes) -> int:
    """Return the bucket of the row at key."""
    return int.from_bytes(key[-TAIL_BYTES:], "big")


def tail_of(bucket: int) -> bytes:
    """Return the bytes in which the keys of a bucket end."""
    return bucket.to_bytes(TAIL_BYTES, "big")


class Sums:
    """A sum for each bucket, 2 MiB in all; those of empty buckets are 0. The sums are secret."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes = b"") -> None:
        self._data: Final = bytearray(data or BUCKETS * SUM_BYTES)

    def __repr__(self) -> str:
        return "Sums()"

    def get(self, bucket: int) -> int:
        """Return the sum of a bucket."""
        at = bucket * SUM_BYTES
        return int.from_bytes(self._data[at : at + SUM_BYTES], "big")

    def stored(self, bucket: int) -> bytes:
        """Return the sum of a bucket as its bytes."""
        at = bucket * SUM_BYTES
        return bytes(self._data[at : at + SUM_BYTES])

    def put(self, bucket: int, total: int) -> None:
        """Replace the sum of a bucket."""
        at = bucket * SUM_BYTES
        self._data[at : at + SUM_BYTES] = total.to_bytes(SUM_BYTES, "big")

    def encode(self) -> bytes:
        """Return all sums in the order of the buckets, as the constructor takes them."""
        return bytes(self._data)
