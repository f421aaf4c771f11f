"""The bases of all incident records, and the chain of the records of scope."""

from hashlib import sha256
from typing import Annotated, Final, TypeVar

import msgspec

from ironkeep.core.event import Value
from ironkeep.core.evidence.reach import FOREVER

Instant = Annotated[int, msgspec.Meta(ge=0, le=FOREVER)]
Count = Annotated[int, msgspec.Meta(ge=0, le=FOREVER)]

Known = Annotated[int, msgspec.Meta(ge=-1, le=FOREVER)]
"""A count that may not be known, which is -1."""

TAG: Final = "incident"
"""The key of `audited` that makes an entry evidence; only incident records use it."""

CHAIN_START: Final = ""
"""The chain value before the first record of scope."""


class Record(msgspec.Struct, frozen=True, tag_field=TAG, forbid_unknown_fields=True):
    """Base of all incident records."""


class Scope(Record, frozen=True):
    """Base of the records of scope; `seq` counts them from 1, `chain` is their running hash."""

    seq: int
    chain: str


UNPLACED: Final = (0, "")
"""`seq` and `chain` of a record that the chain has not numbered yet."""


def to_audited(record: Record) -> dict[str, Value]:
    """Return the record as the `audited` field of its entry."""
    plain: dict[str, Value] = msgspec.json.decode(msgspec.json.encode(record))
    return plain


S = TypeVar("S", bound=Scope)


def chained(record: S, seq: int, previous: str) -> S:
    """Return the record as number seq, chained to the one before (CHAIN_START for the first)."""
    bare = msgspec.structs.replace(record, seq=seq, chain=previous)
    chain = sha256(msgspec.json.encode(bare)).hexdigest()
    return msgspec.structs.replace(record, seq=seq, chain=chain)
