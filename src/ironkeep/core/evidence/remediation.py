"""The state of each exposed credential: exposed → revoked → verified dead, or exempt."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.node import NodeId


class RemediationState(StrEnum):
    """The states of an exposed version.

    "Believed unused" or "encrypted" are deliberately not states.
    """

    EXPOSED = "exposed"
    REVOKED = "revoked"
    VERIFIED_DEAD = "verified-dead"
    EXEMPT = "exempt"


class Remediation(msgspec.Struct, frozen=True):
    """One exposed credential and its state. Times are POSIX nanoseconds, 0 if not reached yet.

    `owner`, `reason` and `expires_ns` are those of its exemption.
    """

    node: NodeId
    label: str
    state: RemediationState
    exposed_ns: int
    in_clear_ns: int
    revoked_ns: int = 0
    dead_ns: int = 0
    owner: str = ""
    reason: str = ""
    expires_ns: int = 0


def remediations(
    file: CaseFile, granted: Mapping[str, Filed[ev.Exempted]]
) -> tuple[Remediation, ...]:
    """Return the state of each exposed credential, given the exemptions in force."""
    return tuple(_standing(file, version, granted.get(version)) for version in file.credentials)


def _standing(file: CaseFile, version: NodeId, waiver: Filed[ev.Exempted] | None) -> Remediation:
    revoked = file.revocations(version)
    dead_ns = file.dead_ns(version)
    state = RemediationState.EXPOSED
    if dead_ns:
        state = RemediationState.VERIFIED_DEAD
    elif waiver is not None:
        state = RemediationState.EXEMPT
    elif revoked:
        state = RemediationState.REVOKED
    row = file.rows[version]
    exemption = waiver.record if waiver and state is RemediationState.EXEMPT else None
    return Remediation(
        node=version,
        label=file.estate.label(version),
        state=state,
        exposed_ns=row.exposed_ns,
        in_clear_ns=row.in_clear_ns,
        revoked_ns=revoked[-1].record.done_ns if revoked else 0,
        dead_ns=dead_ns,
        owner=exemption.owner if exemption else "",
        reason=exemption.reason if exemption else "",
        expires_ns=exemption.expires_ns if exemption else 0,
    )
