"""Frames of the journal's write-ahead log as earlier releases wrote them."""

from hashlib import sha256
from zlib import crc32


def frame_of_version_1(previous: bytes, first: int, payload: bytes, count: int) -> bytes:
    """Return a frame of version 1, byte for byte: header, digest, checksum, payload."""
    head = b"IKWF\x01\0\0\0" + first.to_bytes(8, "big") + count.to_bytes(4, "big")
    head += len(payload).to_bytes(4, "big")
    digest = sha256(previous + head + payload).digest()
    return head + digest + crc32(head + digest + payload).to_bytes(4, "big") + payload
