"""The claims of an eviction proof, and the findings of checks against them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from ironkeep.core.evidence.casefile import CaseFile

FRESH_NS: Final = 3600 * 10**9
"""A watch, a sweep or a check of the root may be this much older than the verdict that rests on it:
one round of a slow log delivery, and the time to go through a large case."""


class ClaimId(StrEnum):
    """The claims that must all hold before an eviction counts as proved."""

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
    """The status of a claim, or of one item against it; only closed is good."""

    CLOSED = "closed"
    UNKNOWN = "unknown"
    """The check could not get an answer. Never treated as closed."""
    OPEN = "open"
    FAILED = "failed"
    """The check found that the opposite of the claim is true."""


class Finding(msgspec.Struct, frozen=True):
    """One problem that a check found: its subject, and the problem in words.

    `entry` is the index of the act that the finding is about, or -1. An exemption granted before
    that act does not cover it: an act cannot be accepted before it happened.
    """

    subject: str
    words: str
    status: Status = Status.OPEN
    entry: int = -1


@dataclass(frozen=True, slots=True)
class Check:
    """One reason why a claim may not hold; `find` yields nothing if it does."""

    claim: ClaimId
    name: str
    find: Callable[[CaseFile], Iterator[Finding]]


def iso(time_ns: int) -> str:
    """Return an instant as RFC 3339 text: UTC, whole seconds."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).isoformat().replace("+00:00", "Z")
