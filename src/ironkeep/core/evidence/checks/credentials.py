"""Checks on exposed credentials: revoked, refused, reissued, not used since (E2, E3, E6, E8)."""

from collections.abc import Iterator

from ironkeep.core.credential.connector import Probe
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.claim import FRESH_NS, Finding, Status
from ironkeep.core.evidence.node import NodeId


def not_revoked(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed credentials that were not revoked."""
    for version in file.credentials:
        if not file.revocations(version):
            how = "" if file.rows[version].in_clear_ns else " (an encrypted copy or share of it)"
            yield Finding(version, f"exposed{how} and not revoked")


def no_receipt(file: CaseFile) -> Iterator[Finding]:
    """Yield revocations without a receipt from the issuer."""
    for version in file.revoked:
        for last in file.revocations(version)[-1:]:
            if not last.record.receipt.strip():
                yield Finding(version, "revoked, but without a receipt or the state read back")


def released_again(file: CaseFile) -> Iterator[Finding]:
    """Yield revoked credentials that were later released to an exposed principal.

    The released value can be a new one under the old name: a key that was deleted and created again
    starts at version 1.
    """
    for version in file.revoked:
        for last in file.revocations(version)[-1:]:
            for read in reversed(file.activity.reads_of(version)):
                index = read.act.index
                if index > last.index and any(
                    file.is_out(actor, index) for actor in read.act.actors
                ):
                    words = f"released at entry {index} to somebody exposed, after it was revoked"
                    yield Finding(version, words, entry=index)
                    break


def no_verifier(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials without a verifier and with no protected target known before the breach."""
    for version in file.credentials:
        estate = file.estate
        if not estate.verifiers(version) and not estate.protects(version, file.case.from_ns):
            yield Finding(version, "nobody knows what it opens: link it, or exempt it")


def not_presented(file: CaseFile) -> Iterator[Finding]:
    """Yield verifiers to which a credential was not presented after its revocation."""
    for version, system in _revoked_pairs(file):
        if not file.probes(version, system):
            yield Finding(version, f"not presented to {file.estate.label(system)} since revoked")


def not_answered(file: CaseFile) -> Iterator[Finding]:
    """Yield verifiers whose last answer neither accepted nor refused the credential."""
    for version, system in _revoked_pairs(file):
        for last in file.answers(version, system):
            if last.record.state is Probe.UNKNOWN:
                where = f"{file.estate.label(system)} {last.record.endpoint}".rstrip()
                words = f"{where} gave no answer: {last.record.reason}"
                yield Finding(version, words, Status.UNKNOWN)


def accepted_elsewhere(file: CaseFile) -> Iterator[Finding]:
    """Yield verifiers that still accept a credential which was revoked at another system."""
    for version, system in _revoked_pairs(file):
        if _alive(file, version, system) and system not in _revoked_at(file, version):
            yield Finding(version, f"{file.estate.label(system)} still accepts it")


def worked_after_revocation(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials that a system accepted after revoking them itself."""
    for version, system in _revoked_pairs(file):
        if _alive(file, version, system) and system in _revoked_at(file, version):
            words = f"{file.estate.label(system)} accepted it after revoking it"
            yield Finding(version, words, Status.FAILED)


def delivered_early(file: CaseFile) -> Iterator[Finding]:
    """Yield replacements that were delivered before the old version was revoked."""
    for revoked, index, _ in _deliveries(file):
        if index < revoked.index:
            words = f"delivered at entry {index}, before the old one was revoked"
            yield Finding(revoked.record.replacement, words, entry=index)


def delivered_to_exposed(file: CaseFile) -> Iterator[Finding]:
    """Yield replacements that were delivered to an exposed principal that is not readmitted."""
    for revoked, index, consumer in _deliveries(file):
        if file.is_out(consumer, index):
            words = f"delivered at entry {index} to {file.estate.label(consumer)}, who is exposed"
            yield Finding(revoked.record.replacement, words, entry=index)


def issued_from_exposed(file: CaseFile) -> Iterator[Finding]:
    """Yield new versions that were delivered from an exposed system."""
    for each in file.filed(ev.Delivered):
        if each.record.plane in file.rows:
            words = f"issued from {file.estate.label(each.record.plane)}, which is exposed"
            yield Finding(each.record.version, words)


def not_watched(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials whose use was not watched from revocation until the verdict."""
    for version, system in _revoked_pairs(file):
        if not _watched(file, version, system):
            yield Finding(version, f"later use not watched for at {file.estate.label(system)}")


def used_later(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials that worked after they were revoked."""
    for each in file.filed(ev.Watched):
        record = each.record
        if record.successes and record.version in file.rows:
            words = f"used {record.successes} times at {file.estate.label(record.system)}"
            yield Finding(record.version, words, Status.FAILED)


def _revoked_pairs(file: CaseFile) -> Iterator[tuple[NodeId, NodeId]]:
    """Yield (credential, verifier) pairs of revoked credentials.

    `not_revoked` reports the others.
    """
    for version in file.revoked:
        yield from ((version, system) for system in file.estate.verifiers(version))


def _alive(file: CaseFile, version: NodeId, system: NodeId) -> bool:
    return any(each.record.state is Probe.ALIVE for each in file.probes(version, system))


def _revoked_at(file: CaseFile, version: NodeId) -> set[str]:
    return {each.record.system for each in file.revocations(version)}


def _deliveries(file: CaseFile) -> Iterator[tuple[Filed[ev.Revoked], int, NodeId]]:
    """Yield (revocation, index of a delivery of its replacement, receiver)."""
    for revoked in file.filed(ev.Revoked):
        replacement = revoked.record.replacement
        if revoked.record.version not in file.rows or not replacement:
            continue
        for read in file.activity.reads_of(NodeId(replacement)):
            yield from ((revoked, read.act.index, actor) for actor in read.act.actors)
        for each in file.about(ev.Delivered, replacement, ""):
            yield revoked, each.index, NodeId(each.record.consumer)


def _watched(file: CaseFile, version: NodeId, system: NodeId) -> bool:
    revoked = file.revocations(version)[-1].record
    return any(
        each.record.from_ns <= revoked.done_ns and each.record.until_ns >= file.as_of_ns - FRESH_NS
        for each in file.about(ev.Watched, version, system)
    )
