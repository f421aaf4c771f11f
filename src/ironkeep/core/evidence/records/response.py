"""Records of the response: what was contained, revoked, proved dead, swept, stated by people."""

from typing import Final

from ironkeep.core.credential.connector import Probe
from ironkeep.core.evidence.records.record import Count, Instant, Known, Record

ROOT_ITEMS: Final = (
    "root:administrators",
    "root:policies",
    "root:seal-shares",
    "root:journal-key",
    "root:case-key",
)
"""The parts of Ironkeep's own root of trust that every case must check (claim E9)."""

UNKNOWN_FACTOR: Final = "unknown"
"""Stands for the factors of a person that are not on record."""


class Surveyed(Record, frozen=True, tag="surveyed"):
    """All that the policies let a principal read during [from_ns, until_ns) has been linked.

    `unknown` names what could not be worked out, and leaves the verdict open. Earlier releases
    asked of the present only, and wrote no such field.
    """

    case: str
    principal: str
    from_ns: Instant
    until_ns: Instant
    policies: tuple[str, ...]
    unknown: tuple[str, ...] = ("an earlier release asked of its own time only: contain again",)


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
    """A contained principal may act again, with new credentials; `owner` answers for it.

    `factors` are those by which a person could log in at that moment, of which none may be one of
    before the containment:

        password:<mount uuid>/<user>     set again, or the user removed
        passkey:<credential>             removed
        login:<mount uuid>/<alias>       kept elsewhere, so that no journal tells of a change

    A record of an earlier release has UNKNOWN_FACTOR.
    """

    case: str
    principal: str
    owner: str
    reason: str
    factors: tuple[str, ...] = (UNKNOWN_FACTOR,)


class Revoked(Record, frozen=True, tag="revoked"):
    """A credential was revoked, by done_ns, at a system that issues or verifies it.

    `receipt` is the issuer's own statement or the state read back. `replacement` is the secret
    version that takes its place, or empty. `measured` means that Ironkeep itself revoked it and
    read the receipt from the system; without it, the record is a person's word. `people` are all
    who stand behind the token that made the record, in this type and the others that have it.
    """

    case: str
    version: str
    system: str
    done_ns: Instant
    method: str
    receipt: str
    replacement: str = ""
    measured: bool = False
    people: tuple[str, ...] = ()


class Ended(Record, frozen=True, tag="ended", omit_defaults=True):
    """Sessions opened with a credential were ended at a system; `remaining` are still open.

    They were counted at `endpoints`, since counted_ns. `logins` of any account were under way then
    and neither finished nor broken off before the count. At the endpoints that cannot list such
    logins, one takes `login_seconds` at most: 0 if all can, -1 if that time is not known.
    `unlisted` replicas followed them that are none of the endpoints. A record of an earlier release
    has only the first six fields.
    """

    case: str
    version: str
    system: str
    done_ns: Instant
    ended: Count
    remaining: Count
    counted_ns: Instant = 0
    logins: Count = 0
    login_seconds: Known = 0
    endpoints: tuple[str, ...] = ()
    unlisted: Count = 0


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


class Swept(Record, frozen=True, tag="swept", omit_defaults=True):
    """A system was compared with its baseline; each string is one inventory item, kind first.

    `acting` lists the added principals that have been seen to act. `gaps` names the parts of the
    system that the sweep could not see. `endpoint` is the host that was looked at, not stated by
    earlier releases.
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
    endpoint: str = ""


class Explained(Record, frozen=True, tag="explained"):
    """An owner answers for one addition or change: `item` as swept, or `entry:<index>`.

    `measured` means that Ironkeep recognised its own change by an answer of the system.
    """

    case: str
    system: str
    item: str
    owner: str
    reason: str
    people: tuple[str, ...] = ()
    measured: bool = False


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
    people: tuple[str, ...] = ()


class RootChecked(Record, frozen=True, tag="root-checked"):
    """One of ROOT_ITEMS was checked; `sound` is the result."""

    case: str
    item: str
    sound: bool
    detail: str
    people: tuple[str, ...] = ()


class Confirmed(Record, frozen=True, tag="confirmed"):
    """A further person vouches for statements of a case, each named as `entry:<index>`."""

    case: str
    items: tuple[str, ...]
    people: tuple[str, ...] = ()


class Compared(Record, frozen=True, tag="compared"):
    """Ironkeep compared an exposed version with what the vault gives out under its name at at_ns.

    `same` means that this version, or another one of the same value, is still given out.
    """

    case: str
    version: str
    at_ns: Instant
    same: bool
    words: str


class Residue(Record, frozen=True, tag="residue"):
    """A statement, in words, of something that cannot be known or undone."""

    case: str
    words: str


class Heartbeat(Record, frozen=True, tag="heartbeat"):
    """A log source is alive and has sent `sent` messages, of which `missed` did not arrive."""

    source: str
    sent: Count
    missed: Count
