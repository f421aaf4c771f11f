"""Checks on the statements of people: each takes a second person (E2, E5, E9)."""

from collections.abc import Iterator

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.checks.explained import is_answered
from ironkeep.core.evidence.checks.record import last_root_checks
from ironkeep.core.evidence.claim import Finding
from ironkeep.core.evidence.sworn import Stated, in_force, lacking


def revocation_by_one(file: CaseFile) -> Iterator[Finding]:
    """Yield revocations by word that nobody confirmed, where they are the last at a system."""
    for version in file.revoked:
        for each in file.last_revocations(version):
            if not each.record.measured and not in_force(file, each):
                yield _by_one(file, each, f"that {file.estate.label(version)} was revoked")


def explanation_by_one(file: CaseFile) -> Iterator[Finding]:
    """Yield explanations that nobody confirmed; a later one of the same item replaces others."""
    last = {
        (each.record.system, each.record.item): each
        for each in file.filed(ev.Explained)
        if is_answered(file, each)
    }
    for each in sorted(last.values(), key=lambda each: each.index):
        if not each.record.measured and not in_force(file, each):
            yield _by_one(file, each, f"what {each.record.item} is")


def root_check_by_one(file: CaseFile) -> Iterator[Finding]:
    """Yield the last checks of Ironkeep's own root that nobody confirmed."""
    for item, each in last_root_checks(file).items():
        if each.record.sound and not in_force(file, each):
            yield _by_one(file, each, f"that {item} is sound")


def _by_one(file: CaseFile, each: Stated, what: str) -> Finding:
    # A revocation counts in every case, and is confirmed in the one in which it was stated.
    where = "" if each.record.case == file.name else f" in case {each.record.case}"
    return Finding(f"entry:{each.index}", lacking(file, each, what) + where)
