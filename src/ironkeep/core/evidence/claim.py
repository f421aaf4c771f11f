"""The claims of an eviction proof, and what a check may say against one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from ironkeep.core.evidence.casefile import CaseFile


class ClaimId(StrEnum):
    """What has to hold before anybody may say that an attacker is out."""

    SCOPE = "E1"
    REVOKED = "E2"
    REFUSED = "E3"
    ENDED = "E4"
    PERSISTENCE = "E5"
    REISSUE = "E6"
    LOGS = "E7"
    LATER_USE = "E8"
    ROOT = "E9"
    INDEPENDENT = "E10"
    RESIDUE = "E11"


TITLES: Final = {
    ClaimId.SCOPE: "scope closed, from the earliest possible compromise on",
    ClaimId.REVOKED: "every exposed credential revoked at its issuer",
    ClaimId.REFUSED: "every exposed credential refused by every verifier since",
    ClaimId.ENDED: "sessions, leases and tokens ended",
    ClaimId.PERSISTENCE: "nothing added that would let them come back",
    ClaimId.REISSUE: "new credentials issued after revocation, to consumers not exposed",
    ClaimId.LOGS: "the log is whole and witnessed",
    ClaimId.LATER_USE: "no dead credential worked since",
    ClaimId.ROOT: "Ironkeep's own root looked at",
    ClaimId.INDEPENDENT: "anybody can recompute this from the pack alone",
    ClaimId.RESIDUE: "what cannot be known or undone is said",
}


class Status(StrEnum):
    """Where a claim, or one item against it, stands; only closed is good."""

    CLOSED = "closed"
    UNKNOWN = "unknown"
    """It was looked at, and the answer could not be had. Never taken for closed."""
    OPEN = "open"
    FAILED = "failed"
    """It was looked at, and the opposite is true."""


class Finding(msgspec.Struct, frozen=True):
    """What one check has against a claim: about whom or what, in words.

    `entry` is the deed that it is about, where it is about one: an exemption given before that deed
    does not cover it, for nobody accepts what has not happened yet.
    """

    subject: str
    words: str
    status: Status = Status.OPEN
    entry: int = -1


@dataclass(frozen=True, slots=True)
class Check:
    """One way in which a claim may fail to hold; it finds nothing when it holds."""

    claim: ClaimId
    name: str
    find: Callable[[CaseFile], Iterator[Finding]]


def iso(time_ns: int) -> str:
    """Return an instant for people to read: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).isoformat().replace("+00:00", "Z")
