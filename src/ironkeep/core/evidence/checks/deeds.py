"""Checks on what exposed principals began, set up, or let somebody in by (E1, E4, E5)."""

from collections.abc import Iterator

from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.checks.explained import explained_entries
from ironkeep.core.evidence.checks.intruders import may_leave_something
from ironkeep.core.evidence.claim import Finding, Status


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
