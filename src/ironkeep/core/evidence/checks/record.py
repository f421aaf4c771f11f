"""Checks on the record itself: scope, log, root of trust, disclosure (E1, E7, E9 to E11)."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from ironkeep.core.event import CLOCK_SET, CLOCK_STEP, Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import CHANGES, actors_of, is_handed_out
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.claim import FRESH_NS, Finding, Status, iso
from ironkeep.core.evidence.node import (
    CREDENTIALS,
    PRINCIPALS,
    NodeId,
    NodeKind,
    family_of,
    kind_of,
    name_of,
    node,
)
from ironkeep.core.evidence.reach import FOREVER, EdgeKind

CLOCK_SKEW_NS: Final = 300 * 10**9
"""Allowed clock difference of server, witnesses and log sources; NTP keeps it far smaller."""

NEAR_NS: Final = 86_400 * 10**9
"""A clock that was moved less than a day before the window makes its beginning doubtful."""

SILENT_INTERVALS: Final = 2
"""Heartbeat intervals that a source may be silent: it may miss one heartbeat, not two."""

_OF_STRANGERS: Final = frozenset({"", "login", "open"})
"""Rules open to unauthenticated clients: these requests change at most the sender's own session."""

_SURVEYED: Final = frozenset({NodeKind.PERSON, NodeKind.SESSION})


def case_not_opened(file: CaseFile) -> Iterator[Finding]:
    """Yield a case that is not in the log, or has no subjects."""
    if file.case.opening is None or not file.case.subjects:
        yield Finding(
            f"case:{file.name}", "the log has no such case, or it names nobody and nothing"
        )


def scope_cut(file: CaseFile) -> Iterator[Finding]:
    """Yield breaks in the chain of the records of scope."""
    for words in file.estate.breaks:
        yield Finding("scope:chain", words)


def subject_unknown(file: CaseFile) -> Iterator[Finding]:
    """Yield subjects unknown to the log: every claim about a misspelt name would hold."""
    for subject in file.case.subjects:
        cut = file.containment(subject)
        known = (
            kind_of(subject) in CREDENTIALS
            or file.activity.by(subject)
            or file.activity.issued(subject)
            or file.estate.tells_of(subject)
            or (cut is not None and _found_tokens(cut.record, subject))
        )
        if not known:
            yield Finding(subject, "nothing is on record of it: is it the right one?")


def _found_tokens(cut: ev.Contained, subject: NodeId) -> bool:
    """Return whether a containment found tokens: it lists a session itself as gone anyway."""
    return bool(cut.sessions or set(cut.gone) - {name_of(subject)})


def scope_narrowed(file: CaseFile) -> Iterator[Finding]:
    """Yield links of exposed nodes that were removed since the earliest compromise."""
    families = {family_of(each) for each in file.rows} if file.estate.ended else set()
    for placed in file.estate.ended:
        source = NodeId(placed.record.source)
        if placed.time_ns >= file.case.from_ns and (source in file.rows or source in families):
            words = f"a link of {file.estate.label(source)} was ended since the breach"
            yield Finding(f"entry:{placed.index}", words)


def unattributed_record(file: CaseFile) -> Iterator[Finding]:
    """Yield unattributed releases and changes since the earliest compromise.

    A batch token of no person names no actor, and any holder of a wrapping token can unwrap it: a
    secret, or a token that works until it is ended.
    """
    for act in file.activity.by_nobody():
        entry = act.entry
        changed = entry.rule not in _OF_STRANGERS and entry.op in CHANGES
        handed = is_handed_out(entry) and not _is_ended(file, entry.issued)
        if entry.time_ns >= file.case.from_ns and (entry.released or changed or handed):
            what = "released" if entry.released else "changed" if changed else "gave out a token"
            words = f"{what} at {entry.path}, and nobody knows to whom or by whom"
            yield Finding(f"entry:{act.index}", words, Status.UNKNOWN)


def _is_ended(file: CaseFile, accessor: str) -> bool:
    """Return whether a session was ended in an incident and did nothing since."""
    session = node(NodeKind.SESSION, accessor)
    return file.containment(session) is not None and file.escaped(session) is None


def no_basis(file: CaseFile) -> Iterator[Finding]:
    """Yield a case whose earliest possible compromise has no stated reason."""
    if any(not basis.strip() for basis in file.case.bases):
        yield Finding(
            f"case:{file.name}", "no reason is given for the earliest possible compromise"
        )


def not_surveyed(file: CaseFile) -> Iterator[Finding]:
    """Yield principals without a survey of the secrets that policies let them read."""
    for principal in file.principals:
        if kind_of(principal) in _SURVEYED and not _covered(file, principal):
            known = any(each.record.principal == principal for each in file.filed(ev.Surveyed))
            words = "what it could have read has not been worked out"
            yield Finding(principal, f"{words} since its survey" if known else words)


def not_known(file: CaseFile) -> Iterator[Finding]:
    """Yield what a survey could not work out; a later survey of the principal may have."""
    last: dict[str, ev.Surveyed] = {}
    for each in file.filed(ev.Surveyed):
        if each.record.principal in file.rows and each.record.from_ns <= file.case.from_ns:
            last[each.record.principal] = each.record
    for principal, record in last.items():
        for words in record.unknown:
            yield Finding(f"{principal}#{words}", f"could have read: {words}", Status.UNKNOWN)


def origin_unknown(file: CaseFile) -> Iterator[Finding]:
    """Yield exposed sessions that no entry of the log has issued.

    What such a session could read is known only by what it did.
    """
    for principal in file.principals:
        if kind_of(principal) is NodeKind.SESSION and not file.activity.issued(principal):
            words = "no entry shows how it was issued, and so with which policies"
            yield Finding(principal, words, Status.UNKNOWN)


def starts_too_late(file: CaseFile) -> Iterator[Finding]:
    """Yield a window of the log that begins after the earliest compromise of any case.

    A window from leaf 0 is complete unless the log continues another one; such a log's name ends in
    an epoch after the first.
    """
    start, origin = file.log.start, file.log.origin
    if start == 0 and not continues(origin):
        return
    earliest = min((case.from_ns for case in file.cases.values()), default=FOREVER)
    first = next((entry for index, entry in file.entries if index >= file.log.start), None)
    if first is None or first.time_ns > earliest:
        words = "the proved window begins after the earliest compromise"
        if start == 0:
            words += f": what came before {origin} is in the log of an earlier epoch"
        yield Finding("log:window", words)


def continues(origin: str) -> bool:
    """Return whether a log's name says that it continues another one: a later epoch than 1."""
    epoch = origin.rpartition("/")[2]
    return epoch.isascii() and epoch.isdigit() and epoch.lstrip("0") not in {"", "1"}


def not_witnessed(file: CaseFile) -> Iterator[Finding]:
    """Yield a log that no quorum of witnesses has cosigned."""
    if not file.log.cosigners or not file.log.cosigned_ns:
        yield Finding("log:witnesses", "no quorum of witnesses has cosigned the log")


def ends_too_early(file: CaseFile) -> Iterator[Finding]:
    """Yield a log whose witnessed end lies before the verdict's time."""
    log = file.log
    if log.cosigned_ns and log.cosigned_ns + CLOCK_SKEW_NS < file.as_of_ns:
        yield Finding("log:window", "the witnesses vouch for a log that ends before this verdict")


def clock_ran_back(file: CaseFile) -> Iterator[Finding]:
    """Yield entries with an earlier time than the entry before them."""
    for index, _ in file.ran_back:
        yield Finding(f"entry:{index}", "states a time before that of the entry before it")


def clock_stepped(file: CaseFile) -> Iterator[Finding]:
    """Yield the steps of the machine's clock that the server noticed in the window or near it."""
    for index, words in clock_steps(file.entries, file.case.from_ns):
        yield Finding(f"entry:{index}", words, entry=index)


def clock_steps(entries: Iterable[tuple[int, Entry]], from_ns: int) -> Iterator[tuple[int, str]]:
    """Yield (index, words) of each step of the clock since shortly before an instant."""
    for index, entry in entries:
        moved = entry.kind == "notice" and entry.op in {CLOCK_STEP, CLOCK_SET}
        if moved and entry.time_ns >= from_ns - NEAR_NS:
            seconds = int(str(entry.audited.get("offset_ns", 0))) / 10**9
            who = "the vault's time was set" if entry.op == CLOCK_SET else "the clock was moved"
            words = (
                f"{who} by {seconds:+.0f} s: times before and after it may differ from real time"
            )
            yield index, words


def source_silent(file: CaseFile) -> Iterator[Finding]:
    """Yield the periods in which a log source was silent for longer than allowed."""
    beats: dict[str, list[int]] = {}
    for each in file.filed(ev.Heartbeat):
        beats.setdefault(each.record.source, []).append(each.entry.time_ns)
    for source, placed in file.estate.sources.items():
        allowed = SILENT_INTERVALS * placed.record.interval_seconds * 10**9
        start = max(placed.time_ns, min(file.case.from_ns, file.as_of_ns))
        times = [start, *(at for at in beats.get(source, []) if at > start), file.as_of_ns]
        for one, other in pairwise(times):
            if other - one > allowed:
                words = f"silent from {iso(one)} to {iso(other)}"
                yield Finding(f"source:{source}", words, Status.UNKNOWN)


def source_lost_messages(file: CaseFile) -> Iterator[Finding]:
    """Yield log sources that lost messages."""
    for each in file.filed(ev.Heartbeat):
        if each.record.missed and each.entry.time_ns >= file.case.from_ns:
            words = f"{each.record.missed} messages missing at entry {each.index}"
            yield Finding(f"source:{each.record.source}", words, Status.UNKNOWN)


def root_not_checked(file: CaseFile) -> Iterator[Finding]:
    """Yield parts of Ironkeep's own root of trust not checked since the case was opened."""
    checked = {each.record.item for each in _root_checks(file)}
    for item in ev.ROOT_ITEMS:
        if item not in checked:
            yield Finding(item, "not looked at since the case was opened")


def root_check_too_old(file: CaseFile) -> Iterator[Finding]:
    """Yield parts of Ironkeep's own root of trust whose last check is too old."""
    last = {each.record.item: each.entry.time_ns for each in _root_checks(file)}
    for item, time_ns in last.items():
        if time_ns < file.as_of_ns - FRESH_NS:
            yield Finding(item, f"last looked at {iso(time_ns)}: look again")


def root_unsound(file: CaseFile) -> Iterator[Finding]:
    """Yield parts of Ironkeep's own root of trust that failed their last check."""
    for item, each in last_root_checks(file).items():
        if not each.record.sound:
            yield Finding(item, f"found wanting: {each.record.detail}")


def record_by_exposed(file: CaseFile) -> Iterator[Finding]:
    """Yield incident records that were made by exposed principals, once for each record."""
    for index, entry in file.entries:
        if entry.time_ns < file.case.from_ns or ev.TAG not in entry.audited:
            continue
        out = [file.estate.label(each) for each in actors_of(entry) if file.is_out(each, index)]
        if out:
            yield Finding(f"entry:{index}", f"recorded by {' with '.join(out)}, exposed")


def indexed_late(file: CaseFile) -> Iterator[Finding]:
    """Yield the part of the window that only an index made long afterwards vouches for."""
    if file.log.late:
        words = f"{file.log.late} entries of the window were indexed long after they were written"
        yield Finding("log:index", words)


def pack_too_old(file: CaseFile) -> Iterator[Finding]:
    """Yield what a pack of an earlier release does not prove, and the present rules need."""
    if file.log.unproven:
        words = (
            f"{file.log.unproven} questions to the log that today's rules ask are not answered by "
            "this pack of an earlier release: make a new one"
        )
        yield Finding("log:pack", words, Status.UNKNOWN)


def withheld(file: CaseFile) -> Iterator[Finding]:
    """Yield the number of entries of the window that the pack does not disclose."""
    if file.log.withheld:
        yield Finding("log:entries", f"{file.log.withheld} entries of the window are withheld")


def no_residue(file: CaseFile) -> Iterator[Finding]:
    """Yield a case with no statement of facts that cannot be known or damage that is permanent."""
    if not any(
        each.record.case == file.name and each.record.words.strip()
        for each in file.filed(ev.Residue)
    ):
        yield Finding(f"case:{file.name}", "nobody has said what cannot be known or undone")


def _covered(file: CaseFile, principal: NodeId) -> bool:
    """Return whether a survey covers a principal: its own, or for a session that of its holder.

    A session reads no more than the person or session that it belongs to. One that rests on what
    somebody exposed had set up belongs to the person who logged in, not to its maker.
    """
    if _surveyed(file, principal):
        return True
    if kind_of(principal) is not NodeKind.SESSION:
        return False
    acts = (*file.activity.issues_of(principal), *file.activity.by(principal))
    people = {node(NodeKind.PERSON, act.entry.entity) for act in acts if act.entry.entity}
    if any(each in file.rows and _surveyed(file, each) for each in people):
        return True
    why = file.rows[principal].why
    holds = bool(why) and all(step.kind is EdgeKind.HOLDS for step in why)
    return holds and kind_of(why[0].source) in PRINCIPALS and _surveyed(file, why[0].source)


def _surveyed(file: CaseFile, principal: NodeId) -> bool:
    cut = file.containment(principal)
    until = cut.entry.time_ns if cut and not file.escaped(principal) else file.as_of_ns
    return any(
        each.record.principal == principal
        and each.record.from_ns <= file.case.from_ns
        and each.record.until_ns >= until
        for each in file.filed(ev.Surveyed)
    )


def last_root_checks(file: CaseFile) -> dict[str, Filed[ev.RootChecked]]:
    """Return the last check of each part of Ironkeep's own root since the case was opened."""
    return {each.record.item: each for each in _root_checks(file)}


def _root_checks(file: CaseFile) -> list[Filed[ev.RootChecked]]:
    opening = file.case.opening
    after = opening.index if opening else 0
    return [
        each
        for each in file.filed(ev.RootChecked)
        if each.index > after and each.record.case == file.name
    ]
