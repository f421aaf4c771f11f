"""The incident records in the journal: the only input from which a verdict is computed.

Each record is the `audited` field of one entry of kind `effect`; its key `incident` names the
record's type.

Times are POSIX nanoseconds. Nodes are those of core/evidence/node.py. Free text is for people and
contains no secret.
"""

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry
from ironkeep.core.evidence.records.evidence import Evidence, LogFacts
from ironkeep.core.evidence.records.record import (
    CHAIN_START,
    TAG,
    UNPLACED,
    Count,
    Instant,
    Record,
    Scope,
    chained,
    to_audited,
)
from ironkeep.core.evidence.records.response import (
    ROOT_ITEMS,
    UNKNOWN_FACTOR,
    Compared,
    Confirmed,
    Contained,
    Delivered,
    Ended,
    Exempted,
    Explained,
    Heartbeat,
    Probed,
    Readmitted,
    Residue,
    Revoked,
    RootChecked,
    Surveyed,
    Swept,
    Watched,
)
from ironkeep.core.evidence.records.scope import (
    Addressed,
    Baselined,
    Gated,
    Linked,
    Mounted,
    Opened,
    Sourced,
    Unlinked,
    Widened,
)

__all__ = [
    "CHAIN_START",
    "ROOT_ITEMS",
    "TAG",
    "UNKNOWN_FACTOR",
    "UNPLACED",
    "Addressed",
    "AnyRecord",
    "Baselined",
    "Compared",
    "Confirmed",
    "Contained",
    "Count",
    "Delivered",
    "Ended",
    "Evidence",
    "Exempted",
    "Explained",
    "Gated",
    "Heartbeat",
    "Instant",
    "Linked",
    "LogFacts",
    "Mounted",
    "Opened",
    "Probed",
    "Readmitted",
    "Record",
    "Residue",
    "Revoked",
    "RootChecked",
    "Scope",
    "Sourced",
    "Surveyed",
    "Swept",
    "Unlinked",
    "Watched",
    "Widened",
    "chained",
    "record_of",
    "to_audited",
]

AnyRecord = (
    Mounted
    | Linked
    | Unlinked
    | Gated
    | Baselined
    | Addressed
    | Sourced
    | Opened
    | Widened
    | Surveyed
    | Contained
    | Readmitted
    | Revoked
    | Ended
    | Probed
    | Watched
    | Swept
    | Explained
    | Delivered
    | Exempted
    | RootChecked
    | Confirmed
    | Compared
    | Residue
    | Heartbeat
)


def record_of(entry: Entry) -> AnyRecord | None:
    """Return the record that an entry carries, if any; raise IntegrityError if malformed."""
    if entry.kind != "effect" or TAG not in entry.audited:
        return None
    try:
        record: AnyRecord = msgspec.convert(entry.audited, AnyRecord)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"an incident record is malformed: {error}") from None
    return record
