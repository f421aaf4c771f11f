"""Records of scope: mounts, links, gates, baselines, log sources and cases.

They carry a sequence number and a chain hash (`record.chained`), so that leaving out one from
before the proved window is detected.
"""

from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.evidence.records.record import Count, Instant, Scope


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


class Addressed(Scope, frozen=True, tag="addressed"):
    """The endpoints at which a system takes logins, and the poolers in front of it, as configured.

    Endpoints and poolers of earlier records stay on record: removing a host from the configuration
    does not stop it. `declared` means that somebody has said which poolers there are.
    """

    system: str
    endpoints: tuple[str, ...]
    poolers: tuple[str, ...]
    declared: bool


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
