"""The state of each exposed credential: exposed → revoked → verified dead, or exempt."""

from collections.abc import Container, Mapping
from enum import StrEnum

import msgspec

from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.evidence.sworn import Basis, in_force


class RemediationState(StrEnum):
    """The states of an exposed version.

    "Believed unused" or "encrypted" are deliberately not states.
    """

    EXPOSED = "exposed"
    REVOKED = "revoked"
    VERIFIED_DEAD = "verified-dead"
    EXEMPT = "exempt"


class Exemption(msgspec.Struct, frozen=True):
    """An item that its owner accepts until it expires; `words` is the finding that it covers."""

    item: str
    label: str
    owner: str
    reason: str
    expires_ns: int
    words: str


class Remediation(msgspec.Struct, frozen=True, gc=False):
    """One exposed credential and its state. Times are POSIX nanoseconds, 0 if not reached yet.

    `measurable` means that Ironkeep reaches a system that accepts the credential, so that a
    revocation by word could be a measured one. `owner`, `reason` and `expires_ns` are those of its
    exemption.
    """

    node: NodeId
    label: str
    state: RemediationState
    basis: Basis
    exposed_ns: int
    in_clear_ns: int
    revoked_ns: int = 0
    dead_ns: int = 0
    measurable: bool = False
    owner: str = ""
    reason: str = ""
    expires_ns: int = 0


def remediations(
    file: CaseFile, exemptions: Mapping[str, Exemption], open_subjects: Container[str]
) -> tuple[Remediation, ...]:
    """Return the state of each exposed credential.

    Given are the exemptions that the verdict rests on, and the subjects of the open items.
    """
    return tuple(
        _standing(file, version, exemptions.get(version), is_open=version in open_subjects)
        for version in file.credentials
    )


def _standing(
    file: CaseFile, version: NodeId, exemption: Exemption | None, *, is_open: bool
) -> Remediation:
    revoked = file.revocations(version)
    dead_ns = file.dead_ns(version)
    state = RemediationState.EXPOSED
    if dead_ns:
        state = RemediationState.VERIFIED_DEAD
    elif exemption is not None:
        state = RemediationState.EXEMPT
    elif revoked:
        state = RemediationState.REVOKED
    row = file.rows[version]
    basis = _basis(file, version, exemption, is_open=is_open)
    return Remediation(
        node=version,
        label=file.estate.label(version),
        state=state,
        basis=basis,
        exposed_ns=row.exposed_ns,
        in_clear_ns=row.in_clear_ns,
        revoked_ns=revoked[-1].record.done_ns if revoked else 0,
        dead_ns=dead_ns,
        measurable=basis is Basis.SWORN and _is_reached(file, version),
        owner=exemption.owner if exemption else "",
        reason=exemption.reason if exemption else "",
        expires_ns=exemption.expires_ns if exemption else 0,
    )


def _basis(file: CaseFile, version: NodeId, exemption: Exemption | None, *, is_open: bool) -> Basis:
    """Return how it is known that a credential is dead.

    Measured takes all of it: revoked by a connector, refused at each verifier, sessions counted.
    """
    last = file.last_revocations(version)
    by_one = any(not each.record.measured and not in_force(file, each) for each in last)
    if is_open or by_one:
        return Basis.OPEN
    if exemption is not None:
        return Basis.EXEMPT
    measured = bool(last) and all(each.record.measured for each in last)
    return Basis.MEASURED if measured and file.dead_ns(version) else Basis.SWORN


def _is_reached(file: CaseFile, version: NodeId) -> bool:
    """Return whether Ironkeep has looked at a system that accepts the credential."""
    return any(system in file.estate.baselines for system in file.estate.verifiers(version))
