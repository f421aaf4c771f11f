"""The state of each exposed credential: exposed → revoked → verified dead, or exempt."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.node import NodeId


class State(StrEnum):
    """The states of an exposed version.

    "Believed unused" or "encrypted" are deliberately not states.
    """

    EXPOSED = "exposed"
    REVOKED = "revoked"
    VERIFIED_DEAD = "verified-dead"
    EXEMPT = "exempt"


class Standing(msgspec.Struct, frozen=True):
    """One exposed credential and its state. Times are POSIX nanoseconds, 0 if not reached yet.

    `owner`, `reason` and `expires_ns` are those of its exemption.
    """

    node: NodeId
    label: str
    state: State
    exposed_ns: int
    in_clear_ns: int
    revoked_ns: int = 0
    dead_ns: int = 0
    owner: str = ""
    reason: str = ""
    expires_ns: int = 0


def standings(file: CaseFile, granted: Mapping[str, Filed[ev.Exempted]]) -> tuple[Standing, ...]:
    """Return the state of each exposed credential, given the exemptions in force."""
    return tuple(_standing(file, version, granted.get(version)) for version in file.credentials)


def _standing(file: CaseFile, version: NodeId, waiver: Filed[ev.Exempted] | None) -> Standing:
    revoked = file.revocations(version)
    dead_ns = file.dead_ns(version)
    state = State.EXPOSED
    if dead_ns:
        state = State.VERIFIED_DEAD
    elif waiver is not None:
        state = State.EXEMPT
    elif revoked:
        state = State.REVOKED
    row = file.rows[version]
    exemption = waiver.record if waiver and state is State.EXEMPT else None
    return Standing(
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
