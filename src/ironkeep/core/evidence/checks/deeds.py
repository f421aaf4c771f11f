"""Checks on what exposed principals began, set up, or let somebody in by (E1, E4, E5)."""

from collections.abc import Iterator

from ironkeep.core.event import SET_AGAIN, Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.checks.explained import explained_entries
from ironkeep.core.evidence.checks.intruders import may_leave_something
from ironkeep.core.evidence.claim import Finding, Status
from ironkeep.core.evidence.node import NodeId, NodeKind, kind_of
from ironkeep.core.operation import Operation


def unfinished_deed(file: CaseFile) -> Iterator[Finding]:
    """Yield unexplained requests of exposed principals that were begun and did not end well.

    What such a request changed may be there, whatever the answer was.
    """
    explained = explained_entries(file)
    for deed in file.activity.deeds:
        act = deed.act
        known = any(file.is_out(each, act.index) for each in act.actors)
        if not known or not may_leave_something(file, act, reads=True):
            continue
        if explained.get(f"entry:{act.index}", -1) < act.index:
            end = f"ended in {deed.error.entry.outcome}" if deed.error else "is not known to end"
            words = f"{act.entry.op} {act.entry.path} by somebody exposed {end}, unexplained"
            yield Finding(f"entry:{act.index}", words, entry=act.index)


def makers_unknown(file: CaseFile) -> Iterator[Finding]:
    """Yield logins that relied on more makers since the earliest compromise than are named."""
    for act, makers in file.activity.logins:
        if any(each.node is None and each.acted_ns >= file.case.from_ns for each in makers):
            words = f"a login at {act.entry.path} relied on more writers than its entry names"
            yield Finding(f"entry:{act.index}", words, Status.UNKNOWN, act.index)


def unchanged_factor(file: CaseFile) -> Iterator[Finding]:
    """Yield factors of readmitted people that nobody else has changed since they were contained.

    Also yields what such a person did between the readmission and the change.
    """
    for each in file.filed(ev.Readmitted):
        person = NodeId(each.record.principal)
        cut = file.containment(person) if person in file.rows else None
        if kind_of(person) is not NodeKind.PERSON or cut is None or each.index < cut.index:
            continue
        changed = {
            factor: _changed(file, person, factor, cut.index) for factor in each.record.factors
        }
        for factor, index in changed.items():
            if index is None:
                words = f"let in again, and {_in_words(factor)} is as it was before"
                yield Finding(f"{person}#{factor}", words)
        last = max((index for index in changed.values() if index is not None), default=-1)
        act = file.activity.acted_in(person, each.index, last)
        if act is not None:
            words = f"acted at entry {act.index}, before all its factors were changed"
            yield Finding(person, words, entry=act.index)


def _changed(file: CaseFile, person: NodeId, factor: str, after: int) -> int | None:
    """Return the entry after another one in which somebody not exposed changed a factor.

    A password that the name had before undoes the changes before it: the intruder may know it.
    """
    index: int | None = None
    for act in file.activity.factors.get(person, ()):
        if act.index > after and _changes(act.entry, factor):
            exposed = any(actor in file.rows for actor in act.actors)
            if act.entry.audited.get(SET_AGAIN):
                index = None
            elif index is None and not exposed:
                index = act.index
    return index


def _changes(entry: Entry, factor: str) -> bool:
    kind, _, name = factor.partition(":")
    facts = entry.audited
    if kind == "passkey":
        removed = name if entry.op == Operation.DELETE else ""
        # A recovery, and the removal of the person from the mount, remove all.
        all_gone = facts.get("bound_by") == "recovery" or facts.get("passkeys") == "all"
        return all_gone or facts.get("credential", "") == removed != ""
    if kind == "codes":
        return entry.op == Operation.DELETE and facts.get("codes_of", "") == name
    return kind == "password" and name == f"{entry.mount}/{facts.get('password_of', '')}"


def _in_words(factor: str) -> str:
    kind, _, name = factor.partition(":")
    match kind:
        case "password":
            return f"the password of {name.partition('/')[2]}"
        case "codes":
            return f"the break-glass codes of {name}"
        case "passkey":
            return f"the passkey {name}"
        case "login":
            return f"what {name.partition('/')[2]} logs in with, which is kept elsewhere,"
        case _:
            return "nobody knows by which factors: what it logs in with"
