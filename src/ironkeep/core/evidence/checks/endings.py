"""Checks on the places where a credential may be accepted or in use: each endpoint (E3, E4).

A system takes logins at several endpoints: hosts, hosts that were removed from the configuration,
the addresses of one name, and poolers. Each verifies on its own. They are on record since a
connection was configured by a release that records them; evidence of before names none.
"""

from collections.abc import Iterator
from typing import Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.claim import Finding, iso
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of

_SECOND_NS: Final = 10**9


def endpoint_not_asked(file: CaseFile) -> Iterator[Finding]:
    """Yield the endpoints on record to which a credential was not presented since revoked."""
    for version in file.revoked:
        for system in file.estate.verifiers(version):
            # `not_presented` reports a verifier that was not asked at all.
            if file.probes(version, system):
                for endpoint in file.unasked(version, system):
                    yield Finding(version, f"not presented to {endpoint} since revoked")


def endpoint_not_cleared(file: CaseFile) -> Iterator[Finding]:
    """Yield the endpoints on record at which sessions were not ended since revocation."""
    for version, system, ended in endings(file):
        known = file.estate.addresses.get(system)
        if ended is None or known is None:
            continue
        for endpoint in known.all():
            if endpoint not in ended.record.endpoints:
                yield Finding(version, f"its sessions at {endpoint} were not ended since revoked")


def logins_under_way(file: CaseFile) -> Iterator[Finding]:
    """Yield revoked credentials with which a login may still finish.

    A system may check a login against the verifier that it read when the login began. It is
    excluded when the logins that were under way after the revocation were seen to end before the
    sessions were counted, or when the longest time that a login takes had passed.
    """
    for version, system, ended in endings(file):
        if ended is None or system not in file.estate.addresses:
            continue
        record = ended.record
        done_ns = file.revocations(version)[-1].record.done_ns
        until_ns = done_ns + record.login_seconds * _SECOND_NS
        where = file.estate.label(system)
        if record.logins:
            words = f"{record.logins} logins begun before may still finish at {where}"
        elif not record.counted_ns or record.login_seconds < 0:
            words = f"nobody knows how long a login begun before may take at {where}"
        elif record.counted_ns < until_ns:
            words = f"logins begun before may finish at {where} until {iso(until_ns)}"
        else:
            continue
        yield Finding(version, f"{words}: end its sessions again")


def replicas_not_listed(file: CaseFile) -> Iterator[Finding]:
    """Yield systems that replicas follow which are not on record: each takes logins of its own."""
    found: dict[NodeId, int] = {}
    for _, system, ended in endings(file):
        if ended is not None and ended.record.unlisted:
            found[system] = max(found.get(system, 0), ended.record.unlisted)
    for system, count in found.items():
        words = f"{count} replicas follow it and are not among its hosts: neither asked nor cleared"
        yield Finding(system, words)


def poolers_not_known(file: CaseFile) -> Iterator[Finding]:
    """Yield systems of ended sessions of which nobody has said if a pooler stands in front.

    The clients of a pooler stay logged in when the sessions at the system are ended.
    """
    found = {
        system: None
        for _, system, ended in endings(file)
        if ended is not None
        and system in file.estate.addresses
        and not file.estate.addresses[system].declared
    }
    for system in found:
        words = "nobody has said if a pooler, whose clients stay logged in, stands in front of it"
        yield Finding(system, f"{words}: write poolers to its connection")


def endings(
    file: CaseFile,
) -> Iterator[tuple[NodeId, NodeId, Filed[ev.Ended] | None]]:
    """Yield (credential, system, last ending of its sessions after its last revocation)."""
    for version in file.revoked:
        for last in file.revocations(version)[-1:]:
            for system in file.estate.verifiers(version):
                if kind_of(system) is NodeKind.SYSTEM:
                    found = [
                        each
                        for each in file.about(ev.Ended, version, system)
                        if each.index > last.index
                    ]
                    yield version, system, found[-1] if found else None
