"""Large statements, compressed in their envelope: those of one who could read 100,000 secrets.

A statement of more than `ABOVE` bytes is the payload of its envelope as one zlib stream (RFC 1950),
and the payload's type says so. Smaller ones stay as they are, so that people can read them. The
signature covers the payload as it is in the envelope.
"""

import zlib
from typing import Final

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.packing.dsse import Envelope

PLAIN_TYPE: Final = "application/vnd.in-toto+json"
COMPRESSED_TYPE: Final = f"{PLAIN_TYPE}+zlib"

ABOVE: Final = 4 << 20
MAX_STATEMENT: Final = 1 << 30
"""Bytes of a statement: a small envelope must not fill a reader's memory."""
LEVEL: Final = 9
"""Of 370 MB, 37.4 MB are left, in 4.3 s; level 6 leaves 38.0 MB in 2.5 s."""


def payload_of(statement: bytes) -> tuple[str, bytes]:
    """Return the type and the payload under which a statement is signed."""
    if len(statement) <= ABOVE:
        return PLAIN_TYPE, statement
    return COMPRESSED_TYPE, zlib.compress(statement, LEVEL)


def statement_of(envelope: Envelope) -> bytes:
    """Return the statement in an envelope; raise IntegrityError unless there is just one."""
    if envelope.payload_type == PLAIN_TYPE:
        return envelope.payload
    if envelope.payload_type != COMPRESSED_TYPE:
        raise IntegrityError("the payload is not an in-toto statement")
    stream = zlib.decompressobj()
    try:
        statement = stream.decompress(envelope.payload, MAX_STATEMENT)
    except zlib.error as error:
        raise IntegrityError(f"the payload is not a zlib stream: {error}") from None
    if not stream.eof:
        raise IntegrityError(f"the statement is cut off, or longer than {MAX_STATEMENT} bytes")
    if stream.unused_data or len(statement) <= ABOVE:
        raise IntegrityError("the payload is not in its canonical encoding")
    return statement
