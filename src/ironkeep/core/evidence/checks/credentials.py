"""Exposed credentials: revoked, refused, replaced in order, never used again (E2, E3, E6, E8)."""

from collections.abc import Iterator
from typing import Final

from ironkeep.core.credential.connector import Probe
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.claim import Finding, Status
from ironkeep.core.evidence.node import NodeId

WATCH_LAG_NS: Final = 3600 * 10**9
"""How far before the verdict a watch may have ended: one round of a slow log delivery."""


def not_revoked(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed credentials that nobody revoked."""
    for version in file.credentials:
        if not file.revocations(version):
            how = "" if file.rows[version].in_clear_ns else " (an encrypted copy or share of it)"
            yield Finding(version, f"exposed{how} and not revoked")


def no_receipt(file: CaseFile) -> Iterator[Finding]:
    """Yield revocations without the issuer's word for it."""
    for version in file.credentials:
        for last in file.revocations(version)[-1:]:
            if not last.record.receipt.strip():
                yield Finding(version, "revoked, but without a receipt or the state read back")


def released_again(file: CaseFile) -> Iterator[Finding]:
    """Yield revoked credentials that somebody exposed was given later under the same name.

    A name may come to stand for another value: a key made anew starts again with version 1.
    """
    for version in file.credentials:
        for last in file.revocations(version)[-1:]:
            for read in reversed(file.deeds.reads_of(version)):
                index = read.deed.index
                if index > last.index and any(
                    _is_out(file, who, index) for who in read.deed.actors
                ):
                    words = f"released at entry {index} to somebody exposed, after it was revoked"
                    yield Finding(version, words, entry=index)
                    break


def no_verifier(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials of which nobody knew, before the breach, what they open or decrypt."""
    for version in file.credentials:
        estate = file.estate
        if not estate.verifiers(version) and not estate.protects(version, file.case.from_ns):
            yield Finding(version, "nobody knows what it opens: link it, or exempt it")


def not_presented(file: CaseFile) -> Iterator[Finding]:
    """Yield verifiers to which a revoked credential has not been presented since."""
    for version, system in _revoked_pairs(file):
        if not file.probes(version, system):
            yield Finding(version, f"not presented to {file.estate.label(system)} since revoked")


def not_answered(file: CaseFile) -> Iterator[Finding]:
    """Yield verifiers whose last answer was neither yes nor no."""
    for version, system in _revoked_pairs(file):
        for last in file.answers(version, system):
            if last.record.state is Probe.UNKNOWN:
                where = f"{file.estate.label(system)} {last.record.endpoint}".rstrip()
                words = f"{where} gave no answer: {last.record.reason}"
                yield Finding(version, words, Status.UNKNOWN)


def accepted_elsewhere(file: CaseFile) -> Iterator[Finding]:
    """Yield verifiers that still accept a credential which was revoked at another place."""
    for version, system in _revoked_pairs(file):
        if _alive(file, version, system) and system not in _revoked_at(file, version):
            yield Finding(version, f"{file.estate.label(system)} still accepts it")


def worked_after_revocation(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials that a system accepted after it had revoked them itself."""
    for version, system in _revoked_pairs(file):
        if _alive(file, version, system) and system in _revoked_at(file, version):
            words = f"{file.estate.label(system)} accepted it after revoking it"
            yield Finding(version, words, Status.FAILED)


def delivered_early(file: CaseFile) -> Iterator[Finding]:
    """Yield new versions that reached somebody before the old ones were revoked."""
    for revoked, index, _ in _deliveries(file):
        if index < revoked.index:
            words = f"delivered at entry {index}, before the old one was revoked"
            yield Finding(revoked.record.replacement, words, entry=index)


def delivered_to_exposed(file: CaseFile) -> Iterator[Finding]:
    """Yield new versions that went to somebody who is exposed and has not been let in again."""
    for revoked, index, consumer in _deliveries(file):
        if _is_out(file, consumer, index):
            words = f"delivered at entry {index} to {file.estate.label(consumer)}, who is exposed"
            yield Finding(revoked.record.replacement, words, entry=index)


def issued_from_exposed(file: CaseFile) -> Iterator[Finding]:
    """Yield new versions that came from a system which is itself exposed."""
    for each in file.filed(ev.Delivered):
        if each.record.plane in file.rows:
            words = f"issued from {file.estate.label(each.record.plane)}, which is exposed"
            yield Finding(each.record.version, words)


def not_watched(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials whose use nobody has watched from revocation until now."""
    for version, system in _revoked_pairs(file):
        if not _watched(file, version, system):
            yield Finding(version, f"later use not watched for at {file.estate.label(system)}")


def used_later(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials that were seen to work after they had been revoked."""
    for each in file.filed(ev.Watched):
        record = each.record
        if record.successes and record.version in file.rows:
            words = f"used {record.successes} times at {file.estate.label(record.system)}"
            yield Finding(record.version, words, Status.FAILED)


def _revoked_pairs(file: CaseFile) -> Iterator[tuple[NodeId, NodeId]]:
    """Yield (credential, verifier) for revoked ones; the others are already not revoked."""
    for version in file.credentials:
        if file.revocations(version):
            yield from ((version, system) for system in file.estate.verifiers(version))


def _is_out(file: CaseFile, who: NodeId, index: int) -> bool:
    """Return whether somebody is exposed, and had not been let in again by some entry."""
    readmitted = file.readmission(who)
    return who in file.rows and (readmitted is None or index < readmitted)


def _alive(file: CaseFile, version: NodeId, system: NodeId) -> bool:
    return any(each.record.state is Probe.ALIVE for each in file.probes(version, system))


def _revoked_at(file: CaseFile, version: NodeId) -> set[str]:
    return {each.record.system for each in file.revocations(version)}


def _deliveries(file: CaseFile) -> Iterator[tuple[Filed[ev.Revoked], int, NodeId]]:
    """Yield (revocation, entry by which its replacement reached somebody, who that was)."""
    for revoked in file.filed(ev.Revoked):
        replacement = revoked.record.replacement
        if revoked.record.version not in file.rows or not replacement:
            continue
        for read in file.deeds.reads_of(NodeId(replacement)):
            yield from ((revoked, read.deed.index, who) for who in read.deed.actors)
        for each in file.about(ev.Delivered, replacement, ""):
            yield revoked, each.index, NodeId(each.record.consumer)


def _watched(file: CaseFile, version: NodeId, system: NodeId) -> bool:
    revoked = file.revocations(version)[-1].record
    return any(
        each.record.from_ns <= revoked.done_ns
        and each.record.until_ns >= file.as_of_ns - WATCH_LAG_NS
        for each in file.about(ev.Watched, version, system)
    )
