"""The check that no exposed version of a secret is what the vault gives out today (E2)."""

from collections.abc import Iterator

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.claim import FRESH_NS, Finding, Status
from ironkeep.core.evidence.node import NodeKind, kind_of


def still_current(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed versions that are current in the vault, or not known to be replaced there.

    A comparison counts if it was made after the last revocation, and as recently as a watch. A
    later one replaces an earlier one.
    """
    for version in file.revoked:
        if kind_of(version) is not NodeKind.SECRET:
            continue
        last = file.revocations(version)[-1]
        found = [each for each in file.about(ev.Compared, version, "") if each.index > last.index]
        if not found or found[-1].record.at_ns < file.as_of_ns - FRESH_NS:
            words = "not compared with what the vault gives out since it was revoked"
            yield Finding(version, words, Status.UNKNOWN)
        elif found[-1].record.same:
            yield Finding(version, f"current in the vault: {found[-1].record.words}")
