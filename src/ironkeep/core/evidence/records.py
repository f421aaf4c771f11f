"""The incident records in the journal: the only input from which a verdict is computed.

Each record is the `audited` field of one entry of kind `effect`; its key `incident` names the
record's type. Records of *scope* (links, baselines, cases) carry a sequence number and a chain
hash, so that leaving out one from before the proved window is detected.

Times are POSIX nanoseconds. Nodes are those of core/evidence/node.py. Free text is for people and
contains no secret.
"""

from hashlib import sha256
from typing import Annotated, Final, TypeVar

import msgspec

from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry, Value
from ironkeep.core.evidence.reach import FOREVER, EdgeKind

Instant = Annotated[int, msgspec.Meta(ge=0, le=FOREVER)]
Count = Annotated[int, msgspec.Meta(ge=0, le=FOREVER)]

TAG: Final = "incident"
"""The key of `audited` that makes an entry evidence; only incident records use it."""

CHAIN_START: Final = ""
"""The chain value before the first record of scope."""

ROOT_ITEMS: Final = (
    "root:administrators",
    "root:policies",
    "root:seal-shares",
    "root:journal-key",
    "root:case-key",
)
"""The parts of Ironkeep's own root of trust that every case must check (claim E9)."""


class Record(msgspec.Struct, frozen=True, tag_field=TAG, forbid_unknown_fields=True):
    """Base of all incident records."""


class Scope(Record, frozen=True):
    """Base of the records of scope; `seq` counts them from 1, `chain` is their running hash."""

    seq: int
    chain: str


UNPLACED: Final = (0, "")
"""`seq` and `chain` of a record that the chain has not numbered yet."""


class Mounted(Scope, frozen=True, tag="mounted"):
    """The path of a mount (its uuid), so that a verdict can show paths to people."""

    mount: str
    path: str


class Linked(Scope, frozen=True, tag="linked"):
    """Edges from one source, in force during [from_ns, until_ns); until_ns 0 means no end yet.

    `kind` is one of reach.EdgeKind; `basis` names the source of this knowledge. A target or source
    `secret:…@*` stands for each version of the secret.
    """

    source: str
    kind: EdgeKind
    targets: tuple[str, ...]
    from_ns: Instant
    basis: str
    until_ns: Instant = 0


class Unlinked(Scope, frozen=True, tag="unlinked"):
    """Edges that end at the time of this entry."""

    source: str
    kind: EdgeKind
    targets: tuple[str, ...]


class Gated(Scope, frozen=True, tag="gated"):
    """A target that requires `need` of several inputs at the same time.

    `known` are inputs that need only be held (ciphertexts, keys, shares); `live` are credentials
    that a system verifies. `kind` is the edge from the inputs together to the target: opens or
    decrypts.
    """

    gate: str
    need: Count
    known: tuple[str, ...]
    live: tuple[str, ...]
    kind: EdgeKind
    target: str
    from_ns: Instant
    basis: str


class Baselined(Scope, frozen=True, tag="baselined"):
    """A baseline of a system: the SHA-256 (hex) of its inventory; `gaps` names what it omits."""

    system: str
    digest: str
    items: Count
    gaps: tuple[str, ...]


class Sourced(Scope, frozen=True, tag="sourced"):
    """A log source that from now on sends a heartbeat at least every interval_seconds."""

    source: str
    interval_seconds: Count


class Opened(Scope, frozen=True, tag="opened"):
    """A case: the nodes that are lost, and the earliest *possible* time; `basis` justifies it."""

    case: str
    title: str
    subjects: tuple[str, ...]
    from_ns: Instant
    basis: str


class Widened(Scope, frozen=True, tag="widened"):
    """Further subjects of a case, or an earlier start; a case never becomes narrower."""

    case: str
    subjects: tuple[str, ...]
    from_ns: Instant
    basis: str


class Surveyed(Record, frozen=True, tag="surveyed"):
    """All that the policies let a principal read during [from_ns, until_ns) has been linked."""

    case: str
    principal: str
    from_ns: Instant
    until_ns: Instant
    policies: tuple[str, ...]


class Contained(Record, frozen=True, tag="contained"):
    """A principal was cut off; sessions are accessors.

    `sessions` were ended now, `gone` had ended before.
    """

    case: str
    principal: str
    sessions: tuple[str, ...]
    gone: tuple[str, ...]
    leases: Count


class Readmitted(Record, frozen=True, tag="readmitted"):
    """A contained principal may act again, with new credentials; `owner` answers for it."""

    case: str
    principal: str
    owner: str
    reason: str


class Revoked(Record, frozen=True, tag="revoked"):
    """A credential was revoked, by done_ns, at a system that issues or verifies it.

    `receipt` is the issuer's own statement or the state read back. `replacement` is the secret
    version that takes its place, or empty.
    """

    case: str
    version: str
    system: str
    done_ns: Instant
    method: str
    receipt: str
    replacement: str = ""


class Ended(Record, frozen=True, tag="ended"):
    """Sessions opened with a credential were ended at a system; `remaining` are still open."""

    case: str
    version: str
    system: str
    done_ns: Instant
    ended: Count
    remaining: Count


class Probed(Record, frozen=True, tag="probed"):
    """A revoked credential was presented to a verifier, starting at at_ns.

    `state` is alive, dead or unknown; `code` is the system's own answer code. `emulated` means that
    an emulator answered, not the real system.
    """

    case: str
    version: str
    system: str
    endpoint: str
    state: Probe
    code: str
    reason: str
    at_ns: Instant
    took_ms: Count
    emulated: bool = False


class Watched(Record, frozen=True, tag="watched"):
    """The observed uses of a credential at a system during [from_ns, until_ns), and the means."""

    case: str
    version: str
    system: str
    from_ns: Instant
    until_ns: Instant
    successes: Count
    attempts: Count
    means: str


class Swept(Record, frozen=True, tag="swept"):
    """A system was compared with its baseline; each string is one inventory item, kind first.

    `acting` lists the added principals that have been seen to act. `gaps` names the parts of the
    system that the sweep could not see.
    """

    case: str
    system: str
    baseline: str
    digest: str
    at_ns: Instant
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    acting: tuple[str, ...]
    gaps: tuple[str, ...]


class Explained(Record, frozen=True, tag="explained"):
    """An owner answers for one addition or change: `item` as swept, or `entry:<index>`."""

    case: str
    system: str
    item: str
    owner: str
    reason: str


class Delivered(Record, frozen=True, tag="delivered"):
    """A new version went to a consumer from a system (`plane`), not by an API read."""

    case: str
    version: str
    consumer: str
    plane: str


class Exempted(Record, frozen=True, tag="exempted"):
    """An open item is accepted by its owner, for a reason, until it expires."""

    case: str
    item: str
    owner: str
    reason: str
    expires_ns: Instant


class RootChecked(Record, frozen=True, tag="root-checked"):
    """One of ROOT_ITEMS was checked; `sound` is the result."""

    case: str
    item: str
    sound: bool
    detail: str


class Residue(Record, frozen=True, tag="residue"):
    """A statement, in words, of something that cannot be known or undone."""

    case: str
    words: str


class Heartbeat(Record, frozen=True, tag="heartbeat"):
    """A log source is alive and has sent `sent` messages, of which `missed` did not arrive."""

    source: str
    sent: Count
    missed: Count


AnyRecord = (
    Mounted
    | Linked
    | Unlinked
    | Gated
    | Baselined
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
    | Residue
    | Heartbeat
)


class LogFacts(msgspec.Struct, frozen=True):
    """Verified facts about a log that entries come from.

    All entries of the leaves [start, size) that matter to the verdict are known, under the
    checkpoint; `withheld` of them are not shown. `late` leaves are proven only by an index that was
    made long after them. `cosigners` are the witnesses of the checkpoint. They prove that it
    existed at cosigned_ns, which is 0 without a quorum.
    """

    origin: str
    size: Count
    start: Count
    withheld: Count
    cosigners: tuple[str, ...]
    cosigned_ns: Instant
    late: Count = 0


class Evidence(msgspec.Struct, frozen=True):
    """The whole input of a verdict: the logs of the vault, and entries by their index, in order.

    A vault has one log today. Several nodes will have one each; an entry's `node` and `at` then
    order the entries of different logs. `first` is for evidence in a pack of version 1, which
    keeps the verdict and the exposure that the rules of its time gave.
    """

    case: str
    as_of_ns: Instant
    logs: tuple[LogFacts, ...]
    entries: tuple[tuple[int, Entry], ...]
    first: bool = False

    @property
    def log(self) -> LogFacts:
        """The one log; raises IntegrityError unless there is just one."""
        if len(self.logs) != 1:
            raise IntegrityError(f"evidence from {len(self.logs)} logs: this program reads one")
        return self.logs[0]


def to_audited(record: Record) -> dict[str, Value]:
    """Return the record as the `audited` field of its entry."""
    plain: dict[str, Value] = msgspec.json.decode(msgspec.json.encode(record))
    return plain


def record_of(entry: Entry) -> AnyRecord | None:
    """Return the record that an entry carries, if any; raise IntegrityError if malformed."""
    if entry.kind != "effect" or TAG not in entry.audited:
        return None
    try:
        record: AnyRecord = msgspec.convert(entry.audited, AnyRecord)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"an incident record is malformed: {error}") from None
    return record


S = TypeVar("S", bound=Scope)


def chained(record: S, seq: int, previous: str) -> S:
    """Return the record as number seq, chained to the one before (CHAIN_START for the first)."""
    bare = msgspec.structs.replace(record, seq=seq, chain=previous)
    chain = sha256(msgspec.json.encode(bare)).hexdigest()
    return msgspec.structs.replace(record, seq=seq, chain=chain)
