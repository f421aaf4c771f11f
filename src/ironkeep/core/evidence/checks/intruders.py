"""Checks on exposed principals, their sessions, and changes they may have made (E4, E5)."""

from collections.abc import Iterator
from typing import Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import CHANGES, Act
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.checks.endings import endings
from ironkeep.core.evidence.checks.explained import explained_entries, is_explained
from ironkeep.core.evidence.claim import FRESH_NS, Finding, Status, iso
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of

_ACCESS: Final = ("sys/", "auth/", "identity/", "device/", "approval/", "segment/")
"""Any change under these can give access: policies, mounts, users, tokens, devices, approvals."""

_HARMLESS: Final = (
    "sys/capabilities",
    "sys/internal/",
    "sys/leases/lookup",
    "sys/leases/renew",
    "sys/tools/",
    "sys/wrapping/lookup",
    "sys/wrapping/unwrap",
    "auth/token/lookup",
    "auth/token/renew",
    "auth/token/revoke",
    "cubbyhole/",
    "incident/",
)
"""Writes under these grant no access: they query, renew or revoke. A cubbyhole is destroyed with
its token; case records by exposed principals have a check of their own (`record_by_exposed`)."""

_LOGIN: Final = "login"
"""The rule of a granted login. It leaves a session, which is checked as a principal itself."""


def not_contained(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed people, sessions and devices that were never contained."""
    for principal in file.principals:
        if file.containment(principal) is None:
            yield Finding(principal, "exposed and not contained")


def acts_again(file: CaseFile) -> Iterator[Finding]:
    """Yield people and devices that acted after containment without being readmitted."""
    for principal in file.principals:
        act = file.escaped(principal)
        if act is not None and kind_of(principal) is not NodeKind.SESSION:
            words = f"acted at entry {act.index}, after it was cut off"
            yield Finding(principal, words, entry=act.index)


def ended_session_worked(file: CaseFile) -> Iterator[Finding]:
    """Yield sessions that were accepted after they were ended."""
    for principal in file.principals:
        act = file.escaped(principal)
        if act is not None and kind_of(principal) is NodeKind.SESSION:
            words = f"accepted at entry {act.index}, after it was ended"
            yield Finding(principal, words, Status.FAILED)


def readmitted_unsigned(file: CaseFile) -> Iterator[Finding]:
    """Yield readmissions without an owner and a reason."""
    for each in file.filed(ev.Readmitted):
        record = each.record
        if record.principal in file.rows and not (record.owner.strip() and record.reason.strip()):
            yield Finding(record.principal, "let in again without an owner and a reason")


def sessions_not_ended(file: CaseFile) -> Iterator[Finding]:
    """Yield credentials whose sessions at a system were not ended after revocation."""
    for version, system, ended in endings(file):
        if ended is None:
            words = f"its sessions at {file.estate.label(system)} were not ended since revoked"
            yield Finding(version, words)


def sessions_remain(file: CaseFile) -> Iterator[Finding]:
    """Yield revoked credentials with sessions still open at a system."""
    for version, system, ended in endings(file):
        if ended is not None and ended.record.remaining:
            words = f"{ended.record.remaining} sessions remain at {file.estate.label(system)}"
            yield Finding(version, words)


def no_baseline(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed systems without a baseline from before the earliest compromise."""
    for system in file.systems:
        if not _baselines(file, system):
            yield Finding(system, "no baseline from before the earliest possible compromise")


def not_swept(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed systems not swept against that baseline since access to them ended."""
    for system in file.systems:
        if _baselines(file, system) and not sweeps(file, system):
            yield Finding(system, "not swept against its baseline since access to it ended")


def sweep_too_old(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed systems whose last sweep, of any host, is too old to say what is there now."""
    for system in file.systems:
        for sweep in sweeps(file, system):
            if min(sweep.entry.time_ns, sweep.record.at_ns) < file.as_of_ns - FRESH_NS:
                yield Finding(system, f"last swept at {iso(sweep.record.at_ns)}: sweep it again")


def host_not_swept(file: CaseFile) -> Iterator[Finding]:
    """Yield the hosts on record of a swept system that were not swept themselves."""
    for system in file.systems:
        known = file.estate.addresses.get(system)
        swept = {each.record.endpoint for each in sweeps(file, system)}
        for endpoint in known.endpoints if known and swept else ():
            if endpoint not in swept:
                words = f"not compared with a baseline since the last revocation: {endpoint}"
                yield Finding(f"{system}#{endpoint}", words)


def not_seen(file: CaseFile) -> Iterator[Finding]:
    """Yield the parts of a system that its sweep could not see."""
    for system in file.systems:
        for gap in dict.fromkeys(gap for each in sweeps(file, system) for gap in each.record.gaps):
            yield Finding(f"{system}#{gap}", f"not looked at: {gap}", Status.UNKNOWN)


def not_explained(file: CaseFile) -> Iterator[Finding]:
    """Yield differences from a baseline that no owner has explained; those seen to act fail."""
    for system in file.systems:
        records = [each.record for each in sweeps(file, system)]
        acting = {item for record in records for item in record.acting}
        found = (
            item
            for record in records
            for item in (*record.added, *record.changed, *record.removed, *record.acting)
        )
        for item in dict.fromkeys(found):
            if is_explained(file, system, item):
                continue
            name = f"{system}#{item}"
            if item in acting:
                yield Finding(name, f"an unexplained principal acts: {item}", Status.FAILED)
            else:
                yield Finding(name, f"differs from the baseline, unexplained: {item}")


def foothold_in_vault(file: CaseFile) -> Iterator[Finding]:
    """Yield unexplained changes in Ironkeep by exposed principals: to access rules and to data.

    A connection may now lead elsewhere, and a secret may have a value that the attacker knows. At a
    path outside the access rules only the last change counts, as it set the present value.
    """
    explained = explained_entries(file)
    last: dict[str, Act] = {}
    for principal in file.principals:
        for act in file.activity.by(principal):
            if not may_leave_something(file, act) or not file.is_out(principal, act.index):
                continue
            entry = act.entry
            place = f"entry:{act.index}" if entry.path.startswith(_ACCESS) else entry.path
            if place not in last or last[place].index < act.index:
                last[place] = act
    for act in sorted(last.values(), key=lambda each: each.index):
        name = f"entry:{act.index}"
        if explained.get(name, -1) < act.index:
            words = f"{act.entry.op} {act.entry.path} by somebody exposed, unexplained"
            yield Finding(name, words)


def _baselines(file: CaseFile, system: NodeId) -> set[str]:
    """Return the digests of the baselines that were in the log before T0."""
    return {
        placed.record.digest
        for placed in file.estate.baselines.get(system, [])
        if placed.time_ns < file.case.from_ns
    }


def sweeps(file: CaseFile, system: NodeId) -> list[Filed[ev.Swept]]:
    """Return the last sweep of each host of a system since access to it ended.

    That is after containment, revocation and the end of sessions: a session can add something after
    a sweep that was made before. The sweep must have begun after these: what it saw before, it need
    not have seen again.
    """
    cut, revoked = file.last_containment, file.last_revocation.get(system)
    ended = file.last_ending.get(system)
    after = max((each.index for each in (cut, revoked, ended) if each), default=-1)
    since_ns = max(
        cut.entry.time_ns if cut else 0,
        revoked.record.done_ns if revoked else 0,
        ended.record.done_ns if ended else 0,
    )
    baselines = _baselines(file, system)
    last = {
        each.record.endpoint: each
        for each in file.about(ev.Swept, "", system)
        if each.index > after
        and each.record.at_ns >= since_ns
        and each.record.baseline in baselines
    }
    if len(last) > 1:
        last.pop("", None)  # of an earlier release; a host was looked at since
    return list(last.values())


def may_leave_something(file: CaseFile, act: Act, *, reads: bool = False) -> bool:
    """Return whether an act, at or after the earliest compromise, may have changed something.

    With `reads`, operations that read count too.
    """
    entry = act.entry
    return (
        entry.time_ns >= file.case.from_ns
        and (reads or entry.op in CHANGES)
        and entry.rule != _LOGIN
        and not entry.path.startswith(_HARMLESS)
    )
