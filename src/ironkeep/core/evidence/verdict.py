"""The verdict on an eviction: a pure function of the evidence, for a stated scope and time.

PROVEN only if no check of core/evidence/checks finds anything and no exemption is in force; PROVEN
WITH EXCEPTIONS if exemptions cover all that they find; DISPROVEN if one finds the opposite;
otherwise NOT PROVEN, with the name of each open item. Earlier conclusions are not an input.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import chain
from typing import Final

import msgspec

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.checks import record as scope
from ironkeep.core.evidence.checks.table import CHECKS
from ironkeep.core.evidence.claim import TITLES, Check, ClaimId, Finding, Status, iso
from ironkeep.core.evidence.exposure import Exposure
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of
from ironkeep.core.evidence.reach import FOREVER
from ironkeep.core.evidence.remediation import Exemption, Remediation, remediations
from ironkeep.core.evidence.sworn import Basis, in_force, is_sworn, lacking

NEVER_EXEMPT: Final = ("log:", "scope:", "case:")
"""Items that no exemption covers: the owner of a log cannot waive the log's own integrity."""

_ORDER: Final = (Status.CLOSED, Status.UNKNOWN, Status.OPEN, Status.FAILED)

_RECORDS: Final[dict[ClaimId, tuple[type[ev.Record], ...]]] = {
    ClaimId.SCOPE: (ev.Opened, ev.Widened, ev.Surveyed),
    ClaimId.REVOKED: (ev.Revoked,),
    ClaimId.REFUSED: (ev.Addressed, ev.Probed),
    ClaimId.ENDED: (ev.Contained, ev.Readmitted, ev.Ended),
    ClaimId.PERSISTENCE: (ev.Baselined, ev.Swept, ev.Explained),
    ClaimId.REISSUE: (ev.Delivered,),
    ClaimId.LOGS: (ev.Sourced,),
    ClaimId.LATER_USE: (ev.Watched,),
    ClaimId.ROOT: (ev.RootChecked,),
    ClaimId.INDEPENDENT: (),
    ClaimId.RESIDUE: (ev.Residue,),
}


class Outcome(StrEnum):
    """The possible results of a verdict."""

    PROVEN = "PROVEN"
    EXCEPTIONS = "PROVEN WITH EXCEPTIONS"
    NOT_PROVEN = "NOT PROVEN"
    DISPROVEN = "DISPROVEN"


class Item(msgspec.Struct, frozen=True, gc=False):
    """One open item against a claim."""

    check: str
    subject: str
    label: str
    status: Status
    words: str


class Claim(msgspec.Struct, frozen=True):
    """One claim: its status, the items against it, and the entries that it was checked with.

    `sworn` are those of the entries that are a person's word; the others are measured. `exempt`
    counts the findings against it that exemptions cover.
    """

    id: ClaimId
    title: str
    status: Status
    items: tuple[Item, ...]
    entries: tuple[int, ...]
    sworn: tuple[int, ...]
    exempt: int


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An exemption of an open item that waits for a second person; until then it has no effect.

    `entry` is the index of its record, and `words` says who stated it.
    """

    entry: int
    item: str
    label: str
    words: str


class Tally(msgspec.Struct, frozen=True):
    """The exposed credentials by their basis, and the other items with an exemption in force.

    `until_ns` is when the first of the exemptions expires, 0 without any.
    """

    measured: int
    sworn: int
    exempt: int
    open: int
    waived: int
    until_ns: int


class Verdict(msgspec.Struct, frozen=True):
    """The result for one case, with its scope and time.

    `opening` is the index of the entry that opened the case, -1 if there is none.
    """

    outcome: Outcome
    tally: Tally
    case: str
    opening: int
    from_ns: int
    as_of_ns: int
    scope: str
    claims: tuple[Claim, ...]
    exemptions: tuple[Exemption, ...]
    waiting: tuple[Waiting, ...]
    credentials: tuple[Remediation, ...]
    residue: tuple[str, ...]

    def open_items(self) -> tuple[Item, ...]:
        """Return all open items, claim by claim."""
        return tuple(item for claim in self.claims for item in claim.items)


def decide(evidence: ev.Evidence, checks: Sequence[Check] = CHECKS) -> tuple[Verdict, Exposure]:
    """Return the verdict and the exposure that it rests on.

    Raises IntegrityError if a record in the log is malformed. checks is the whole table, except in
    tests that remove one check to show that each is needed.
    """
    file = CaseFile(evidence)
    return decide_on(file, checks), file.exposure


def decide_on(file: CaseFile, checks: Sequence[Check] = CHECKS) -> Verdict:
    """Return the verdict on a case file; see `decide`."""
    stated = _exemptions(file)
    granted = {item: each for item, each in stated.items() if in_force(file, each)}
    waiting: dict[str, Waiting] = {}
    used: dict[ClaimId, list[Exemption]] = {claim: [] for claim in ClaimId}
    found: dict[ClaimId, list[Item]] = {claim: [] for claim in ClaimId}
    for check in checks:
        for finding in check.find(file):
            waiver = stated.get(finding.subject)
            covers = waiver is not None and _covers(waiver, finding)
            if waiver and covers and finding.subject in granted:
                used[check.claim].append(_exemption(file, waiver, finding))
                continue
            found[check.claim].append(_item(file, check, finding))
            if waiver and covers:
                waiting[finding.subject] = _waiting(file, waiver)
    claims = tuple(_claim(file, claim, items, len(used[claim])) for claim, items in found.items())
    needed = tuple(each for some in used.values() for each in some)
    credentials = remediations(file, _by_item(needed), _open_subjects(claims))
    idle = (each for item, each in granted.items() if item not in _by_item(needed))
    exemptions = (*needed, *(_exemption(file, each, None) for each in idle))
    return Verdict(
        outcome=_outcome(claims, exemptions),
        tally=_tally(credentials, exemptions),
        case=file.name,
        opening=file.case.opening.index if file.case.opening else -1,
        from_ns=file.case.from_ns,
        as_of_ns=file.as_of_ns,
        scope=_scope(file),
        claims=claims,
        exemptions=exemptions,
        waiting=tuple(waiting.values()),
        credentials=credentials,
        residue=tuple(_residue(file)),
    )


def _outcome(claims: Sequence[Claim], exemptions: Sequence[Exemption]) -> Outcome:
    statuses = {claim.status for claim in claims}
    if Status.FAILED in statuses:
        return Outcome.DISPROVEN
    if statuses != {Status.CLOSED}:
        return Outcome.NOT_PROVEN
    return Outcome.EXCEPTIONS if exemptions else Outcome.PROVEN


def _claim(file: CaseFile, claim: ClaimId, items: list[Item], exempt: int) -> Claim:
    status = max((item.status for item in items), key=_ORDER.index, default=Status.CLOSED)
    filed = [each for kind in _RECORDS[claim] for each in file.filed(kind)]
    entries = sorted(each.index for each in filed)
    sworn = sorted(each.index for each in filed if is_sworn(each.record))
    return Claim(claim, TITLES[claim], status, tuple(items), tuple(entries), tuple(sworn), exempt)


def _tally(credentials: Sequence[Remediation], exemptions: Sequence[Exemption]) -> Tally:
    bases = [each.basis for each in credentials]
    exempt = {each.node for each in credentials if each.basis is Basis.EXEMPT}
    return Tally(
        measured=bases.count(Basis.MEASURED),
        sworn=bases.count(Basis.SWORN),
        exempt=len(exempt),
        open=bases.count(Basis.OPEN),
        waived=len({each.item for each in exemptions} - exempt),
        until_ns=min((each.expires_ns for each in exemptions), default=0),
    )


def _by_item(exemptions: Sequence[Exemption]) -> dict[str, Exemption]:
    return {each.item: each for each in exemptions}


def _open_subjects(claims: Sequence[Claim]) -> frozenset[str]:
    return frozenset(item.subject for claim in claims for item in claim.items)


def _item(file: CaseFile, check: Check, finding: Finding) -> Item:
    label = file.estate.label(finding.subject)
    return Item(check.name, finding.subject, label, finding.status, finding.words)


def _exemption(file: CaseFile, waiver: Filed[ev.Exempted], finding: Finding | None) -> Exemption:
    """Return an exemption in force, with the finding that it covers, if it covers one."""
    record = waiver.record
    # The names of people who are not exposed are not part of the evidence (index/closure.py).
    known = finding is not None or record.item in file.rows
    label = file.estate.label(record.item) if known else record.item
    words = "nothing is open there now" if finding is None else finding.words
    return Exemption(record.item, label, record.owner, record.reason, record.expires_ns, words)


def _covers(waiver: Filed[ev.Exempted], finding: Finding) -> bool:
    return finding.status is not Status.FAILED and finding.entry < waiver.index


def _waiting(file: CaseFile, waiver: Filed[ev.Exempted]) -> Waiting:
    label = file.estate.label(waiver.record.item)
    words = lacking(file, waiver, f"that {label} may stay open for now")
    return Waiting(waiver.index, waiver.record.item, label, words)


def _exemptions(file: CaseFile) -> dict[str, Filed[ev.Exempted]]:
    """Return the exemptions of the case by item, in force once two people vouch for them.

    Each has an owner and a reason and has not expired.
    """
    found: dict[str, Filed[ev.Exempted]] = {}
    for each in file.filed(ev.Exempted):
        record = each.record
        if record.case != file.name:
            continue
        counts = (
            record.owner.strip()
            and record.reason.strip()
            and record.expires_ns > file.as_of_ns
            and not record.item.startswith(NEVER_EXEMPT)
        )
        # A later record replaces an earlier one, so that an exemption can be withdrawn.
        found.pop(record.item, None)
        if counts:
            found[record.item] = each
    return found


def _scope(file: CaseFile) -> str:
    subjects = ", ".join(file.estate.label(each) for each in file.case.subjects) or "nobody"
    from_ns = file.case.from_ns
    since = f"from {iso(from_ns)} to" if from_ns < FOREVER else "not opened before"
    return (
        f"case {file.name}: {subjects}, {since} {iso(file.as_of_ns)}; exposed credentials: "
        f"{_credentials(file)}, principals: {len(file.principals)}, systems: {len(file.systems)}; "
        f"entries {file.log.start} to {file.log.size} of the log {file.log.origin}"
    )


def _credentials(file: CaseFile) -> str:
    """Return the number of exposed credentials; what is not worked out is not counted as 0."""
    count = len(file.credentials)
    missing = next(chain(scope.not_surveyed(file), scope.not_known(file)), None)
    return str(count) if missing is None else f"at least {count}"


def _residue(file: CaseFile) -> Iterator[str]:
    """Yield the limits of the proof: those that people recorded, and those of the facts."""
    for each in file.filed(ev.Residue):
        if each.record.case == file.name:
            yield each.record.words
    for node, row in file.rows.items():
        if kind_of(node) in {NodeKind.STORE, NodeKind.BACKUP} and row.in_clear_ns:
            yield f"what {file.estate.label(node)} held could be copied, and no copy comes back"
        if kind_of(node) is NodeKind.SECRET and not row.in_clear_ns:
            yield f"an encrypted copy or share of {file.estate.label(node)} stays out for good"
    emulated: dict[str, None] = {}
    for probe in file.filed(ev.Probed):
        if probe.record.emulated:
            emulated[probe.record.system] = None
    for system in emulated:
        yield f"{file.estate.label(NodeId(system))} was an emulator, not the real system"
    yield "entries state the server's own time; witnesses vouch for the end of the log only"
    yield "no log shows what happened where nothing is logged"
