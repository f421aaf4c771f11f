"""The statement of the reads of one secret: an in-toto Statement v1, in a DSSE envelope.

It holds a question (which secret, in which span of time) and the part of the log from which the
answer follows. It has no conclusion: a verifier computes it.
"""

from hashlib import sha256
from typing import Annotated, Final

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.packing.dsse import Envelope
from ironkeep.core.evidence.packing.pack import (
    MAX_LOGS,
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    ShownLog,
    Subject,
)
from ironkeep.core.evidence.records import Instant

PREDICATE_TYPE: Final = "urn:ironkeep:did-read:v1"
VERSION: Final = 1


class Reads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reads of a secret in [from_ns, until_ns]: a node of one version or of the family.

    `label` is the secret as people write it.
    """

    version: int
    secret: str
    label: str
    from_ns: Instant
    until_ns: Instant
    logs: Annotated[tuple[ShownLog, ...], msgspec.Meta(min_length=1, max_length=MAX_LOGS)]


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Reads


class _Kind(msgspec.Struct):
    predicate_type: str = msgspec.field(name="predicateType")


def state_reads(reads: Reads) -> bytes:
    """Return the statement as bytes."""
    return msgspec.json.encode(_statement(reads))


def is_reads(envelope: Envelope) -> bool:
    """Return whether an envelope claims to hold such a statement."""
    try:
        return _KIND.decode(envelope.payload).predicate_type == PREDICATE_TYPE
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False


def read_reads(envelope: Envelope) -> Reads:
    """Return the statement in an envelope; raise IntegrityError unless it is in its one spelling.

    Does not check the signature.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise IntegrityError("the payload is not an in-toto statement")
    try:
        reads = _DECODER.decode(envelope.payload).predicate
        written = state_reads(reads)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise IntegrityError(f"not a statement of reads: {error}") from None
    if reads.version != VERSION or written != envelope.payload:
        raise IntegrityError("not a statement of reads of this version, in its canonical encoding")
    return reads


def _statement(reads: Reads) -> _Statement:
    digest = sha256(reads.secret.encode()).hexdigest()
    subject = Subject(reads.secret, {"sha256": digest})
    return _Statement(STATEMENT_TYPE, (subject,), PREDICATE_TYPE, reads)


_DECODER: Final = msgspec.json.Decoder(_Statement)
_KIND: Final = msgspec.json.Decoder(_Kind)
