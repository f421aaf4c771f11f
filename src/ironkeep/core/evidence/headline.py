"""The first line of a verdict: its outcome, what it rests on, and the time for which it holds."""

from ironkeep.core.evidence.checks.record import CLOCK_SKEW_NS
from ironkeep.core.evidence.claim import iso
from ironkeep.core.evidence.records import Evidence
from ironkeep.core.evidence.verdict import Tally


def later_than(evidence: Evidence) -> int:
    """Return the number of entries in the evidence that are later than its verdict."""
    return sum(entry.time_ns > evidence.as_of_ns for _, entry in evidence.entries)


def is_past(later: int, as_of_ns: int, known_ns: int) -> bool:
    """Return whether more than the verdict tells has happened, or may have.

    known_ns is the time until which the log is known: that of its cosigned head, or now. Evidence
    leaves out later entries that would not have mattered, so the times count too.
    """
    return later > 0 or as_of_ns + CLOCK_SKEW_NS < known_ns


def headline(outcome: str, tally: Tally, as_of_ns: int, later: int, *, past: bool) -> str:
    """Return the line, such as "PROVEN WITH EXCEPTIONS: closed: 5 measured, 2 exempt until …"."""
    return f"{outcome}{_since(as_of_ns, later, past=past)}: {counted(tally)}"


def counted(tally: Tally) -> str:
    """Return the exposed credentials in words, by how it is known that they are dead."""
    until = f" until {iso(tally.until_ns)}"
    parts = (
        (tally.measured, "measured"),
        (tally.sworn, "sworn by two"),
        (tally.exempt, f"exempt{until}"),
    )
    closed = ", ".join(f"{count} {words}" for count, words in parts if count)
    found = [f"closed: {closed}"] if closed else []
    found += [f"open: {tally.open}"] if tally.open else []
    more = f"{tally.waived} other items exempt{until if not tally.exempt else ''}"
    found += [more] if tally.waived else []
    return "; ".join(found) or "no credential is exposed"


def _since(as_of_ns: int, later: int, *, past: bool) -> str:
    if not past:
        return ""
    entries = "entry exists" if later == 1 else "entries exist"
    more = f"{later} later {entries}" if later else "the log has gone on since"
    return f" as of {iso(as_of_ns)} ({more})"
